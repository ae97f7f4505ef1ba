package view_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/web/view"
)

var began = time.Date(2026, 3, 3, 2, 9, 0, 0, time.UTC) // 03:09 in Berlin

func after(minutes int) time.Time { return began.Add(time.Duration(minutes) * time.Minute) }

func frame(t *testing.T) view.Frame {
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	return view.Frame{Environment: "production", Viewer: "Maria Rossi", CSRF: "csrf-1", Zone: zone, Now: after(11)}
}

func picture() *view.Picture {
	return &view.Picture{
		URL: "/chart.png", DarkURL: "/chart-dark.png", Alt: "The share of failing payments rises from 1.2% to 100% at 03:09; the volume stays the same.",
	}
}

func numbers() view.Numbers {
	return view.Numbers{N: 1648, K: 1641, Usual: 0.012, Score: 131.4, Needed: 13.2, Share: 0.38, ShareOf: "all payments", PerMinute: 412}
}

// incident is an open one that nobody has, as somebody sees it at night.
func incident(t *testing.T) view.IncidentPage {
	return view.IncidentPage{
		Frame: frame(t), Number: "1042", Headline: "Payments over acquirer alpha fail for 4 tenants", State: view.Open, Severity: "critical",
		Service: "payments", Owner: "payments", OwnerReason: "team payments owns service payments",
		Slice:   []view.Dim{{Label: "acquirer", Value: "alpha"}},
		OnsetAt: began, FiredAt: after(1), Paged: "Maria Rossi", PagedReason: "on call for team payments until Monday 09:00",
		Numbers: numbers(),
		Tenants: []view.TenantRow{
			{ID: "acme", Name: "Acme Tickets", URL: "/dashboards/payment-errors?tenant=acme", N: 890, K: 889, Usual: 0.011, Since: began},
			{ID: "bistro", Name: "Bistro Group", URL: "/dashboards/payment-errors?tenant=bistro", N: 512, K: 508, Usual: 0.014, Since: began},
			{ID: "kiosk-24", Name: "kiosk-24", N: 240, K: 240, Usual: 0.009, Since: after(2)},
			{ID: "corner", Name: "Corner Shop", N: 6, K: 4, Usual: 0.02, Over: true},
		},
		TenantsHidden: 2, Chart: picture(),
		Ticket:    &view.Ticket{System: "Request Tracker", Number: "#317", URL: "https://rt.example.net/Ticket/Display.html?id=317", State: "open"},
		Dashboard: "/dashboards/payment-errors?tenant=acme", Runbook: "https://wiki.example.net/payments/acquirer-down",
		Why: []view.Reason{
			{Question: "Why did it fire?", Answer: "1,641 of 1,648 payments failed since 03:09 where 1.2% is usual. The evidence passed the threshold in its third transaction; a false alarm of this kind is expected once in ten years."},
			{Question: "Why one incident?", Answer: "Four tenants fail in the same slice within 15 minutes: their alerts joined the first one."},
			{Question: "Why at night?", Answer: "Critical: 38% of all payments are lost, and Acme Tickets is marked priority."},
		},
		Timeline: []view.Event{
			{At: began, What: "First failing minute", Who: "tocsin"},
			{At: after(1), What: "Alert fired for acme, acquirer alpha", Who: "tocsin", Reason: "At least 60% failing needs no settling time."},
			{At: after(1), What: "Ticket #317 created in Request Tracker", Who: "tocsin"},
			{At: after(1), What: "Paged Maria Rossi by mail", Who: "tocsin", Reason: "On call for team payments until Monday 09:00."},
			{At: after(2), What: "bistro, kiosk-24 and corner joined", Who: "tocsin", Reason: "Same slice, onset within 15 minutes."},
		},
		Acknowledge: &view.Form{Path: "/incidents/1042/acknowledge"},
	}
}

func ackPage(t *testing.T) view.AckPage {
	f := frame(t)
	f.Anonymous, f.Viewer = true, ""
	return view.AckPage{
		Frame: f, Person: "Maria Rossi", Number: "1042", Headline: "Payments over acquirer alpha fail for 4 tenants", Severity: "critical", State: view.Open,
		OnsetAt: began, FiredAt: after(1), Numbers: numbers(), Chart: picture(),
		Take:  &view.Form{Path: "/ack/abc", Hidden: map[string]string{"page": "pg_1"}},
		Links: []view.Link{{Name: "Incident 1042", URL: "/incidents/1042"}, {Name: "Dashboard", URL: "/dashboards/payment-errors"}, {Name: "Ticket #317", URL: "https://rt.example.net/317"}, {Name: "Runbook", URL: "https://wiki.example.net/alpha"}},
	}
}

func list(t *testing.T) view.IncidentsPage {
	return view.IncidentsPage{Frame: frame(t), Other: "/incidents?state=open", Rows: []view.IncidentRow{
		{Number: "1042", URL: "/incidents/1042", Headline: "Payments over acquirer alpha fail for 4 tenants", State: view.Open, Severity: "critical", Owner: "payments", Since: began, Tenants: 4, Ticket: &view.Ticket{System: "Request Tracker", Number: "#317", URL: "https://rt.example.net/317"}},
		{Number: "1041", URL: "/incidents/1041", Headline: "Refunds fail for bistro", State: view.Acknowledged, Severity: "warning", Owner: "payments", Since: after(-90), Tenants: 1, AcknowledgedBy: "Jon Berg"},
		{Number: "1040", URL: "/incidents/1040", Headline: "Payments by card fail for acme", State: view.Resolved, Severity: "critical", Owner: "payments", Since: after(-1600), ResolvedAt: after(-1555), Tenants: 1},
	}, Next: "/incidents?cursor=x"}
}

func dashboard(t *testing.T) view.DashboardPage {
	return view.DashboardPage{
		Frame: frame(t), Rule: "payment-errors", Summary: "Payments fail", Service: "payments", Tenant: "acme", Slice: []view.Dim{{Label: "acquirer", Value: "alpha"}},
		From: after(-60), To: after(31), At: after(1), Chart: picture(), Numbers: view.Numbers{N: 31210, K: 1983, Usual: 0.012},
		Earlier: "/d?e", Later: "/d?l", ZoomIn: "/d?i", ZoomOut: "/d?o", Reset: "/d", Runbook: "https://wiki.example.net/alpha",
		Queries: []view.Query{{Title: "Failing", PromQL: `(sum(increase(payment_transactions_total{acquirer="alpha",environment="production",result="error",tenant="acme"}[60s])) or sum(increase(payment_transactions_total{acquirer="alpha",environment="production",tenant="acme"}[60s])) * 0) / (sum(increase(payment_transactions_total{acquirer="alpha",environment="production",tenant="acme"}[60s])) > 0)`}},
	}
}
