package tracing

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/otlp"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// desk is a door with what it journaled.
type desk struct {
	*Door
	t       testing.TB
	mu      sync.Mutex
	records []Record
	batches []*Batch
	foreign map[tenant.ID]int
	fail    error
}

func newDesk(t testing.TB, o Options) *desk {
	d := &desk{t: t, foreign: map[tenant.ID]int{}}
	o.Journal = func(_ context.Context, r Record, b *Batch) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.fail != nil {
			return d.fail
		}
		d.records, d.batches = append(d.records, r), append(d.batches, b)
		return nil
	}
	o.Now = func() time.Time { return noon }
	o.Known = func(id tenant.ID) bool { return id != "stranger" }
	o.Stranger = func(id tenant.ID, n int, _ time.Time) { d.foreign[id] += n }
	if o.Cut.Slices == nil {
		o.Cut.Slices = []Slice{{Label: "acquirer", Attributes: []string{"acquirer", "payment.acquirer"}}, {Label: "method", Attributes: []string{"method"}}}
	}
	o.Cut.Customer = []string{"customer.id", "enduser.id"}
	o.Cut.Fails = func(ls labels.Labels) bool {
		return ls.Get(LabelSpanKind) == KindServer && (ls.Get(LabelStatus) == StatusError || ls.Get("method") == "declined")
	}
	var err error
	d.Door, err = New(o)
	require.NoError(t, err)
	return d
}

var anybody = door.Scope{Any: true, Sender: "token:otel"}

func (d *desk) send(scope door.Scope, tr ptrace.Traces) (Partial, error) {
	var m ptrace.ProtoMarshaler
	body, err := m.MarshalTraces(tr)
	require.NoError(d.t, err)
	return d.Write(context.Background(), Request{Scope: scope, Body: body})
}

// one makes a request of one span with the attributes; those that start with a dot
// belong to the resource.
func one(kind ptrace.SpanKind, failed bool, attrs ...string) ptrace.Traces {
	tr := ptrace.NewTraces()
	add(tr, kind, failed, attrs...)
	return tr
}

func add(tr ptrace.Traces, kind ptrace.SpanKind, failed bool, attrs ...string) ptrace.Span {
	rs := tr.ResourceSpans().AppendEmpty()
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "payments")
	n := tr.SpanCount()
	s.SetTraceID([16]byte{1, 15: byte(n)})
	s.SetSpanID([8]byte{2, 7: byte(n)})
	s.SetName("POST /payments")
	s.SetKind(kind)
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(noon.Add(-300 * time.Millisecond)))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(noon))
	if failed {
		s.Status().SetCode(ptrace.StatusCodeError)
	}
	for i := 0; i < len(attrs); i += 2 {
		if attrs[i][0] == '.' {
			rs.Resource().Attributes().PutStr(attrs[i][1:], attrs[i+1])
		} else {
			s.Attributes().PutStr(attrs[i], attrs[i+1])
		}
	}
	return s
}

// The table of who may send for whom.
func TestWhoseSpan(t *testing.T) {
	list := door.Scope{Tenants: []tenant.ID{"a", "b"}}
	only := door.Scope{Tenants: []tenant.ID{"a"}}
	with := func(s door.Scope, org string) door.Scope { s.OrgID = org; return s }
	for _, c := range []struct {
		name  string
		scope door.Scope
		attr  string
		want  tenant.ID // empty: refused
		whole bool      // the whole request is
	}{
		{"one tenant, none named", only, "", "a", false},
		{"one tenant, the same named", with(only, "a"), "a", "a", false},
		{"one tenant, another in the header", with(only, "b"), "", "", true},
		{"one tenant, another in the span", only, "b", "", false},
		{"a list, in the span", list, "b", "b", false},
		{"a list, not of it", list, "c", "", false},
		{"a list, nobody named", list, "", tenant.Product, false},
		{"any, in the span", anybody, "c", "c", false},
		{"any, header", with(anybody, "c"), "", "c", false},
		{"any, header and another in the span", with(anybody, "c"), "d", "", false},
		{"any, nobody named", anybody, "", tenant.Product, false},
		{"any, not usable", anybody, "a b", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, where := range []string{"tenant.id", ".tenant.id"} {
				d := newDesk(t, Options{})
				tr := one(ptrace.SpanKindServer, false)
				if c.attr != "" {
					tr = one(ptrace.SpanKindServer, false, where, c.attr)
				}
				part, err := d.send(c.scope, tr)
				if c.whole {
					require.True(t, problem.Is(err, problem.Forbidden))
					continue
				}
				require.NoError(t, err)
				if c.want == "" {
					require.Equal(t, 1, part.Rejected)
					require.NotEmpty(t, part.Message)
					require.Empty(t, d.batches)
					continue
				}
				require.Zero(t, part)
				require.Equal(t, c.want, d.batches[0].Calls[0].Tenant)
				require.Equal(t, string(c.want), d.batches[0].Calls[0].Labels.Get("tenant"))
			}
		})
	}
}

