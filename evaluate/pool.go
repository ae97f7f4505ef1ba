package evaluate

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	longestCarry  = 60_000  // ms over which thin steps are added up before they are judged
	namedTenants  = 20      // of a pooled alert's evidence
	knownTenants  = 1000    // whose share of a suspicion is followed
	expectedHeft  = 10_000  // events that the tenants' usual ratios are worth: they are known
	excessFades   = 600_000 // ms after which failures beyond the usual count 1/e
	poolForgets   = 3_600_000
	rateSmoothing = 0.05
	pairShare     = 2.0 // times what all others fail beyond their usual, two tenants together count
	fewMissing    = 10  // one in so many tenants, or fewer, is not waited for
	waitsForFew   = 10_000
)

// Pool judges one service of one environment over all its tenants: each single
// dimension (an acquirer, a method, a country) is one stream. It is not safe
// for concurrent use.
type Pool struct {
	o           Options
	environment string
	service     string
	rules       []*ruleState
	streams     []*stream             // sorted by rule and slice
	found       map[streamKey]*stream // of streams, those that were looked for
	sat         *seat                 // where a contribution was added last
	now         int64
	alerts      []alert.Alert
	factors     []Factor    // not handed out yet
	spare       [][]portion // of buckets that are closed
	amid        amid
}

// stream is one rule's view of one slice over all tenants.
type stream struct {
	rule   string
	slice  sli.Slice
	w      watch
	seats  map[tenant.ID]*seat
	active []*seat  // had events in the step that closed last
	open   []bucket // by end
	closed int64    // end of the newest closed step
	swept  int64
	carry  bucket // too thin to judge so far
	given  map[tenant.ID]share
	excess fading     // failures beyond the usual, of all
	fades  [2]float64 // how much is left after so many ms; derived
	volume float64    // events, fading
	rate   float64    // events a minute while nothing is suspected
	flows  flows
	turn   turn
	judged *ruleState // its rule; nil: it must be seen whether that still cuts so. Derived
	over   float64    // seconds that a slow event takes longer than, where all tenants have the same; differ: they do not
}

// differ says that tenants are judged by different edges.
const differ = -1

// bucket is one step of a stream.
type bucket struct {
	start, end, first int64 // first: when its first contribution came
	live              bool
	expected          float64 // failures, by the usual ratio of each; set by pooled
	largest           tenant.ID
	scale             float64 // of the largest one's counts; both set by pooled
	parts             []portion
	sorted            bool // parts are by tenant, one each
}

type part struct{ n, k, expected float64 }

type share struct{ n, k, excess float64 }

// NewPool makes a pool without rules. Its alerts name the tenant
// [tenant.Product].
func NewPool(o Options, environment, service string) *Pool {
	return &Pool{o: o.withDefaults(), environment: environment, service: service}
}

// SetRules installs the rules that are judged, and drops the streams of those
// that are gone; alerts of theirs are resolved by the next Advance.
func (p *Pool) SetRules(rules []rule.Rule) {
	old := p.rules
	p.rules = nil
	for _, r := range rules {
		if (r.Kind.Ratio() || r.Kind == rule.Traffic) && r.Service == p.service {
			p.rules = append(p.rules, &ruleState{Rule: r})
		}
	}
	p.found, p.sat = nil, nil
	p.streams = slices.DeleteFunc(p.streams, func(s *stream) bool {
		s.judged = nil
		if p.rule(s.rule) != nil {
			return false
		}
		i := slices.IndexFunc(old, func(r *ruleState) bool { return r.Name == s.rule })
		if s.w.raised != nil && i >= 0 {
			when := max(p.now, s.closed+1)
			a, ends := p.alert(old[i], s, when), at(when)
			a.State, a.EndsAt, a.Reason = alert.Resolved, &ends, "no longer evaluated: the rule no longer applies"
			p.alerts = append(p.alerts, a)
		}
		return true
	})
}

