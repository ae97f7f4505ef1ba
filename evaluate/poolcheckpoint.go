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
	p.found = nil
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
	table(c, &s.last, func(v *int64) { c.int(v) })
	table(c, &s.active, func(v *bool) { c.bools(v) })
	table(c, &s.given, func(v *share) { c.floats(&v.n, &v.k, &v.excess) })
	table(c, &s.own, func(v *fading) {
		c.int(&v.at)
		c.floats(&v.v)
	})
	c.int(&s.excess.at)
	c.floats(&s.excess.v)
	list(c, &s.open, c.bucket)
	c.bucket(&s.carry)
	c.ints(&s.closed, &s.swept)
	c.floats(&s.volume, &s.rate)
	if c.version >= 2 {
		c.floats(&s.over)
	}
	if c.version >= 6 {
		c.flows(&s.flows)
	}
	if c.version >= 10 {
		c.turn(&s.turn)
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

func (c *coder) bucket(b *bucket) {
	c.ints(&b.start, &b.end, &b.first)
	c.bools(&b.live)
	table(c, &b.parts, func(v *part) { c.floats(&v.n, &v.k, &v.expected) })
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
