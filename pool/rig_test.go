package pool

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

var epoch = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func failing() rule.Rule {
	return rule.Rule{Name: "PaymentsFailing", Kind: rule.Errors, Service: "payments", Severity: rule.Critical, Summary: "payments fail", Prior: 0.01, FalseAlarms: 0.05,
		SLI: sli.Spec{Name: "payments", Metric: "payment_transactions_total", Bad: []sli.Match{{Label: "result", Values: []string{"error"}}}, Slices: []string{"acquirer"}}}
}

func flowing() rule.Rule {
	r := failing()
	r.Name, r.Kind = "payment_traffic", rule.Traffic
	return r
}

func slowing() rule.Rule {
	r := failing()
	r.Name, r.Kind = "payment_latency", rule.Latency
	return r
}

func poisson(rng *rand.Rand, mean float64) float64 {
	if mean > 50 {
		return math.Max(0, math.Round(mean+math.Sqrt(mean)*rng.NormFloat64()))
	}
	n, p, limit := 0.0, rng.Float64(), math.Exp(-mean)
	for p > limit {
		n, p = n+1, p*rng.Float64()
	}
	return n
}

func firing(alerts []alert.Alert) []alert.Alert { return ofState(alerts, alert.Firing) }

func ofState(alerts []alert.Alert, s alert.State) (out []alert.Alert) {
	for _, a := range alerts {
		if a.State == s {
			out = append(out, a)
		}
	}
	return out
}

// announces is a calendar of one entry that widens.
func announces(t *testing.T, from, to time.Time, factor float64) func(time.Time, calendar.Scope) (calendar.Entry, bool) {
	t.Helper()
	c, wrong := calendar.New([]calendar.Entry{{Name: "labour_day", Effect: calendar.Widen, StartsAt: from, EndsAt: to, Factor: factor, Why: "shops are closed", By: "anna"}})
	require.Empty(t, wrong)
	return func(at time.Time, on calendar.Scope) (calendar.Entry, bool) { return c.Active(at, calendar.Widen, on) }
}
