package rollout_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rollout"
)

// TestAWordOnAPage: what was real and would have called nobody halts a rollout; a page more
// for what was real is none too many; what was false may go.
func TestAWordOnAPage(t *testing.T) {
	ids := tenants(4000)
	at := began.Add(time.Minute)
	say := func(t *testing.T, p rollout.Page, v alert.Verdict) (before, after rollout.Change) {
		t.Helper()
		c := begin(t, settled(), rollout.Settings{StageFor: time.Hour, Teams: map[string]float64{"payments": 100}}, ids)
		p.Tenant = inShadow(c, ids)[0]
		c = rollout.Paged(c.State, p, at)
		w := rollout.Word{Tenant: p.Tenant, Word: alert.Word{Service: p.Service, Slice: p.Slice, From: at.Add(-time.Minute), To: at.Add(time.Minute), Said: v, By: "ann"}}
		for _, other := range []func(*rollout.Word){
			func(w *rollout.Word) { w.Tenant = "somebody-else" },
			func(w *rollout.Word) { w.Service = "other" },
			func(w *rollout.Word) { w.To = at.Add(-time.Second) },
		} {
			x := w
			other(&x)
			require.Equal(t, c.State, rollout.Judged(c.State, x).State)
		}
		after = rollout.Judged(c.State, w)
		require.Equal(t, after.State, rollout.Judged(after.State, w).State, "said twice")
		return c, after
	}
	old := sided(page(ids[0], "", "card", at), nil, share(.5, .01))
	fresh := sided(page(ids[0], "", "card", at), share(.5, .01), nil)

	before, c := say(t, old, alert.VerdictReal)
	require.Equal(t, rollout.Shadow, before.Rollout.State)
	require.Equal(t, rollout.Halted, c.Rollout.State)
	require.Contains(t, c.Rollout.Why, "would have called nobody for what ann said was real")
	require.Equal(t, []string{"policy.rollout_halted"}, kinds(c))
	require.Zero(t, c.Timer)

	_, c = say(t, old, alert.VerdictFalse)
	require.Equal(t, rollout.Shadow, c.Rollout.State)
	require.Equal(t, 1, c.Rollout.Stages[0].Gone)
	require.Equal(t, alert.VerdictFalse, c.Rollout.Pages[0].Said)

	before, c = say(t, fresh, alert.VerdictReal)
	require.Equal(t, 1, before.Rollout.Stages[0].Extra)
	require.Equal(t, 0, c.Rollout.Stages[0].Extra, "worth it")
	_, c = say(t, fresh, alert.VerdictFalse)
	require.Equal(t, 1, c.Rollout.Stages[0].Extra)

	said := old
	c = begin(t, settled(), rollout.Settings{StageFor: time.Hour, Teams: map[string]float64{"payments": 100}}, ids)
	said.Tenant, said.Said, said.By = inShadow(c, ids)[0], alert.VerdictReal, "ann"
	require.Equal(t, rollout.Halted, rollout.Paged(c.State, said, at).Rollout.State, "the word came first")
}
