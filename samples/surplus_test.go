package samples

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/samples/quota"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// replayed decodes every record again and wants the same batches.
func (f *fixture) replayed() {
	f.t.Helper()
	for i, r := range f.records {
		b, err := f.Decode(r)
		require.NoError(f.t, err)
		require.Equal(f.t, f.batches[i].Samples, b.Samples)
		require.Len(f.t, b.Series, len(f.batches[i].Series))
		for j, s := range f.batches[i].Series {
			require.Equal(f.t, s.Labels.String(), b.Series[j].Labels.String())
			require.Equal(f.t, s.Unknown, b.Series[j].Unknown)
		}
	}
}

func TestSeriesOverTheLimitHarmNoNeighbour(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Quota = quota.Limits{Series: 5, OtherSeries: 2} })
	f.strange["who"] = true
	any := door.Scope{Any: true}
	var ts []prompb.TimeSeries
	for i := range 9 {
		ts = append(ts, series(t, noon, fmt.Sprintf("m%d{tenant=acme}", i), 1, 2), series(t, noon, fmt.Sprintf("m%d{tenant=bolt%d}", i, i%3), 1))
	}
	w := f.send(any, append(ts, series(t, noon, "a{tenant=who}", 1), series(t, noon, "b{}", 1), series(t, noon, "c{tenant=who}", 1))...)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Contains(t, w.Body.String(), "21 samples stored")
	require.Contains(t, w.Body.String(), "9 samples of series beyond those a tenant may have")
	f.replayed()

	u := f.Usage("acme")
	require.Equal(t, map[string]int64{refusedSeries: 8}, u.Refused)
	require.Equal(t, 5, u.Series)
	require.Equal(t, int64(10), u.Accepted)
	require.Equal(t, map[string]int64{refusedSeries: 1}, f.Usage("who").Refused)
	require.Empty(t, f.Usage("bolt0").Refused)

	w = f.send(any, ts[:10]...)
	require.Equal(t, http.StatusNoContent, w.Code, "what was taken goes on: %s", w.Body)
	f.now = f.now.Add(quota.Active + time.Hour)
	w = f.send(any, ts[10:]...)
	require.Equal(t, http.StatusNoContent, w.Code, "series that are gone give way: %s", w.Body)
	require.Equal(t, 4, f.Usage("acme").Series)
	f.replayed()
}

// What was taken under other bounds is read under those of now: else a bound that is
// lowered would keep the daemon from starting.
func TestALowerBoundLeavesTheJournalReadable(t *testing.T) {
	f := newFixture(t)
	require.Equal(t, http.StatusNoContent, f.send(door.Scope{Any: true}, series(t, noon, "a{tenant=acme}", 1, 2), series(t, noon, "b{tenant=acme}", 1)).Code)
	b := newBatch(noon)
	b.counter("c", "acme", 1)
	b.counter("d", "acme", 1)
	f.otlp(door.Scope{Any: true}, b)
	low := newFixture(t, func(o *Options) { o.Limits = remotewrite.Limits{Body: 10, Decompressed: 10, Series: 1, Samples: 1} })
	low.records, low.batches = f.records, f.batches
	low.replayed()
}

func TestSamplesOverTheRate(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Quota = quota.Limits{SamplesPerSecond: 1} })
	many := series(t, noon, "m{tenant=acme}", make([]float64, 50)...)
	both := door.Scope{Any: true}
	require.Equal(t, http.StatusNoContent, f.send(both, many, series(t, noon, "m{tenant=bolt}", 1)).Code, "a full rate was saved up; more than it is a debt")
	w := f.send(both, many, series(t, noon, "m{tenant=bolt}", 1))
	require.Equal(t, http.StatusBadRequest, w.Code, "waiting for it would hold its neighbours up")
	require.Contains(t, w.Body.String(), "1 samples stored; refused: 50 samples of tenants that send faster")
	f.replayed()
	require.Equal(t, map[string]int64{refusedRate: 50}, f.Usage("acme").Refused)

	own := door.Scope{Tenants: []tenant.ID{"acme"}}
	w = f.send(own, series(t, noon, "m{}", 1))
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	after, err := strconv.Atoi(w.Header().Get("Retry-After"))
	require.NoError(t, err)
	require.InDelta(t, 21, after, 1)
	stored := len(f.batches)
	f.now = f.now.Add(time.Duration(after) * time.Second)
	require.Equal(t, http.StatusNoContent, f.send(own, series(t, f.now, "m{}", 1)).Code, "it is taken then")
	require.Len(t, f.batches, stored+1)
	f.replayed()
}

func TestWhatAnOnlyTenantIsRefusedIsSeenInItsUsage(t *testing.T) {
	f := newFixture(t)
	own := door.Scope{Tenants: []tenant.ID{"acme"}}
	w := f.send(own, series(t, noon.Add(24*time.Hour), "m{}", 1), series(t, noon, "n{"+longLabels(100)+"}", 1), series(t, noon, "o{}", 1))
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Equal(t, map[string]int64{refusedAhead: 1, refusedLabels: 1}, f.Usage("acme").Refused)
	require.Equal(t, int64(1), f.Usage("acme").Accepted)
	require.Equal(t, quota.Usage{SeriesLimit: 100_000, SamplesLimit: 200_000, Refused: map[string]int64{}}, f.Usage("bolt"))
}

func longLabels(n int) (out string) {
	for i := range n {
		out += fmt.Sprintf("l%d=v,", i)
	}
	return out
}
