package evaluate

import (
	"cmp"
	"slices"

	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// streamKey is what a contribution is looked up by.
type streamKey struct {
	rule string
	dim  sli.Dim
}

// stream finds what a contribution adds to, or makes it.
func (p *Pool) stream(name string, slice sli.Slice) *stream {
	if s := p.asked; s != nil && s.next != nil { // tenants say the same things in the same order
		if s = s.next; s.rule == name && s.slice[0] == slice[0] {
			p.asked = s
			return s
		}
	}
	s := p.streamOf(streamKey{name, slice[0]}, slice)
	if p.asked != nil {
		p.asked.next = s
	}
	p.asked = s
	return s
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
