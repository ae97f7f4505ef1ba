package samples

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// fixture is a door whose journal keeps copies, as a real one does.
type fixture struct {
	*Door
	t       *testing.T
	now     time.Time
	records []Record
	batches []*Batch
	refuse  error
	reg     *prometheus.Registry
	strange map[tenant.ID]bool
}

func newFixture(t *testing.T, change ...func(*Options)) *fixture {
	f := &fixture{t: t, now: noon, reg: prometheus.NewRegistry(), strange: map[tenant.ID]bool{}}
	o := Options{
		Journal: JournalFunc(func(_ context.Context, r Record, b *Batch) error {
			if f.refuse != nil {
				return f.refuse
			}
			r.Header, r.Body = bytes.Clone(r.Header), bytes.Clone(r.Body)
			f.records, f.batches = append(f.records, r), append(f.batches, b)
			return nil
		}),
		Known:      func(id tenant.ID) bool { return !f.strange[id] },
		Now:        func() time.Time { return f.now },
		Registerer: f.reg,
	}
	for _, c := range change {
		c(&o)
	}
	d, err := New(o)
	require.NoError(t, err)
	f.Door = d
	return f
}

// series in the notation `name{label="value"}`, with the values, 1 s apart, the last at at.
func series(t testing.TB, at time.Time, text string, values ...float64) prompb.TimeSeries {
	t.Helper()
	name, rest, _ := strings.Cut(strings.TrimSuffix(text, "}"), "{")
	ts := prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: name}}}
	for _, p := range strings.Split(rest, ",") {
		if k, v, ok := strings.Cut(p, "="); ok {
			ts.Labels = append(ts.Labels, prompb.Label{Name: k, Value: strings.Trim(v, `"`)})
		}
	}
	sort.Slice(ts.Labels, func(i, j int) bool { return ts.Labels[i].Name < ts.Labels[j].Name })
	for i, v := range values {
		ts.Samples = append(ts.Samples, prompb.Sample{Value: v, Timestamp: at.Add(time.Duration(i+1-len(values)) * time.Second).UnixMilli()})
	}
	return ts
}

func (f *fixture) send(scope door.Scope, ts ...prompb.TimeSeries) *httptest.ResponseRecorder {
	f.t.Helper()
	raw, err := (&prompb.WriteRequest{Timeseries: ts}).Marshal()
	require.NoError(f.t, err)
	return f.post(scope, "application/x-protobuf", snappy.Encode(nil, raw))
}

func (f *fixture) post(scope door.Scope, contentType string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Content-Encoding", "snappy")
	w := httptest.NewRecorder()
	f.Write(w, r, scope)
	return w
}

// stored is every journaled series as text.
func (f *fixture) stored() []string {
	out := []string{}
	for _, b := range f.batches {
		for _, s := range b.Series {
			out = append(out, fmt.Sprintf("%s %s %d", s.Tenant, s.Labels, len(s.Samples)))
		}
	}
	return out
}

