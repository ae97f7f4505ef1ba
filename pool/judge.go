package pool

import (
	"math"

	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
)

// pooled adds the tenants up. The largest counts at most as many events as all
// others together, and what a tenant failed beyond its usual over the last
// minutes counts as far as the others together failed beyond theirs, that of the
// two who failed most up to twice that: one tenant's own fault, or two that happen
// at once, is no fault of what they share. With too few tenants there is no
// evidence, and thin is true.
func (s *stream) pooled(b *bucket, minTenants int) (step detect.Step, thin bool) {
	step = detect.Step{Start: b.start, End: b.end, Coverage: 1}
	parts := b.list()
	most, tenants := -1, 0
	for i := range parts {
		if v := &parts[i]; v.n > 0 {
			tenants++
			step.N += v.n
			if most < 0 || v.n > parts[most].n {
				most = i
			}
		}
	}
	if tenants < minTenants {
		return detect.Step{Start: b.start, End: b.end, Coverage: 1}, true
	}
	b.largest, b.scale = parts[most].id, math.Min(1, (step.N-parts[most].n)/parts[most].n)
	step.N, b.expected = 0, 0
	s.fade(&s.excess, b.end)
	for i := range parts {
		v, own := b.counted(i), &parts[i].own
		s.fade(own, b.end)
		own.v += v.k - v.expected
		s.excess.v += v.k - v.expected
	}
	two := largestTwo(parts)
	for i := range parts {
		v, own := b.counted(i), parts[i].own.v
		if x := v.k - v.expected; x > 0 && own > 0 {
			counts := math.Min(1, math.Max(0, s.excess.v-own)/own)
			if i == two.first || i == two.second {
				counts = math.Min(counts, pairShare*math.Max(0, s.excess.v-two.v)/two.v)
			}
			v.k = v.expected + x*counts
		}
		step.N, step.K, b.expected = step.N+v.n, step.K+v.k, b.expected+v.expected
	}
	return step, false
}

// pair is which two tenants failed most beyond their usual, and by how much together.
type pair struct {
	first, second int // -1: there is none
	v             float64
}

func largestTwo(parts []portion) pair {
	p := pair{first: -1, second: -1}
	for i := range parts {
		switch own := parts[i].own.v; {
		case own <= 0:
		case p.first < 0 || own > parts[p.first].own.v:
			p.first, p.second = i, p.first
		case p.second < 0 || own > parts[p.second].own.v:
			p.second = i
		}
	}
	for _, i := range []int{p.first, p.second} {
		if i >= 0 {
			p.v += parts[i].own.v
		}
	}
	return p
}

// left is what is left of an excess after so many ms: nearly all tenants have the same.
func (s *stream) left(ms int64) float64 {
	if s.fades[0] != float64(ms) {
		s.fades = [2]float64{float64(ms), math.Exp(-float64(ms) / excessFades)}
	}
	return s.fades[1]
}

// fade leaves of an excess what is left of it at a time.
func (s *stream) fade(f *fading, at int64) {
	if at > f.at {
		f.v, f.at = f.v*s.left(at-f.at), at
	}
}

// judge moves a stream of a share of events by one step.
func (p *Pool) judge(r *rule.Rule, s *stream, b bucket, step detect.Step) {
	if step.N <= 0 {
		return
	}
	with := detect.Parameters{
		Prior: math.Max(b.expected/step.N, 1e-6), PriorWeight: expectedHeft, Budget: detect.UsualShare(r.Kind.LooksBack()) * r.FalseAlarms / float64(p.streamsOf(s.rule)),
		LooksPerMonth: float64(detect.Month / p.o.Step), Factor: r.Sensitivity.Factor(),
	}
	var d detect.Decision
	if s.says.Firing || s.says.Raised != nil || !s.det.CalmAlone(&with, &step, &d) {
		d = s.det.Step(with, nil, step)
	}
	if r.Kind.LooksBack() {
		with = with.ForChange()
		with.Common = true
		d = detect.Either(d, s.lately(with, b, step, &p.amid), s.says.Firing)
	}
	s.says.Follow(&d, step.End)
	if r.Kind == rule.Declines {
		s.late.Follow(step.N, step.K, standing.Fade(step.End-step.Start))
	}
	s.follow(d, b, step)
	if b.live {
		p.say(r, s, d, step)
	}
}

// follow adds up who gave how much since the suspicion began.
func (s *stream) follow(d detect.Decision, b bucket, step detect.Step) {
	if d.Onset == 0 || d.Onset == step.Start {
		clear(s.given)
	}
	if d.Onset == 0 {
		if minutes := float64(step.End-step.Start) / 60_000; s.rate == 0 {
			s.rate = step.N / minutes
		} else {
			s.rate += rateSmoothing * (step.N/minutes - s.rate)
		}
		return
	}
	for _, v := range b.list() {
		id := v.id
		g, ok := s.given[id]
		switch {
		case !ok && len(s.given) >= knownTenants:
		case s.vol != nil: // of volume k is what was expected
			s.given[id] = share{g.n + v.n, g.k + v.expected, g.excess + v.expected - v.n}
		case v.n > 0:
			s.given[id] = share{g.n + v.n, g.k + v.k, g.excess + v.k - v.expected}
		}
	}
}
