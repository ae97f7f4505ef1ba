package samples

import (
	"fmt"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

func TestSeriesKeepTheirIDAndLabels(t *testing.T) {
	f := newFixture(t)
	any := door.Scope{Any: true}
	f.send(any, series(t, noon, "a{tenant=acme}", 1), series(t, noon, "b{tenant=acme}", 1))
	f.send(any, series(t, noon, "b{tenant=acme}", 1), series(t, noon, "a{tenant=acme}", 1))
	f.send(door.Scope{Any: true, OrgID: "bolt"}, series(t, noon, "a{}", 1))
	f.send(any, series(t, noon, "a{}", 1))
	id := func(b, s int) uint64 { return f.batches[b].Series[s].ID }
	require.Equal(t, id(0, 0), id(1, 1))
	require.Equal(t, id(0, 1), id(1, 0))
	require.NotEqual(t, id(0, 0), id(0, 1))
	require.NotEqual(t, id(2, 0), id(3, 0), "the same bytes under another tenant are another series")
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(Options{MaxSeries: 40}.withDefaults())
	key := func(i int) []remotewrite.Series {
		raw, err := (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{series(t, noon, fmt.Sprintf("m%d{}", i))}}).Marshal()
		require.NoError(t, err)
		var r remotewrite.Request
		require.NoError(t, r.Decode(remotewrite.V1, snappy.Encode(nil, raw), remotewrite.Limits{}))
		return r.Series
	}
	kept := c.find("", key(0))[0].id
	for i := range 1000 {
		in := c.find("", key(i+1))[0]
		require.Equal(t, fmt.Sprintf(`{__name__="m%d", environment="production", tenant="_product"}`, i+1), in.labels.String())
		require.LessOrEqual(t, c.size, 40)
		require.Len(t, c.byFallback[""], c.size)
		require.Equal(t, kept, c.find("", key(0))[0].id, "what is used stays")
	}
	require.NotEqual(t, uint64(2), c.find("", key(1))[0].id, "what is not used goes")
}

// peerLabels is what a receiver on stock parts does before it appends.
func peerLabels(t testing.TB, body []byte) int {
	raw, err := snappy.Decode(nil, body)
	require.NoError(t, err)
	var w prompb.WriteRequest
	require.NoError(t, w.Unmarshal(raw))
	b := labels.NewScratchBuilder(10)
	n := 0
	for _, ts := range w.Timeseries {
		if l := ts.ToLabels(&b, nil); l.Get("tenant") != "" {
			n += len(ts.Samples)
		}
	}
	return n
}

func BenchmarkIntake(b *testing.B) {
	f := newFixture(&testing.T{})
	bodies := [][]byte{}
	per := 2000
	for i := 0; i < 24_000; i += per { // 1,000 tenants, 24 series each
		w := &prompb.WriteRequest{}
		for j := i; j < i+per; j++ {
			w.Timeseries = append(w.Timeseries, series(b, noon, fmt.Sprintf(
				"payment_transactions_total{acquirer=acq%d,country=DE,environment=production,instance=10.0.0.1:9100,job=gateway,method=card%d,operation=payment,result=success,tenant=tenant-%04d}",
				j%4, j%6, j/24), float64(j)))
		}
		raw, err := w.Marshal()
		require.NoError(b, err)
		bodies = append(bodies, snappy.Encode(nil, raw))
	}
	one := func(body []byte) int {
		req := f.requests.Get().(*remotewrite.Request)
		defer f.release(req)
		require.NoError(b, req.Decode(remotewrite.V1, body, f.opts.Limits))
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
		require.Equal(b, per, peerLabels(b, body))
		ours += t1.Sub(t0)
		peer += time.Since(t1)
	}
	total := float64(n * per)
	b.ReportMetric(float64(ours.Nanoseconds())/total, "ns/sample")
	b.ReportMetric(float64(peer.Nanoseconds())/total, "peer-ns/sample")
	b.ReportMetric(float64(peer)/float64(ours), "times-faster")
}
