package world

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/samples/recorded"
)

var start = time.Date(2026, 3, 16, 0, 0, 0, 0, time.UTC)

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

func TestAWorldIsItsSeed(t *testing.T) {
	sum := func(seed uint64) (n, k uint64) {
		w, err := New(Config{Seed: seed, Count: 5, Start: start, Learn: 12 * time.Hour, Score: 12 * time.Hour})
		require.NoError(t, err)
		for w.Pass() {
			for _, c := range w.Cells {
				took := uint64(0)
				for _, x := range c.Took {
					took += x
				}
				if c.Errors+c.Declined > c.N || c.Failing > c.Errors || took != c.N {
					t.Fatalf("a cell that does not add up: %+v", *c)
				}
				n, k = n+c.N, k+c.Errors
			}
		}
		return n, k
	}
	n1, k1 := sum(1)
	n2, k2 := sum(1)
	n3, _ := sum(2)
	require.Equal(t, []uint64{n1, k1}, []uint64{n2, k2})
	require.NotEqual(t, n1, n3)
	require.NotZero(t, k1)
}

func TestClocksChangeInTheScoredTimeOfHalfTheSeeds(t *testing.T) {
	for seed, want := range []bool{true, false} {
		w, err := New(Config{Seed: uint64(seed), Count: 1, Learn: days(3), Score: days(4)})
		require.NoError(t, err)
		require.Equal(t, want, w.Scored().Before(summer) && w.End().After(summer))
		require.True(t, w.Start.Before(summer))
	}
}

// TestEveryKindOfFaultShows lets each kind happen to one tenant and looks at what the
// counters say meanwhile.
func TestEveryKindOfFaultShows(t *testing.T) {
	for _, kind := range Kinds {
		w, err := New(Config{Seed: 7, Count: 2, Start: start, Learn: days(1), Score: days(1)})
		require.NoError(t, err)
		w.Faults, w.Benign, w.upcoming = nil, nil, nil
		busy := slices.MaxFunc(w.Tenants, func(a, b *Tenant) int { return int(math.Copysign(1, a.TPS-b.TPS)) })
		busy.Born, busy.ramps, busy.batch = w.Start, false, -1
		w.addFault(kind, busy)
		require.Len(t, w.Faults, 1, kind)
		f := w.Faults[0]
		type sums struct{ n, errors, slow, steps float64 }
		var before, during sums
		for w.Pass() {
			s := &before
			if !w.Now.Add(-Step).Before(f.From.Add(f.Grows)) && !w.Now.After(f.To) {
				s = &during
			} else if w.Now.After(f.From) {
				continue
			}
			for _, c := range busy.Cells {
				if f.hits(busy, c) {
					s.n, s.errors, s.slow = s.n+float64(c.N), s.errors+float64(c.Errors), s.slow+float64(c.Took[3]+c.Took[4]+c.Took[5])
				}
			}
			s.steps++
		}
		require.True(t, f.Detectable(), kind)
		require.WithinRange(t, f.Seen, f.From, f.To.Add(Step), kind)
		ratio, slow, volume := during.errors/during.n-before.errors/before.n, during.slow/during.n-before.slow/before.n, during.n/during.steps/(before.n/before.steps)
		switch kind {
		case "latency":
			require.Greater(t, slow, 0.2, kind)
			require.Less(t, ratio, 0.02, kind)
		case "traffic_lost":
			require.Less(t, volume, 0.2, kind)
		default:
			require.InDelta(t, f.Errors, ratio, f.Errors/3, kind)
			require.Less(t, slow, 0.05, kind)
		}
	}
}

// TestRetriesAreOneCustomer lets one customer try again and again: the failures are
// many, the customer is one.
func TestRetriesAreOneCustomer(t *testing.T) {
	w, err := New(Config{Seed: 5, Count: 1, Start: start, Learn: days(1), Score: days(1)})
	require.NoError(t, err)
	c := w.Tenants[0].Cells[0]
	c.errors = 0
	w.Faults, w.Benign, w.upcoming = nil, nil, nil
	w.add(&Fault{Name: "retries", Tenant: w.Tenants[0].ID, cell: c, Retries: 20}, w.Scored(), 40*time.Minute)
	failed, failing := uint64(0), uint64(0)
	for w.Pass() {
		failed, failing = failed+c.Errors, failing+c.Failing
	}
	require.Greater(t, failed, uint64(400))
	require.Equal(t, uint64(1), failing)
}

