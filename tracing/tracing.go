// Package tracing is the door that spans come in by: spans that were received
// from the product's services, not our own telemetry.
//
// It decodes a request, finds the tenant of every span, reduces the spans to
// counts by tenant, service, operation, peer and the policy's slices, and to a few
// traces worth looking at; the reduced form is journaled, and the spans are
// forgotten. It knows tenants only by id and credentials only as a Scope. It must
// not know what is done with the counts: whoever journals a request receives the
// Batch with it, in journal order. At a restart Decode makes the same Batch from
// the journal's record.
package tracing

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/detect/crowd"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/otlp"
)

// Step is the length of what spans are counted in, by their end; aligned to the
// epoch.
const Step = 10 * time.Second

// Labels of what spans are counted by, besides tenant, environment and the
// policy's slices.
const (
	LabelService  = "service"   // service.name of the resource
	LabelSpanName = "span_name" // masked; Overflow where a tenant has too many
	LabelSpanKind = "span_kind" // server, client, producer, consumer
	LabelPeer     = "peer"      // peer.service, else server.address, of client and producer spans
	LabelStatus   = "status"    // ok, error
	// LabelCollector marks the series that tocsin makes of spans, so that those a
	// collector derives of the same spans are never added to them.
	LabelCollector = "collector"
	Collector      = sli.Collector
)

// Overflow is the value of labels that a tenant has too many values of.
const Overflow = "_other"

// Values of span_kind and status.
const (
	KindServer, KindClient, KindProducer, KindConsumer, KindInternal = "server", "client", "producer", "consumer", "internal"
	StatusOK, StatusError                                            = "ok", "error"
)

// Edges are the upper bounds of the duration histogram in seconds: powers of two,
// about 1 ms to 2 min. They are edges of exponential histograms too.
func Edges() []float64 { return slices.Clone(edges[:]) }

// Buckets is the number of places of a Call's histogram: up to each of Edges, and
// longer.
const Buckets = 19

var edges = func() (e [Buckets - 1]float64) {
	v := 1.0 / 1024
	for i := range e {
		e[i], v = v, 2*v
	}
	return e
}()

// Batch is what was made of one request.
type Batch struct {
	ReceivedAt time.Time
	Source     string  // whose spans they are: the name of the credential
	Steps      []int64 // starts (unix ms) of the steps in which the source's spans ended, sorted
	Calls      []Call
	Spans      []Span // those that a trace is remembered by
	Received   int    // spans taken
}

// Call is the calls of one kind that ended in one step.
type Call struct {
	Tenant  tenant.ID
	Unknown bool          // nobody onboarded the tenant: store, do not evaluate
	Labels  labels.Labels // of the counter of calls, sorted; not to be changed
	Step    int64         // its start, unix ms
	N       int           // spans
	Weight  float64       // calls they stand for, where spans were sampled; else N
	Seconds float64       // durations added up
	Buckets []uint32      // spans by duration: up to each of Edges, and longer
	// Customers are those whose calls failed, where the policy has the call be a
	// failure, and Named is how many of N say whose they are.
	Customers crowd.Crowd
	Named     int
}

// Span is one that a trace is remembered by.
type Span struct {
	Tenant   tenant.ID
	Labels   labels.Labels
	TraceID  [16]byte
	SpanID   [8]byte
	ParentID [8]byte
	EndedAt  time.Time
	Duration time.Duration
	Why      Why
	Customer string // who was served, under the key of the day; empty when not said
}

// Why a span is remembered.
type Why uint8

// The reasons: it failed, it took longest of its kind for a while, or it is one
// of the normal ones to compare with.
const (
	Failing Why = iota + 1
	Slow
	Normal
)

// String is the reason's name.
func (w Why) String() string {
	switch w {
	case Failing:
		return "failing"
	case Slow:
		return "slow"
	}
	return "normal"
}

// Record is what the journal keeps of one request: what was made of it. The body
// itself is not kept: it may hold what must not be stored.
type Record struct {
	Kind    string
	Version int
	At      time.Time
	Body    []byte
}

// Kind of the records, and the version of their body.
const (
	RecordKind    = "spans"
	RecordVersion = 1
)

// Journal keeps a record and returns when it is durable. The batch is handed to
// the readers of the journal in its order. A full journal is problem.TooMany, a
// full disk problem.NoSpace.
type Journal func(ctx context.Context, rec Record, batch *Batch) error

// Slice is a label that calls are cut by, and the attributes its value is taken
// from: the first that is present, of the span and else of its resource.
type Slice struct {
	Label      string
	Attributes []string
}

// Cut is how spans are cut, and what is read of whom they served.
type Cut struct {
	Slices []Slice
	// Customer lists the attributes of a span that say who was served: the first that
	// is present. Empty: it is not read.
	Customer []string
	// Fails says, of the labels of a call, whether the policy counts it as a failure:
	// customers of those are counted. nil: of none.
	Fails func(labels.Labels) bool
}

