package profiles

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// part is what an observation of one of n tenants with that weight has of a budget.
func part(weight float64, n int) float64 {
	return Observation{Tenants: Rounded(n), Weight: weight}.weight()
}

func TestWeightsNeverSumToMoreThanTheBudget(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + r.IntN(600)
		turnover, weights := make([]float64, n), make([]float64, n)
		for i := range turnover {
			turnover[i] = math.Exp(r.Float64() * 12 * r.Float64())
		}
		for range 12 { // months: turnovers drift, weights follow
			all := 0.0
			for i := range turnover {
				turnover[i] *= math.Exp(r.NormFloat64() * 0.5)
				all += turnover[i]
			}
			sum := 0.0
			for i := range turnover {
				weights[i] = Weight(turnover[i]/all, 0.1, weights[i], n)
				w := part(weights[i], n)
				require.Greater(t, w, 0.04/float64(n), "the smallest has its part")
				sum += w
			}
			require.LessOrEqual(t, sum, 1+1e-9)
		}
	}
}

func TestWeight(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 8, 255, 256, 300, 511} {
		require.Zero(t, Weight(1/float64(n), 0.1, 0, n), "%d alike have equal shares", n)
	}
	require.Equal(t, 0.25, Weight(0.4, 0.1, 0, 300))
	require.Equal(t, 0.25, Weight(0.7, 0.1, 0.25, 300), "it does not follow every change")
	require.Equal(t, 0.125, Weight(0.2, 0.1, 0.25, 300), "but never has more than its part")
	require.Equal(t, 0.25, Weight(math.NaN(), 0.1, 0.25, 300))
	small := Weight(1e-6, 0.1, 0, 300)
	require.InDelta(t, 0.0875/300, small, 0.0875/300/2)
}

func TestWhatMayCallIsItsPartOfTheBudget(t *testing.T) {
	p, err := Default()
	require.NoError(t, err)
	of := func(o Observation, id tenant.ID) (alarms, pages float64) {
		rules, _ := Compile(p, tenant.Tenant{ID: id, ExpectedTPM: 1000}, o)
		for _, r := range rules {
			if r.Kind.Budgeted() {
				alarms, pages = alarms+r.FalseAlarms, pages+r.FalsePages
			}
		}
		return alarms, pages
	}
	budget := map[string]Budget{"payments": {Team: "payments", FalsePagesPerWeek: 2}}
	month := 2.0 * 30 / 7
	alarms, pages := of(Observation{Tenants: Rounded(300), Budgets: budget, Weight: 0.25}, "large")
	require.InDelta(t, month/4, pages, 1e-9)
	require.Equal(t, pages, alarms, "what it may call with is what it may raise")
	alarms, pages = of(Observation{Tenants: Rounded(10_000), Budgets: budget}, "small")
	require.InDelta(t, month/16384, pages, 1e-9)
	require.InDelta(t, ticketsPerMonth, alarms, 1e-9, "a few tickets beyond")
	for tier, may := range map[string]float64{"micro": thinTickets, "small": thinTickets, "medium": ticketsPerMonth} {
		alarms, _ = of(Observation{Tenants: Rounded(10_000), Budgets: budget, Tier: tier}, "small")
		require.InDelta(t, may, alarms, 1e-9, "%s: a thin tenant's faults bring little evidence", tier)
	}
	require.False(t, (&Policy{}).thin(Tier{}), "without tiers nobody knows")
	require.False(t, (&Policy{Tiers: []Tier{{Name: "all"}}}).thin(Tier{Name: "all"}), "all tenants are in it")
	alarms, pages = of(Observation{Tenants: Rounded(10_000), Budgets: budget}, tenant.Product)
	require.Equal(t, pages, alarms)

	r := rule.Rule{FalseAlarms: 0.05, FalsePages: 0.05 / math.E}
	require.InDelta(t, 18, r.ToPage(17), 1e-9)
	require.Zero(t, rule.Rule{FalseAlarms: 1, FalsePages: 1}.ToPage(17))
	require.Zero(t, rule.Rule{FalseAlarms: 1}.ToPage(17), "of an earlier release")
}
