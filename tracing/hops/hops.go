// Package hops remembers a few traces of each kind of call and finds the hop at
// which failing ones fail.
//
// It knows the spans that the door of package tracing picked out. It must not know
// alerts or incidents: whoever asks says which tenant, service and slice.
package hops

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing"
)

// Bounds of what is remembered.
const (
	tracesOfTenant  = 64     // per reason
	tracesOfStream  = 4      // per reason and kind of call
	followedTraces  = 20_000 // whose failing spans are put together
	spansOfTrace    = 32     // failing ones of a trace
	tenantsWithMore = 20_000 // tenants of which traces are remembered
	hopAgrees       = 0.6    // share of the failing traces that must name the same hop
)

// Traces remembers a few traces of every tenant, service, operation and slice:
// the latest that failed, slow ones, and normal ones to compare with; and finds
// the hop at which the failing ones fail. It is a view of the journal's tail: a
// restart begins with what the tail holds. It is safe for use by several
// goroutines.
type Traces struct {
	environmentLabel string
	mu               sync.Mutex
	tenants          map[tenant.ID]*remembered
	followed         map[traceKey]*followed
	order            []traceKey // of followed, the oldest first
}

type traceKey struct {
	tenant tenant.ID
	id     [16]byte
}

// remembered is the traces of one tenant, the oldest first.
type remembered struct {
	of [tracing.Normal + 1][]kept
	at time.Time
}

type kept struct {
	span  tracing.Span
	trace *followed // of a failing one
}

// followed is the failing spans of one trace.
type followed struct{ spans []tracing.Span }

// New makes an empty store.
func New(environmentLabel string) *Traces {
	return &Traces{environmentLabel: environmentLabel, tenants: map[tenant.ID]*remembered{}, followed: map[traceKey]*followed{}}
}

// Take remembers what a batch holds.
func (t *Traces) Take(b *tracing.Batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range b.Spans {
		s := &b.Spans[i]
		k := kept{span: *s}
		if s.Why == tracing.Failing {
			k.trace = t.follow(s)
		}
		if kind := s.Labels.Get(tracing.LabelSpanKind); s.Tenant != tenant.Product && kind != tracing.KindInternal && s.Why <= tracing.Normal && s.Why > 0 {
			t.remember(s.Tenant, k, b.ReceivedAt)
		}
	}
}

// follow puts a failing span to the others of its trace.
func (t *Traces) follow(s *tracing.Span) *followed {
	key := traceKey{s.Tenant, s.TraceID}
	f := t.followed[key]
	if f == nil {
		f = &followed{}
		t.followed[key] = f
		if t.order = append(t.order, key); len(t.order) > followedTraces {
			delete(t.followed, t.order[0])
			t.order = t.order[1:]
		}
	}
	if len(f.spans) < spansOfTrace && !slices.ContainsFunc(f.spans, func(o tracing.Span) bool { return o.SpanID == s.SpanID }) {
		f.spans = append(f.spans, *s)
	}
	return f
}

func (t *Traces) remember(id tenant.ID, k kept, at time.Time) {
	own := t.tenants[id]
	if own == nil {
		if len(t.tenants) >= tenantsWithMore {
			t.forgetOldest()
		}
		own = &remembered{}
		t.tenants[id] = own
	}
	own.at = at
	list := own.of[k.span.Why]
	oldest, same := -1, 0
	for i := range list {
		if labels.Equal(list[i].span.Labels, k.span.Labels) {
			if same++; oldest < 0 {
				oldest = i
			}
		}
	}
	switch {
	case same >= tracesOfStream:
		list = slices.Delete(list, oldest, oldest+1)
	case len(list) >= tracesOfTenant:
		list = slices.Delete(list, 0, 1)
	}
	own.of[k.span.Why] = append(list, k)
}

func (t *Traces) forgetOldest() {
	var oldest tenant.ID
	for id, own := range t.tenants {
		if oldest == "" || own.at.Before(t.tenants[oldest].at) {
			oldest = id
		}
	}
	delete(t.tenants, oldest)
}