func TestAdmissionTable(t *testing.T) {
	one, list, wide := []tenant.ID{"acme"}, []tenant.ID{"acme", "bolt"}, []tenant.ID(nil)
	long := []tenant.ID{"acme", "bolt"}
	for i := range 20 {
		long = append(long, tenant.ID(fmt.Sprintf("t%d", i)))
	}
	for _, c := range []struct {
		name   string
		scope  door.Scope
		label  string
		status int
		want   tenant.ID // empty: nothing stored
	}{
		{"one, absent, absent", door.Scope{Tenants: one}, "", 204, "acme"},
		{"one, absent, equal", door.Scope{Tenants: one}, "acme", 204, "acme"},
		{"one, equal, absent", door.Scope{Tenants: one, OrgID: "acme"}, "", 204, "acme"},
		{"one, equal, equal", door.Scope{Tenants: one, OrgID: "acme"}, "acme", 204, "acme"},
		{"one, other, absent", door.Scope{Tenants: one, OrgID: "bolt"}, "", 403, ""},
		{"one, other, equal", door.Scope{Tenants: one, OrgID: "bolt"}, "acme", 403, ""},
		{"one, other, other", door.Scope{Tenants: one, OrgID: "bolt"}, "bolt", 403, ""},
		{"one, absent, different", door.Scope{Tenants: one}, "bolt", 400, ""},
		{"one, equal, different", door.Scope{Tenants: one, OrgID: "acme"}, "bolt", 400, ""},
		{"one, absent, the product", door.Scope{Tenants: one}, "_product", 400, ""},
		{"list, absent, present", door.Scope{Tenants: list}, "bolt", 204, "bolt"},
		{"list, absent, not listed", door.Scope{Tenants: list}, "coyote", 400, ""},
		{"long list, absent, present", door.Scope{Tenants: long}, "t19", 204, "t19"},
		{"long list, absent, not listed", door.Scope{Tenants: long}, "t20", 400, ""},
		{"list, one, absent", door.Scope{Tenants: list, OrgID: "bolt"}, "", 204, "bolt"},
		{"list, one, equal", door.Scope{Tenants: list, OrgID: "bolt"}, "bolt", 204, "bolt"},
		{"list, one, different", door.Scope{Tenants: list, OrgID: "bolt"}, "acme", 400, ""},
		{"list, not listed, absent", door.Scope{Tenants: list, OrgID: "coyote"}, "", 403, ""},
		{"list, absent, absent", door.Scope{Tenants: list}, "", 204, "_product"},
		{"any, absent, present", door.Scope{Any: true, Tenants: wide}, "coyote", 204, "coyote"},
		{"any, one, absent", door.Scope{Any: true, OrgID: "bolt"}, "", 204, "bolt"},
		{"any, one, equal", door.Scope{Any: true, OrgID: "bolt"}, "bolt", 204, "bolt"},
		{"any, one, different", door.Scope{Any: true, OrgID: "bolt"}, "acme", 400, ""},
		{"any, absent, absent", door.Scope{Any: true}, "", 204, "_product"},
		{"any, absent, the product by name", door.Scope{Any: true}, "_product", 204, "_product"},
		{"any, absent, no id", door.Scope{Any: true}, "a|b", 400, ""},
		{"any, several", door.Scope{Any: true, OrgID: "acme|bolt"}, "", 400, ""},
		{"nothing", door.Scope{}, "acme", 403, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			text := "up{environment=test}"
			if c.label != "" {
				text = "up{environment=test,tenant=" + c.label + "}"
			}
			w := f.send(c.scope, series(t, noon, text, 1))
			require.Equal(t, c.status, w.Code, w.Body.String())
			if c.want == "" {
				require.Empty(t, f.stored())
				require.Empty(t, f.records)
				return
			}
			require.Equal(t, []string{fmt.Sprintf(`%s {__name__="up", environment="test", tenant="%s"} 1`, c.want, c.want)}, f.stored())
		})
	}
}