func TestRefusedSpansLeaveTheGoodOnes(t *testing.T) {
	d := newDesk(t, Options{})
	tr := one(ptrace.SpanKindServer, false, "tenant.id", "a")
	add(tr, ptrace.SpanKindServer, false, "tenant.id", "other")
	add(tr, ptrace.SpanKindServer, false, "tenant.id", "a").SetEndTimestamp(0)
	add(tr, ptrace.SpanKindServer, false, "tenant.id", "a").SetEndTimestamp(pcommon.NewTimestampFromTime(noon.Add(24 * time.Hour)))
	add(tr, ptrace.SpanKindServer, false, "tenant.id", "a").SetEndTimestamp(pcommon.NewTimestampFromTime(noon.Add(-25 * time.Hour)))
	add(tr, ptrace.SpanKindServer, false, "tenant.id", "a").SetTraceID(pcommon.TraceID{})
	add(tr, ptrace.SpanKindServer, false, "tenant.id", "a").SetSpanID(pcommon.SpanID{})
	part, err := d.send(door.Scope{Tenants: []tenant.ID{"a"}}, tr)
	require.NoError(t, err)
	require.Equal(t, 6, part.Rejected)
	for _, text := range []string{"1 spans refused of a tenant", "clock", "too long ago", "without an end", "2 spans refused without a trace id"} {
		require.Contains(t, part.Message, text)
	}
	require.NotContains(t, part.Message, "other", "a rejected value is not echoed")
	require.Len(t, d.batches[0].Calls, 1)
	require.Equal(t, 1, d.batches[0].Calls[0].N)
	require.Equal(t, 1, d.batches[0].Received)
}

func TestAStrangerIsStoredAndListed(t *testing.T) {
	d := newDesk(t, Options{})
	_, err := d.send(anybody, one(ptrace.SpanKindServer, true, "tenant.id", "stranger"))
	require.NoError(t, err)
	require.True(t, d.batches[0].Calls[0].Unknown)
	require.Empty(t, d.batches[0].Spans, "no traces of it are kept")
	require.Equal(t, map[tenant.ID]int{"stranger": 1}, d.foreign)
}

func TestCalls(t *testing.T) {
	d := newDesk(t, Options{})
	tr := one(ptrace.SpanKindServer, false, ".tenant.id", "a", "payment.acquirer", "alpha", ".deployment.environment.name", "staging")
	add(tr, ptrace.SpanKindServer, true, ".tenant.id", "a", "payment.acquirer", "alpha", ".deployment.environment", "staging")
	add(tr, ptrace.SpanKindClient, false, ".tenant.id", "a", "server.address", "api.alpha.example", "peer.service", "alpha")
	add(tr, ptrace.SpanKindProducer, false, ".tenant.id", "a", "server.address", "queue.example", "secret", "never kept")
	add(tr, ptrace.SpanKindInternal, false, ".tenant.id", "a")
	for range 2 {
		add(tr, ptrace.SpanKindConsumer, false, ".tenant.id", "a", "acquirer", "beta", "payment.acquirer", "alpha")
	}
	add(tr, ptrace.SpanKindConsumer, false, ".tenant.id", "a", ".acquirer", "beta").SetEndTimestamp(pcommon.NewTimestampFromTime(noon.Add(-time.Millisecond)))
	part, err := d.send(anybody, tr)
	require.NoError(t, err)
	require.Zero(t, part)
	b := d.batches[0]
	require.Equal(t, "token:otel", b.Source)
	require.Equal(t, 8, b.Received)
	require.Equal(t, []int64{noon.UnixMilli() - 10_000, noon.UnixMilli()}, b.Steps)
	base := `__name__="traces_spanmetrics_calls_total", `
	got := map[string]int{}
	for _, c := range b.Calls {
		got[c.Labels.String()+fmt.Sprint(" ", (c.Step-noon.UnixMilli())/1000)] = c.N
		require.Equal(t, float64(c.N), c.Weight)
		require.Len(t, c.Buckets, Buckets)
	}
	require.Equal(t, map[string]int{
		`{` + base + `acquirer="alpha", collector="tocsin", environment="staging", service="payments", span_kind="server", span_name="POST /payments", status="ok", tenant="a"} 0`:          1,
		`{` + base + `acquirer="alpha", collector="tocsin", environment="staging", service="payments", span_kind="server", span_name="POST /payments", status="error", tenant="a"} 0`:       1,
		`{` + base + `collector="tocsin", environment="production", peer="alpha", service="payments", span_kind="client", span_name="POST /payments", status="ok", tenant="a"} 0`:           1,
		`{` + base + `collector="tocsin", environment="production", peer="queue.example", service="payments", span_kind="producer", span_name="POST /payments", status="ok", tenant="a"} 0`: 1,
		`{` + base + `acquirer="beta", collector="tocsin", environment="production", service="payments", span_kind="consumer", span_name="POST /payments", status="ok", tenant="a"} 0`:      2,
		`{` + base + `acquirer="beta", collector="tocsin", environment="production", service="payments", span_kind="consumer", span_name="POST /payments", status="ok", tenant="a"} -10`:    1,
	}, got)
	require.InDelta(t, .3, b.Calls[0].Seconds, 1e-9)
	require.Equal(t, uint32(1), b.Calls[0].Buckets[9], "0.25 to 0.5 s")
}

