package profiles_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

const (
	calm  = 3 * time.Hour // before the fault
	fault = 30 * time.Minute
)

// signal is one counter: labels, and events a minute before and during the fault.
type signal struct {
	labels      string // k=v,k=v
	usual, then float64
}

func (s signal) series() labels.Labels {
	kv := []string{"__name__", "payment_transactions_total", "job", "gateway", "instance", "gw-1"}
	for _, pair := range strings.Split(s.labels, ",") {
		k, v, _ := strings.Cut(pair, "=")
		kv = append(kv, k, v)
	}
	return labels.FromStrings(kv...)
}

// watched gives the alerts that the built-in policy raises for a shop with those
// features, through profile and engine, while the signals go their way.
func watched(t *testing.T, p *profiles.Policy, features []string, signals []signal) (out []alert.Alert) {
	t.Helper()
	shop, err := tenant.Tenant{ID: "shop", Features: features, OnboardedAt: monday.Add(-time.Hour)}.Normalise(monday)
	require.NoError(t, err)
	e := evaluate.New(evaluate.Options{YoungFor: time.Hour})
	rules, _ := profiles.Compile(p, shop, profiles.Observation{Tenants: 8, Tier: "medium"})
	e.SetTenant(shop, rules, monday)
	rng := rand.New(rand.NewPCG(7, 7))
	values := make([]float64, len(signals))
	for at := monday; at.Before(monday.Add(calm + fault)); at = at.Add(15 * time.Second) {
		out = append(out, e.Advance(at.Add(time.Second)).Alerts...)
		for i, s := range signals {
			rate := s.usual
			if !at.Before(monday.Add(calm)) {
				rate = s.then
			}
			values[i] += draw(rng, rate/4)
			e.Add(at.Add(time.Second), "shop", s.series(), []evaluate.Sample{{T: at.UnixMilli(), V: values[i]}})
		}
	}
	return append(out, e.Advance(monday.Add(calm+fault+time.Minute)).Alerts...)
}

// draw is binomial and near enough to Poisson.
func draw(rng *rand.Rand, mean float64) (n float64) {
	for range 200 {
		if rng.Float64() < mean/200 {
			n++
		}
	}
	return n
}

// everyday is what the shop does besides: card payments over two acquirers in eight
// countries, with every operation now and then.
func everyday() (out []signal) {
	for i, country := range strings.Fields("de at ch fr it es pl nl") {
		acquirer := []string{"alpha", "beta"}[i%2]
		base := fmt.Sprintf("operation=payment,method=card,country=%s,acquirer=%s", country, acquirer)
		out = append(out, signal{base + ",result=success", 12, 12}, signal{base + ",result=error", 0.05, 0.05}, signal{base + ",result=declined", 1, 1})
	}
	return out
}

