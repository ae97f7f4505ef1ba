package samples

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/samples/otelmetrics"
)

// peerOTLP is what a receiver on stock parts does before it appends: the
// collector's types, and Prometheus' names and labels for every point.
func peerOTLP(t testing.TB, raw []byte) int {
	e := pmetricotlp.NewExportRequest()
	require.NoError(t, e.UnmarshalProto(raw))
	names := otlptranslator.MetricNamer{WithMetricSuffixes: true}
	namer := otlptranslator.LabelNamer{}
	b := labels.NewScratchBuilder(10)
	n := 0
	for _, rm := range e.Metrics().ResourceMetrics().All() {
		tenantID, _ := rm.Resource().Attributes().Get("tenant.id")
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				name, err := names.Build(otlptranslator.Metric{Name: m.Name(), Unit: m.Unit(), Type: otlptranslator.MetricTypeMonotonicCounter})
				require.NoError(t, err)
				for _, p := range m.Sum().DataPoints().All() {
					b.Reset()
					b.Add(labels.MetricName, name)
					b.Add("tenant", tenantID.Str())
					for k, v := range p.Attributes().All() {
						l, err := namer.Build(k)
						require.NoError(t, err)
						b.Add(l, v.AsString())
					}
					b.Sort()
					if b.Labels().Get("tenant") != "" {
						n++
					}
				}
			}
		}
	}
	return n
}

func BenchmarkIntakeOTLP(b *testing.B) {
	f := newFixture(&testing.T{})
	bodies := [][]byte{}
	per := 2016
	for i := range 12 { // 1,008 tenants, 24 series each
		x := newBatch(noon)
		for j := range 84 {
			p := x.counter("payment.transactions", fmt.Sprintf("tenant-%04d", i*84+j), 0)
			dp := x.ResourceMetrics().At(j).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints()
			for k := range 24 {
				if k > 0 {
					p = dp.AppendEmpty()
				}
				for a, v := range map[string]string{"acquirer": fmt.Sprint("acq", k%4), "country": "DE", "method": fmt.Sprint("card", k%6), "operation": "payment", "result": "success"} {
					p.Attributes().PutStr(a, v)
				}
				p.SetTimestamp(pcommon.NewTimestampFromTime(noon))
				p.SetDoubleValue(float64(k))
			}
		}
		raw, err := pmetricotlp.NewExportRequestFromMetrics(x.Metrics).MarshalProto()
		require.NoError(b, err)
		bodies = append(bodies, raw)
	}
	one := func(body []byte) int {
		req := f.Door.otlp.Get().(*otelmetrics.Request)
		defer f.releaseOTLP(req)
		require.NoError(b, f.readOTLP(req, body, false, f.opts.Limits))
		adm, _ := door.Scope{Any: true}.Open()
		head := header{}
		batch, _ := f.build(req.Series, &adm, noon, &live{d: f.Door, at: noon, head: &head})
		return batch.Samples
	}
	for _, body := range bodies {
		require.Equal(b, per, one(body))
	}
	var ours, peer time.Duration
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		body := bodies[n%len(bodies)]
		n++
		t0 := time.Now()
		one(body)
		t1 := time.Now()
		require.Equal(b, per, peerOTLP(b, body))
		ours += t1.Sub(t0)
		peer += time.Since(t1)
	}
	total := float64(n * per)
	b.ReportMetric(float64(ours.Nanoseconds())/total, "ns/sample")
	b.ReportMetric(float64(peer.Nanoseconds())/total, "peer-ns/sample")
	b.ReportMetric(float64(peer)/float64(ours), "times-faster")
}
