package views

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func fires(id tenant.ID, s rule.Severity) alert.Alert {
	return alert.Alert{ID: alert.ID("alt_" + string(id)), Key: alert.Key{Tenant: id, Rule: "payment_errors"}, Severity: s, State: alert.Firing, Reason: "9 of 10 failed"}
}

func TestHowATenantStands(t *testing.T) {
	live := tenant.Tenant{ID: "acme", State: tenant.Live, OnboardedAt: noon}
	seen := evaluate.Glance{LastReceivedAt: &noon}
	with := func(change func(*evaluate.Glance)) evaluate.Glance { g := seen; change(&g); return g }
	for name, c := range map[string]struct {
		t      tenant.Tenant
		g      evaluate.Glance
		firing []alert.Alert
		tone   view.Tone
		say    string
	}{
		"fine":                        {live, seen, nil, view.Fine, ""},
		"fires":                       {live, seen, []alert.Alert{fires("acme", rule.Warning), fires("acme", rule.Critical)}, view.Broken, "payment_errors: 9 of 10 failed"},
		"warns":                       {live, seen, []alert.Alert{fires("acme", rule.Warning)}, view.Degraded, "payment_errors: 9 of 10 failed"},
		"only recorded":               {live, seen, []alert.Alert{fires("acme", rule.Info)}, view.Fine, ""},
		"fires, then falls silent":    {live, with(func(g *evaluate.Glance) { g.Blind = true }), []alert.Alert{fires("acme", rule.Critical)}, view.Broken, "payment_errors: 9 of 10 failed"},
		"silent":                      {live, with(func(g *evaluate.Glance) { g.Blind = true }), nil, view.Blind, "Nothing has arrived since 4 Mar 12:00; it is not watched meanwhile."},
		"blind is worse than young":   {live, with(func(g *evaluate.Glance) { g.Blind, g.Young = true, true }), nil, view.Blind, "Nothing has arrived since 4 Mar 12:00; it is not watched meanwhile."},
		"young":                       {live, with(func(g *evaluate.Glance) { g.Young = true }), nil, view.Learning, "Less than a day of it was seen: only hard faults are."},
		"never":                       {live, evaluate.Glance{Young: true}, nil, view.Waiting, "It was onboarded on 4 March 2026, and nothing has arrived yet."},
		"paused, whatever else it is": {tenant.Tenant{ID: "acme", State: tenant.Paused}, seen, []alert.Alert{fires("acme", rule.Critical)}, view.Off, "It is paused, so nothing of it is judged."},
	} {
		got := judge(c.t, c.g, c.firing)
		require.Equal(t, c.tone, got.tone, name)
		require.Equal(t, c.say, got.say, name)
	}
}

func TestTheVerdict(t *testing.T) {
	counts := func(pairs ...any) (w view.Wall) {
		for n := 0; n < len(pairs); n += 2 {
			w.Counts = append(w.Counts, view.ToneCount{Tone: pairs[n].(view.Tone), N: pairs[n+1].(int)})
			w.Total += pairs[n+1].(int)
		}
		return w
	}
	cards := func(pairs ...any) (out []view.ServiceCard) {
		for n := 0; n < len(pairs); n += 2 {
			out = append(out, view.ServiceCard{Service: pairs[n].(string), Tone: pairs[n+1].(view.Tone)})
		}
		return out
	}
	for _, c := range []struct {
		services []view.ServiceCard
		wall     view.Wall
		tone     view.Tone
		say      string
	}{
		{nil, view.Wall{}, view.Waiting, "Nothing is watched yet"},
		{cards("payments", view.Fine), counts(view.Fine, 3), view.Fine, "Nothing is broken, and what is watched is seen"},
		{cards("payments", view.Broken, "refunds", view.Fine), counts(view.Broken, 1, view.Fine, 3), view.Broken, "Payments is broken"},
		{cards("payments", view.Broken, "refunds", view.Degraded), counts(view.Broken, 1, view.Blind, 2), view.Broken, "Payments is broken, refunds is degraded, 2 tenants are blind"},
		{cards("payments", view.Broken, "payments", view.Broken, "refunds", view.Broken), counts(view.Broken, 1), view.Broken, "Payments and refunds are broken"},
		{cards("a", view.Broken, "b", view.Broken, "c", view.Broken, "d", view.Broken), counts(view.Broken, 1), view.Broken, "4 services are broken"},
		{cards("payments", view.Blind), counts(view.Blind, 1, view.Fine, 9), view.Blind, "Nothing is broken that is seen, 1 tenant is blind"},
		{cards("payments", view.Learning), counts(view.Learning, 2, view.Waiting, 1), view.Learning, "Nothing is broken; only hard faults are seen yet"},
		{cards("payments", view.Waiting), counts(view.Waiting, 2, view.Off, 1), view.Waiting, "Nothing has arrived yet"},
		{cards("payments", view.Waiting), counts(view.Off, 1), view.Off, "No tenant is watched"},
	} {
		tone, say, _ := verdict(c.services, c.wall)
		require.Equal(t, c.say, say)
		require.Equal(t, c.tone, tone, say)
	}
}