func TestBuckets(t *testing.T) {
	for _, d := range []time.Duration{0, 1, time.Microsecond, 976_562, 976_563, time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, 500_000_001,
		time.Second, time.Second + 1, 64 * time.Second, 128 * time.Second, 128*time.Second + 1, time.Hour} {
		want := 0
		for want < len(edges) && d.Seconds() > edges[want] {
			want++
		}
		require.Equal(t, want, bucketOf(d), d)
	}
	require.Equal(t, 1., edges[10])
}

func TestWeights(t *testing.T) {
	for state, want := range map[string]float64{
		"": 1, "x=y": 1, "ot=th:0": 1, "ot=th:8": 2, "ot=rv:abc;th:c": 4, "x=y, ot=th:c;rv:1": 4, "ot=th:fd70a4": 1e2, "ot=th:": 1, "ot=th:zz": 1,
		"ot=th:123456789012345": 1, "ot=th:fffffffffffffff": 1, "ot=th:ffffffffffffff": 1e6,
	} {
		require.InDelta(t, want, weight(&otlp.Span{TraceState: []byte(state), Attributes: make([]otlp.Value, fixedKeys)}), want/1e4, state)
	}
	d := newDesk(t, Options{})
	tr := one(ptrace.SpanKindServer, false, "tenant.id", "a")
	tr.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes().PutDouble("sampling.probability", .125)
	add(tr, ptrace.SpanKindServer, false, "tenant.id", "a").TraceState().FromRaw("ot=th:c")
	_, err := d.send(anybody, tr)
	require.NoError(t, err)
	require.Equal(t, 2, d.batches[0].Calls[0].N, "tests use what was received")
	require.Equal(t, 12., d.batches[0].Calls[0].Weight)
}

func TestTooManyKindsOfCallsLoseTheirDetails(t *testing.T) {
	d := newDesk(t, Options{MaxStreams: 5})
	for i := range 400 {
		tr := one(ptrace.SpanKindServer, i%2 == 0, "tenant.id", "a", "acquirer", fmt.Sprint("acq-", i), ".service.name", fmt.Sprint("svc-", i))
		tr.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).SetName(fmt.Sprint("GET /", i))
		_, err := d.send(anybody, tr)
		require.NoError(t, err)
	}
	_, err := d.send(anybody, one(ptrace.SpanKindServer, false, "tenant.id", "b"))
	require.NoError(t, err)
	kinds, last := map[string]bool{}, labels.EmptyLabels()
	total := 0
	for _, b := range d.batches[:400] {
		kinds[b.Calls[0].Labels.String()] = true
		last = b.Calls[0].Labels
		total += b.Calls[0].N
	}
	require.Equal(t, 400, total, "all are counted")
	require.LessOrEqual(t, len(kinds), 20)
	require.Equal(t, Overflow, last.Get("span_name"))
	require.Equal(t, Overflow, last.Get("service"))
	require.Equal(t, "POST /payments", d.batches[400].Calls[0].Labels.Get("span_name"), "a neighbour is unharmed")
}

func TestDecodeOfARecordIsTheBatch(t *testing.T) {
	d := newDesk(t, Options{})
	tr := ptrace.NewTraces()
	for i := range 60 {
		s := add(tr, ptrace.SpanKind(1+i%5), i%4 == 0, "tenant.id", []string{"a", "b", "stranger"}[i%3], "acquirer", []string{"alpha", "beta"}[i%2], "peer.service", "p")
		s.SetParentSpanID([8]byte{9, 7: byte(i)})
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(noon.Add(-time.Duration(i) * time.Second)))
		s.TraceState().FromRaw([]string{"", "ot=th:8"}[i%2])
	}
	_, err := d.send(anybody, tr)
	require.NoError(t, err)
	require.NotEmpty(t, d.batches[0].Spans)
	again, err := Decode(RecordVersion, d.records[0].Body, d.records[0].At)
	require.NoError(t, err)
	require.Equal(t, d.batches[0], again)
	for n := range len(d.records[0].Body) {
		_, _ = Decode(RecordVersion, d.records[0].Body[:n], noon) // must not panic
	}
}

