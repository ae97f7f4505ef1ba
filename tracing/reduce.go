package tracing

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/detect/crowd"
	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/otlp"
	"github.com/tocsin-alerting/tocsin/tracing/private"
)

const (
	mostFailing = 256 // failing spans that are remembered of one request
	mostWeight  = 1e6 // calls that one span may stand for
	separator   = 0xff
)

// reducer makes a Batch of one request. It is used again, by one goroutine at a
// time: nothing is allocated per span.
type reducer struct {
	d       *Door
	l       *layout
	decoder *otlp.Decoder
	take    func(*otlp.Span)

	adm     door.Admission
	at      time.Time
	from    uint64 // ns: older and newer spans are refused
	to      uint64
	tenants map[string]*verdict
	index   map[callKey]int
	calls   []counted
	failing []found
	keep    int // failing spans of traces whose id ends in so many zero bits
	refused [reasons]int
	spans   int
	lost    int  // counted without their details
	nobody  bool // who is served cannot be replaced now: it is left out of this request
	key     []byte
	parts   parts
	steps   map[int64]struct{}
}

// verdict is what was decided of a tenant's name in this request.
type verdict struct {
	id      tenant.ID
	refused reason // reasons: none
	unknown bool
	spans   int
}

type callKey struct {
	st   *stream
	step int64
}

// counted is a Call in the making.
type counted struct {
	st      *stream
	v       *verdict
	step    int64
	n       int
	weight  float64
	seconds float64
	buckets [Buckets]uint32
	slowest found
	first   found
	crowd   crowd.Crowd // of those whose calls failed
	named   int
}

// found is a span that may be remembered.
type found struct {
	st       *stream
	trace    [16]byte
	span     [8]byte
	parent   [8]byte
	end      uint64
	took     time.Duration
	why      Why
	named    bool // customer is said
	customer private.Alias
}

func newReducer(d *Door, l *layout) *reducer {
	r := &reducer{d: d, l: l, decoder: otlp.NewDecoder(l.keys, d.opts.Limits), tenants: map[string]*verdict{}, index: map[callKey]int{}, steps: map[int64]struct{}{}}
	r.parts.slices = make([][]byte, len(l.slices))
	r.take = r.span
	return r
}

// begin forgets the last request.
func (r *reducer) begin(adm door.Admission, at time.Time) {
	r.adm, r.at = adm, at
	r.from, r.to = uint64(at.Add(-r.d.opts.MaxAge).UnixNano()), uint64(at.Add(r.d.opts.MaxAhead).UnixNano())
	clear(r.tenants)
	clear(r.index)
	clear(r.steps)
	r.calls, r.failing, r.keep, r.spans, r.lost = r.calls[:0], r.failing[:0], 0, 0, 0
	r.refused, r.nobody = [reasons]int{}, false
}

// span takes one span.
func (r *reducer) span(s *otlp.Span) {
	v := r.tenant(s)
	why := v.refused
	switch {
	case why != reasons:
	case len(s.TraceID) != 16 || len(s.SpanID) != 8:
		why = refusedIDs
	case s.End == 0:
		why = refusedTimes
	case s.End > r.to:
		why = refusedAhead
	case s.End < r.from:
		why = refusedOld
	}
	if why != reasons {
		r.refused[why]++
		return
	}
	v.spans++
	r.spans++
	step := int64(s.End/1e6) / Step.Milliseconds() * Step.Milliseconds()
	r.steps[step] = struct{}{}
	kind := kindOf(s.Kind)
	if kind == KindInternal && !s.Failed {
		return
	}
	st, fails := r.stream(s, v, kind)
	took := time.Duration(0)
	if s.Start != 0 && s.Start < s.End {
		took = time.Duration(s.End - s.Start)
	}
	f := found{st: st, end: s.End, took: took}
	copy(f.trace[:], s.TraceID)
	copy(f.span[:], s.SpanID)
	copy(f.parent[:], s.ParentID)
	if fails = fails && !v.unknown; fails || s.Failed && !v.unknown {
		f.customer, f.named = r.served(s, v.id)
	}
	if s.Failed && !v.unknown {
		r.fail(f)
	}
	if kind != KindInternal {
		r.count(f, v, step, s, fails)
	}
}