func TestRefusedSeriesDoNotTakeGoodOnesWithThem(t *testing.T) {
	f := newFixture(t)
	ahead := series(t, noon.Add(5*time.Minute+time.Second), "b{}", 1, 2, 3) // the first two just not
	w := f.send(door.Scope{Tenants: []tenant.ID{"acme"}},
		series(t, noon, "a{}", 1, math.NaN(), math.Float64frombits(value.StaleNaN)),
		series(t, noon, "a{tenant=bolt}", 1, 2),
		ahead,
		series(t, noon, "{x=y}", 1),
		prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: "h"}}, Histograms: []prompb.Histogram{{Sum: 1, Schema: 99}}},
		prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: "l"}, {Name: "a", Value: strings.Repeat("x", 5000)}}, Samples: []prompb.Sample{{}}},
		prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: "d"}, {Name: "a", Value: "1"}, {Name: "a", Value: "2"}}, Samples: []prompb.Sample{{}}},
		series(t, noon, "z{}", 1),
	)
	require.Equal(t, 400, w.Code)
	require.Equal(t, "6 samples stored; refused: 2 samples of a tenant the token or X-Scope-OrgID does not cover; "+
		"1 samples too far ahead of now (check the sender's clock); 1 samples of series with too many or too long labels; "+
		"2 samples of series with invalid labels; 1 native histograms that contradict themselves or have too many buckets\n", w.Body.String())
	require.Equal(t, []string{
		`acme {__name__="a", environment="production", tenant="acme"} 3`,
		`acme {__name__="b", environment="production", tenant="acme"} 2`,
		`acme {__name__="z", environment="production", tenant="acme"} 1`,
	}, f.stored())
	got := f.batches[0].Series[0].Samples
	require.False(t, value.IsStaleNaN(got[0].V))
	require.False(t, value.IsStaleNaN(got[1].V))
	require.True(t, value.IsStaleNaN(got[2].V))
	require.NoError(t, testutil.GatherAndCompare(f.reg, strings.NewReader(`
# HELP tocsin_samples_refused_samples_total Samples, native histograms and OTLP data points refused.
# TYPE tocsin_samples_refused_samples_total counter
tocsin_samples_refused_samples_total{reason="delta_temporality"} 0
tocsin_samples_refused_samples_total{reason="invalid_histogram"} 1
tocsin_samples_refused_samples_total{reason="invalid_labels"} 2
tocsin_samples_refused_samples_total{reason="invalid_point"} 0
tocsin_samples_refused_samples_total{reason="labels_over_limit"} 1
tocsin_samples_refused_samples_total{reason="other_tenant"} 2
tocsin_samples_refused_samples_total{reason="rate_over_limit"} 0
tocsin_samples_refused_samples_total{reason="series_over_limit"} 0
tocsin_samples_refused_samples_total{reason="too_far_ahead"} 1
`), "tocsin_samples_refused_samples_total"))
	require.Equal(t, 6.0, testutil.ToFloat64(f.metrics.samples))
	require.Equal(t, 1.0, testutil.ToFloat64(f.metrics.requests.WithLabelValues(door.Partly)))
}

func TestVersionTwo(t *testing.T) {
	f := newFixture(t)
	const proto = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
	req := &writev2.Request{Symbols: []string{"", "__name__", "up", "tenant", "acme", "bolt"}, Timeseries: []writev2.TimeSeries{
		{LabelsRefs: []uint32{1, 2, 3, 4}, Samples: []writev2.Sample{{Value: 1, Timestamp: noon.UnixMilli(), StartTimestamp: 77}}},
	}}
	body := func() []byte {
		raw, err := req.Marshal()
		require.NoError(t, err)
		return snappy.Encode(nil, raw)
	}
	w := f.post(door.Scope{Any: true}, proto, body())
	require.Equal(t, 204, w.Code)
	require.Equal(t, "1", w.Header().Get("X-Prometheus-Remote-Write-Samples-Written"))
	require.Equal(t, "0", w.Header().Get("X-Prometheus-Remote-Write-Histograms-Written"))
	require.Equal(t, "0", w.Header().Get("X-Prometheus-Remote-Write-Exemplars-Written"))
	require.EqualValues(t, 77, f.batches[0].Series[0].Samples[0].Start)

	req.Timeseries = append(req.Timeseries, writev2.TimeSeries{LabelsRefs: []uint32{1, 2, 3, 5}, Samples: []writev2.Sample{{Timestamp: noon.UnixMilli()}}})
	w = f.post(door.Scope{Any: true, OrgID: "acme"}, proto, body())
	require.Equal(t, 400, w.Code)
	require.Equal(t, "1", w.Header().Get("X-Prometheus-Remote-Write-Samples-Written"))

	require.Equal(t, 415, f.post(door.Scope{Any: true}, "application/json", body()).Code)
	require.Equal(t, 400, f.post(door.Scope{Any: true}, proto, []byte("no snappy")).Code)
	require.Len(t, f.records, 2)
}

func TestNotDurableIsNotAccepted(t *testing.T) {
	f := newFixture(t)
	f.refuse = problem.New(problem.TooMany, "the journal is full").WithRetryAfter(1500 * time.Millisecond)
	w := f.send(door.Scope{Any: true}, series(t, noon, "up{}", 1))
	require.Equal(t, 429, w.Code)
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	f.refuse = problem.New(problem.NoSpace, "the disk is nearly full")
	require.Equal(t, 507, f.send(door.Scope{Any: true}, series(t, noon, "up{}", 1)).Code)
	f.refuse = fmt.Errorf("a cause that stays inside")
	w = f.send(door.Scope{Any: true}, series(t, noon, "up{}", 1))
	require.Equal(t, 500, w.Code)
	require.NotContains(t, w.Body.String(), "inside")
	require.Zero(t, testutil.ToFloat64(f.metrics.samples))
}

