package evaluate

import (
	"maps"
	"slices"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// Checkpoint returns the pool's state, without the rules.
func (p *Pool) Checkpoint() ([]byte, error) {
	c := &coder{data: []byte{kindPool, checkpointVersion}, version: checkpointVersion}
	c.pool(p)
	return c.data, c.err
}

// Restore replaces the pool's state by a checkpoint; SetRules comes first, and
// streams of rules that are gone are dropped. An error leaves the pool as it was.
func (p *Pool) Restore(data []byte) error {
	c, err := open(data, kindPool)
	if err != nil {
		return err
	}
	n := NewPool(p.o, p.environment, p.service)
	c.pool(n)
	if c.err == nil && len(c.data) > 0 {
		c.fail()
	}
	if c.err != nil {
		return c.err
	}
	p.found, p.sat = nil, nil
	p.now, p.streams = max(p.now, n.now), slices.DeleteFunc(n.streams, func(s *stream) bool { return p.rule(s.rule) == nil })
	return nil
}

func (c *coder) pool(p *Pool) {
	c.int(&p.now)
	list(c, &p.streams, func(s **stream) {
		if c.reading {
			*s = newStream("", nil)
		}
		c.stream(*s)
	})
}

func (c *coder) stream(s *stream) {
	c.text(&s.rule)
	c.slice(&s.slice)
	if c.reading && len(s.slice) != 1 {
		c.fail()
		return
	}
	c.watch(&s.w)
	column(c, s, func(x *seat) *int64 { return &x.last }, func(x *seat) bool { return x.last != 0 }, func(v *int64) { c.int(v) })
	c.active(s)
	table(c, &s.given, func(v *share) { c.floats(&v.n, &v.k, &v.excess) })
	column(c, s, func(x *seat) *fading { return &x.own }, func(x *seat) bool { return x.own.at != 0 }, func(v *fading) {
		c.int(&v.at)
		c.floats(&v.v)
	})
	c.int(&s.excess.at)
	c.floats(&s.excess.v)
	list(c, &s.open, func(b *bucket) { c.bucket(s, b) })
	c.bucket(s, &s.carry)
	c.ints(&s.closed, &s.swept)
	c.floats(&s.volume, &s.rate)
	if c.version >= 2 {
		c.floats(&s.over)
	}
	if c.version >= 6 {
		c.flows(&s.flows)
	}
	if c.version >= 10 {
		c.turn(s)
	}
}

func (c *coder) flows(f *flows) {
	pair := func(x *fadingPair) {
		c.int(&x.at)
		c.floats(&x.n, &x.expected)
	}
	table(c, &f.came, pair)
	pair(&f.lately)
	from := f.factor.From.UnixMilli()
	if f.factor.From.IsZero() {
		from = 0
	}
	c.ints(&f.looked, &from)
	c.floats(&f.factor.Value)
	if c.reading {
		f.factor.From = at(from)
	}
}

func (c *coder) bucket(s *stream, b *bucket) {
	c.ints(&b.start, &b.end, &b.first)
	c.bools(&b.live)
	parts := map[tenant.ID]part{}
	for _, v := range b.list() {
		parts[v.id] = v.part
	}
	table(c, &parts, func(v *part) { c.floats(&v.n, &v.k, &v.expected) })
	if c.reading {
		b.sorted = true
		for _, id := range slices.Sorted(maps.Keys(parts)) {
			b.add(s.seat(id), parts[id])
		}
	}
}

// active codes whose events are waited for.
func (c *coder) active(s *stream) {
	waited := map[tenant.ID]bool{}
	for _, x := range s.active {
		waited[x.id] = true
	}
	table(c, &waited, func(v *bool) { c.bools(v) })
	if c.reading {
		for _, id := range slices.Sorted(maps.Keys(waited)) {
			s.active = append(s.active, s.seat(id))
		}
	}
}

// column codes what seats have, by tenant: as a map of it.
func column[V any](c *coder, s *stream, of func(*seat) *V, has func(*seat) bool, value func(*V)) {
	var ids []tenant.ID
	for id, x := range s.seats {
		if !c.reading && has(x) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	list(c, &ids, func(id *tenant.ID) { c.text((*string)(id)) })
	for _, id := range ids {
		value(of(s.seat(id)))
	}
}

// table codes a map by tenant, in the order of its keys.
func table[V any](c *coder, m *map[tenant.ID]V, value func(*V)) {
	ids := slices.Sorted(maps.Keys(*m))
	list(c, &ids, func(id *tenant.ID) { c.text((*string)(id)) })
	if c.reading {
		*m = make(map[tenant.ID]V, len(ids))
	}
	for _, id := range ids {
		v := (*m)[id]
		value(&v)
		if c.reading {
			(*m)[id] = v
		}
	}
}