func kindOf(k otlp.Kind) string {
	switch k {
	case otlp.Server:
		return KindServer
	case otlp.Client:
		return KindClient
	case otlp.Producer:
		return KindProducer
	case otlp.Consumer:
		return KindConsumer
	}
	return KindInternal
}

// tenant finds whose span it is and whether the credential covers it.
func (r *reducer) tenant(s *otlp.Span) *verdict {
	val := s.Attributes[keyTenant]
	if !val.Present() {
		val = s.Resource[keyTenant]
	}
	r.key = r.key[:0]
	if val.Present() {
		r.key = val.Append(r.key)
	}
	if v := r.tenants[string(r.key)]; v != nil {
		return v
	}
	v := &verdict{id: tenant.ID(r.key), refused: reasons}
	if len(r.key) == 0 {
		v.id = r.adm.Fallback()
	} else if _, err := tenant.ParseID(string(v.id)); err != nil && v.id != tenant.Product {
		v.refused = refusedInvalid
	}
	if v.refused == reasons && !r.adm.Admits(v.id) {
		v.refused = refusedTenant
	}
	v.unknown = v.refused == reasons && v.id != tenant.Product && !r.d.opts.Known(v.id)
	r.tenants[string(r.key)] = v
	return v
}

// stream finds the kind of call that the span is, and whether it is a failure to the
// policy.
func (r *reducer) stream(s *otlp.Span, v *verdict, kind string) (st *stream, fails bool) {
	p := &r.parts
	p.kind, p.status, p.name = kind, StatusOK, s.Name
	if s.Failed {
		p.status = StatusError
	}
	key := append(append(append(binary.BigEndian.AppendUint32(r.key[:0], r.l.number), v.id...), separator), s.Name...)
	key = append(append(append(append(key, separator), kind...), p.status...), separator)
	add := func(vals ...otlp.Value) {
		for _, val := range vals {
			if val.Present() {
				key = val.Append(key)
				break
			}
		}
		key = append(key, separator)
	}
	a, res := s.Attributes, s.Resource
	add(res[keyService], a[keyService])
	add(res[keyEnvironment], res[keyEnvironmentOld], a[keyEnvironment], a[keyEnvironmentOld])
	if kind == KindClient || kind == KindProducer {
		add(a[keyPeer], a[keyAddress], a[keyAddressOld])
	} else {
		add()
	}
	for _, sl := range r.l.slices {
		add(sl.of(s))
	}
	r.key = key
	f := r.d.streams.fingerprint(key)
	if e, ok := r.d.streams.find(f, r.at); ok {
		if e.st.lossy {
			r.lost++
		}
		return e.st, e.fails
	}
	// Take the key apart again: the values stand in it in the order of the labels.
	rest := key[4+len(v.id)+1+len(s.Name)+1+len(kind)+len(p.status)+1:]
	part := func() (b []byte) {
		b, rest, _ = bytes.Cut(rest, []byte{separator})
		return b
	}
	p.service, p.environment, p.peer = part(), part(), part()
	if len(p.service) == 0 {
		p.service = []byte("unknown_service")
	}
	if len(p.environment) == 0 {
		p.environment = []byte(r.d.opts.Environment)
	}
	for i := range p.slices {
		p.slices[i] = part()
	}
	e := r.d.streams.add(f, v.id, *p, r.l, r.at)
	if e.st.lossy {
		r.lost++
	}
	return e.st, e.fails
}

// of is the slice's value of a span: the first of its attributes that is present.
func (sl sliced) of(s *otlp.Span) otlp.Value {
	for _, from := range [][]otlp.Value{s.Attributes, s.Resource} {
		for _, i := range sl.places {
			if from[i].Present() {
				return from[i]
			}
		}
	}
	return otlp.Value{}
}

