package flow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func (l *life) judge(t *testing.T, id incident.ID, v alert.Verdict, reason string) error {
	t.Helper()
	subject := response.Subject(env)
	err := l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
		return l.shared.Incidents().Judge(tx, string(id), incident.Actor{Name: "ann"}, "api", v, reason)
	})
	synctest.Wait()
	return err
}

func said(list []ledger.Entry, kind string) (out []string) {
	for _, e := range list {
		if e.Kind == kind {
			out = append(out, e.Reason)
		}
	}
	return out
}

// A person says of an incident that it was a false alarm. Whoever serves the tenant next
// goes by it: the same does not ring the next day. Called real it rings again.
func TestAVerdictTeachesAcrossAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMarket(t)
		l := w.begin(t)
		acme := l.shop("acme")
		_, _, err := acme.put(t, tenant.Tenant{ExpectedTPM: 600}, 0)
		require.NoError(t, err)
		pay := acme.line(150)
		pay.share = .01
		trade(t, 26*time.Hour, acme)
		require.Empty(t, acme.firing(t))
		reports := func(share float64) (fired []string) {
			pay.share = share
			for range 6 {
				trade(t, 5*time.Minute, acme)
				fired = append(fired, acme.firing(t)...)
			}
			pay.share = .01
			trade(t, 30*time.Minute, acme)
			return fired
		}
		decided := func(subject string) []ledger.Entry {
			list, err := l.store.Ledger(t.Context(), store.PartitionOf(response.Subject(env)), subject, 0, 1000)
			require.NoError(t, err)
			return list
		}
		require.NotEmpty(t, reports(.1))
		list := l.incidents(t)
		require.Len(t, list, 1)
		was := list[0]
		rung := acme.alerts(t)["payment_errors "]

		subject := tenant.ID("acme").Subject()
		require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error { return l.shared.HandlerOf(subject).Checkpoint(tx, acme.end) }))
		require.True(t, problem.Is(l.judge(t, "inc_other", alert.VerdictFalse, ""), problem.NotFound))
		require.NoError(t, l.judge(t, was.ID, alert.VerdictFalse, "late reports"))
		require.NoError(t, l.judge(t, was.ID, alert.VerdictFalse, "late reports"))
		i := l.incidents(t)[0]
		require.Equal(t, alert.VerdictFalse, i.Verdict.Verdict)
		require.Equal(t, "late reports", i.Verdict.Reason)
		require.Equal(t, []string{"ann says that it was a false alarm: late reports"}, said(decided(was.ID.Subject()), "incident.verdict"), "once")
		home, err := l.store.Ledger(t.Context(), store.PartitionOf(tenant.ID("acme").Subject()), "alert/"+string(rung.ID), 0, 1000)
		require.NoError(t, err)
		taught := said(home, "alert.verdict")
		require.Len(t, taught, 1)
		require.Regexp(t, `^ann says that it was a false alarm: [12] hour\(s\) from .* are learned after all; what is no worse does not ring`, taught[0])
		require.Len(t, readAt[evaluate.Lesson](t, l.store, store.PartitionOf(subject), "lesson"), 1)

		l.end() // no step has closed since, and the checkpoint is older
		l = w.begin(t)
		acme.life = l
		trade(t, 2*time.Hour, acme)
		require.Empty(t, reports(.1), "it was learned")
		require.NotEmpty(t, reports(.3), "what is worse rings")

		require.NoError(t, l.judge(t, was.ID, alert.VerdictReal, ""))
		require.Contains(t, said(decided(was.ID.Subject()), "incident.verdict")[1], "ann says that it was real, not a false alarm as ann said")
		trade(t, 2*time.Hour, acme)
		require.NotEmpty(t, reports(.1), "the word was taken back")

		require.NoError(t, acme.delete(t, 0))
		require.Empty(t, readAt[any](t, l.store, store.PartitionOf(subject), "lesson"))
		l.end()
	})
}
