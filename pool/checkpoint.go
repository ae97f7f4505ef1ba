package pool

import (
	"maps"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// kind is that of a pool's records.
const kind = 'P'

// coder codes what a pool keeps.
type coder struct{ *checkpoint.Coder }

// Checkpoint returns the pool's state, without the rules.
func (p *Pool) Checkpoint() ([]byte, error) {
	c := &coder{checkpoint.Write(kind, checkpoint.Version)}
	c.pool(p)
	return c.Written()
}

// Restore replaces the pool's state by a checkpoint; SetRules comes first, and
// streams of rules that are gone are dropped. An error leaves the pool as it was.
func (p *Pool) Restore(data []byte) error {
	in, err := checkpoint.Read(data, kind)
	if err != nil {
		return err
	}
	c := &coder{in}
	n := New(p.o, p.environment, p.service)
	c.pool(n)
	if err := c.End(); err != nil {
		return err
	}
	p.found, p.sat = nil, nil
	p.now, p.streams = max(p.now, n.now), slices.DeleteFunc(n.streams, func(s *stream) bool { return p.rule(s.rule) == nil })
	return nil
}

// Beside is a pool that judges by other rules what this one sees, from where this one
// stands: it knows the same tenants and suspects what this one suspects, and has raised
// nothing. Its rules must count what this one's of the same name do.
func (p *Pool) Beside(rules []rule.Rule) (*Pool, error) {
	state, err := p.Checkpoint()
	if err != nil {
		return nil, err
	}
	n := New(p.o, p.environment, p.service)
	n.SetRules(rules)
	if err := n.Restore(state); err != nil {
		return nil, err
	}
	for _, s := range n.streams {
		s.says.Raised = nil
	}
	return n, nil
}

func (c *coder) pool(p *Pool) {
	c.Int(&p.now)
	checkpoint.List(c.Coder, &p.streams, func(s **stream) {
		if c.Reading() {
			*s = newStream("", nil)
		}
		c.stream(*s)
	})
}

func (c *coder) stream(s *stream) {
	c.Text(&s.rule)
	c.Slice(&s.slice)
	if c.Reading() && len(s.slice) != 1 {
		c.Fail()
		return
	}
	c.says(s)
	column(c.Coder, s, func(x *seat) *int64 { return &x.last }, func(x *seat) bool { return x.last != 0 }, func(v *int64) { c.Int(v) })
	c.active(s)
	table(c.Coder, &s.given, func(v *share) { c.Floats(&v.n, &v.k, &v.excess) })
	column(c.Coder, s, func(x *seat) *fading { return &x.own }, func(x *seat) bool { return x.own.at != 0 }, func(v *fading) {
		c.Int(&v.at)
		c.Floats(&v.v)
	})
	c.Int(&s.excess.at)
	c.Floats(&s.excess.v)
	checkpoint.List(c.Coder, &s.open, func(b *bucket) { c.bucket(s, b) })
	c.bucket(s, &s.carry)
	c.Ints(&s.closed, &s.swept)
	c.Floats(&s.volume, &s.rate)
	if c.Since(2) {
		c.Floats(&s.over)
	}
	if c.Since(6) {
		c.flows(&s.flows)
	}
	if c.Since(10) {
		c.turn(s)
	}
}

// says codes what is known of a stream's verdicts, as tenants' records have it: what only
// they have is none.
func (c *coder) says(s *stream) {
	c.State(&s.det)
	s.says.Code(c.Coder)
	if c.Since(2) {
		s.late.Code(c.Coder)
		var n, expected float64 // of a slice's traffic
		c.Floats(&n, &expected)
		checkpoint.Optional(c.Coder, &s.vol)
	}
	for _, since := range []byte{4, 8, 13} { // burn rates, the level of what lasts, the last hour
		some := false
		if c.Since(since) {
			c.Bools(&some)
		}
		if some {
			c.Fail()
			return
		}
	}
}

func (c *coder) flows(f *flows) {
	pair := func(x *fadingPair) {
		c.Int(&x.at)
		c.Floats(&x.n, &x.expected)
	}
	table(c.Coder, &f.came, pair)
	pair(&f.lately)
	from := f.factor.From.UnixMilli()
	if f.factor.From.IsZero() {
		from = 0
	}
	c.Ints(&f.looked, &from)
	c.Floats(&f.factor.Value)
	if c.Reading() {
		f.factor.From = time.UnixMilli(from).UTC()
	}
}

func (c *coder) bucket(s *stream, b *bucket) {
	c.Ints(&b.start, &b.end, &b.first)
	c.Bools(&b.live)
	parts := map[tenant.ID]part{}
	for _, v := range b.list() {
		parts[v.id] = v.part
	}
	table(c.Coder, &parts, func(v *part) { c.Floats(&v.n, &v.k, &v.expected) })
	if c.Reading() {
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
	table(c.Coder, &waited, func(v *bool) { c.Bools(v) })
	if c.Reading() {
		for _, id := range slices.Sorted(maps.Keys(waited)) {
			s.active = append(s.active, s.seat(id))
		}
	}
}

// column codes what seats have, by tenant: as a map of it.
func column[V any](c *checkpoint.Coder, s *stream, of func(*seat) *V, has func(*seat) bool, value func(*V)) {
	var ids []tenant.ID
	for id, x := range s.seats {
		if !c.Reading() && has(x) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	checkpoint.List(c, &ids, func(id *tenant.ID) { c.Text((*string)(id)) })
	for _, id := range ids {
		value(of(s.seat(id)))
	}
}

// table codes a map by tenant, in the order of its keys.
func table[V any](c *checkpoint.Coder, m *map[tenant.ID]V, value func(*V)) {
	ids := slices.Sorted(maps.Keys(*m))
	checkpoint.List(c, &ids, func(id *tenant.ID) { c.Text((*string)(id)) })
	if c.Reading() {
		*m = make(map[tenant.ID]V, len(ids))
	}
	for _, id := range ids {
		v := (*m)[id]
		value(&v)
		if c.Reading() {
			(*m)[id] = v
		}
	}
}
