package evaluate

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func liveShop() tenant.Tenant {
	return tenant.Tenant{ID: "shop", State: tenant.Live, OnboardedAt: epoch.Add(-time.Hour)}
}

// proposed is a set of rules as a revision may propose it: the one in force with
// another threshold, one more, and one on a slice that nothing in force looks at.
func proposed() []rule.Rule {
	eager := failing()
	eager.Sensitivity, eager.FalseAlarms = rule.Early, 0.5
	second := failing()
	second.Name, second.Severity = "PaymentsFailingToo", rule.Warning
	other := failing()
	other.Name, other.SLI.Slices = "ByMethod", []string{"method"}
	return []rule.Rule{eager, second, other}
}

func rulesNamed(alerts []alert.Alert) map[string]int {
	out := map[string]int{}
	for _, a := range alerts {
		out[a.Rule]++
	}
	return out
}

func TestAShadowChangesNothingForThoseInForce(t *testing.T) {
	story := func(shadow []rule.Rule) *rig {
		r := newRig(t, Options{})
		r.e.Change(liveShop(), []rule.Rule{failing()}, shadow, epoch, "")
		g := three()
		g.live(r, epoch, epoch.Add(26*time.Hour))
		g.fail["alpha"] = .3
		g.live(r, epoch.Add(26*time.Hour), epoch.Add(27*time.Hour))
		g.fail["alpha"] = .01
		g.live(r, epoch.Add(27*time.Hour), epoch.Add(30*time.Hour))
		return r
	}
	alone, beside := story(nil), story(proposed()[:2])
	require.NotEmpty(t, firing(alone.out.Alerts))
	require.Equal(t, alone.out.Alerts, beside.out.Alerts)
	require.Equal(t, alone.out.Contributions, beside.out.Contributions, "nor for the pools")
	require.Equal(t, alone.meter().cells[0].base, beside.meter().cells[0].base)
	require.Empty(t, alone.out.Shadow)
	would := firing(beside.out.Shadow)
	require.Contains(t, rulesNamed(would), "PaymentsFailing")
	require.Contains(t, rulesNamed(would), "PaymentsFailingToo")
	require.False(t, would[0].StartsAt.After(firing(alone.out.Alerts)[0].StartsAt), "the eager one is no later")
	require.NotEmpty(t, ofState(beside.out.Shadow, alert.Resolved))
}

func TestAShadowOnlySeesWhatTeachesNobody(t *testing.T) {
	// What only the shadow fires at is learned: those in force see no fault.
	early := failing()
	early.FalseAlarms = 1e6
	events := func(shadow ...rule.Rule) float64 {
		r := newRig(t, grownUp())
		r.e.Change(liveShop(), []rule.Rule{failing()}, shadow, epoch, "")
		g := three()
		g.live(r, epoch, epoch.Add(6*time.Hour))
		for a := range g.fail {
			g.fail[a] = .06
		}
		g.live(r, epoch.Add(6*time.Hour), epoch.Add(6*time.Hour+2*time.Minute))
		for a := range g.fail {
			g.fail[a] = .01
		}
		g.live(r, epoch.Add(6*time.Hour+2*time.Minute), epoch.Add(12*time.Hour))
		require.Empty(t, r.out.Alerts)
		if len(shadow) > 0 {
			require.NotEmpty(t, r.out.Shadow)
		}
		return r.meter().cells[0].base.Events()
	}
	require.Equal(t, events(), events(early))
}

func TestAPromotionForgetsNothing(t *testing.T) {
	r := newRig(t, Options{})
	r.e.Change(liveShop(), []rule.Rule{failing()}, proposed(), epoch, "")
	g := three()
	g.live(r, epoch, epoch.Add(26*time.Hour))
	g.fail["alpha"] = 1
	g.live(r, epoch.Add(26*time.Hour), epoch.Add(26*time.Hour+10*time.Minute))
	before := firing(r.out.Alerts)
	require.NotEmpty(t, before)
	require.NotContains(t, rulesNamed(before), "PaymentsFailingToo")

	promoted := epoch.Add(26*time.Hour + 10*time.Minute)
	r.out = Output{}
	r.e.Change(liveShop(), proposed(), nil, promoted, "promoted")
	g.live(r, promoted, promoted.Add(2*time.Minute))
	require.Empty(t, ofState(r.out.Alerts, alert.Resolved), "what fires goes on firing")
	now := map[string]alert.Alert{}
	for _, a := range firing(r.out.Alerts) {
		now[a.Rule+a.Slice.Key()] = a
	}
	require.Equal(t, before[0].StartsAt, now["PaymentsFailingacquirer=alpha"].StartsAt)
	require.Equal(t, rule.Early, r.meter().rules[1].Sensitivity)
	second := now["PaymentsFailingTooacquirer=alpha"]
	require.WithinDuration(t, epoch.Add(26*time.Hour), second.OnsetAt, 20*time.Second, "the new rule knows what it saw in shadow")
	require.True(t, second.StartsAt.After(promoted.Add(-time.Minute)), "and fires from now on")

	g.live(r, promoted.Add(2*time.Minute), promoted.Add(5*time.Minute))
	r.out = Output{}
	r.e.Change(liveShop(), []rule.Rule{failing()}, nil, promoted.Add(5*time.Minute), "rolled back by an engineer")
	g.live(r, promoted.Add(5*time.Minute), promoted.Add(7*time.Minute))
	gone := ofState(r.out.Alerts, alert.Resolved)
	require.NotEmpty(t, gone)
	for _, a := range gone {
		require.NotEqual(t, "PaymentsFailing", a.Rule)
		require.Contains(t, a.Reason, "rolled back by an engineer")
	}
	require.Contains(t, rulesNamed(gone), "PaymentsFailingToo")
	require.Contains(t, rulesNamed(firing(r.out.Alerts)), "PaymentsFailing")
}