func FuzzDecodeRecord(f *testing.F) {
	d := newDesk(f, Options{})
	_, err := d.send(anybody, one(ptrace.SpanKindServer, true, "tenant.id", "a"))
	require.NoError(f, err)
	f.Add(d.records[0].Body)
	f.Fuzz(func(_ *testing.T, body []byte) { _, _ = Decode(RecordVersion, body, noon) })
}

func TestNothingIsTakenOfWhatCannotBeRead(t *testing.T) {
	d := newDesk(t, Options{})
	_, err := d.Write(context.Background(), Request{Scope: anybody, Body: []byte("no protobuf")})
	require.True(t, problem.Is(err, problem.Malformed))
	_, err = d.Write(context.Background(), Request{Scope: anybody, Body: []byte("{"), Encoding: otlp.JSON})
	require.True(t, problem.Is(err, problem.Malformed))
	require.Empty(t, d.batches)
	d.fail = problem.New(problem.TooMany, "full")
	_, err = d.send(anybody, one(ptrace.SpanKindServer, false))
	require.True(t, problem.Is(err, problem.TooMany))
	d.fail = nil
	part, err := d.Write(context.Background(), Request{Scope: anybody}) // an empty request is one
	require.NoError(t, err)
	require.Zero(t, part)
	require.Empty(t, d.batches)
}

// A flood of failures keeps whole traces, not the first ones only.
func TestFailingTracesAreKeptWhole(t *testing.T) {
	d := newDesk(t, Options{})
	tr := ptrace.NewTraces()
	for i := range 3000 {
		s := add(tr, ptrace.SpanKindServer, true, "tenant.id", "a")
		s.SetTraceID([16]byte{1, 14: byte(i / 2 >> 8), 15: byte(i / 2)})
	}
	_, err := d.send(anybody, tr)
	require.NoError(t, err)
	of := map[[16]byte]int{}
	for _, s := range d.batches[0].Spans {
		of[s.TraceID]++
	}
	require.Greater(t, len(of), 40)
	require.LessOrEqual(t, len(d.batches[0].Spans), mostFailing)
	for id, n := range of {
		require.Equal(t, 2, n, "%x", id)
	}
	require.Equal(t, 3000, d.batches[0].Calls[0].N)
}

func TestManySenders(t *testing.T) {
	d := newDesk(t, Options{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				_, err := d.send(anybody, one(ptrace.SpanKindServer, i%2 == 0, "tenant.id", fmt.Sprint("t", g%3), "acquirer", fmt.Sprint(i%5)))
				require.NoError(t, err)
			}
		})
	}
	wg.Wait()
	total := 0
	for _, b := range d.batches {
		total += b.Calls[0].N
	}
	require.Equal(t, 400, total)
}

// BenchmarkWrite is a request of 512 spans of ten attributes, of 20 kinds of calls.
func BenchmarkWrite(b *testing.B) {
	d := newDesk(b, Options{})
	d.opts.Journal = func(context.Context, Record, *Batch) error { return nil }
	tr := ptrace.NewTraces()
	rs := tr.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "payments")
	ss := rs.ScopeSpans().AppendEmpty()
	for i := range 512 {
		add(ptrace.NewTraces(), ptrace.SpanKindServer, i%50 == 0, "tenant.id", fmt.Sprint("t", i%5), "acquirer", fmt.Sprint(i%4)).MoveTo(ss.Spans().AppendEmpty())
		s := ss.Spans().At(i)
		for k := range 8 {
			s.Attributes().PutStr(fmt.Sprint("http.request.header.x-", k), "some value of the usual length")
		}
	}
	var m ptrace.ProtoMarshaler
	body, err := m.MarshalTraces(tr)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, err := d.Write(context.Background(), Request{Scope: anybody, Body: body})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/512, "ns/span")
}

// Other slices are in force for the next request: what was known of the same
// values by other labels is not taken for it.
func TestOtherSlicesMakeOtherLabels(t *testing.T) {
	d := newDesk(t, Options{Cut: Cut{Slices: []Slice{{Label: "method", Attributes: []string{"method"}}}}})
	send := func() labels.Labels {
		_, err := d.send(anybody, one(ptrace.SpanKindServer, false, "tenant.id", "a", "method", "card"))
		require.NoError(t, err)
		return d.batches[len(d.batches)-1].Calls[0].Labels
	}
	require.Equal(t, "card", send().Get("method"))
	d.SetCut(Cut{Slices: []Slice{{Label: "way", Attributes: []string{"method"}}}})
	require.Equal(t, "card", send().Get("way"))
	require.Empty(t, send().Get("method"))
}
