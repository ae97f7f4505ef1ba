package evaluate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// lessons are words on the newest state of each alert.
func lessons(as []alert.Alert, word alert.Verdict, at time.Time) (out []Lesson) {
	last := map[alert.ID]alert.Alert{}
	for _, a := range as {
		last[a.ID] = a
	}
	for _, a := range last {
		l := Lesson{Alert: a.Key, Word: word, From: a.OnsetAt, N: a.Evidence.N, K: a.Evidence.K, Expected: a.Evidence.Expected, At: at, By: "ann"}
		if a.EndsAt != nil {
			l.To = *a.EndsAt
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Lesson) int { return slices.Compare([]byte(a.Alert.ID()), []byte(b.Alert.ID())) })
	return out
}

// restart has the engine start from its checkpoint; what people said is given to it again.
func restart(t *testing.T, r *rig, ls ...Lesson) {
	t.Helper()
	state, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	require.NoError(t, r.e.Restore("shop", state))
	for _, l := range ls {
		r.e.Learn(l)
	}
}

// mails is a tenant at 1% whose acquirer alpha fails at 6% for half an hour: its reports
// come in late every day, and that is no fault.
func mails(t *testing.T) (r *rig, g *gateway, hour func(h float64) time.Time, rings func(h float64) []alert.Alert) {
	t.Helper()
	g = newGateway(11, map[string]float64{"alpha": 2, "beta": 2}, map[string]float64{"alpha": .01, "beta": .01})
	r = newRig(t, grownUp())
	rings = func(h float64) []alert.Alert {
		r.out = Output{}
		g.fail["alpha"] = .06
		g.live(r, hours(h), hours(h+.5))
		g.fail["alpha"] = .01
		g.live(r, hours(h+.5), hours(h+1))
		return r.out.Alerts
	}
	g.live(r, hours(0), hours(48))
	require.Empty(t, firing(r.out.Alerts))
	return r, g, hours, rings
}

// What a person calls a false alarm is learned after all and does not ring the next day;
// what nobody said anything of, or was real, rings again.
func TestAFalseAlarmDoesNotRingAgain(t *testing.T) {
	for _, word := range []alert.Verdict{"", alert.VerdictFalse, alert.VerdictReal, alert.VerdictExpected} {
		t.Run(string(word), func(t *testing.T) {
			r, g, hour, rings := mails(t)
			rung := rings(48)
			require.NotEmpty(t, firing(rung))
			var said []Lesson
			if word != "" {
				for _, l := range lessons(rung, word, hour(50)) {
					require.Positive(t, r.e.Aside(l.Alert, l.From, l.To))
					said = append(said, l)
					r.e.Learn(l)
				}
			}
			g.live(r, hour(49), hour(50.1))
			restart(t, r, said...)
			g.live(r, hour(50.1), hour(72))
			again := rings(72)
			if word == alert.VerdictFalse {
				require.Empty(t, firing(again))
				for _, l := range said {
					require.Zero(t, r.e.Aside(l.Alert, l.From, l.To), "it was put back")
				}
			} else {
				require.NotEmpty(t, firing(again))
			}
			// What is worse rings whatever was said.
			r.out = Output{}
			g.fail["alpha"] = .2
			g.live(r, hour(73), hour(73.25))
			require.NotEmpty(t, firing(r.out.Alerts))
		})
	}
}

// A word can be taken back, and given days later; after a restart what was done is not
// done again.
func TestAWordCanBeTakenBack(t *testing.T) {
	r, g, hour, rings := mails(t)
	rung := rings(48)
	upper := func() (out []string) {
		for _, c := range r.meter().cells {
			if c.judged {
				mean, up := c.base.Ratio(r.meter().priorOf(r.meter().rules[0], 0))
				out = append(out, fmt.Sprintf("%s %.3f %.3f", c.slice.Key(), mean, up))
			}
		}
		return out
	}
	g.live(r, hour(49), hour(70))
	before := upper()
	falsely := lessons(rung, alert.VerdictFalse, hour(70.01))
	for _, l := range falsely {
		r.e.Learn(l)
		r.e.Learn(l)
	}
	g.live(r, hour(70), hour(70.02))
	learned := upper()
	require.NotEqual(t, before, learned)
	restart(t, r, falsely...)
	g.live(r, hour(70.02), hour(70.03))
	require.Equal(t, learned, upper(), "once")
	real := lessons(rung, alert.VerdictReal, hour(70.04))
	for _, l := range real {
		r.e.Learn(l)
	}
	for _, l := range falsely { // an older word changes nothing
		r.e.Learn(l)
	}
	g.live(r, hour(70.03), hour(70.05))
	require.Equal(t, before, upper())

	// Of more than a week ago nothing is kept: a word teaches nothing and breaks nothing.
	restart(t, r)
	g.live(r, hour(70.05), hour(230))
	before = upper()
	for _, l := range lessons(rung, alert.VerdictFalse, hour(230.01)) {
		require.Zero(t, r.e.Aside(l.Alert, l.From, l.To))
		r.e.Learn(l)
	}
	r.e.Learn(Lesson{Alert: alert.Key{Environment: "production", Tenant: "shop", Rule: "gone"}, Word: alert.VerdictFalse, At: hour(230.01)})
	r.e.Learn(Lesson{Alert: alert.Key{Tenant: "nobody"}, At: hour(230.01)})
	r.out = Output{}
	g.live(r, hour(230), hour(230.02))
	require.Equal(t, before, upper())
}