func TestARuleThatAsksOtherwiseInheritsWhatFires(t *testing.T) {
	declines := failing()
	declines.Kind, declines.Severity = rule.Declines, rule.Warning
	r := newRig(t, Options{})
	r.e.Change(liveShop(), []rule.Rule{failing()}, []rule.Rule{declines}, epoch, "")
	g := three()
	g.live(r, epoch, epoch.Add(26*time.Hour))
	g.fail["alpha"] = 1
	g.live(r, epoch.Add(26*time.Hour), epoch.Add(26*time.Hour+20*time.Minute))
	before := firing(r.out.Alerts)
	require.NotEmpty(t, before)
	r.out = Output{}
	promoted := epoch.Add(26*time.Hour + 20*time.Minute)
	r.e.Change(liveShop(), []rule.Rule{declines}, nil, promoted, "promoted")
	g.live(r, promoted, promoted.Add(2*time.Minute))
	for _, a := range r.out.Alerts {
		if a.ID == before[0].ID {
			require.Equal(t, alert.Firing, a.State)
			require.Equal(t, before[0].StartsAt, a.StartsAt)
		}
	}
}

func TestAShadowSurvivesARestart(t *testing.T) {
	through, again := shadowed(t, false), shadowed(t, true)
	require.NotEmpty(t, firing(through.Shadow))
	require.Equal(t, through.Alerts, again.Alerts)
	require.Equal(t, through.Shadow, again.Shadow)
}

func shadowed(t *testing.T, restart bool) Output {
	r := newRig(t, grownUp())
	r.e.Change(liveShop(), []rule.Rule{failing()}, proposed(), epoch, "")
	g := three()
	for i, at := 0, epoch; at.Before(epoch.Add(4 * time.Hour)); i, at = i+1, at.Add(5*time.Minute) {
		g.fail["alpha"] = .01
		if at.Sub(epoch) > 3*time.Hour {
			g.fail["alpha"] = .5
		}
		g.live(r, at, at.Add(5*time.Minute))
		if restart && i%3 == 0 {
			raw, err := r.e.Checkpoint("shop")
			require.NoError(t, err)
			next := New(grownUp())
			next.Change(liveShop(), []rule.Rule{failing()}, proposed(), epoch, "")
			require.NoError(t, next.Restore("shop", raw))
			r.e = next
		}
	}
	return r.out
}

// TestACopySharesNothing: a rule in shadow begins where the one in force is, and
// goes its own way.
func TestACopySharesNothing(t *testing.T) {
	w := &watch{vol: &detect.Traffic{}, burn: &detect.Burn{}, level: &level{at: 7}, turn: &ownTurn{}, late: &standing.Lately{N: 3}, Stream: standing.Stream{Raised: &standing.Alert{Onset: 5}}}
	h := heir{taken: map[*watch]bool{}}
	c := h.take(w, &ruleState{place: inShadow}, true)
	require.True(t, c.trial)
	require.Equal(t, w.level, c.level)
	require.Equal(t, w.Raised, c.Raised)
	require.Equal(t, w.late, c.late)
	for _, same := range []bool{c == w, c.vol == w.vol, c.burn == w.burn, c.level == w.level, c.turn == w.turn, c.late == w.late, c.Raised == w.Raised} {
		require.False(t, same)
	}
}

// A detector that two rules go on with moves for each of them alone.
func TestACloneSharesNothing(t *testing.T) {
	w := &watch{vol: &detect.Traffic{}, burn: &detect.Burn{}, level: &level{}, turn: &ownTurn{}, late: &standing.Lately{}, Stream: standing.Stream{Raised: &standing.Alert{}}}
	var apart func(name string, a, b reflect.Value)
	apart = func(name string, a, b reflect.Value) {
		switch a.Kind() {
		case reflect.Pointer:
			require.False(t, a.IsNil(), "%s is tried", name)
			require.NotEqual(t, a.Pointer(), b.Pointer(), "%s is shared", name)
		case reflect.Struct:
			for f, v := range a.Fields() {
				if name == "watch" && f.Name == "det" {
					continue // what it points to is never changed
				}
				apart(f.Name, v, b.FieldByIndex(f.Index))
			}
		}
	}
	apart("watch", reflect.ValueOf(*w), reflect.ValueOf(*w.clone()))
}
