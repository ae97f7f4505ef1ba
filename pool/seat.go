package pool

import (
	"cmp"
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// seat is what a stream knows of one tenant. It is looked up once for each contribution;
// a bucket holds it with what the tenant brought.
type seat struct {
	id     tenant.ID
	of     *stream
	after  *seat            // that was found after it; derived
	from   *exchange.Origin // of what was added last; derived
	dim    *sli.Dim         // its slice's, as well
	gone   bool             // the stream has forgotten it
	last   int64            // end of the newest step
	own    fading           // failures beyond its usual
	level  detect.Level     // of the last hour
	lately excess           // of the last minutes
}

// portion is what a tenant brought.
type portion struct {
	*seat
	part
}

// seat finds a tenant's, or makes it.
func (s *stream) seat(id tenant.ID) *seat {
	x := s.seats[id]
	if x == nil {
		x = &seat{id: id, of: s}
		s.seats[id] = x
	}
	return x
}

// forget drops what is older, and says whether that was all: then it is gone.
func (x *seat) forget(before int64) bool {
	if x.own.at < before {
		x.own = fading{}
	}
	if x.level.At() < before {
		x.level = detect.Level{}
	}
	if x.lately.at < before {
		x.lately = excess{}
	}
	if x.last < before {
		x.last = 0
	}
	x.gone = *x == seat{id: x.id, of: x.of, after: x.after, from: x.from, dim: x.dim}
	return x.gone
}

// add adds what a tenant brought, to what it brought before.
func (b *bucket) add(x *seat, v part) {
	n := len(b.parts)
	b.sorted = b.sorted && (n == 0 || b.parts[n-1].id < x.id)
	b.parts = append(b.parts, portion{x, v})
}

// list gives what each tenant brought, by tenant.
func (b *bucket) list() []portion {
	if b.sorted {
		return b.parts
	}
	slices.SortStableFunc(b.parts, func(a, b portion) int { return cmp.Compare(a.id, b.id) })
	b.unite()
	return b.parts
}

// unite adds up what each tenant brought, where parts are in order.
func (b *bucket) unite() {
	all := b.parts[:0]
	for _, v := range b.parts {
		if n := len(all); n > 0 && all[n-1].seat == v.seat {
			old := &all[n-1].part
			*old = part{old.n + v.n, old.k + v.k, old.expected + v.expected}
			continue
		}
		all = append(all, v)
	}
	b.parts, b.sorted = all, true
}

// counted is what counts of the part at i: the largest tenant counts at most as much as all
// others do.
func (b *bucket) counted(i int) part {
	v := b.parts[i].part
	if b.parts[i].id == b.largest {
		v = part{v.n * b.scale, v.k * b.scale, v.expected * b.scale}
	}
	return v
}

// bucket is an empty one.
func (p *Pool) bucket(start, end int64) bucket {
	b := bucket{start: start, end: end, first: p.now, sorted: true}
	if n := len(p.spare); n > 0 {
		b.parts, p.spare = p.spare[n-1], p.spare[:n-1]
	}
	return b
}

// reuse keeps the buffer of a bucket that is over.
func (p *Pool) reuse(b *bucket) { p.spare = append(p.spare, b.parts[:0]) }