func TestDurationsTripleAsTheySay(t *testing.T) {
	d := duration{middle: math.Log(0.3), sigma: 0.5}
	usual, slow := d.shares(1), d.shares(3)
	require.InDelta(t, 0.3573, usual[0], 1e-3) // the normal distribution at ln(0.25/0.3)/0.5
	require.InDelta(t, 1, usual[0]+usual[1]+usual[2]+usual[3]+usual[4]+usual[5], 1e-9)
	require.Less(t, slow[0], 0.01)
	require.Greater(t, apart(usual, slow), 1.5)
	require.Zero(t, apart(usual, usual))
}

func TestDraws(t *testing.T) {
	src := rand.New(rand.NewPCG(1, 2))
	for _, mean := range []float64{0.01, 3, 59, 400} {
		sum := 0.0
		for range 4000 {
			sum += float64(poisson(src, mean))
		}
		require.InDelta(t, mean, sum/4000, 5*math.Sqrt(mean/4000), mean)
	}
	for _, p := range []float64{0.001, 0.4, 0.999} {
		for _, n := range []uint64{5, 200, 100000} {
			sum := 0.0
			for range 2000 {
				sum += float64(binomial(src, n, p))
			}
			mean := float64(n) * p
			require.InDelta(t, mean, sum/2000, 5*math.Sqrt(mean*(1-p)/2000)+0.02, "%g of %d", p, n)
		}
	}
}

// heard adds up what arrives as a Prometheus would: increases of series, from zero when
// one is born, from zero after a step down.
type heard struct {
	t    *testing.T
	end  time.Time
	last map[int]recorded.Sample
	sum  map[string]float64
	same int
}

func (h *heard) Window(end time.Time) error {
	if !h.end.IsZero() && end.Sub(h.end) != 5*time.Second {
		h.t.Fatal("a window that does not follow the one before")
	}
	h.end = end
	return nil
}

func (h *heard) Take(s *recorded.Series, xs []recorded.Sample) {
	x, old := xs[0], h.last[s.Index]
	if x.T <= old.T {
		h.same++
		return
	}
	if time.UnixMilli(x.T).After(h.end) {
		h.t.Fatal("a sample from the future")
	}
	by := x.V - old.V
	if by < 0 {
		by = x.V
	}
	h.last[s.Index] = x
	if by > 0 {
		h.sum[s.Labels.Get("__name__")+s.Labels.Get("result")] += by
	}
}

// TestWhatIsDeliveredIsWhatHappened adds up the counters as they arrive, through births,
// restarts, evictions, gaps, replicas and a backlog: restarts lose what was not scraped
// before them, and nothing is ever counted twice.
func TestWhatIsDeliveredIsWhatHappened(t *testing.T) {
	w, err := New(Config{Seed: 3, Count: 14, Start: start, Learn: 12 * time.Hour, Score: days(3), Informed: 1})
	require.NoError(t, err)
	s := NewStreams(w)
	h := &heard{t: t, last: map[int]recorded.Sample{}, sum: map[string]float64{}}
	var n, failing, errors float64
	for w.Pass() {
		for _, c := range w.Cells {
			n, errors, failing = n+float64(c.N), errors+float64(c.Errors), failing+float64(c.Failing)
		}
		if err := s.Deliver(h); err != nil {
			t.Fatal(err)
		}
	}
	all := h.sum["payment_transactions_totalsuccess"] + h.sum["payment_transactions_totalerror"] + h.sum["payment_transactions_totaldeclined"]
	near := func(want, got float64) {
		t.Helper()
		require.LessOrEqual(t, got, want)
		require.GreaterOrEqual(t, got, 0.97*want)
	}
	near(n, all)
	near(errors, h.sum["payment_transactions_totalerror"])
	near(failing, h.sum["payment_failing_customers_total"])
	require.NotZero(t, h.same, "nothing came twice")
	names := map[string]bool{}
	for _, f := range w.Benign {
		names[f.Name] = true
	}
	for _, name := range []string{"restart", "gap", "dead_source", "retries", "blip"} {
		require.True(t, names[name], name)
	}
}

// Of two faults at once the score could not tell who noticed which.
func TestFaultsOfATenantDoNotMeet(t *testing.T) {
	for seed := range uint64(4) {
		w, err := New(Config{Seed: seed, Count: 60, Learn: 24 * time.Hour, Score: 10 * 24 * time.Hour})
		require.NoError(t, err)
		require.Greater(t, len(w.Faults), 60)
		for i, a := range w.Faults {
			for _, b := range w.Faults[:i] {
				if w.meet(a, b) {
					require.True(t, a.From.Sub(b.To) >= between || b.From.Sub(a.To) >= between, "seed %d: %s %s and %s %s", seed, a.Name, a.From, b.Name, b.From)
				}
			}
		}
	}
}
