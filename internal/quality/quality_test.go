package quality

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/quality/world"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var start = time.Date(2026, 3, 16, 0, 0, 0, 0, time.UTC) // summer time begins two weeks later

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// TestAPerfectObserverStandsBeside: what was missed counts for who misses nothing.
func TestAPerfectObserverStandsBeside(t *testing.T) {
	var r Result
	for minute := range 20 {
		f := &world.Fault{Name: "leak", From: start, Seen: start.Add(time.Duration(minute+1) * time.Minute), Errors: 0.9, Transacts: 10}
		r.perfect.take(f)
		r.lost += f.Transacts
	}
	hours := &world.Fault{Name: "leak", From: start, Seen: start.Add(2 * time.Hour), Transacts: 50, Evidence: map[string]float64{}}
	for i := range manyTenants {
		hours.Evidence[string(rune('a'+i))] = 20
	}
	r.perfect.take(hours)
	r.lost += hours.Transacts
	r.settle()
	require.Equal(t, Perfect{DelayP50: 11 * time.Minute, CriticalP95: 20 * time.Minute, SharedP95: 2 * time.Hour, LostIn5: .2, LostIn60: .8}, r.Perfect)
	two := Sum([]Result{r, r})
	require.Equal(t, r.Perfect, two.Perfect)
	require.Contains(t, TargetTable(Targets(r, Result{}, nil)), "| delay p95 of critical ones | <= 15.0 min | 0.0 min | met | 20.0 min | 0.0 min |\n")
}

// TestTheScoreKnowsTruthFromNoise scores somebody who knows everything, somebody
// who says nothing, and somebody who says it at the wrong time.
func TestTheScoreKnowsTruthFromNoise(t *testing.T) {
	w, err := world.New(world.Config{Seed: 4, Count: 90, Start: start, Learn: 6 * time.Hour, Score: days(2)})
	require.NoError(t, err)
	for w.Pass() { // what a fault did is known when it has passed
	}
	c := newCourt(w)
	var oracle, late []Alert
	for _, f := range w.Faults {
		a := Alert{Tenant: f.Tenant, At: f.From.Add(time.Minute), End: f.To, Critical: true, Paged: f.From.Add(time.Minute)}
		if f.Shared() {
			a.Tenant, a.Slice = string(tenant.Product), map[string]string{"acquirer": f.Acquirer}
		}
		oracle = append(oracle, a)
	}
	r := c.judge("oracle", oracle, 180)
	require.GreaterOrEqual(t, r.Faults.Share(), 0.9) // where two faults follow each other at once, the second one's alert rings already
	require.NotZero(t, r.Critical.All)
	require.NotZero(t, r.Shared.All)
	require.Empty(t, r.Wrong)
	require.Equal(t, time.Minute, r.DelayP50)
	require.InDelta(t, 1, r.LostPagedIn5, 0.02)
	require.InDelta(t, 1, r.Precision, 1e-9)
	require.InDelta(t, 1, r.Weighted, 0.02)
	require.InDelta(t, 1, r.PagesPerShared, 1e-9)

	silent := c.judge("silent", nil, 180)
	require.Zero(t, silent.Faults.Found)
	require.Equal(t, r.Perfect, silent.Perfect, "is of the faults, whoever is scored")
	require.Equal(t, r.Faults.All, silent.Faults.All)

	for day := range 2 { // in the middle of nothing, once a day, for who has no fault
		at := w.Scored().Add(days(day) + 12*time.Hour)
		late = append(late, Alert{Tenant: "nobody", At: at, End: at, Paged: at})
	}
	wrong := c.judge("wrong", late, 180)
	require.Len(t, wrong.Wrong, 2)
	require.Zero(t, wrong.Faults.Found)
	require.InDelta(t, 7, wrong.FalsePages, 1e-9)
	require.InDelta(t, 2.0/90/2*30, wrong.FalseAlerts, 1e-9)

	// Of a team with twice the tenants, each tenant's false page counts twice.
	retries := w.Benign[0]
	mine := c.judge("mine", []Alert{{Tenant: retries.Tenant, At: retries.From, End: retries.To, Paged: retries.From}}, 180)
	require.InDelta(t, 2.0*7/2, mine.FalsePages, 1e-9)
	require.Equal(t, map[string]int{retries.Name: 1}, mine.ByCause)
}

// TestAnotherAcquirersAlarmIsAboutNoFaultOfThisOne: what is said of all tenants says of
// what.
func TestAnotherAcquirersAlarmIsAboutNoFaultOfThisOne(t *testing.T) {
	f := &world.Fault{Acquirer: "alpha"}
	require.True(t, agrees(f, map[string]string{"acquirer": "alpha"}))
	require.True(t, agrees(f, map[string]string{"country": "DE"}))
	require.False(t, agrees(f, map[string]string{"acquirer": "beta"}))
}

