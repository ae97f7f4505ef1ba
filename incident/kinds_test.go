package incident_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func seen(id tenant.ID, kind rule.Kind, severity rule.Severity, s sli.Slice, ev alert.Evidence) alert.Alert {
	a := fires(id, s, noon, ev.K, ev.N, ev.Share)
	a.Rule, a.Kind, a.Severity, a.Evidence = "payment_"+string(kind), kind, severity, ev
	a.ID, a.AsOf = a.Key.ID(), noon.Add(10*time.Minute)
	return a
}

func TestEachKindIsSaidInItsOwnWords(t *testing.T) {
	card := sli.Slice{{Label: "method", Value: "card"}}
	for name, c := range map[string]struct {
		alert                          alert.Alert
		title, over, counted, usual, m string
	}{
		"declines": {seen("acme", rule.Declines, rule.Warning, card, alert.Evidence{N: 520, K: 213, Usual: .09, Share: .4}),
			"payments by card are declined for acme: 41% of attempts, 40% of its volume", "payments by card were declined for acme: 41% of attempts, 40% of its volume",
			"213 of 520 attempts were declined", "9%", "Declined"},
		"latency": {seen("acme", rule.Latency, rule.Critical, alpha, alert.Evidence{N: 412, K: 300, Usual: .021, Share: .41, Over: 1}),
			"payments through acquirer alpha are slow for acme: 73% take longer than 1 s, 41% of its volume", "payments through acquirer alpha were slow for acme: 73% take longer than 1 s, 41% of its volume",
			"300 of 412 attempts took longer than 1 s", "2.1%", "Longer than 1 s"},
		"traffic": {seen("acme", rule.Traffic, rule.Critical, nil, alert.Evidence{N: 12, Expected: 240, Share: 1}),
			"payments are missing for acme: 12 instead of 240", "payments were missing for acme: 12 instead of 240", "12 payments in 10 minutes", "240", "Missing"},
		"surge": {seen("acme", rule.Traffic, rule.Warning, nil, alert.Evidence{N: 2400, Expected: 240, Share: 1}),
			"payments are too many for acme: 2400 instead of 240", "payments were too many for acme: 2400 instead of 240", "2400 payments in 10 minutes", "240", "Too many"},
		"absent": {seen("acme", rule.Absent, rule.Warning, nil, alert.Evidence{Source: "prom-eu"}),
			"payments are not reported for acme", "payments were not reported for acme", "", "", ""},
		"source": {seen(tenant.Product, rule.Source, rule.Critical, sli.Slice{{Label: "source", Value: "prom-eu"}}, alert.Evidence{N: 1, Source: "prom-eu", Tenants: []tenant.ID{"acme"}}),
			"source prom-eu is silent: 1 tenant is not watched", "source prom-eu was silent: 1 tenant was not watched", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			change := incident.Open(c.alert, opening(name), noon.Add(10*time.Minute))
			i := change.Incident
			require.Equal(t, c.title, i.Title)
			require.Equal(t, c.alert.Kind, i.Kind())
			f := i.Facts()
			require.Equal(t, c.counted, f.Counted)
			require.Equal(t, c.usual, f.Usual)
			require.Equal(t, c.m, i.Measure())
			require.Equal(t, c.alert.Kind != rule.Source, change.Dashboard)
			require.Equal(t, c.over, incident.WithAlert(i, over(c.alert, noon.Add(20*time.Minute)), nil, "over", noon.Add(20*time.Minute)).Incident.Title)
		})
	}
}

func TestOneFaultSeenByRulesOfSeveralKinds(t *testing.T) {
	slow := seen("acme", rule.Latency, rule.Critical, alpha, alert.Evidence{N: 412, K: 300, Usual: .021, Share: .41, Over: 1})
	i := incident.Open(slow, opening("several"), noon.Add(time.Minute)).Incident
	declined := seen("acme", rule.Declines, rule.Warning, alpha, alert.Evidence{N: 100, K: 90, Usual: .1, Share: .41})
	i = incident.WithAlert(i, declined, nil, "the same slice", noon.Add(2*time.Minute)).Incident
	require.Contains(t, i.Title, "are slow", "what warns does not speak before what is critical")
	failing := seen("acme", rule.Errors, rule.Critical, alpha, alert.Evidence{N: 50, K: 49, Usual: .01, Share: .41})
	i = incident.WithAlert(i, failing, nil, "the same slice", noon.Add(3*time.Minute)).Incident
	require.Equal(t, "payments through acquirer alpha fail for acme: 98% of attempts, 41% of its volume", i.Title)
	n, k, _, _, _ := i.Counts()
	require.Equal(t, []float64{50, 49}, []float64{n, k}, "events of different kinds are not added up")
	require.Equal(t, []incident.Tenant{{ID: "acme", N: 50, K: 49, Firing: true}}, i.Tenants)
	require.Len(t, i.Alerts, 3)
	other := seen("bolt", rule.Declines, rule.Warning, alpha, alert.Evidence{N: 100, K: 90, Usual: .1, Share: .41})
	i = incident.WithAlert(i, other, nil, "the same slice", noon.Add(4*time.Minute)).Incident
	require.Equal(t, "payments through acquirer alpha fail for acme: 98% of attempts, 41% of its volume", i.Title, "bolt's are declined")
	require.Len(t, i.Concerned(), 2)
}

// TestWhatIsNotCountedIsSaid: a page about a query or a silence has nothing to count, and
// tells what the rule is for and why it fired.
func TestWhatIsNotCountedIsSaid(t *testing.T) {
	queue := seen("acme", rule.PromQL, rule.Warning, sli.Slice{{Label: "queue", Value: "sepa"}}, alert.Evidence{})
	queue.Summary, queue.Reason = "Settlements pile up", "settlement_queue of queue sepa: its query gave 5000"
	i := incident.Open(queue, opening("queue"), noon.Add(10*time.Minute)).Incident
	f := i.Facts()
	require.Equal(t, [3]string{"Settlements pile up", "settlement_queue of queue sepa: its query gave 5000", ""}, [3]string{f.Summary, f.Said, f.Counted})
	require.Contains(t, i.Body(time.UTC), "\nSettlements pile up\n")
	failing := seen("acme", rule.Errors, rule.Critical, alpha, alert.Evidence{N: 50, K: 49, Usual: .01, Share: .41})
	failing.Reason = "49 of 50 payments failed"
	require.Empty(t, incident.Open(failing, opening("failing"), noon.Add(time.Minute)).Incident.Facts().Said, "the counts say it")
}