func TestManySendersAtOnce(t *testing.T) {
	var mu sync.Mutex
	got := map[string]uint64{}
	d, err := New(Options{MaxSeries: 100, Now: func() time.Time { return noon }, Journal: JournalFunc(func(_ context.Context, _ Record, b *Batch) error {
		mu.Lock()
		defer mu.Unlock()
		for _, s := range b.Series {
			got[fmt.Sprintf("%s %v", s.Labels, s.Samples)]++
		}
		return nil
	})})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for sender := range 8 {
		wg.Go(func() {
			f := &fixture{Door: d, t: t}
			for i := range 40 {
				own := series(t, noon, fmt.Sprintf("own%d{tenant=t%d}", i%30, sender), float64(i))
				shared := series(t, noon, fmt.Sprintf("shared{n=%d,tenant=acme}", i), float64(i))
				if w := f.send(door.Scope{Any: true}, own, shared); w.Code != 204 {
					t.Error(w.Body.String())
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, got, 8*40+40)
	for i := range 40 {
		n := got[fmt.Sprintf(`{__name__="shared", environment="production", n="%d", tenant="acme"} [{%d %d 0}]`, i, noon.UnixMilli(), i)]
		require.EqualValues(t, 8, n)
	}
}

func TestSenderThatLeaves(t *testing.T) {
	f := newFixture(t)
	f.refuse = context.Canceled
	raw, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series(t, noon, "up{}", 1)}}).Marshal()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(snappy.Encode(nil, raw)))
	cancel()
	w := httptest.NewRecorder()
	f.Write(w, r, door.Scope{Any: true})
	require.Equal(t, 503, w.Code)
}

func TestWhatSendersSayOfTheirMetrics(t *testing.T) {
	said := map[tenant.ID][]remotewrite.Metadata{}
	f := newFixture(t, func(o *Options) {
		o.Said = func(id tenant.ID, m []remotewrite.Metadata) { said[id] = append(said[id], m...) }
	})
	raw, err := (&prompb.WriteRequest{Metadata: []prompb.MetricMetadata{{MetricFamilyName: "m", Type: prompb.MetricMetadata_COUNTER, Help: "h"}}}).Marshal()
	require.NoError(t, err)
	for _, scope := range []door.Scope{{Any: true}, {Tenants: []tenant.ID{"acme"}}, {Any: true, OrgID: "bolt"}} {
		require.Equal(t, 204, f.post(scope, "application/x-protobuf", snappy.Encode(nil, raw)).Code)
	}
	m := []remotewrite.Metadata{{Family: "m", Type: "counter", Help: "h"}}
	require.Equal(t, map[tenant.ID][]remotewrite.Metadata{tenant.Product: m, "acme": m, "bolt": m}, said)
}

func TestBodyLimit(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Limits.Body = 100 })
	require.Equal(t, 413, f.post(door.Scope{Any: true}, "", make([]byte, 101)).Code)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 101)))
	r.ContentLength = -1
	w := httptest.NewRecorder()
	f.Write(w, r, door.Scope{Any: true})
	require.Equal(t, 413, w.Code)
}

