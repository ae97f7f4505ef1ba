// Package pool judges one service of one environment over all its tenants, by what they
// contribute of each slice: what no tenant has events enough to see alone, a payment in
// a hundred seconds each at an acquirer that fails, is seen over three hundred of them.
//
// It knows when a step has been told by all, what counts of it so that one tenant's fault,
// or two at once, is none of what they share, and what a country's tenants have in common.
// It must not know how a tenant's steps come about, where state is stored, who is paged or
// what time it is: time comes in with every call, and the same sequence of calls gives the
// same results. What comes in and goes out between tenants and pools is in package exchange.
//
// Units: times are unix milliseconds, evidence is in nats.
package pool

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/rule"
)

const (
	longestCarry  = 60_000  // ms over which thin steps are added up before they are judged
	namedTenants  = 20      // of a pooled alert's evidence
	knownTenants  = 1000    // whose share of a suspicion is followed
	expectedHeft  = 10_000  // events that the tenants' usual ratios are worth: they are known
	excessFades   = 600_000 // ms after which failures beyond the usual count 1/e
	poolForgets   = 3_600_000
	rateSmoothing = 0.05
	volumeFades   = 6 * 3.6e6 // ms after which volume counts 1/e in a slice's share of it
	pairShare     = 2.0       // times what all others fail beyond their usual, two tenants together count
	fewMissing    = 10        // where at most one in so many tenants is missing
	waitsForFew   = 10_000    // a step waits for so many ms only
)

// Options bounds a Pool. The zero value works.
type Options struct {
	Step       time.Duration // the tenants' shortest step; default 15 s
	Close      time.Duration // a step waits at most this long for its tenants after the first; default 30 s
	Backlog    time.Duration // what comes for a step that closed longer ago is dropped; default 10 min
	MinTenants int           // steps with at least so many tenants are judged; default 3
	// Announced finds the calendar entry that widens the expected volume of a scope at
	// an instant; nil: nothing is announced.
	Announced func(at time.Time, on calendar.Scope) (calendar.Entry, bool)
}

func (o Options) withDefaults() Options {
	o.Step, o.Close, o.Backlog = cmp.Or(max(o.Step, 0), 15*time.Second), cmp.Or(max(o.Close, 0), 30*time.Second), cmp.Or(max(o.Backlog, 0), 10*time.Minute)
	o.MinTenants = cmp.Or(max(o.MinTenants, 0), 3)
	return o
}

// Pool judges one service of one environment over all its tenants: each single
// dimension (an acquirer, a method, a country) is one stream. It is not safe
// for concurrent use.
type Pool struct {
	o           Options
	environment string
	service     string
	rules       []*rule.Rule
	streams     []*stream             // sorted by rule and slice
	found       map[streamKey]*stream // of streams, those that were looked for
	sat         *seat                 // where a contribution was added last
	now         int64
	alerts      []alert.Alert
	factors     []exchange.Factor // not handed out yet
	spare       [][]portion       // of buckets that are closed
	amid        amid
}

// New makes a pool without rules. Its alerts name the tenant
// [tenant.Product].
func New(o Options, environment, service string) *Pool {
	return &Pool{o: o.withDefaults(), environment: environment, service: service}
}

// SetRules installs the rules that are judged, and drops the streams of those
// that are gone; alerts of theirs are resolved by the next Advance.
func (p *Pool) SetRules(rules []rule.Rule) {
	old := p.rules
	p.rules = nil
	for _, r := range rules {
		if (r.Kind.Ratio() || r.Kind == rule.Traffic) && r.Service == p.service {
			p.rules = append(p.rules, &r)
		}
	}
	p.found, p.sat = nil, nil
	p.streams = slices.DeleteFunc(p.streams, func(s *stream) bool {
		s.judged = nil
		if p.rule(s.rule) != nil {
			return false
		}
		i := slices.IndexFunc(old, func(r *rule.Rule) bool { return r.Name == s.rule })
		if s.says.Raised != nil && i >= 0 {
			when := max(p.now, s.closed+1)
			p.alerts = append(p.alerts, standing.Dropped(p.alert(old[i], s, when), when, "the rule no longer applies"))
		}
		return true
	})
}

func (p *Pool) rule(name string) *rule.Rule {
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
func (p *Pool) Contribute(c *exchange.Contribution) {
	if !(c.Step.N >= 0) || c.Step.End <= c.Step.Start {
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
	out := standing.Order(p.alerts)
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
	p.judge(r, s, *b, step)
	return false
}
