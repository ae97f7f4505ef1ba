package simulate

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

var t0 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func twoTenants(change func(*Options)) Options {
	o := Options{
		Seed: 7, Start: t0, Tick: 5 * time.Second,
		Tenants: []Tenant{
			{ID: "acme", TPS: 8, Zone: "Europe/Berlin", Season: 0.4,
				Countries: []Share{{"de", 3}, {"at", 1}}, Methods: []Share{{"card", 1}}, Acquirers: []Share{{"alpha", 1}, {"beta", 1}}},
			{ID: "globex", TPS: 2, Countries: []Share{{"fr", 1}}, Methods: []Share{{"card", 1}, {"wallet", 1}}, Acquirers: []Share{{"beta", 1}}},
		},
	}
	if change != nil {
		change(&o)
	}
	return o
}

func gateway(t *testing.T, o Options) *Gateway {
	t.Helper()
	g, err := New(o)
	require.NoError(t, err)
	return g
}

// counts reads a snapshot as cell and result -> value.
func counts(series []Series) map[string]float64 {
	out := map[string]float64{}
	for _, s := range series {
		out[s.Labels.String()] = s.Value
	}
	return out
}

func TestTheSeedAloneDecides(t *testing.T) {
	spread := func(o *Options) { o.VolumeSpread, o.ErrorCorrelation = 0.3, 0.01 }
	end := t0.Add(2 * time.Hour)
	once := gateway(t, twoTenants(spread))
	often := gateway(t, twoTenants(spread))
	for at := t0; at.Before(end); at = at.Add(7 * time.Second) { // asked off the tick, too
		often.Snapshot(at)
	}
	require.Equal(t, counts(once.Snapshot(end)), counts(often.Snapshot(end)))
	require.Equal(t, once.Now(), end)

	other := gateway(t, twoTenants(func(o *Options) { spread(o); o.Seed = 8 }))
	require.NotEqual(t, counts(once.Snapshot(end)), counts(other.Snapshot(end)))
}

func TestCountersEqualTheEventsDrawn(t *testing.T) {
	drawn := map[string]float64{}
	o := twoTenants(func(o *Options) {
		o.OnDraw = func(d Draw) {
			drawn[labels.FromStrings(labels.MetricName, Metric, "environment", "production", "service", "payments", "tenant", d.Cell.Tenant,
				"method", d.Cell.Method, "country", d.Cell.Country, "acquirer", d.Cell.Acquirer, "result", d.Result).String()] += float64(d.N)
		}
		o.Faults = []Fault{
			{Kind: AcquirerDown, Acquirer: "alpha", From: t0.Add(10 * time.Minute), To: t0.Add(15 * time.Minute), Size: 0.9},
			{Kind: ErrorPoints, Country: "fr", From: t0.Add(12 * time.Minute), Size: 0.2},
		}
	})
	g := gateway(t, o)
	seen := map[string]float64{}
	for id, v := range counts(g.Snapshot(t0.Add(time.Hour))) {
		if v > 0 {
			seen[id] = v
		}
	}
	require.Equal(t, drawn, seen)
	var sum float64
	for _, v := range drawn {
		sum += v
	}
	require.EqualValues(t, sum, g.Total("", ""))
	require.InEpsilon(t, 3600*10, sum, 0.3, "an hour of 10 transactions a second, less the night")
}

