package pool

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// stream is one rule's view of one slice over all tenants.
type stream struct {
	rule   string
	slice  sli.Slice
	says   standing.Stream
	det    detect.ErrorRatio
	vol    *detect.Traffic // instead of det, of a traffic rule
	late   standing.Lately
	tide   string // why another volume than the usual is expected; of traffic, derived
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
	judged *rule.Rule // its rule; nil: it must be seen whether that still cuts so. Derived
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

// fading is an excess that is forgotten.
type fading struct {
	at int64
	v  float64
}

type share struct{ n, k, excess float64 }

// streamKey is what a contribution is looked up by.
type streamKey struct {
	rule string
	dim  sli.Dim
}

// place finds where a contribution is added, or makes it; nil when no rule takes it.
// Tenants say the same things in the same order: nearly always it is the seat that was
// found after the last one before.
func (p *Pool) place(c *exchange.Contribution) *seat {
	if p.sat != nil {
		if x := p.sat.after; x != nil && x.takes(c) {
			p.sat = x
			return x
		}
	}
	if c.Environment != p.environment || c.Service != p.service {
		return nil
	}
	r := p.rule(c.Rule)
	if r == nil || len(c.Slice) != 1 || !r.Cuts(c.Slice) || (r.Kind == rule.Traffic) != (c.Expected > 0) {
		return nil
	}
	s := p.streamOf(streamKey{c.Rule, c.Slice[0]}, c.Slice)
	s.judged = r
	x := s.seat(c.Tenant)
	x.from, x.dim = c.Origin, &c.Slice[0]
	if p.sat != nil {
		p.sat.after = x
	}
	p.sat = x
	return x
}

// takes says whether a contribution is added here. One that was not read from somewhere is
// nearly always of the very origin and slice that was added last.
func (x *seat) takes(c *exchange.Contribution) bool {
	r := x.of.judged
	return (x.from == c.Origin || *x.from == *c.Origin) && len(c.Slice) == 1 && (x.dim == &c.Slice[0] || *x.dim == c.Slice[0]) &&
		!x.gone && r != nil && (r.Kind == rule.Traffic) == (c.Expected > 0)
}

// streamOf finds a stream, or makes it.
func (p *Pool) streamOf(key streamKey, slice sli.Slice) *stream {
	if s := p.found[key]; s != nil {
		return s
	}
	order := func(s *stream, text string) int {
		return cmp.Or(cmp.Compare(s.rule, key.rule), cmp.Compare(s.slice.Key(), text))
	}
	i, found := slices.BinarySearchFunc(p.streams, slice.Key(), order)
	if !found {
		p.streams = slices.Insert(p.streams, i, newStream(key.rule, slice))
	}
	if p.found == nil {
		p.found = map[streamKey]*stream{}
	}
	p.found[key] = p.streams[i]
	return p.streams[i]
}

func newStream(name string, slice sli.Slice) *stream {
	return &stream{rule: name, slice: slice, seats: map[tenant.ID]*seat{}, given: map[tenant.ID]share{}, flows: flows{came: map[tenant.ID]fadingPair{}}}
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
