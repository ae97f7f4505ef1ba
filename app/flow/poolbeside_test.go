package flow_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const pooledErrors = "  - name: payment_errors\n    kind: errors\n    sli: payments\n    service: payments\n    severity: "

// share has eight tenants pay through acquirer alpha for a time, of which so much fails; none
// of them is of the stage, and their own rules see nothing here.
func (l *life) share(t *testing.T, failing float64, d time.Duration) {
	t.Helper()
	for range int(d / (15 * time.Second)) {
		after(15 * time.Second)
		end := time.Now().Truncate(15 * time.Second).UnixMilli()
		var all []exchange.Contribution
		for n := range 8 {
			all = append(all, exchange.Contribution{Origin: &exchange.Origin{Environment: env, Service: "payments", Rule: "payment_errors", Tenant: tenant.ID(fmt.Sprintf("shared-%d", n))},
				Slice: sli.Slice{{Label: "acquirer", Value: "alpha"}}, Live: true, Usual: .01,
				Step: detect.Step{Start: end - 15_000, End: end, N: 100, K: 100 * failing, Coverage: 1}})
		}
		require.True(t, l.shared.Pooled("pool/"+env+"/payments", all))
	}
	after(2 * time.Second)
}

// TestAllTenantsTogetherAreTriedInEveryStage: a fault of tenants that are not of the stage
// would page by the new policy.
func TestAllTenantsTogetherAreTriedInEveryStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		warns := staged(t, "", pooledErrors+"critical", pooledErrors+"warning")
		w, l, _, _ := newStage(t, warns)
		l.share(t, .01, 10*time.Minute)
		s, err := l.edit(t, staged(t, ""), false)
		require.NoError(t, err)
		require.Empty(t, s.Rollout.Untried, "all of it is tried")
		l.share(t, .01, 5*time.Minute)
		l.share(t, .3, 5*time.Minute)

		pool := "pool/" + env + "/payments" // a restart in the middle of it
		require.NoError(t, l.shared.Owner(pool).Call(t.Context(), func(tx *partition.Tx) error { return l.shared.HandlerOf(pool).CheckpointPools(tx) }))
		l.end()
		l = w.begin(t)
		l.share(t, .3, 15*time.Minute)
		l.share(t, .01, 10*time.Minute)
		require.Empty(t, l.mail.carried(), "a shadow pages nobody")
		r := l.standing(t).Rollout
		require.Equal(t, rollout.Halted, r.State, r.Why)
		require.Len(t, r.Pages, 1)
		require.Equal(t, tenant.Product, r.Pages[0].Tenant)
		require.Equal(t, rollout.Extra, r.Pages[0].Verdict)
		require.Equal(t, "payment_errors", r.Pages[0].Rule)
		require.Equal(t, "8 tenants are affected, 5 are enough", r.Pages[0].Weighed)

		_, err = l.home(t, func(tx *partition.Tx) (rollout.State, error) {
			return l.shared.Policy().RollBack(tx, 0, "ada", "no", nil)
		})
		require.NoError(t, err)
		after(time.Minute)
		require.NoError(t, l.shared.Owner(pool).Call(t.Context(), func(tx *partition.Tx) error { return l.shared.HandlerOf(pool).CheckpointPools(tx) }))
		require.Empty(t, readAt[struct{}](t, l.store, store.PartitionOf(pool), "pool_beside"), "nothing is left of it")
		l.end()
	})
}

// TestBothPoliciesPageWhatAllShare: also a fault that has fired since before the stage.
func TestBothPoliciesPageWhatAllShare(t *testing.T) {
	for _, before := range []bool{false, true} {
		t.Run(fmt.Sprint("before the stage: ", before), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, l, _, _ := newStage(t, staged(t, ""))
				l.share(t, .01, 10*time.Minute)
				if before {
					l.share(t, .3, 5*time.Minute)
				}
				_, err := l.edit(t, staged(t, "", "name: payment_errors\n", "name: payment_errors\n    sensitivity: early\n"), false)
				require.NoError(t, err)
				l.share(t, .3, 20*time.Minute)
				require.Len(t, l.mail.carried(), 1, "once, by the policy in force")
				r := l.standing(t).Rollout
				require.Equal(t, rollout.Shadow, r.State, r.Why)
				require.Equal(t, [2]int{1, 0}, [2]int{r.Stages[0].Agreed, r.Stages[0].Extra + r.Stages[0].Gone}, "%+v", r.Pages)
				require.Equal(t, tenant.Product, r.Pages[0].Tenant)
				l.end()
			})
		})
	}
}

// TestWhatAllShareAndWasRealMustNotGetLost: the new policy would only warn.
func TestWhatAllShareAndWasRealMustNotGetLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, _, _ := newStage(t, staged(t, ""))
		l.share(t, .01, 10*time.Minute)
		_, err := l.edit(t, staged(t, "", pooledErrors+"critical", pooledErrors+"warning"), false)
		require.NoError(t, err)
		l.share(t, .3, 5*time.Minute)
		require.Len(t, l.mail.carried(), 1)
		require.NoError(t, l.judge(t, l.incidents(t)[0].ID, "real", ""))
		l.share(t, .3, 20*time.Minute)
		r := l.standing(t).Rollout
		require.Equal(t, rollout.Halted, r.State)
		require.Contains(t, r.Why, "it would have called nobody for what")
		l.end()
	})
}