func (p *Pool) rule(name string) *ruleState {
	for _, r := range p.rules {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Contribute takes one tenant's step, at the time of the last Advance. A
// tenant's steps come in order; one that came before changes nothing. A step
// that comes after its time joins the one that is open. c is not kept.
func (p *Pool) Contribute(c *Contribution) {
	if c.Environment != p.environment || c.Service != p.service || !(c.Step.N >= 0) || c.Step.End <= c.Step.Start {
		return
	}
	x := p.place(c)
	if x == nil {
		return
	}
	s, r := x.of, x.of.judged
	if x.last >= c.Step.End {
		return
	}
	x.last = c.Step.End
	if s.over == 0 {
		s.over = c.Over
	} else if s.over != c.Over {
		s.over = differ
	}
	start, end := max(c.Step.Start, s.closed), c.Step.End
	if end <= s.closed {
		if end < s.closed-p.o.Backlog.Milliseconds() {
			return
		}
		end = s.closed + p.o.Step.Milliseconds()
	}
	i := len(s.open) - 1
	found := i >= 0 && s.open[i].end == end // nearly always
	if !found {
		i, found = slices.BinarySearchFunc(s.open, end, func(b bucket, end int64) int { return cmp.Compare(b.end, end) })
	}
	if !found {
		s.open = slices.Insert(s.open, i, p.bucket(start, end))
	}
	b := &s.open[i]
	b.start, b.live = min(b.start, start), b.live || c.Live
	if !c.Live {
		s.turn.stale = max(s.turn.stale, s.closed, 1)
	}
	if r.Kind == rule.Traffic {
		b.add(x, part{n: c.Step.N, expected: c.Expected})
		return
	}
	b.add(x, part{c.Step.N, math.Min(c.Step.K, c.Step.N), c.Step.N * c.Usual})
}

// Advance closes the steps that are complete: all tenants with events in the step before
// have contributed, or nine in ten of them and ten seconds have passed since the first did, or
// Options.Close.
func (p *Pool) Advance(now time.Time) []alert.Alert {
	p.now = max(p.now, now.UnixMilli())
	for more := true; more; { // a step of each at a time: what one says of its share of the volume, the others have closed too
		more = false
		for _, s := range p.streams {
			if len(s.open) == 0 || p.now < s.open[0].first+s.waits(s.open[0].end, p.o.Close) {
				continue
			}
			b := s.open[0]
			s.open = slices.Delete(s.open, 0, 1)
			if !p.close(s, &b) {
				p.reuse(&b)
			}
			more = true
		}
	}
	out := ordered(p.alerts)
	p.alerts = nil
	return out
}

// waits is how long (ms) the step that ends there waits after its first contribution. What
// comes later joins the next.
func (s *stream) waits(end int64, most time.Duration) int64 {
	missing := 0
	for _, x := range s.active {
		if x.last >= end {
			continue
		}
		if missing++; missing*fewMissing > len(s.active) {
			return most.Milliseconds()
		}
	}
	switch {
	case len(s.active) == 0:
		return most.Milliseconds()
	case missing == 0:
		return 0
	}
	return min(waitsForFew, most.Milliseconds())
}

// close judges a step, together with what was too thin before it. kept says that it is too
// thin itself.
func (p *Pool) close(s *stream, b *bucket) (kept bool) {
	r := p.rule(s.rule)
	flowing := r.Kind == rule.Traffic
	s.active = s.active[:0]
	// The volume counts whether or not there are tenants enough to judge: it is what
	// the share of other slices is measured by.
	s.volume *= math.Exp(-float64(max(0, b.end-s.closed)) / volumeFades)
	p.amid.order(b)
	for _, v := range b.list() {
		if v.n > 0 || flowing && v.expected > 0 {
			s.active = append(s.active, v.seat)
		}
		if flowing { // what is lost has its share too
			s.volume += v.expected
			continue
		}
		s.volume += v.n
	}
	if s.carry.parts != nil {
		for _, v := range s.carry.list() {
			b.add(v.seat, v.part)
			b.start = min(b.start, s.carry.start)
		}
		p.reuse(&s.carry)
		s.carry = bucket{}
	}
	if flowing {
		s.closed = b.end
		p.sweep(s)
		p.judgeFlow(r, s, *b)
		return false
	}
	step, thin := s.pooled(b, p.o.MinTenants)
	s.closed = b.end
	p.sweep(s)
	if thin && b.end-b.start < longestCarry {
		s.carry = *b
		return true
	}
	p.judge(s, *b, step)
	return false
}

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
	s.excess.fade(b.end)
	for i := range parts {
		v, own := b.counted(i), &parts[i].own
		if b.end > own.at {
			own.v, own.at = own.v*s.left(b.end-own.at), b.end
		}
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

func (p *Pool) judge(s *stream, b bucket, step detect.Step) {
	r := p.rule(s.rule)
	if step.N <= 0 {
		return
	}
	with := detect.Parameters{
		Prior: math.Max(b.expected/step.N, 1e-6), PriorWeight: expectedHeft, Budget: r.usually() * r.FalseAlarms / float64(p.streamsOf(s.rule)),
		LooksPerMonth: float64(detect.Month / p.o.Step), Factor: r.Sensitivity.Factor(),
	}
	var d detect.Decision
	if s.w.firing || s.w.raised != nil || !s.w.det.CalmAlone(&with, &step, &d) {
		d = s.w.det.Step(with, nil, step)
	}
	if looksBack(r) {
		with.Budget *= changeShare / (1 - changeShare)
		with.Common = true
		d = turned(d, s.lately(with, b, step, &p.amid), s.w.firing)
	}
	s.w.follow(&d, step.End)
	if r.Kind == rule.Declines {
		s.w.late.follow(step.N, step.K, math.Exp(-float64(step.End-step.Start)/halvedFades))
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
		case s.w.vol != nil: // of volume k is what was expected
			s.given[id] = share{g.n + v.n, g.k + v.expected, g.excess + v.expected - v.n}
		case v.n > 0:
			s.given[id] = share{g.n + v.n, g.k + v.k, g.excess + v.k - v.expected}
		}
	}
}

// sweep forgets tenants that have not contributed for an hour.
func (p *Pool) sweep(s *stream) {
	if s.closed-s.swept < poolForgets {
		return
	}
	s.swept, s.over = s.closed, 0
	maps.DeleteFunc(s.seats, func(_ tenant.ID, x *seat) bool { return x.forget(s.closed - poolForgets) })
	s.active = slices.DeleteFunc(s.active, func(x *seat) bool { return s.seats[x.id] != x })
}
