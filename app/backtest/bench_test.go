//go:build unix

package backtest_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/internal/quality/world"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// BenchmarkDirectory replays a Prometheus data directory: 24 series a tenant,
// scraped every 15 s. The figure is samples a second of one core: of the processor time
// that opening, reading and judging took. After a day tenants are no longer young, and what
// they share is judged as well.
func BenchmarkDirectory(b *testing.B) {
	for _, c := range []struct{ tenants, hours int }{{1, 48}, {100, 36}, {300, 4}} {
		b.Run(fmt.Sprintf("tenants=%d/hours=%d", c.tenants, c.hours), func(b *testing.B) {
			dir := dataDirectory(b, c.tenants, time.Duration(c.hours)*time.Hour)
			o := options(b)
			o.Tenants = nil
			for i := range c.tenants {
				o.Tenants = append(o.Tenants, tenant.Tenant{ID: tenant.ID(fmt.Sprintf("t%04d", i))})
			}
			replays(b, dir, o)
		})
	}
}

// BenchmarkWorld does so for the simulated world that detection is measured in, scraped every
// 15 s: 11 counters for each combination of method, country and acquirer that a tenant
// has (three results, customers that fail, seven buckets of a duration), of tenants large and
// thin, with what is amiss in it. Most of its samples are what they were a scrape before.
func BenchmarkWorld(b *testing.B) {
	w, dir := worldDirectory(b, world.Config{Seed: 11, Count: 40, Start: begin, Learn: 26 * time.Hour, Score: 22 * time.Hour, Scrape: 15 * time.Second})
	o := options(b)
	o.Tenants = nil
	for _, x := range w.Tenants {
		o.Tenants = append(o.Tenants, tenant.Tenant{ID: tenant.ID(x.ID), Timezone: x.Zone.String(), OnboardedAt: x.Born, Countries: []string{x.Country}})
	}
	replays(b, dir, o)
}

// replays measures how long it takes to replay a directory.
func replays(b *testing.B, dir string, o backtest.Options) {
	samples := int64(0)
	b.ReportAllocs()
	b.ResetTimer()
	began := spent()
	for range b.N {
		src, err := recorded.Open(dir)
		require.NoError(b, err)
		from, to, err := src.Span(b.Context())
		require.NoError(b, err)
		r, err := backtest.New(o, from)
		require.NoError(b, err)
		require.NoError(b, backtest.Run(b.Context(), src, from, to, func(_ float64, s int64) { samples = max(samples, s) }, r))
		require.NoError(b, src.Close())
	}
	all := float64(samples) * float64(b.N) / 1e6
	b.ReportMetric(all/(spent()-began).Seconds(), "Msamples/s")
	b.ReportMetric(all/b.Elapsed().Seconds(), "Msamples/s-wall")
	b.ReportMetric(all/float64(b.N), "Msamples")
}

// BenchmarkReading reads a data directory in the order of time without judging it, beside
// Prometheus' own querier that goes through the same series, one after the other.
func BenchmarkReading(b *testing.B) {
	dir := dataDirectory(b, 100, 12*time.Hour)
	src, err := recorded.Open(dir)
	require.NoError(b, err)
	defer func() { require.NoError(b, src.Close()) }()
	from, to, err := src.Span(b.Context())
	require.NoError(b, err)
	db, err := tsdb.OpenDBReadOnly(dir, b.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	defer func() { require.NoError(b, db.Close()) }()
	peer, err := db.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(b, err)
	defer func() { require.NoError(b, peer.Close()) }()
	var ours, theirs time.Duration
	samples := 0
	for range b.N {
		began, n := spent(), 0
		var xs recorded.Columns
		q := recorded.Query{From: from, To: to.Add(time.Millisecond), Metrics: []string{"payment_transactions_total"}}
		require.NoError(b, src.Read(b.Context(), q, func(s recorded.Stretch) error {
			for at := s.From; at < s.To; at += 300_000 {
				for _, r := range s.Runs {
					xs.Reset()
					if err = r.Before(min(at+300_000, s.To), &xs); err != nil {
						return err
					}
					n += len(xs.T)
				}
			}
			return nil
		}))
		ours, samples = ours+spent()-began, samples+n

		began = spent()
		set := peer.Select(b.Context(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "payment_transactions_total"))
		for set.Next() {
			it := set.At().Iterator(nil)
			for it.Next() != chunkenc.ValNone {
				n--
			}
			require.NoError(b, it.Err())
		}
		require.NoError(b, set.Err())
		theirs += spent() - began
		require.Zero(b, n, "both read the same")
	}
	b.ReportMetric(float64(samples)/ours.Seconds()/1e6, "Msamples/s")
	b.ReportMetric(float64(samples)/theirs.Seconds()/1e6, "Msamples/s-prometheus")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "times")
}