// TestAPooledAlarmMayBeAboutOneLargeTenant, but not about a small one.
func TestAPooledAlarmMayBeAboutOneLargeTenant(t *testing.T) {
	w, err := world.New(world.Config{Seed: 4, Count: 2, Start: start, Learn: days(1), Score: days(1)})
	require.NoError(t, err)
	w.Faults, w.Benign = nil, nil
	for i, x := range w.Tenants {
		x.TPS = []float64{1, 99}[i]
		w.Faults = append(w.Faults, &world.Fault{Name: "five_points", Truth: true, Tenant: x.ID, From: start.Add(time.Duration(30+i) * time.Hour), To: start.Add(time.Duration(30+i)*time.Hour + time.Minute)})
	}
	c := newCourt(w)
	at := func(i int) Alert { return Alert{Tenant: string(tenant.Product), At: w.Faults[i].From} }
	require.Empty(t, c.about(at(0)))
	require.Len(t, c.about(at(1)), 1)
}

func TestReFiringIsTheSameAlert(t *testing.T) {
	at := func(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }
	got := merged([]Alert{{Tenant: "b", At: at(0), End: at(1)}, {Tenant: "a", At: at(20), End: at(21)}, {Tenant: "a", At: at(0), End: at(10), Paged: at(0)},
		{Tenant: "a", At: at(60), End: at(61), Critical: true}})
	require.Equal(t, []Alert{{Tenant: "a", At: at(0), End: at(21), Paged: at(0)}, {Tenant: "b", At: at(0), End: at(1)}, {Tenant: "a", At: at(60), End: at(61), Critical: true}}, got)
}

// TestARuleThatBeginsWhileAnotherRingsIsANotice of a fault that it can only be about: what
// a tenant's rules raise is one alert where they are false, not where they are right.
func TestARuleThatBeginsWhileAnotherRingsIsANotice(t *testing.T) {
	w, err := world.New(world.Config{Seed: 4, Count: 2, Start: start, Learn: days(1), Score: days(1)})
	require.NoError(t, err)
	at := func(m int) time.Time { return w.Scored().Add(time.Duration(m) * time.Minute) }
	id := w.Tenants[0].ID
	lost := &world.Fault{Name: "traffic_lost", Truth: true, Tenant: id, Country: "ES", Lost: 0.98, From: at(60), To: at(100), Seen: at(62)}
	w.Faults, w.Benign = []*world.Fault{lost}, nil
	ringing := Alert{Tenant: id, Rule: "payment_errors", At: at(10), End: at(80)}
	hits := func(more Alert) Hits {
		more.Tenant, more.At, more.End = id, at(65), at(100)
		r := newCourt(w).judge("mine", []Alert{ringing, more}, 2)
		require.Len(t, r.Wrong, 1, "what rang before is false, once")
		return r.Faults
	}
	require.Equal(t, Hits{Found: 1, All: 1}, hits(Alert{Rule: "payment_traffic", Slice: map[string]string{"country": "ES"}}))
	require.Equal(t, Hits{All: 1}, hits(Alert{Rule: "payment_errors", Slice: map[string]string{"method": "card"}}), "of another kind")
	require.Equal(t, Hits{All: 1}, hits(Alert{Rule: "payment_traffic", Slice: map[string]string{"country": "DE"}}), "of another country")
}

// TestPeersRingWhenTheyShould gives every peer a week of calm and then a total
// failure of everything, which none of them may miss; and then, to those that look at
// durations, payments that all take more than two seconds.
func TestPeersRingWhenTheyShould(t *testing.T) {
	broken := func(t *testing.T, spoil func(m *minute)) {
		for _, p := range peers() {
			w := &world.World{Config: world.Config{Start: start, Learn: days(8), Score: days(1)}, Tenants: []*world.Tenant{{ID: "a"}, {ID: "b"}}}
			f := newField(w, []*peer{p})
			for at := start; at.Before(w.End()); at = at.Add(time.Minute) {
				subjects := f.subjects(p)
				ms := make([]minute, len(subjects))
				for i := range ms {
					ms[i] = minute{n: 600 + float64(at.Minute()%7), k: 6, over: [5]float64{300, 60, 6, 1, 0}}
					if !at.Before(w.Scored().Add(12 * time.Hour)) {
						spoil(&ms[i])
					}
				}
				f.take(at.Add(time.Minute), subjects, ms)
				f.judge(p, at.Add(time.Minute))
			}
			require.Len(t, p.alerts, len(p.states), p.name)
			for _, a := range p.alerts {
				require.WithinRange(t, a.At, w.Scored().Add(12*time.Hour), w.Scored().Add(14*time.Hour), p.name)
			}
		}
	}
	broken(t, func(m *minute) { m.k = m.n })
	broken(t, func(m *minute) { m.over = [5]float64{m.n, m.n, m.n, m.n, 0} })
}
