package dashboards

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// onset is when the fault of every sample begins: 03:09 in Berlin.
var onset = time.Date(2026, 3, 3, 2, 9, 0, 0, time.UTC)

func berlin(t *testing.T) *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	return zone
}

// counts draws a minute at a time: around rate events, each failing with the
// minute's ratio.
func counts(seed uint64, from time.Time, minutes int, rate float64, failing func(time.Time) float64) []Point {
	r := rand.New(rand.NewPCG(seed, 1))
	about := func(mean, deviation float64) float64 {
		return math.Max(0, math.Round(mean+deviation*r.NormFloat64()))
	}
	out := make([]Point, 0, minutes)
	for i := range minutes {
		p := Point{T: from.Add(time.Duration(i) * time.Minute)}
		p.N = about(rate, math.Sqrt(rate))
		ratio := failing(p.T)
		p.K = min(p.N, about(p.N*ratio, math.Sqrt(p.N*ratio*(1-ratio))))
		out = append(out, p)
	}
	return out
}

// volume draws rate events a minute until they cease.
func volume(seed uint64, from time.Time, minutes int, rate float64, lost time.Time) []Point {
	out := counts(seed, from, minutes, rate, func(time.Time) float64 { return 0 })
	for i := range out {
		if !lost.IsZero() && !out[i].T.Before(lost) {
			out[i].N = float64(i % 2)
		}
	}
	return out
}

// faulty is usual except from onset to end.
func faulty(usual, bad float64, end time.Time) func(time.Time) float64 {
	return func(t time.Time) float64 {
		if !t.Before(onset) && (end.IsZero() || t.Before(end)) {
			return bad
		}
		return usual
	}
}

func samples(t *testing.T) map[string]Chart {
	zone := berlin(t)
	from := onset.Add(-time.Hour)
	over := onset.Add(34 * time.Minute)
	gap := counts(5, from, 95, 60, faulty(0.012, 0.3, over))
	gap = append(gap[:20:20], gap[35:]...)
	few := counts(3, onset.Add(-5*time.Hour), 335, 0.15, faulty(0.02, 0, time.Time{}))
	for minute, failed := range map[int]float64{301: 1, 306: 1, 311: 0, 318: 1, 325: 1, 330: 1} {
		few[minute].N, few[minute].K = 1, failed
	}
	return map[string]Chart{
		"outage": {
			Title: "acme: all payments over acquirer alpha fail", Subtitle: "412 of 412 failed since 03:09, usually 1.2%",
			Points: counts(1, from, 64, 140, faulty(0.012, 1, time.Time{})), Usual: 0.012,
			OnsetAt: onset, FiredAt: onset.Add(3 * time.Minute), Zone: zone,
		},
		"plus-five": {
			Title: "Payments over acquirer alpha fail for 12 tenants", Subtitle: "1,204 of 19,310 failed since 03:09, usually 1.2%",
			Points: counts(2, from, 80, 900, faulty(0.012, 0.062, time.Time{})), Usual: 0.012,
			OnsetAt: onset, FiredAt: onset.Add(9 * time.Minute), AcknowledgedAt: onset.Add(12 * time.Minute), Zone: zone,
		},
		"quiet": {
			Title: "kiosk: payments by card fail", Subtitle: "5 of 6 failed since 03:09, usually 2%",
			Points: few, Usual: 0.02,
			OnsetAt: onset, FiredAt: onset.Add(31 * time.Minute), Zone: zone,
		},
		"resolved": {
			Title: "Payments over acquirer alpha fail for acme, bistro, corner shop and 9 more tenants", Subtitle: "over after 34 min: 2,420 of 4,100 failed, usually 1.2%",
			Points: counts(4, from, 125, 120, faulty(0.012, 0.6, over)), Usual: 0.012,
			OnsetAt: onset, FiredAt: onset.Add(time.Minute), AcknowledgedAt: onset.Add(4 * time.Minute), ResolvedAt: over, Zone: zone, Dark: true,
		},
		"gap":     {Title: "acme: payments fail", Points: gap, Usual: 0.012, OnsetAt: onset, FiredAt: onset.Add(2 * time.Minute), ResolvedAt: over, Zone: zone, To: over.Add(20 * time.Minute)},
		"no-data": {Title: "acme: payments", Subtitle: "usually 1.2% fail", From: from, To: over, Zone: zone},
		"nothing": {Title: "acme: payments", Points: counts(6, from, 90, 0, faulty(0, 0, over)), Usual: 0.012, Zone: zone, Dark: true},
		"declines": {
			Title: "payments by card are declined for acme: 41% of attempts", Subtitle: "412 of 1,004 were declined since 03:09; usually 9%", Caption: "share declined", Bad: "declined",
			Points: counts(7, from, 80, 60, faulty(0.09, .41, time.Time{})), Usual: 0.09,
			OnsetAt: onset, FiredAt: onset.Add(2 * time.Minute), Zone: zone,
		},
		"latency": {
			Title: "payments through acquirer alpha are slow for acme: 73% take longer than 1 s", Subtitle: "41% of its volume; usually 2.1%", Caption: "share longer than 1 s", Bad: "slow",
			Points: counts(8, from, 80, 140, faulty(0.021, .73, time.Time{})), Usual: 0.021,
			OnsetAt: onset, FiredAt: onset.Add(time.Minute), AcknowledgedAt: onset.Add(4 * time.Minute), Zone: zone,
		},
		"traffic": {
			Title: "payments are missing for acme: 12 instead of 240", Subtitle: "12 payments in 10 minutes; usually 240", Volume: true, Caption: "payments a minute",
			Points: volume(9, from, 75, 24, onset), Usual: 24,
			OnsetAt: onset, FiredAt: onset.Add(2 * time.Minute), Zone: zone,
		},
		"surge": {
			Title: "payments are too many for acme: 3,012 instead of 240", Volume: true, Caption: "payments a minute", Dark: true,
			Points: volume(10, onset.Add(-2*time.Hour), 120, 24, time.Time{}), Usual: 4, OnsetAt: onset.Add(-10 * time.Minute), FiredAt: onset, Zone: zone,
		},
		"narrow": {
			Title: "acme: all payments over acquirer alpha fail", Points: counts(1, from, 64, 14000, faulty(0.012, 1, time.Time{})), Usual: 0.012,
			OnsetAt: onset, FiredAt: onset.Add(3 * time.Minute), Zone: zone, Width: 360, Height: 320,
		},
	}
}

// TestSamples writes the pictures to the folder named by CHART_SAMPLES, to be
// looked at; without it most are drawn small, to be quick.
func TestSamples(t *testing.T) {
	dir := os.Getenv("CHART_SAMPLES")
	for name, c := range samples(t) {
		if dir == "" && name != "resolved" {
			c.Width, c.Height = 360, 320
		}
		raw, err := c.PNG()
		require.NoError(t, err, name)
		require.Less(t, len(raw), 120_000, "%s: a mail must stay light", name)
		if dir != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name+".png"), raw, 0o600))
			t.Logf("%s %d bytes", name, len(raw))
		}
	}
}