func (r *reducer) count(f found, v *verdict, step int64, s *otlp.Span, fails bool) {
	k := callKey{f.st, step}
	i, ok := r.index[k]
	if !ok {
		i = len(r.calls)
		r.calls = append(r.calls, counted{st: f.st, v: v, step: step})
		r.index[k] = i
	}
	c := &r.calls[i]
	c.n++
	c.weight += weight(s)
	c.seconds += f.took.Seconds()
	c.buckets[bucketOf(f.took)]++
	if fails && f.named {
		c.named++
		c.crowd.Meet(f.customer.Mark())
	}
	if s.Failed || v.unknown {
		return
	}
	if c.first.st == nil {
		c.first = f
	}
	if c.slowest.st == nil || f.took > c.slowest.took {
		c.slowest = f
	}
}

// bucketOf is the place of a duration among the edges.
func bucketOf(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	// The edges are powers of two: 2^-10 s is the first.
	units := uint64((float64(d) / 1e9) * 1024)
	i := bits.Len64(units)
	if units > 0 && units&(units-1) == 0 && edges[min(i-1, len(edges)-1)] >= d.Seconds() {
		i-- // exactly on an edge
	}
	return min(i, len(edges))
}

// fail keeps a failing span. When there are too many, whole traces are left out:
// those whose id ends in a one, then in a one before zeros, and so on.
func (r *reducer) fail(f found) {
	tail := func(f *found) int { return bits.TrailingZeros64(binary.BigEndian.Uint64(f.trace[8:])) }
	if tail(&f) < r.keep {
		return
	}
	f.why = Failing
	r.failing = append(r.failing, f)
	for len(r.failing) > mostFailing && r.keep < 64 {
		r.keep++
		r.failing = slices.DeleteFunc(r.failing, func(f found) bool { return tail(&f) < r.keep })
	}
}

// batch is what was made of the request.
func (r *reducer) batch(source string) *Batch {
	b := &Batch{ReceivedAt: r.at, Source: source, Received: r.spans, Calls: make([]Call, len(r.calls))}
	for s := range r.steps {
		b.Steps = append(b.Steps, s)
	}
	slices.Sort(b.Steps)
	buckets := make([]uint32, len(r.calls)*Buckets)
	for i := range r.calls {
		c := &r.calls[i]
		own := buckets[i*len(c.buckets) : (i+1)*len(c.buckets) : (i+1)*len(c.buckets)]
		copy(own, c.buckets[:])
		b.Calls[i] = Call{Tenant: c.st.tenant, Unknown: c.v.unknown, Labels: c.st.labels, Step: c.step, N: c.n, Weight: c.weight, Seconds: c.seconds, Buckets: own, Customers: c.crowd, Named: c.named}
		if c.first.st == nil || c.st.kind != KindServer && c.st.kind != KindConsumer {
			continue
		}
		if why, ok := c.st.worth(c.slowest.took, r.at); ok {
			f := c.slowest
			if why == Normal {
				f = c.first
			}
			f.why = why
			b.Spans = append(b.Spans, f.remembered())
		}
	}
	for i := range r.failing {
		b.Spans = append(b.Spans, r.failing[i].remembered())
	}
	return b
}

func (f *found) remembered() Span {
	sp := Span{Tenant: f.st.tenant, Labels: f.st.labels, TraceID: f.trace, SpanID: f.span, ParentID: f.parent,
		EndedAt: time.Unix(0, int64(f.end)).UTC(), Duration: f.took, Why: f.why}
	if f.named {
		sp.Customer = f.customer.Name()
	}
	return sp
}

// release gives the reducer back, unless one giant made it grow.
func (r *reducer) release() {
	if cap(r.calls) <= maxPooled {
		r.l.reducers.Put(r)
	}
}
