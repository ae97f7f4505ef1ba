package evaluate

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

func answered() sli.Spec {
	return sli.Spec{Name: "answered", Metric: "payment_transactions_total",
		Total:  []sli.Match{{Label: "result", Values: []string{"success", "declined"}}},
		Bad:    []sli.Match{{Label: "result", Values: []string{"declined"}}},
		Slices: []string{"method"}}
}

func declining() rule.Rule {
	return rule.Rule{Name: "payment_declines", Kind: rule.Declines, SLI: answered(), Service: "payments", Severity: rule.Warning,
		Summary: "more are declined", Prior: 0.1, FalseAlarms: 0.05}
}

// shop has a card and a wallet, with usual declined shares of a tenth and a quarter.
type shop struct {
	*feed
	tps, share map[string]float64
}

func newShop(seed uint64) *shop {
	s := &shop{feed: newFeed(seed), tps: map[string]float64{"card": 3, "wallet": 0.3}, share: map[string]float64{"card": .1, "wallet": .25}}
	for _, m := range []string{"card", "wallet"} {
		s.counter(func(time.Time) float64 { return s.tps[m] * (1 - s.share[m]) }, "method", m, "result", "success")
		s.counter(func(time.Time) float64 { return s.tps[m] * s.share[m] }, "method", m, "result", "declined")
		s.counter(func(time.Time) float64 { return s.tps[m] * .5 }, "method", m, "result", "error") // no answer: not of this SLI
	}
	return s
}

func TestDeclinesWarnAndAreCriticalWhenApprovalsHalve(t *testing.T) {
	r := newRig(t, Options{YoungFor: 3 * time.Hour}, declining())
	s := newShop(1)
	s.live(r, epoch, epoch.Add(8*time.Hour))
	require.Empty(t, r.out.Alerts)

	s.share["card"] = .25
	from := epoch.Add(8 * time.Hour)
	s.live(r, from, from.Add(30*time.Minute))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	first := fired[0]
	require.Equal(t, "method=card", first.Slice.Key())
	require.Equal(t, rule.Declines, first.Kind)
	require.LessOrEqual(t, first.StartsAt.Sub(from), 5*time.Minute)
	require.Regexp(t, `^\d+ of \d+ payments with method card were declined since 0[78]:\d\d:\d\d UTC; usual is (9|10)\.\d%; evidence`, first.Reason)
	for _, a := range fired {
		require.Equal(t, rule.Warning, a.Severity, "a quarter declined leaves most approvals")
		require.InDelta(t, .25, a.Evidence.K/a.Evidence.N, .05)
	}

	r.out.Alerts = nil
	s.share["card"] = .8
	from = from.Add(30 * time.Minute)
	s.live(r, from, from.Add(50*time.Minute))
	worse := firing(r.out.Alerts)
	require.Equal(t, rule.Critical, worse[len(worse)-1].Severity)
	require.Contains(t, worse[len(worse)-1].Reason, "approvals are below half of the usual")
	critical := -1
	for i, a := range worse {
		if a.Slice.Key() == "method=card" && a.Severity == rule.Critical {
			critical = i
			break
		}
	}
	require.GreaterOrEqual(t, critical, 0)

	r.out.Alerts = nil
	s.share["card"] = .1
	from = from.Add(50 * time.Minute)
	s.live(r, from, from.Add(20*time.Minute))
	over := ofState(r.out.Alerts, alert.Resolved)
	require.NotEmpty(t, over)
	for _, a := range over {
		require.Equal(t, a.Slice.Key() == "method=card" || len(a.Slice) == 0, a.Severity == rule.Critical, "%s: what was critical ends as that", a.Slice.Key())
	}
}

func TestASuddenStopOfApprovalsIsCriticalAtOnce(t *testing.T) {
	r := newRig(t, Options{YoungFor: 3 * time.Hour}, declining())
	s := newShop(2)
	s.live(r, epoch, epoch.Add(6*time.Hour))
	s.share["card"], s.share["wallet"] = .97, .97
	from := epoch.Add(6 * time.Hour)
	s.live(r, from, from.Add(3*time.Minute))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Equal(t, rule.Critical, fired[0].Severity)
	require.True(t, fired[0].Evidence.Hard)
	require.LessOrEqual(t, fired[0].StartsAt.Sub(from), time.Minute)
}

func TestOptingInToAMethodWithMoreDeclinesAlarmsNobody(t *testing.T) {
	r := newRig(t, Options{YoungFor: 2 * time.Hour}, declining())
	s := newShop(3)
	s.tps["wallet"] = .05
	s.live(r, epoch, epoch.Add(8*time.Hour))
	// Within an hour most customers move to the wallet.
	for i := range 6 {
		s.tps["card"] -= .4
		s.tps["wallet"] += .4
		from := epoch.Add(8*time.Hour + time.Duration(i)*10*time.Minute)
		s.live(r, from, from.Add(10*time.Minute))
	}
	s.live(r, epoch.Add(9*time.Hour), epoch.Add(14*time.Hour))
	require.Empty(t, r.out.Alerts, "each method declines as it always did")
}

func TestYoungTenantsSeeHardDeclinesOnly(t *testing.T) {
	for share, fires := range map[float64]bool{.4: false, .9: true} {
		r := newRig(t, Options{}, declining())
		s := newShop(4)
		s.live(r, epoch, epoch.Add(2*time.Hour))
		s.share["card"], s.share["wallet"] = share, share
		s.live(r, epoch.Add(2*time.Hour), epoch.Add(150*time.Minute))
		require.Equal(t, fires, len(firing(r.out.Alerts)) > 0, "%.0f%%", 100*share)
	}
}

func TestCheckpointsOfTheVersionBeforeAreRead(t *testing.T) {
	raw, err := os.ReadFile("testdata/tenant-v1.bin")
	require.NoError(t, err)
	r := newRig(t, grownUp())
	require.NoError(t, r.e.Restore("shop", raw))
	st := r.e.Status("shop", epoch.Add(3*time.Hour))
	require.Equal(t, 6, st.Series)
	ringing := 0
	for _, s := range st.SLIs[0].Slices {
		if s.Firing {
			ringing++
		}
	}
	require.Positive(t, ringing)
	g := three()
	for range 4 * 60 * 3 { // the counters go on where they were
		g.run(15 * time.Second)
	}
	g.live(r, epoch.Add(3*time.Hour+4*time.Minute), epoch.Add(4*time.Hour))
	require.NotEmpty(t, ofState(r.out.Alerts, alert.Resolved), "what stood before ends after")
}