// Forget drops what is remembered of a tenant.
func (t *Traces) Forget(id tenant.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tenants, id)
	maps.DeleteFunc(t.followed, func(k traceKey, _ *followed) bool { return k.tenant == id })
}

// Question asks for traces. Empty fields ask for any.
type Question struct {
	Environment string
	Tenant      tenant.ID
	Service     string
	Slice       sli.Slice
	Since       time.Time // that ended since
	Limit       int       // per reason; default 5
}

// Example is a trace worth looking at.
type Example struct {
	TraceID         string            `json:"trace_id"`
	Why             string            `json:"why"` // failing, slow, normal
	Service         string            `json:"service"`
	Operation       string            `json:"operation"`
	Labels          map[string]string `json:"labels"` // slices and peer
	EndedAt         time.Time         `json:"ended_at"`
	DurationSeconds float64           `json:"duration_seconds"`
	Customer        string            `json:"customer,omitempty"` // the same for one customer on one day
	Hop             *Hop              `json:"hop"`                // where a failing trace fails; nil when not known
}

// Hop is where calls fail: a service, or a peer that sends no spans of its own.
type Hop struct {
	Service   string  `json:"service"`
	Operation string  `json:"operation"`
	Kind      string  `json:"kind"`  // service, peer
	Share     float64 `json:"share"` // of the failing traces looked at
}

// Answer is the traces found, failing ones first and the latest first, with the
// hop that the failing ones agree on.
type Answer struct {
	Traces []Example `json:"traces"`
	Hop    *Hop      `json:"hop"`
	Reason string    `json:"reason"` // why this hop, or why none
}

