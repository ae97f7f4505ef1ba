package otelmetrics

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

// gateway is what the collector of a gateway of some tenants sends: counters by
// method, country, acquirer and result.
func gateway(tenants, series int) pmetric.Metrics {
	m := pmetric.NewMetrics()
	for i := range tenants {
		rm := m.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutStr("service.name", "payments")
		rm.Resource().Attributes().PutStr("tenant.id", fmt.Sprintf("tenant-%04d", i))
		x := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		x.SetName("payment.transactions")
		s := x.SetEmptySum()
		s.SetIsMonotonic(true)
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for j := range series {
			p := s.DataPoints().AppendEmpty()
			p.Attributes().PutStr("method", fmt.Sprint("card", j%6))
			p.Attributes().PutStr("country", "DE")
			p.Attributes().PutStr("acquirer", fmt.Sprint("acq", j%4))
			p.Attributes().PutStr("operation", "payment")
			p.Attributes().PutStr("result", "success")
			p.SetTimestamp(noon)
			p.SetStartTimestamp(noon - 1e12)
			p.SetDoubleValue(float64(j))
		}
	}
	return m
}

// BenchmarkDecode is beside what the collector's own types cost to read alone,
// before anybody has looked at a label.
func BenchmarkDecode(b *testing.B) {
	raw, err := pmetricotlp.NewExportRequestFromMetrics(gateway(84, 24)).MarshalProto()
	require.NoError(b, err)
	var req Request
	var ours, peer time.Duration
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		t0 := time.Now()
		require.NoError(b, req.Decode(raw, Names{}, remotewrite.Limits{}))
		t1 := time.Now()
		e := pmetricotlp.NewExportRequest()
		require.NoError(b, e.UnmarshalProto(raw))
		ours, peer = ours+t1.Sub(t0), peer+time.Since(t1)
		n += req.Points
	}
	b.ReportMetric(float64(ours.Nanoseconds())/float64(n), "ns/sample")
	b.ReportMetric(float64(peer.Nanoseconds())/float64(n), "peer-ns/sample")
	b.ReportMetric(float64(peer)/float64(ours), "times-faster")
}