func TestTruthIsTheDifferenceToTheWorldWithoutTheFault(t *testing.T) {
	from, to := t0.Add(20*time.Minute), t0.Add(30*time.Minute)
	whole := gateway(t, twoTenants(nil))
	broken := gateway(t, twoTenants(nil))
	n, err := broken.Break(Fault{Kind: AcquirerDown, Acquirer: "alpha", From: from})
	require.NoError(t, err)
	broken.Advance(t0.Add(25 * time.Minute))
	require.NoError(t, broken.Mend(n, to))
	end := t0.Add(time.Hour)
	whole.Advance(end)
	broken.Advance(end)

	truth := broken.Truth()[0]
	require.Equal(t, to, truth.To)
	require.Positive(t, truth.Injected)
	require.Equal(t, whole.Total("acme", Failed)+truth.Injected, broken.Total("acme", Failed))
	require.Equal(t, whole.Total("", ""), broken.Total("", ""), "a fault moves results, it makes no events")
	require.Equal(t, counts(whole.Snapshot(end))[globex(Failed)], counts(broken.Snapshot(end))[globex(Failed)], "who does not use the acquirer notices nothing")

	// A total outage leaves nothing but errors, and only of that acquirer.
	during := gateway(t, twoTenants(func(o *Options) { o.Faults = []Fault{{Kind: AcquirerDown, Acquirer: "alpha", From: t0}} }))
	for _, s := range during.Snapshot(end) {
		if s.Labels.Get("acquirer") == "alpha" && s.Labels.Get("result") != Failed {
			require.Zero(t, s.Value, s.Labels)
		}
	}
	alpha := during.Truth()[0]
	require.Equal(t, alpha.Events-alpha.Injected, errorsOf(whole.Snapshot(end), "alpha"), "the others had failed anyway")
}

func globex(result string) string {
	return labels.FromStrings(labels.MetricName, Metric, "environment", "production", "service", "payments", "tenant", "globex",
		"method", "card", "country", "fr", "acquirer", "beta", "result", result).String()
}

func errorsOf(series []Series, acquirer string) uint64 {
	var sum uint64
	for _, s := range series {
		if s.Labels.Get("acquirer") == acquirer && s.Labels.Get("result") == Failed {
			sum += uint64(s.Value)
		}
	}
	return sum
}

func TestErrorPointsAddToTheRatio(t *testing.T) {
	o := twoTenants(func(o *Options) {
		o.Base = Rates{Error: 0.02, Declined: 0.1}
		o.Faults = []Fault{{Kind: ErrorPoints, Acquirer: "beta", From: t0, Size: 0.05}}
		o.Births = true
	})
	g := gateway(t, o)
	g.Advance(t0.Add(12 * time.Hour))
	n, k := float64(g.Total("globex", "")), float64(g.Total("globex", Failed))
	sd := math.Sqrt(0.07 * 0.93 / n)
	require.InDelta(t, 0.07, k/n, 5*sd)
	require.Zero(t, g.Total("globex", Abandoned))
}

func TestMeansFollowTheTenantsMixAndSeason(t *testing.T) {
	g := gateway(t, twoTenants(nil))
	byHour := make([]float64, 24)
	var last float64
	for h := range byHour {
		g.Advance(t0.Add(time.Duration(h+1) * time.Hour))
		total := float64(g.Total("acme", ""))
		byHour[h], last = total-last, total
	}
	day := 8 * 86400.0
	require.InDelta(t, day, last, 6*math.Sqrt(day), "the season has mean one")
	require.Greater(t, byHour[14], 1.6*byHour[2], "15:00 in Berlin is busier than 03:00")
	var de, all float64
	for _, s := range g.Snapshot(g.Now()) {
		if s.Labels.Get("tenant") == "acme" {
			all += s.Value
			if s.Labels.Get("country") == "de" {
				de += s.Value
			}
		}
	}
	require.InDelta(t, 0.75, de/all, 0.01)
}

func TestSpreadWidensWhatPoissonLeavesNarrow(t *testing.T) {
	minutes := func(o Options) (mean, variance float64) {
		g := gateway(t, o)
		var last, sum, squares float64
		const n = 600
		for i := range n {
			g.Advance(t0.Add(time.Duration(i+1) * time.Minute))
			total := float64(g.Total("globex", ""))
			x := total - last
			last, sum, squares = total, sum+x, squares+x*x
		}
		mean = sum / n
		return mean, squares/n - mean*mean
	}
	mean, variance := minutes(twoTenants(nil))
	require.InDelta(t, 1, variance/mean, 0.3)
	mean, variance = minutes(twoTenants(func(o *Options) { o.VolumeSpread = 0.3 }))
	require.InEpsilon(t, mean+0.09*mean*mean, variance, 0.4)
}

