package evaluate

import "slices"

// plan is what some references of one tenant stand for, as taking their samples needs it:
// small, and side by side in their order. A series and what it counts in lie apart.
type plan struct {
	refs       []*Ref
	of         *tenantState // nil: nothing is known of any
	generation uint64       // of that; it holds as long as there is no other
	old        bool         // one of them was found since
	longest    int64        // ms between two samples of a series that is waited for
	counted    []counted    // by reference
	ways       []way
	meters     []*meter // that they count in
}

// counted is a series.
type counted struct {
	s        *series // nil: not known
	from, to int32   // its ways
}

// way is a use.
type way struct {
	u       *use
	place   int32 // of its meter
	lane    int32
	bad     bool
	who     bool
	grouped bool
}

// holds says whether the plan is that of the references.
func (p *plan) holds(refs []*Ref) bool {
	return p.of != nil && p.of.generation == p.generation && !p.old && slices.Equal(p.refs, refs)
}

// look finds out what references stand for.
func (p *plan) look(refs []*Ref) {
	*p = plan{refs: append(p.refs[:0], refs...), counted: slices.Grow(p.counted[:0], len(refs)), ways: p.ways[:0], meters: p.meters[:0]}
	for _, r := range refs {
		c := counted{from: short(len(p.ways))}
		if p.of == nil && r.found() {
			p.of, p.generation, p.longest = r.ts, r.generation, r.ts.o.LiveFor.Milliseconds()
		}
		if p.of != nil && p.of == r.ts && r.found() && r.s != nil {
			c.s = r.s
			for _, u := range r.s.uses {
				p.ways = append(p.ways, way{u, p.place(u.m), short(u.lane), u.bad, u.who, u.group != nil})
			}
		}
		c.to = short(len(p.ways))
		p.counted = append(p.counted, c)
	}
}

// place finds or makes the place of a meter.
func (p *plan) place(m *meter) int32 {
	at := slices.Index(p.meters, m)
	if at < 0 {
		at = len(p.meters)
		p.meters = append(p.meters, m)
	}
	return short(at)
}
