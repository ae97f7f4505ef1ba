package otelmetrics

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

func TestDecodeAgreesWithTheCollectorsTypes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var req Request // used again and again, as the door does
	values := 0
	for range 1500 {
		m := random(r)
		e := pmetricotlp.NewExportRequestFromMetrics(m)
		raw, err := e.MarshalProto()
		require.NoError(t, err)
		require.NoError(t, req.Decode(raw, Names{}, remotewrite.Limits{}))
		got, err := ours(&req)
		require.NoError(t, err)
		want := theirs(m)
		require.Equal(t, want, got)
		doc, err := e.MarshalJSON()
		require.NoError(t, err)
		require.NoError(t, req.DecodeJSON(doc, Names{}, remotewrite.Limits{}))
		got, err = ours(&req)
		require.NoError(t, err)
		require.Equal(t, want, got, "in JSON")
		values += len(want.values)
	}
	require.Greater(t, values, 5_000)
}

func TestFieldsInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		raw, err := pmetricotlp.NewExportRequestFromMetrics(random(r)).MarshalProto()
		require.NoError(t, err)
		var a, b Request
		require.NoError(t, a.Decode(raw, Names{}, remotewrite.Limits{}))
		require.NoError(t, b.Decode(reversed(raw, ""), Names{}, remotewrite.Limits{}))
		want, err := ours(&a)
		require.NoError(t, err)
		got, err := ours(&b)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// TestNamesAreThoseOfPrometheus holds the names that the documents promise.
func TestNamesAreThoseOfPrometheus(t *testing.T) {
	m := pmetric.NewMetrics()
	rm := m.ResourceMetrics().AppendEmpty()
	res := rm.Resource().Attributes()
	res.PutStr("service.name", "payments")
	res.PutStr("service.namespace", "shop")
	res.PutStr("service.instance.id", "i-1")
	res.PutStr("deployment.environment.name", "staging")
	res.PutStr("tenant.id", "acme")
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	add := func(name, unit string) pmetric.NumberDataPoint {
		x := metrics.AppendEmpty()
		x.SetName(name)
		x.SetUnit(unit)
		s := x.SetEmptySum()
		s.SetIsMonotonic(true)
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		p := s.DataPoints().AppendEmpty()
		p.SetTimestamp(noon)
		p.SetIntValue(1)
		return p
	}
	add("payment.transactions", "{transaction}").Attributes().PutStr("payment.method", "card")
	other := add("bytes.sent", "By").Attributes()
	other.PutStr("tenant.id", "bolt")
	other.PutStr("service", "refunds")
	other.PutStr("a.b", "1")
	other.PutStr("a_b", "2")
	raw, err := pmetricotlp.NewExportRequestFromMetrics(m).MarshalProto()
	require.NoError(t, err)
	var req Request
	require.NoError(t, req.Decode(raw, Names{}, remotewrite.Limits{}))
	got, err := ours(&req)
	require.NoError(t, err)
	require.Equal(t, []string{
		`bytes_sent_total{a_b="1;2",environment="staging",instance="i-1",job="shop/payments",service="refunds",tenant="bolt"}  1800000000000 0 3ff0000000000000`,
		`payment_transactions_total{environment="staging",instance="i-1",job="shop/payments",payment_method="card",service="payments",tenant="acme"}  1800000000000 0 3ff0000000000000`,
	}, got.values)
}

func TestMetadataIsSaidOnceARequest(t *testing.T) {
	m := gateway(3, 2)
	for i := range 3 {
		x := m.ResourceMetrics().At(i).ScopeMetrics().At(0).Metrics().At(0)
		x.SetDescription("Payments.")
		x.SetUnit("By")
	}
	raw, err := pmetricotlp.NewExportRequestFromMetrics(m).MarshalProto()
	require.NoError(t, err)
	var req Request
	for range 2 {
		require.NoError(t, req.Decode(raw, Names{}, remotewrite.Limits{}))
		require.Equal(t, []remotewrite.Metadata{{Family: "payment_transactions_bytes_total", Type: "counter", Help: "Payments.", Unit: "bytes"}}, req.Metadata)
	}
}

func TestBadBodies(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var big pmetric.Metrics
	for big = random(r); big.DataPointCount() < 4; big = random(r) {
	}
	raw, err := pmetricotlp.NewExportRequestFromMetrics(big).MarshalProto()
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		body []byte
		lim  remotewrite.Limits
		want problem.Kind
	}{
		{"text", []byte("hello, this is no protobuf"), remotewrite.Limits{}, problem.Malformed},
		{"cut short", raw[:len(raw)-3], remotewrite.Limits{}, problem.Malformed},
		{"wrong wire type", []byte{1 << 3, 1}, remotewrite.Limits{}, problem.Malformed},
		{"field 0", []byte{2, 0}, remotewrite.Limits{}, problem.Malformed},
		{"many points", raw, remotewrite.Limits{Samples: 3}, problem.TooLarge},
		{"large", raw, remotewrite.Limits{Decompressed: 10}, problem.TooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			var req Request
			err := req.Decode(c.body, Names{}, c.lim)
			require.True(t, problem.Is(err, c.want), "%v", err)
		})
	}
	var req Request
	require.True(t, problem.Is(req.DecodeJSON([]byte(`{"resourceMetrics": 3}`), Names{}, remotewrite.Limits{}), problem.Malformed))
	_, err = Labels([]byte{keyMark, 0, 200}, Names{})
	require.Error(t, err)
}

// FuzzDecode holds the decoder to the collector's own types: what both read must
// be equal, and what they write must be read.
func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 30 {
		raw, err := pmetricotlp.NewExportRequestFromMetrics(random(r)).MarshalProto()
		require.NoError(f, err)
		f.Add(raw)
		f.Add(reversed(raw, ""))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e := pmetricotlp.NewExportRequest()
		peerErr := e.UnmarshalProto(raw)
		var req Request
		if err := req.Decode(raw, Names{}, remotewrite.Limits{}); err == nil {
			_, _ = ours(&req) // must not panic
		}
		if peerErr != nil {
			return
		}
		again, err := e.MarshalProto()
		require.NoError(t, err)
		if err := req.Decode(again, Names{}, remotewrite.Limits{}); problem.Is(err, problem.TooLarge) {
			return
		} else {
			require.NoError(t, err)
		}
		got, err := ours(&req)
		if err != nil {
			return // a name that cannot be translated
		}
		require.Equal(t, theirs(e.Metrics()), got)
	})
}