func TestGapsHideAndResetsForget(t *testing.T) {
	o := twoTenants(func(o *Options) {
		o.Gaps = []Gap{{Tenant: "acme", From: t0.Add(10 * time.Minute), To: t0.Add(12 * time.Minute)}}
		o.Resets = []Reset{{Tenant: "globex", At: t0.Add(20 * time.Minute)}}
	})
	g := gateway(t, o)
	tenants := func(at time.Duration) map[string]int {
		out := map[string]int{}
		for _, s := range g.Snapshot(t0.Add(at)) {
			out[s.Labels.Get("tenant")]++
		}
		return out
	}
	require.Equal(t, map[string]int{"acme": 16, "globex": 8}, tenants(9*time.Minute))
	require.Equal(t, map[string]int{"globex": 8}, tenants(11*time.Minute))
	require.Equal(t, map[string]int{"acme": 16, "globex": 8}, tenants(12*time.Minute))

	// Increments that know of resets add up to all events drawn.
	last := counts(g.Snapshot(t0.Add(20 * time.Minute)))
	before := g.Total("globex", "")
	var sum float64
	for _, s := range g.Snapshot(t0.Add(25 * time.Minute)) {
		if s.Labels.Get("tenant") != "globex" {
			require.Equal(t, t0, s.Start)
			continue
		}
		require.Equal(t, t0.Add(20*time.Minute), s.Start)
		require.Less(t, s.Value, last[s.Labels.String()]+1)
		sum += s.Value
	}
	require.EqualValues(t, g.Total("globex", "")-before, sum)
}

func TestBirths(t *testing.T) {
	o := twoTenants(func(o *Options) {
		o.Births = true
		o.Tenants[1].From = t0.Add(time.Hour)
	})
	g := gateway(t, o)
	require.Empty(t, g.Snapshot(t0))
	early := g.Snapshot(t0.Add(10 * time.Second))
	require.NotEmpty(t, early)
	require.Less(t, len(early), 16, "ten seconds bring no error yet in every cell")
	late := g.Snapshot(t0.Add(2 * time.Hour))
	require.Len(t, late, 16+8)
	for _, s := range late {
		require.Positive(t, s.Value)
		if s.Labels.Get("tenant") == "globex" {
			require.False(t, s.Start.Before(t0.Add(time.Hour)))
		}
	}
}

func TestWhatHappenedCannotBeChanged(t *testing.T) {
	g := gateway(t, twoTenants(nil))
	g.Advance(t0.Add(time.Minute))
	_, err := g.Break(Fault{Kind: AcquirerDown, From: t0})
	require.ErrorContains(t, err, "events are drawn until")
	n, err := g.Break(Fault{Kind: AcquirerDown, From: t0.Add(time.Minute)})
	require.NoError(t, err)
	require.Error(t, g.Mend(n, t0))
	require.Error(t, g.Mend(n+1, t0.Add(time.Hour)))
	_, err = g.Break(Fault{Kind: "meteor", From: t0.Add(time.Hour)})
	require.ErrorContains(t, err, "acquirer_down")
	_, err = g.Break(Fault{Kind: ErrorPoints, From: t0.Add(time.Hour), Size: 1.5})
	require.Error(t, err)
	_, err = New(Options{Start: t0})
	require.Error(t, err)
	_, err = New(Options{Start: t0, Tenants: []Tenant{{ID: "a"}, {ID: "a"}}})
	require.Error(t, err)
	_, err = New(Options{Start: t0, Tenants: []Tenant{{ID: "a", Zone: "Mars/Olympus"}}})
	require.Error(t, err)
}

func TestFactorsMultiplyTheVolume(t *testing.T) {
	half := func(c Cell, _ time.Time) float64 {
		if c.Acquirer == "alpha" {
			return 0
		}
		return 1
	}
	g := gateway(t, twoTenants(func(o *Options) { o.Factors = []Factor{half} }))
	var alpha, beta float64
	for _, s := range g.Snapshot(t0.Add(time.Hour)) {
		if s.Labels.Get("acquirer") == "alpha" {
			alpha += s.Value
		} else {
			beta += s.Value
		}
	}
	require.Zero(t, alpha)
	require.Positive(t, beta)
}

func BenchmarkTick(b *testing.B) {
	o := twoTenants(nil)
	o.Tenants = o.Tenants[:1]
	g, err := New(o)
	require.NoError(b, err)
	at := t0
	for b.Loop() {
		at = at.Add(o.Tick)
		g.Advance(at)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(g.cells)), "ns/cell")
}