// TestALookIsFenced: somebody who covers one tenant sees that one.
func TestALookIsFenced(t *testing.T) {
	l := look{standing: []standing{{tenant: tenant.Tenant{ID: "acme"}}, {tenant: tenant.Tenant{ID: "bolt"}}},
		open: []incident.Incident{{ID: "inc_1", Tenants: []incident.Tenant{{ID: "bolt"}}}, {ID: "inc_2", Tenants: []incident.Tenant{{ID: "acme"}, {ID: "bolt"}}}}}
	got := l.covered(web.Principal{Role: web.Tenant, Tenants: []tenant.ID{"acme"}})
	require.Len(t, got.standing, 1)
	require.Equal(t, tenant.ID("acme"), got.standing[0].tenant.ID)
	require.Len(t, got.open, 1)
	require.Equal(t, incident.ID("inc_2"), got.open[0].ID)
	require.Len(t, l.covered(web.Principal{Any: true}).standing, 2)

	pooled := fires(tenant.Product, rule.Critical)
	pooled.Reason = "1,641 of 1,648 failed at acme, bolt and corner"
	s := judge(tenant.Tenant{ID: "acme", State: tenant.Live}, evaluate.Glance{LastReceivedAt: &noon}, []alert.Alert{pooled})
	require.Contains(t, s.seenBy(web.Principal{Any: true}).say, "bolt")
	require.NotContains(t, s.seenBy(web.Principal{Tenants: []tenant.ID{"acme"}}).say, "bolt")
	i := incident.Incident{Service: "payments", Title: "payments fail for acme and bolt", Tenants: []incident.Tenant{{ID: "acme"}, {ID: "bolt"}}}
	page := view.IncidentPage{Headline: i.Title, Chart: &view.Picture{}, Dashboard: "/d?cap=x", Why: []view.Reason{{}}, Timeline: []view.Event{{}}, Paged: "Maria", Numbers: view.Numbers{N: 9},
		Tenants: []view.TenantRow{{ID: "acme", URL: "/d?cap=x"}, {ID: "bolt"}}, Note: &view.Form{}, Resolve: &view.Form{}, Acknowledge: &view.Form{}, Ticket: &view.Ticket{}}
	narrow(&page, i, web.Principal{Tenants: []tenant.ID{"acme"}})
	require.Equal(t, view.IncidentPage{Headline: "Fault of payments", AcknowledgedBy: "Somebody", Tenants: []view.TenantRow{{ID: "acme"}}, TenantsHidden: 1}, page)
	row := (&Views{}).row(i, web.Principal{Tenants: []tenant.ID{"acme"}})
	require.Equal(t, view.IncidentRow{Number: "0", URL: "/incidents/", Headline: "Fault of payments", Service: "payments"}, row)
	require.False(t, matches("bolt", words(i, web.Principal{Tenants: []tenant.ID{"acme"}})...), "nor is it found by another's name")
}

func TestMondayOf(t *testing.T) {
	auckland, err := time.LoadLocation("Pacific/Auckland")
	require.NoError(t, err)
	for day, want := range map[string]string{"2026-03-02": "2026-03-02", "2026-03-08": "2026-03-02", "2026-03-04": "2026-03-02", "2026-01-01": "2025-12-29"} {
		d, err := time.Parse(time.DateOnly, day)
		require.NoError(t, err)
		require.Equal(t, want+" 00:00 Pacific/Auckland", mondayOf(d, auckland).Format("2006-01-02 15:04 ")+auckland.String())
	}
}

func TestWhatIsSeenStandsBesideTheVolumeOfItsHour(t *testing.T) {
	require.InDelta(t, 346, pace(evaluate.SliceStatus{RatePerMinute: 253, HourRate: 346}), 0)
	require.InDelta(t, 253, pace(evaluate.SliceStatus{RatePerMinute: 253}), 0)
}