// spent is what the process has used of the processors: what else runs on the machine
// is not in it.
func spent() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// dataDirectory writes counters of n tenants that grow by a few events a scrape.
func dataDirectory(tb testing.TB, n int, length time.Duration) string {
	path := tb.TempDir()
	o := tsdb.DefaultOptions()
	o.StripeSize = 1 << 12
	db, err := tsdb.Open(path, nil, nil, o, nil)
	require.NoError(tb, err)
	src := rand.New(rand.NewPCG(1, 1))
	type counter struct {
		ls   labels.Labels
		v    float64
		rate int
		lag  int64
	}
	var all []counter
	for t := range n {
		lag := int64(src.IntN(15_000))
		for _, method := range []string{"card", "wallet", "transfer"} {
			for _, acquirer := range []string{"alpha", "beta"} {
				for result, rate := range map[string]int{"success": 200, "declined": 12, "error": 2, "abandoned": 3} {
					all = append(all, counter{rate: rate, lag: lag, ls: labels.FromStrings("__name__", "payment_transactions_total", "environment", "production", "tenant", fmt.Sprintf("t%04d", t),
						"service", "payments", "method", method, "acquirer", acquirer, "country", "DE", "result", result, "job", "gateway", "instance", "gw-1")})
				}
			}
		}
	}
	for at := begin; at.Before(begin.Add(length)); at = at.Add(15 * time.Second) {
		app := db.Appender(tb.Context())
		for i := range all {
			c := &all[i]
			c.v += float64(src.IntN(2*c.rate + 1))
			if _, err := app.Append(0, c.ls, at.UnixMilli()+c.lag, c.v); err != nil {
				require.NoError(tb, err)
			}
		}
		require.NoError(tb, app.Commit())
	}
	require.NoError(tb, db.Compact(tb.Context()))
	require.NoError(tb, db.Close())
	return path
}

// BenchmarkText does so for OpenMetrics text of the same counters, opening included:
// the text is sorted by time first.
func BenchmarkText(b *testing.B) {
	const n = 20
	path, count := openMetrics(b, n, 6*time.Hour)
	o := options(b)
	o.Tenants = nil
	for i := range n {
		o.Tenants = append(o.Tenants, tenant.Tenant{ID: tenant.ID(fmt.Sprintf("t%04d", i))})
	}
	b.ReportAllocs()
	b.ResetTimer()
	began := spent()
	for range b.N {
		src, err := recorded.Open(path)
		require.NoError(b, err)
		from, to, err := src.Span(b.Context())
		require.NoError(b, err)
		r, err := backtest.New(o, from)
		require.NoError(b, err)
		samples := int64(0)
		require.NoError(b, backtest.Run(b.Context(), src, from, to, func(_ float64, s int64) { samples = s }, r))
		require.NoError(b, src.Close())
		require.Greater(b, samples, int64(count)*9/10)
	}
	b.ReportMetric(float64(count)*float64(b.N)/(spent()-began).Seconds()/1e6, "Msamples/s")
}

// openMetrics writes the counters of dataDirectory as text, series by series.
func openMetrics(tb testing.TB, n int, length time.Duration) (path string, samples int) {
	path = filepath.Join(tb.TempDir(), "recorded.om")
	f, err := os.Create(path)
	require.NoError(tb, err)
	w := bufio.NewWriter(f)
	src := rand.New(rand.NewPCG(1, 1))
	fmt.Fprintln(w, "# TYPE payment_transactions counter")
	for t := range n {
		lag := int64(src.IntN(15_000))
		for _, method := range []string{"card", "wallet", "transfer"} {
			for _, acquirer := range []string{"alpha", "beta"} {
				for _, r := range []struct {
					result string
					rate   int
				}{{"success", 200}, {"declined", 12}, {"error", 2}, {"abandoned", 3}} {
					v := 0
					for at := begin; at.Before(begin.Add(length)); at = at.Add(15 * time.Second) {
						v += src.IntN(2*r.rate + 1)
						fmt.Fprintf(w, "payment_transactions_total{acquirer=%q,country=\"DE\",environment=\"production\",instance=\"gw-1\",job=\"gateway\",method=%q,result=%q,service=\"payments\",tenant=\"t%04d\"} %d %.3f\n",
							acquirer, method, r.result, t, v, float64(at.UnixMilli()+lag)/1000)
						samples++
					}
				}
			}
		}
	}
	fmt.Fprintln(w, "# EOF")
	require.NoError(tb, w.Flush())
	require.NoError(tb, f.Close())
	return path, samples
}