// While it still rings a false alarm goes on until its evidence is gone, and what comes is
// learned meanwhile; called real it is not.
func TestAFalseAlarmThatStillRingsIsLearned(t *testing.T) {
	g := newGateway(12, map[string]float64{"alpha": 2, "beta": 2}, map[string]float64{"alpha": .01, "beta": .01})
	r := newRig(t, grownUp())
	g.live(r, hours(0), hours(48))
	g.fail["alpha"] = .06
	g.live(r, hours(48), hours(49))
	rung := firing(r.out.Alerts)
	require.NotEmpty(t, rung)
	alpha := func() *cell { return r.meter().cells[r.meter().byDim[sli.Dim{Label: "acquirer", Value: "alpha"}]] }
	ls := lessons(rung, alert.VerdictFalse, r.e.LessonFrom(rung[0].Key, hours(49)))
	for _, l := range ls {
		r.e.Learn(l)
	}
	g.live(r, hours(49), hours(49.02))
	restart(t, r, ls...)
	r.out = Output{}
	g.live(r, hours(49.02), hours(50))
	require.Empty(t, firingLast(r.out.Alerts), "what was told is no fault is none any more")
	require.NotEmpty(t, ofState(r.out.Alerts, alert.Resolved))
	require.Zero(t, alpha().base.Aside(hours(48).UnixMilli(), hours(50).UnixMilli()))
	g.live(r, hours(50), hours(53))
	mean, _ := alpha().base.Ratio(r.meter().priorOf(r.meter().rules[0], 0))
	require.Greater(t, mean, .0115, "it learns the hours since")

	for _, l := range lessons(rung, alert.VerdictReal, hours(53.01)) {
		l.To = hours(50)
		r.e.Learn(l)
	}
	g.live(r, hours(53), hours(53.02))
	require.Positive(t, alpha().base.Aside(hours(48).UnixMilli(), hours(50).UnixMilli()), "they come out again")
}

// A word on what rang over all tenants reaches each: called real, the hours come out of
// what is usual of tenants too quiet to have rung by themselves.
func TestAWordOnWhatAllShareReachesEach(t *testing.T) {
	g := newGateway(13, map[string]float64{"alpha": .02, "beta": .02}, map[string]float64{"alpha": .01, "beta": .01})
	r := newRig(t, grownUp())
	g.live(r, hours(0), hours(48))
	require.Empty(t, r.out.Alerts)
	g.live(r, hours(48), hours(50))
	alpha := sli.Slice{{Label: "acquirer", Value: "alpha"}}
	l := Lesson{Alert: alert.Key{Environment: "production", Tenant: tenant.Product, Service: "payments", Rule: failing().Name, Slice: alpha}, Word: alert.VerdictReal,
		From: hours(48), To: hours(49.5), At: hours(50)}
	r.e.Learn(l)
	g.live(r, hours(50), hours(50.02))
	base := r.meter().cells[r.meter().byDim[alpha[0]]].base
	require.Equal(t, 2, base.Aside(hours(48).UnixMilli(), hours(50).UnixMilli()-1))
	l.Word, l.At = alert.VerdictFalse, hours(50.03)
	r.e.Learn(l)
	g.live(r, hours(50.02), hours(50.05))
	require.Zero(t, base.Aside(hours(48).UnixMilli(), hours(50).UnixMilli()-1))
}

// A shop that closes for stocktaking loses its traffic, and that is no fault: the hours
// are learned, and hours may scatter as far for a while.
func TestAFalseAlarmOfLostTrafficIsLearned(t *testing.T) {
	for _, word := range []alert.Verdict{alert.VerdictReal, alert.VerdictFalse} {
		r := newRig(t, Options{}, flowing())
		s := newShops(1, 1)
		day := func(d float64) time.Time { return hours(24 * d) }
		close := func(from, to time.Time) {
			part := s.part
			s.part = map[string]float64{"alpha": .02, "beta": .03}
			s.live(r, from, to)
			s.part = part
		}
		s.live(r, day(0), day(7.375))
		require.Empty(t, r.out.Alerts)
		close(day(7.375), day(7.5))
		s.live(r, day(7.5), day(7.6))
		rung := r.out.Alerts
		require.NotEmpty(t, firing(rung))
		usual := r.meter().flow.season.At(day(14.42).UTC()).Expected
		ls := lessons(rung, word, day(7.61))
		for _, l := range ls {
			r.e.Learn(l)
		}
		s.live(r, day(7.6), day(7.62))
		restart(t, r, ls...)
		size := r.meter().flow.season.Size()
		s.live(r, day(7.62), day(14.375))
		now := r.meter().flow.season.At(day(14.42).UTC()).Expected
		if word == alert.VerdictReal {
			require.InEpsilon(t, usual, now, .1)
			continue
		}
		require.Less(t, now, .85*usual)
		require.Less(t, size, 4.0)
	}
}

func TestNoWordMakesAnOutageUsual(t *testing.T) {
	l := Lesson{Word: alert.VerdictFalse, N: 100, K: 86, Usual: .01}
	require.True(t, l.Beyond())
	l.K = 15
	require.False(t, l.Beyond())
	l.K, l.Word = 86, alert.VerdictReal
	require.False(t, l.Beyond())
	require.False(t, Lesson{Word: alert.VerdictFalse, N: 3, Expected: 90}.Beyond(), "a volume")
}