// Options of a Door. Journal is needed; everything else has a default.
type Options struct {
	Journal    Journal
	Known      func(tenant.ID) bool                        // whether somebody onboarded the tenant; default: everybody is known
	Stranger   func(id tenant.ID, spans int, at time.Time) // told of tenants that nobody onboarded
	Alias      Alias                                       // nil: who was served is dropped
	Cut        Cut
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	TenantLabel      string // default tenant
	TenantAttribute  string // default tenant.id
	EnvironmentLabel string // default environment
	Environment      string // of spans that name none; default production

	Limits     otlp.Limits
	MaxAhead   time.Duration // spans that end further ahead of now are refused; default 5 min
	MaxAge     time.Duration // spans that ended longer ago are refused; default 24 h
	MaxStreams int           // kinds of calls per tenant; default 500
}

func (o Options) withDefaults() Options {
	if o.Known == nil {
		o.Known = func(tenant.ID) bool { return true }
	}
	if o.Stranger == nil {
		o.Stranger = func(tenant.ID, int, time.Time) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	text := func(v *string, d string) {
		if *v == "" {
			*v = d
		}
	}
	text(&o.TenantLabel, "tenant")
	text(&o.TenantAttribute, "tenant.id")
	text(&o.EnvironmentLabel, "environment")
	text(&o.Environment, "production")
	o.Limits = o.Limits.WithDefaults()
	if o.MaxAhead <= 0 {
		o.MaxAhead = 5 * time.Minute
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 24 * time.Hour
	}
	if o.MaxStreams <= 0 {
		o.MaxStreams = 500
	}
	return o
}

// Door takes spans. It is safe for use by several goroutines.
type Door struct {
	opts    Options
	metrics *metrics
	streams *streams
	layout  atomic.Pointer[layout]
	layouts atomic.Uint32 // so many were in force
}

// New makes a door.
func New(o Options) (*Door, error) {
	if o.Journal == nil {
		return nil, problem.New(problem.Internal, "spans need a journal")
	}
	o = o.withDefaults()
	d := &Door{opts: o, metrics: newMetrics(o.Registerer), streams: newStreams(o)}
	d.SetCut(o.Cut)
	return d, nil
}

// SetCut puts another cut in force, for requests from now on.
func (d *Door) SetCut(c Cut) {
	l := newLayout(d.opts, c)
	l.number = d.layouts.Add(1)
	l.reducers.New = func() any { return newReducer(d, l) }
	d.layout.Store(l)
}

// Places of the attributes that have a meaning of their own, in a layout's keys.
const (
	keyTenant = iota
	keyService
	keyEnvironment
	keyEnvironmentOld
	keyPeer
	keyAddress
	keyAddressOld
	keyProbability
	fixedKeys
)

// layout is the allow-list: the attributes that are read at all, and what they
// become.
type layout struct {
	number   uint32 // no two have the same: equal values stand for other labels in each
	keys     []string
	slices   []sliced
	customer []int // places of who was served, in keys
	fails    func(labels.Labels) bool
	reducers sync.Pool
}

type sliced struct {
	label  string
	places []int // in keys
}

// place is where an attribute stands in the keys.
func (l *layout) place(attribute string) int {
	i := slices.Index(l.keys, attribute)
	if i < 0 {
		l.keys = append(l.keys, attribute)
		i = len(l.keys) - 1
	}
	return i
}

func newLayout(o Options, cut Cut) *layout {
	l := &layout{fails: cut.Fails, keys: []string{o.TenantAttribute, "service.name", "deployment.environment.name", "deployment.environment",
		"peer.service", "server.address", "net.peer.name", "sampling.probability"}}
	if l.fails == nil {
		l.fails = func(labels.Labels) bool { return false }
	}
	taken := map[string]bool{o.TenantLabel: true, o.EnvironmentLabel: true, LabelService: true, LabelSpanName: true, LabelSpanKind: true,
		LabelPeer: true, LabelStatus: true, LabelCollector: true, labels.MetricName: true, labels.BucketLabel: true}
	for _, s := range cut.Slices {
		if taken[s.Label] {
			continue
		}
		taken[s.Label] = true
		at := sliced{label: s.Label}
		for _, a := range s.Attributes {
			if a == DefaultCustomer || slices.Contains(cut.Customer, a) {
				continue // who was served is no dimension
			}
			at.places = append(at.places, l.place(a))
		}
		l.slices = append(l.slices, at)
	}
	if o.Alias != nil {
		for _, a := range cut.Customer {
			l.customer = append(l.customer, l.place(a))
		}
	}
	return l
}

const maxPooled = 4096 // entries that a reducer keeps for its next use
