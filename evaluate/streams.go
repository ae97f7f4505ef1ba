package evaluate

import (
	"cmp"
	"slices"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// streamKey is what a contribution is looked up by.
type streamKey struct {
	rule string
	dim  sli.Dim
}

// place finds where a contribution is added, or makes it; nil when no rule takes it.
// Tenants say the same things in the same order: nearly always it is the seat that was
// found after the last one before.
func (p *Pool) place(c *Contribution) *seat {
	if p.sat != nil {
		if x := p.sat.after; x != nil && x.takes(c) {
			p.sat = x
			return x
		}
	}
	r := p.rule(c.Rule)
	if r == nil || len(c.Slice) != 1 || !r.cuts(c.Slice) || (r.Kind == rule.Traffic) != (c.Expected > 0) {
		return nil
	}
	s := p.streamOf(streamKey{c.Rule, c.Slice[0]}, c.Slice)
	s.judged = r
	x := s.seat(c.Tenant)
	x.from = c.Origin
	if p.sat != nil {
		p.sat.after = x
	}
	p.sat = x
	return x
}

// takes says whether a contribution is added here.
func (x *seat) takes(c *Contribution) bool {
	s := x.of
	return (x.from == c.Origin || x.id == c.Tenant && s.rule == c.Rule) && !x.gone && s.judged != nil && len(c.Slice) == 1 && s.slice[0] == c.Slice[0] &&
		(s.judged.Kind == rule.Traffic) == (c.Expected > 0)
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