func TestReplicas(t *testing.T) {
	f := newFixture(t)
	any := door.Scope{Any: true}
	from := func(replica string, at time.Duration) *httptest.ResponseRecorder {
		f.now = noon.Add(at)
		return f.send(any, series(t, f.now, "up{cluster=c1,prometheus_replica="+replica+",tenant=acme}", 1))
	}
	require.Equal(t, 204, from("a", 0).Code)
	require.Equal(t, 204, from("b", 10*time.Second).Code) // heard, not kept
	require.Equal(t, 204, from("a", 20*time.Second).Code)
	require.Equal(t, 204, from("b", 49*time.Second).Code) // a is silent for 29 s
	require.Len(t, f.records, 2, "what does not count is not journaled")
	require.Equal(t, 204, from("b", 50*time.Second).Code) // for 30 s
	require.Equal(t, 204, from("a", 55*time.Second).Code) // comes back too late
	require.Len(t, f.records, 3)
	require.Equal(t, []string{
		`acme {__name__="up", cluster="c1", environment="production", tenant="acme"} 1`,
		`acme {__name__="up", cluster="c1", environment="production", tenant="acme"} 1`,
		`acme {__name__="up", cluster="c1", environment="production", tenant="acme"} 1`,
	}, f.stored())

	// Another cluster, another label for the replica, and none at all.
	w := f.send(any, series(t, f.now, "up{cluster=c2,prometheus_replica=a}", 1), series(t, f.now, "up{__replica__=a,cluster=c1}", 1, 2), series(t, f.now, "x{}", 1))
	require.Equal(t, 204, w.Code)
	require.Equal(t, []string{
		`_product {__name__="up", cluster="c2", environment="production", tenant="_product"} 1`,
		`_product {__name__="x", environment="production", tenant="_product"} 1`,
	}, f.stored()[3:])
	require.Equal(t, 5.0, testutil.ToFloat64(f.metrics.deduplicated))
}

func TestReplayMakesTheSameBatch(t *testing.T) {
	f := newFixture(t)
	f.strange["bolt"] = true
	f.send(door.Scope{Any: true}, series(t, noon, "up{cluster=c,__replica__=a}", 1))
	f.now = noon.Add(3 * time.Second)
	w := f.send(door.Scope{Tenants: []tenant.ID{"acme", "bolt"}},
		series(t, f.now, "a{tenant=acme}", 1, 2),
		series(t, f.now, "a{tenant=coyote}", 1),
		series(t, f.now, "a{tenant=bolt}", 1),
		series(t, f.now, "a{cluster=c,__replica__=b}", 1),
		series(t, f.now, "a{cluster=c,__replica__=a}", 4),
		series(t, noon.Add(time.Hour), "b{}", 1),
		series(t, f.now, "b{}", 1),
	)
	require.Equal(t, 400, w.Code)

	g := newFixture(t) // after a restart: another elected, everybody onboarded, another clock
	g.send(door.Scope{Any: true}, series(t, noon, "up{cluster=c,__replica__=b}", 1))
	g.now = noon.Add(48 * time.Hour)
	for i, r := range f.records {
		require.Equal(t, RecordKind, r.Kind)
		b, err := g.Decode(r)
		require.NoError(t, err)
		for j := range b.Series {
			b.Series[j].ID = f.batches[i].Series[j].ID
		}
		require.Equal(t, f.batches[i], b)
	}
	require.Len(t, f.batches[1].Series, 4)
	require.True(t, f.batches[1].Series[1].Unknown)
	require.Equal(t, []UnknownTenant{{ID: "bolt", FirstSeen: f.now, LastSeen: f.now, Series: 1, Samples: 1}}, g.Unknown())
	_, err := g.Decode(Record{Kind: RecordKind, Header: []byte("{")})
	require.True(t, problem.Is(err, problem.Malformed))
}

func TestUnknownTenants(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.MaxUnknown = 2; o.Known = func(id tenant.ID) bool { return id == "acme" } })
	for i := range 3 {
		f.now = noon.Add(time.Duration(i) * time.Second)
		f.send(door.Scope{Any: true}, series(t, f.now, "a{tenant=acme}", 1), series(t, f.now, "a{tenant=x}", 1, 2), series(t, f.now, "b{tenant=x}", 1), series(t, f.now, "a{}", 1))
	}
	require.Equal(t, []UnknownTenant{{ID: "x", FirstSeen: noon, LastSeen: noon.Add(2 * time.Second), Series: 2, Samples: 9}}, f.Unknown())
	for _, s := range f.batches[2].Series {
		require.Equal(t, s.Tenant == "x", s.Unknown)
	}
	for i, id := range []string{"y", "z"} {
		f.now = noon.Add(time.Duration(10+i) * time.Second)
		f.send(door.Scope{Any: true}, series(t, f.now, "a{tenant="+id+"}", 1))
	}
	require.Equal(t, []tenant.ID{"z", "y"}, []tenant.ID{f.Unknown()[0].ID, f.Unknown()[1].ID})
	f.Forget("z")
	require.Len(t, f.Unknown(), 1)
}