// Find answers a question.
func (t *Traces) Find(q Question) Answer {
	if q.Limit <= 0 {
		q.Limit = 5
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	a := Answer{Traces: []Example{}}
	own := t.tenants[q.Tenant]
	if own == nil {
		a.Reason = "no traces of the tenant are remembered"
		return a
	}
	seen := map[string]bool{}
	var hops []hop
	for why := tracing.Failing; why <= tracing.Normal; why++ {
		n := 0
		for i := len(own.of[why]) - 1; i >= 0; i-- {
			k := own.of[why][i]
			e := t.example(k)
			if !t.matches(q, k.span) || seen[e.TraceID] {
				continue
			}
			seen[e.TraceID] = true
			if why == tracing.Failing {
				h := t.hop(k.trace, q.Tenant, k.span.TraceID)
				hops = append(hops, h)
				e.Hop = h.exported(0)
			}
			if n++; n <= q.Limit {
				a.Traces = append(a.Traces, e)
			}
		}
	}
	a.Hop, a.Reason = agree(hops)
	return a
}

func (t *Traces) matches(q Question, s tracing.Span) bool {
	if q.Environment != "" && s.Labels.Get(t.environmentLabel) != q.Environment ||
		q.Service != "" && s.Labels.Get(tracing.LabelService) != q.Service || s.EndedAt.Before(q.Since) {
		return false
	}
	for _, d := range q.Slice {
		if s.Labels.Get(d.Label) != d.Value {
			return false
		}
	}
	return true
}

func (t *Traces) example(k kept) Example {
	s := k.span
	e := Example{TraceID: hex.EncodeToString(s.TraceID[:]), Why: s.Why.String(), Service: s.Labels.Get(tracing.LabelService), Operation: s.Labels.Get(tracing.LabelSpanName),
		Labels: map[string]string{}, EndedAt: s.EndedAt, DurationSeconds: s.Duration.Seconds(), Customer: s.Customer}
	s.Labels.Range(func(l labels.Label) {
		switch l.Name {
		case labels.MetricName, tracing.LabelCollector, tracing.LabelService, tracing.LabelSpanName, tracing.LabelStatus, t.environmentLabel:
		default:
			if l.Value != string(s.Tenant) {
				e.Labels[l.Name] = l.Value
			}
		}
	})
	return e
}

// hop is a hop in the making; zero when it is not known.
type hop struct{ service, operation, kind string }

func (h hop) exported(share float64) *Hop {
	if h == (hop{}) {
		return nil
	}
	return &Hop{Service: h.service, Operation: h.operation, Kind: h.kind, Share: share}
}

// hop is where a trace fails: at the deepest of its failing spans, the one that
// is no parent of another. When several are that and do not name the same, or
// nothing is known, it is not known. Spans without a tenant belong to the traces
// they are part of.
func (t *Traces) hop(f *followed, id tenant.ID, trace [16]byte) hop {
	spans := f.spans
	if p := t.followed[traceKey{tenant.Product, trace}]; p != nil && id != tenant.Product {
		spans = slices.Concat(spans, p.spans)
	}
	parents := map[[8]byte]bool{}
	for _, s := range spans {
		parents[s.ParentID] = true
	}
	var found hop
	for _, s := range spans {
		if parents[s.SpanID] {
			continue
		}
		h := hopOf(s)
		if found != (hop{}) && found != h {
			return hop{}
		}
		found = h
	}
	return found
}

// hopOf is what a failing span accuses: its service, or for a call the peer.
func hopOf(s tracing.Span) hop {
	kind, peer := s.Labels.Get(tracing.LabelSpanKind), s.Labels.Get(tracing.LabelPeer)
	if (kind == tracing.KindClient || kind == tracing.KindProducer) && peer != "" {
		return hop{peer, s.Labels.Get(tracing.LabelSpanName), "peer"}
	}
	return hop{s.Labels.Get(tracing.LabelService), s.Labels.Get(tracing.LabelSpanName), "service"}
}

// agree is the hop that most failing traces name. Operations may differ: the
// most frequent is named.
func agree(hops []hop) (*Hop, string) {
	if len(hops) == 0 {
		return nil, "no failing trace is remembered"
	}
	type place struct{ service, kind string }
	count, operations := map[place]int{}, map[hop]int{}
	for _, h := range hops {
		if h != (hop{}) {
			count[place{h.service, h.kind}]++
			operations[h]++
		}
	}
	var best place
	for p, n := range count {
		if n > count[best] || n == count[best] && (best == place{} || p.service < best.service) {
			best = p
		}
	}
	share := float64(count[best]) / float64(len(hops))
	if count[best] == 0 || share < hopAgrees {
		return nil, fmt.Sprintf("the failing hop is not known: %d failing traces do not agree", len(hops))
	}
	var op hop
	for h, n := range operations {
		if h.service == best.service && h.kind == best.kind && (n > operations[op] || n == operations[op] && h.operation < op.operation) {
			op = h
		}
	}
	return op.exported(share), fmt.Sprintf("the deepest failing span of %d of %d failing traces is at %s %s", count[best], len(hops), best.kind, best.service)
}

// Merge joins the answers about several tenants.
func Merge(answers ...Answer) Answer {
	out := Answer{Traces: []Example{}}
	weight := map[Hop]float64{}
	total := 0.0
	for _, a := range answers {
		out.Traces = append(out.Traces, a.Traces...)
		if a.Hop != nil {
			weight[Hop{Service: a.Hop.Service, Kind: a.Hop.Kind, Operation: a.Hop.Operation}] += a.Hop.Share
		}
		if len(a.Traces) > 0 {
			total++
		}
	}
	slices.SortStableFunc(out.Traces, func(a, b Example) int {
		return cmp.Or(strings.Compare(a.Why, b.Why), b.EndedAt.Compare(a.EndedAt)) // failing, normal, slow
	})
	var best Hop
	for h, w := range weight {
		if w > weight[best] || w == weight[best] && h.Service < best.Service {
			best = h
		}
	}
	if total > 0 && weight[best]/total >= hopAgrees {
		best.Share = weight[best] / total
		out.Hop = &best
		out.Reason = fmt.Sprintf("the failing traces of %.0f tenants name %s %s", total, best.Kind, best.Service)
	} else {
		out.Reason = "the failing hop is not known"
	}
	return out
}