// TestEveryFeatureFiresOnItsOwnSignal: who opted in is told, who did not is not, and
// nothing else of the shop is blamed.
func TestEveryFeatureFiresOnItsOwnSignal(t *testing.T) {
	p, err := profiles.Default()
	require.NoError(t, err)
	of := func(operation string) string {
		return "operation=" + operation + ",method=card,country=de,acquirer=alpha"
	}
	errors := func(base string, rate float64) []signal { // a third fails
		return []signal{{base + ",result=success", rate, rate * 2 / 3}, {base + ",result=error", rate / 200, rate / 3}}
	}
	down := func(base string, rate float64) []signal { // nearly all fail: a part of so few in one combination must not look like one customer
		return []signal{{base + ",result=success", rate, rate / 20}, {base + ",result=error", rate / 200, rate}}
	}
	cases := []struct {
		feature, rule, slice, noun string
		signals                    []signal
	}{
		{"refunds", "refund_errors", "", "refunds", errors(of("refund"), 8)},
		{"payouts", "payout_errors", "", "payouts", errors(of("payout"), 8)},
		{"captures", "capture_errors", "", "captures", errors(of("capture"), 8)},
		{"three_d_secure", "challenge_errors", "", "challenges", errors(of("challenge"), 8)},
		{"three_d_secure", "challenge_abandoned", "", "challenges", []signal{{of("challenge") + ",result=success", 10, 5}, {of("challenge") + ",result=abandoned", 1, 6}}},
		{"subscriptions", "renewal_errors", "", "renewals", errors(of("renewal"), 8)},
		{"subscriptions", "renewal_declines", "", "renewals", []signal{{of("renewal") + ",result=success", 10, 4}, {of("renewal") + ",result=declined", 1, 7}}},
		{"wallets", "wallet_errors", "", "wallet payments", errors("operation=payment,method=apple_pay,country=de,acquirer=alpha", 3)},
		// Small parts that nobody judges otherwise: eight countries have more.
		{"country.pt", "payment_errors", "country=pt", "payments", down("operation=payment,method=card,country=pt,acquirer=alpha", 2)},
		{"acquirer.tiny", "payment_errors", "acquirer=tiny", "payments", nil},
		{"method.voucher", "payment_errors", "method=voucher", "payments", nil},
	}
	for i, c := range cases {
		if c.signals == nil { // as small, beside eight larger ones
			label, value, _ := strings.Cut(c.slice, "=")
			for n := range 8 {
				base := fmt.Sprintf("operation=payment,country=de,acquirer=alpha,method=card,%s=big%d", label, n)
				c.signals = append(c.signals, signal{only(base, label) + ",result=success", 6, 6})
			}
			c.signals = append(c.signals, down(only(fmt.Sprintf("operation=payment,country=de,acquirer=alpha,method=card,%s=%s", label, value), label), 2)...)
		}
		cases[i] = c
	}
	seen := map[string]bool{}
	for _, c := range cases {
		t.Run(c.feature+"/"+c.rule, func(t *testing.T) {
			t.Parallel()
			signals := append(everyday(), c.signals...)
			fired := func(alerts []alert.Alert) bool {
				for _, a := range alerts {
					if a.Rule == c.rule && a.Slice.Key() == c.slice && a.State == alert.Firing && !a.StartsAt.Before(monday.Add(calm)) {
						require.Regexp(t, `^[0-9.]+(%| of \d+)( of)? `+c.noun+" ", a.Reason)
						require.Equal(t, c.noun, alert.Things(a.Service, a.Noun))
						return true
					}
				}
				return false
			}
			with := watched(t, p, []string{c.feature}, signals)
			require.True(t, fired(with), "opted in, and told of it")
			for _, a := range with {
				require.False(t, a.StartsAt.Before(monday.Add(calm)), "nothing fires before: %s %s", a.Rule, a.Slice.Key())
			}
			without := watched(t, p, nil, signals)
			require.False(t, fired(without), "not opted in, and not told")
			if c.slice == "" {
				for _, a := range without {
					require.NotEqual(t, c.rule, a.Rule, "its rule is not there at all")
				}
			}
		})
		stem, _, family := strings.Cut(c.feature, ".")
		if family {
			stem += ".*"
		}
		seen[stem] = true
	}
	for name := range p.Features {
		require.True(t, seen[name], "feature %s is shown firing", name)
	}
	rules := map[string]bool{}
	for _, c := range cases {
		rules[c.rule] = true
	}
	for _, r := range p.Rules {
		require.True(t, len(r.Features) == 0 || rules[r.Name], "rule %s of a feature is shown firing", r.Name)
	}
}

// only keeps the last value of a label.
func only(base, label string) string {
	pairs := strings.Split(base, ",")
	last := ""
	for _, p := range pairs {
		if strings.HasPrefix(p, label+"=") {
			last = p
		}
	}
	out := []string{}
	for _, p := range pairs {
		if !strings.HasPrefix(p, label+"=") {
			out = append(out, p)
		}
	}
	return strings.Join(append(out, last), ",")
}

func TestEveryBuiltInRuleHasADashboard(t *testing.T) {
	p, err := profiles.Default()
	require.NoError(t, err)
	all := profiles.All(p)
	require.Len(t, all, len(p.Rules))
	for _, r := range all {
		d := dashboards.ForRule(r, "production")
		require.NotEmpty(t, d.Panels, r.Name)
		require.Equal(t, r.Summary, d.Summary)
	}
	for _, tier := range p.Tiers {
		require.NotEmpty(t, tier.Title)
	}
	require.Equal(t, "micro", p.TierOf(0.2).Name)
	require.Equal(t, "large", p.TierOf(5000).Name)
}
