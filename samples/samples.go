// Package samples is the door that metrics come in by: Prometheus remote write
// 1.0 and 2.0, and OTLP. It decodes a request, finds the tenant of every series, elects one
// of several replicas, has the request journaled, and answers.
//
// It knows tenants only by id and credentials only as a Scope. It must not know
// what is done with the samples: whoever journals a request receives the Batch
// with it, in journal order. At a restart Decode makes the same Batch from the
// journal's record.
package samples

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/otelmetrics"
	"github.com/tocsin-alerting/tocsin/samples/quota"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Sample is one observation: T and Start in milliseconds since 1970; Start is 0
// when the sender did not say when the counter began.
type Sample = remotewrite.Sample

// Histogram is one observation of a native histogram.
type Histogram = remotewrite.Histogram

// Series is the samples of one series in one request. Labels are without replica
// labels, with tenant and environment, sorted; they and Samples must not be
// changed.
type Series struct {
	// ID stands for Labels within this process, so that readers may keep their
	// own reference by it: the same ID means the same labels. The same labels may
	// get another ID later, or from another replica.
	ID      uint64
	Tenant  tenant.ID
	Labels  labels.Labels
	Unknown bool // nobody onboarded the tenant: store, do not evaluate
	Samples []Sample
	// Histograms are to be stored. For evaluation the classic counters that they
	// stand for follow as series of their own.
	Histograms []Histogram
	Exemplars  []exemplar.Exemplar
	// Source is what the samples call their cluster; empty: they do not say.
	Source string
	// Derived says that the series is one of those counters: evaluate, do not store.
	Derived bool
}

// Batch is what was taken of one request, in the order it came.
type Batch struct {
	ReceivedAt time.Time
	Series     []Series
	Samples    int    // over all series, without those of derived ones
	Refused    int    // items that were not taken
	Sender     string // the name of the credential it came by
	Histograms int
	Exemplars  int
	Trace      string // W3C traceparent of the request in this process; never journaled
}

// Record is what the journal keeps of one request.
type Record struct {
	Kind    string
	Version int
	At      time.Time
	Header  []byte // what was decided at the door
	Body    []byte // as received
}

// Kinds of the records, and the versions of their headers. Version 1 of remote
// write had no histograms and exemplars.
const (
	RecordKind    = "remote_write"
	RecordVersion = 2
	OTLPKind      = "otlp_metrics"
	OTLPVersion   = 1
)

// Journal keeps a record and returns when it is durable. The batch is handed to
// the readers of the journal in its order; it does not refer to the record's
// bytes. When Append returns nil the record's bytes are the caller's again. A
// full journal is problem.TooMany, a full disk problem.NoSpace.
type Journal interface {
	Append(ctx context.Context, rec Record, batch *Batch) error
}

// JournalFunc is a function as Journal.
type JournalFunc func(ctx context.Context, rec Record, batch *Batch) error

// Append calls f.
func (f JournalFunc) Append(ctx context.Context, rec Record, batch *Batch) error {
	return f(ctx, rec, batch)
}

// Options of a Door. Journal is needed; everything else has a default.
type Options struct {
	Journal    Journal
	Known      func(tenant.ID) bool // whether somebody onboarded the tenant; default: everybody is known
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Said is told what a sender says of its metrics, for the one tenant that its
	// series belong to when they name none, else for the product. May be nil.
	Said func(tenant.ID, []remotewrite.Metadata)

	TenantLabel      string   // default tenant
	EnvironmentLabel string   // default environment
	Environment      string   // of series that name none; default production
	ReplicaLabels    []string // dropped after election; default __replica__, prometheus_replica
	ClusterLabels    []string // what the replicas of one sender have in common; default cluster, prometheus

	TenantAttribute string // OTLP attribute of a data point or resource; default tenant.id

	Limits         remotewrite.Limits
	Quota          quota.Limits  // of each tenant
	Timeout        time.Duration // of journaling a request; default 30 s
	MaxAhead       time.Duration // samples further ahead of now are refused; default 5 min
	ReplicaSilence time.Duration // after which another replica takes over; default 30 s
	MaxSeries      int           // label sets remembered; default 1,000,000
	MaxUnknown     int           // tenants nobody onboarded that are listed; default 1,000
}

func (o Options) withDefaults() Options {
	if o.Known == nil {
		o.Known = func(tenant.ID) bool { return true }
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
	text(&o.EnvironmentLabel, "environment")
	text(&o.Environment, "production")
	text(&o.TenantAttribute, "tenant.id")
	if o.ReplicaLabels == nil {
		o.ReplicaLabels = []string{"__replica__", "prometheus_replica"}
	}
	if o.ClusterLabels == nil {
		o.ClusterLabels = []string{"cluster", "prometheus"}
	}
	o.Limits = o.Limits.WithDefaults()
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxAhead <= 0 {
		o.MaxAhead = 5 * time.Minute
	}
	if o.ReplicaSilence <= 0 {
		o.ReplicaSilence = 30 * time.Second
	}
	if o.MaxSeries <= 0 {
		o.MaxSeries = 1_000_000
	}
	if o.MaxUnknown <= 0 {
		o.MaxUnknown = 1000
	}
	return o
}

// Door takes metrics. It is safe for use by several goroutines.
type Door struct {
	opts     Options
	metrics  *metrics
	cache    *cache
	replicas *election
	unknown  *strangers
	quotas   *quota.Book
	requests sync.Pool // of *remotewrite.Request
	otlp     sync.Pool // of *otelmetrics.Request
	bodies   sync.Pool // of *[]byte
}

// New makes a door.
func New(o Options) (*Door, error) {
	if o.Journal == nil {
		return nil, problem.New(problem.Internal, "samples need a journal")
	}
	o = o.withDefaults()
	if o.TenantLabel == o.EnvironmentLabel || slices.Contains(o.ReplicaLabels, o.TenantLabel) ||
		slices.Contains(o.ReplicaLabels, o.EnvironmentLabel) {
		return nil, problem.New(problem.Invalid, "the labels for tenant, environment and replica must differ")
	}
	d := &Door{
		opts:     o,
		metrics:  newMetrics(o.Registerer),
		cache:    newCache(o),
		replicas: newElection(o.ReplicaSilence),
		unknown:  newStrangers(o.MaxUnknown),
		quotas:   quota.New(o.Quota),
	}
	d.requests.New = func() any { return new(remotewrite.Request) }
	d.otlp.New = func() any { return new(otelmetrics.Request) }
	d.bodies.New = func() any { return new([]byte) }
	return d, nil
}

// Unknown lists the tenants that sent samples and that nobody onboarded, the
// latest first.
func (d *Door) Unknown() []UnknownTenant { return d.unknown.list() }

// Usage is what a tenant sent since the process started, and its limits.
func (d *Door) Usage(id tenant.ID) quota.Usage { return d.quotas.Usage(id, d.opts.Now()) }

// Refused counts what was refused since the process started, by reason.
func (d *Door) Refused() map[string]int64 {
	out := map[string]int64{}
	for _, s := range said {
		var m dto.Metric
		if d.metrics.refused.WithLabelValues(s.reason).Write(&m) == nil && m.GetCounter().GetValue() > 0 {
			out[s.reason] = int64(m.GetCounter().GetValue())
		}
	}
	return out
}

// Forget takes a tenant off the list of unknown ones, when it was adopted.
func (d *Door) Forget(id tenant.ID) { d.unknown.forget(id) }
