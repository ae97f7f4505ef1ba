package view_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-alerting/tocsin/web/view"
)

// signedIn is the frame of somebody who may go everywhere.
func signedIn(t *testing.T, here string) view.Frame {
	f := frame(t)
	f.Live = true
	for _, n := range [][2]string{{"Overview", "/"}, {"Incidents", "/incidents"}, {"Alerts", "/alerts"}, {"Tenants", "/tenants"}, {"On call", "/oncall"}, {"Sources", "/sources"}, {"Policy", "/policy"}, {"Calendar", "/calendar"}, {"Ledger", "/ledger"}} {
		f.Nav = append(f.Nav, view.NavItem{Name: n[0], URL: n[1], Here: n[0] == here})
	}
	return f
}

func overview(t *testing.T) view.OverviewPage {
	rows := list(t).Rows
	p := view.OverviewPage{
		Frame: signedIn(t, "Overview"), Tone: view.Broken, Verdict: "1 service is broken, 12 tenants are blind", Detail: "412 tenants are watched.", PerSecond: 18240, Troubles: []string{"itsm/rt does not take what is sent to it: 3 wait, the oldest for 4m10s", "3 watched tenant(s) never sent anything that is judged", "1 tenant(s) send and were never onboarded: tocsin tenant unknown"},
		Services: []view.ServiceCard{
			{Service: "payments", Environment: "production", Tone: view.Broken, Say: "1 open incident, 4 tenants broken. 12 tenants are blind.", PerMinute: 48210, PerMinuteOf: "payments", Watched: 412, Blind: 12, Learning: 31, Incidents: rows[:1], Team: "payments", OnCall: "Maria Rossi", Until: after(3000)},
			{Service: "refunds", Environment: "production", Tone: view.Degraded, Say: "1 open incident.", PerMinute: 312, PerMinuteOf: "refunds", Watched: 280, Incidents: rows[1:2], Team: "payments", OnCall: "Maria Rossi", Until: after(3000), Observed: true},
			{Service: "payouts", Environment: "production", Tone: view.Fine, Say: "Nothing is broken, and all of it is seen.", PerMinute: 41.2, PerMinuteOf: "payouts", Watched: 96, Team: "treasury", Problem: "nobody is on call for team treasury: it has neither a schedule nor people under oncall (give the team a schedule with a layer that has begun, or list people under oncall in the catalog, then reload)"},
		},
		Sources: []view.SourceRow{
			{Name: "eu-1", Environment: "production", Tone: view.Fine, LastAt: after(10), PerSecond: 18200, Series: 96400, Tenants: 390, Service: "platform"},
			{Name: "us-2", Environment: "production", Tone: view.Blind, Say: "Silent for 7 min: what it sends is not seen. Incident 1043 is open for it.", LastAt: after(3), Series: 2210, Tenants: 12, Late: 40, Service: "platform"},
		}, SourcesURL: "/sources",
	}
	counts := []view.ToneCount{{Tone: view.Broken, N: 4}, {Tone: view.Degraded, N: 2}, {Tone: view.Blind, N: 12}, {Tone: view.Waiting, N: 3}, {Tone: view.Learning, N: 31}, {Tone: view.Fine, N: 353}, {Tone: view.Off, N: 7}}
	for _, c := range counts {
		c.URL = "/tenants?state=" + string(c.Tone)
		p.Wall.Counts, p.Wall.Total = append(p.Wall.Counts, c), p.Wall.Total+c.N
		for n := range c.N {
			id := fmt.Sprintf("%s-%d", c.Tone, n)
			p.Wall.Fields = append(p.Wall.Fields, view.Field{Name: id, URL: "/tenants/" + id, Tone: c.Tone})
		}
	}
	return p
}

func beginning(t *testing.T) view.OverviewPage {
	return view.OverviewPage{Frame: signedIn(t, "Overview"), Tone: view.Waiting, Verdict: "Nothing is watched yet", Begin: true}
}

func tenants(t *testing.T) view.TenantsPage {
	return view.TenantsPage{Frame: signedIn(t, "Tenants"), Query: "a", Filter: true, Total: 4, Of: 412, Tones: []view.Choice{{Value: "broken", Name: "Broken (4)", Chosen: true}, {Value: "fine", Name: "Fine (353)"}},
		Rows: []view.TenantLine{
			{ID: "acme", Name: "Acme Tickets", URL: "/tenants/acme", Tone: view.Broken, Say: "payment_errors, acquirer=alpha: 889 of 890 payments failed since 03:09.", PerMinute: 140, PerMinuteOf: "payments", LastAt: after(10)},
			{ID: "arcade", Name: "Arcade", URL: "/tenants/arcade", Tone: view.Blind, Say: "Nothing arrived since 02:41.", LastAt: after(-28)},
			{ID: "atelier-de-la-reine-des-neiges", Name: "Atelier de la Reine des Neiges et Fils", URL: "/tenants/x", Tone: view.Learning, Say: "Only hard faults are seen until tomorrow 02:00.", PerMinute: 2.4, PerMinuteOf: "payments", LastAt: after(10)},
			{ID: "atoll", Name: "atoll", URL: "/tenants/atoll", Tone: view.Waiting, Say: "Onboarded 3 days ago; nothing has arrived yet."},
		}, Next: "/tenants?cursor=atoll"}
}

func tenant(t *testing.T) view.TenantPage {
	rows := list(t).Rows
	return view.TenantPage{Frame: signedIn(t, "Tenants"), ID: "acme", Name: "Acme Tickets", Tone: view.Broken, Say: "One incident is open. 140 payments a minute arrive.", Open: rows[:1], Past: rows[2:],
		Facts: []view.Fact{{"Onboarded", "3 January 2026"}, {"Time zone", "Europe/Berlin"}, {"Features", "refunds, three_d_secure"}, {"Expected", "120 transactions a minute"}, {"Samples", "last at 03:19, 24 series, 24 of them live"}},
		Asked: []view.SignalRow{{Rule: "queue_grows", Sees: []string{"what its query gives, asked once a minute: after 10 minutes"}}},
		Signals: []view.Signal{{ID: "s0", Name: "payments", Environment: "production", PerMinute: 140, Chart: picture(), Rows: []view.SignalRow{
			{Rule: "payment_errors", URL: "/dashboards/payment_errors?tenant=acme", PerMinute: 140, Usual: "1.1% fail", Sees: []string{"five points more failures: after 4 minutes", "a total failure: after 1 minute"}, Firing: true},
			{Rule: "payment_errors", Slice: []view.Dim{{Label: "acquirer", Value: "alpha"}}, URL: "/d", PerMinute: 60, Usual: "1% fail", Sees: []string{"five points more failures: after 12 minutes", "a total failure: after 1 minute"}, Firing: true},
		}, More: []view.SignalRow{
			{Rule: "payment_errors", Slice: []view.Dim{{Label: "method", Value: "sepa_direct_debit"}}, URL: "/d", PerMinute: 0.4, Usual: "0.9% fail", Learning: true},
		}}},
		Silent:  []string{"refunds (production)"},
		Watches: []view.Watched{{"payment_errors (errors, critical): failures of payments, the total and by acquirer, method; at most 0.0021 false alarms a month", "every tenant of service payments has it"}},
		Revisions: []view.Revision{
			{Number: 2, At: after(-4000), Author: "tocsin", Cause: "the team's budget is shared by up to 512 tenants now, before: 256", Changes: []string{"payment_errors: at most 0.0021 false alarms a month, before 0.0042"}},
			{Number: 1, At: after(-80000), Author: "admin", Cause: "onboarded"},
		}, Ledger: "/ledger?subject=tenant/acme"}
}

func alerts(t *testing.T) view.AlertsPage {
	return view.AlertsPage{Frame: signedIn(t, "Alerts"), States: []view.Choice{{Value: "firing", Name: "firing", Chosen: true}, {Name: "every state"}}, Severities: []view.Choice{{Name: "every severity"}}, Rows: []view.AlertRow{
		{Rule: "payment_errors", Dashboard: "/d", Slice: []view.Dim{{Label: "acquirer", Value: "alpha"}}, Severity: "critical", Firing: true, OnsetAt: began, FiredAt: after(1), Reason: "1,641 of 1,648 payments failed since 03:09 where 1.2% is usual.", Incident: "1042", IncidentURL: "/incidents/1042"},
		{Rule: "payment_declines", Tenant: "acme", TenantURL: "/tenants/acme", Dashboard: "/d", Severity: "warning", OnsetAt: after(-200), FiredAt: after(-190), EndedAt: after(-120), Reason: "90 of 300 payments were declined since 23:49 where 12% is usual.", Incident: "1040", IncidentURL: "/incidents/1040"},
	}, Next: "/alerts?cursor=x"}
}

func onCall(t *testing.T) view.OnCallPage {
	f := signedIn(t, "On call")
	monday := time.Date(2026, 3, 2, 0, 0, 0, 0, f.Zone)
	day := func(d, h int) time.Time { return monday.AddDate(0, 0, d).Add(time.Duration(h) * time.Hour) }
	shifts := []view.Shift{{Who: "Jon Berg", From: day(-7, 9), To: day(0, 9)}, {Who: "Maria Rossi", From: day(0, 9), To: day(3, 18)}, {Who: "Ada Nkemelu-Okonkwo", From: day(3, 18), To: day(4, 8)}, {Who: "Maria Rossi", From: day(4, 8), To: day(7, 9)}, {Who: "Bo Li", From: day(7, 9), To: day(12, 9)}, {From: day(12, 9), To: day(13, 0)}, {Who: "Jon Berg", From: day(13, 0), To: day(20, 9)}}
	card := view.DutyCard{ID: "payments", Name: "Payments", Who: "Maria Rossi", Until: day(3, 18), Reason: "on call for team payments by schedule primary until Thu 5 Mar 18:00 CET", Next: "Ada Nkemelu-Okonkwo", NextFrom: day(3, 18), Rota: view.NewRota(shifts, monday, 2, f.Zone, f.Now)}
	for _, s := range shifts {
		card.Shifts = append(card.Shifts, view.ShiftRow{Who: s.Who, From: s.From, To: s.To, Reason: "layer 1", Now: !f.Now.Before(s.From) && f.Now.Before(s.To)})
	}
	return view.OnCallPage{Frame: f, Earlier: "/oncall?week=a", ThisWeek: "/oncall", Later: "/oncall?week=b", Teams: []view.DutyCard{card,
		{ID: "treasury", Name: "Treasury", Problem: "nobody is on call for team treasury: it has neither a schedule nor people under oncall", Observed: true}}}
}

func announcements(t *testing.T) view.CalendarPage {
	return view.CalendarPage{Frame: signedIn(t, "Calendar"), Tenant: "Acme Tickets", All: "/calendar",
		Holding: []view.Announced{{Name: "black_friday", Follows: "3 times the usual volume is as usual, and all between.", When: "11-27..11-30, 00:00 to 24:00 Europe/Berlin", Whom: "countries DE, AT", Tenants: 214, At: after(3000), Why: "Everybody shops.", By: "Maria Rossi"},
			{Name: "freeze", Follows: "No profile is proposed or promoted, and a rollout waits at the end of its stage.", When: "until 2026-12-02 08:00 Europe/Berlin", Whom: "everybody", Tenants: 412, At: after(6000), Why: "The peak.", By: "Maria Rossi", Holds: []string{"The rollout of policy revision 7 waits at the end of stage 2."}}},
		Coming: []view.Announced{{Name: "night_work", Follows: "Nobody is paged; tickets are opened.", When: "sun, 02:00 to 04:00 UTC", Whom: "service payments", Tenants: 412, At: after(9000), Why: "The database is patched.", By: "Maria Rossi", Behind: "freeze"}},
		Over:   []view.Announced{{Name: "easter", Follows: "0.5 times the usual volume is as usual, and all between.", When: "2026-04-05, 00:00 to 24:00 UTC", Whom: "everybody", Tenants: 412, Why: "A holiday.", By: "Maria Rossi"}}}
}

func sources(t *testing.T) view.SourcesPage {
	return view.SourcesPage{Frame: signedIn(t, "Sources"), Rows: overview(t).Sources, Unknown: []view.UnknownRow{{ID: "newshop", FirstAt: after(-300), LastAt: after(9), Series: 24, Samples: 120334}}}
}

func records(t *testing.T) view.LedgerPage {
	return view.LedgerPage{Frame: signedIn(t, "Ledger"), Subject: "tenant/acme", From: "2026-03-02T02:20", To: "2026-03-03T02:20", Kinds: []string{"alert.firing", "page.sent"}, Note: "3 decisions between 2 Mar 03:20 and 03:20.", Rows: []view.EntryRow{
		{ID: "1", At: after(1), Kind: "page.sent", Subject: "page/pg_01", SubjectURL: "/ledger?subject=page%2Fpg_01", Actor: "tocsin", Reason: "on call for team payments by schedule primary until Thu 5 Mar 18:00 CET", Data: "{\n  \"person\": \"maria\"\n}", Hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
		{ID: "2", At: after(1), Kind: "alert.firing", Subject: "alert/alt_0f1e2d3c4b5a69788796", Actor: "tocsin", Reason: "889 of 890 payments failed"},
		{ID: "3", At: after(-80000), Kind: "profile.assigned", Subject: "tenant/acme", SubjectURL: "/tenants/acme", Actor: "token:admin", Reason: "profile revision 1 of 5 rule(s), because onboarded"},
	}, Next: "/ledger?cursor=x"}
}

// full is the incident with all a signed-in person can do.
func full(t *testing.T) view.IncidentPage {
	p := incident(t)
	p.Frame = signedIn(t, "Incidents")
	p.Note, p.Resolve = &view.Form{Path: "/incidents/1042/notes"}, &view.Form{Path: "/incidents/1042/resolve"}
	p.Judge, p.Verdict, p.VerdictBy, p.VerdictAt, p.VerdictReason = &view.Form{Path: "/incidents/1042/verdict"}, "false", "Maria Rossi", after(5), "their reports come late on Mondays"
	return p
}

func filtered(t *testing.T) view.IncidentsPage {
	p := list(t)
	p.Frame, p.OpenOnly = signedIn(t, "Incidents"), true
	p.States = []view.Choice{{Value: "", Name: "open", Chosen: true}, {Value: "all", Name: "every state"}}
	p.Severities, p.Teams = []view.Choice{{Name: "every severity"}}, []view.Choice{{Name: "every team"}}
	return p
}

func anywhere(t *testing.T) view.DashboardPage {
	p := dashboard(t)
	p.Frame = signedIn(t, "")
	p.Presets = []view.NavItem{{Name: "1 hour", URL: "/d?1"}, {Name: "6 hours", URL: "/d?6", Here: true}, {Name: "1 day", URL: "/d?24"}, {Name: "7 days", URL: "/d?7"}}
	p.Choose = &view.DashboardForm{Path: "/dashboards/payment-errors", Tenant: "acme", From: "2026-03-03T01:09", To: "2026-03-03T02:40", Tenants: []string{"acme", "bolt"}, Slices: []view.Choice{{Value: "acquirer=alpha", Name: "acquirer alpha", Chosen: true}}}
	return p
}

func policy(t *testing.T) view.PolicyPage {
	return view.PolicyPage{Frame: signedIn(t, "Policy"), Number: 4, Sha: "08f57ce846db2640", Since: after(-9000), By: "token:ci", Because: "Payouts page too late.", Ledger: "/ledger?subject=policy",
		Rollout: &view.Rollout{To: 5, State: "halted", Tone: view.Degraded, Why: "In shadow at 412 tenant(s) it made 2 page(s) beyond those of revision 4, of 1 allowed (2 a week over all tenants).", By: "token:ci", Because: "Refunds wake somebody.", StartedAt: after(-7200),
			Untried:  []string{"How payment_failures is judged over all tenants together is not tried, and begins with the last stage: it counts what only the tenants of a stage count before."},
			Stages:   []view.Stage{{Name: "up to 1%", Tenants: 41, Began: true, Agreed: 1, Say: "in force since 2026-03-02 08:00 UTC"}, {Name: "up to 10%", Tenants: 412, Began: true, Extra: 2, Allowed: 1, Agreed: 3, Gone: 1, Tickets: 4, Say: "halted", Teams: []view.StageTeam{{Team: "payments", Extra: 2, Agreed: 3, Tickets: 4}, {Team: "treasury", Allowed: 1, Gone: 1}}}, {Name: "up to 100%", Say: "waits"}},
			Pages:    []view.TrialPage{{Verdict: "Only the new one", At: after(-600), Tenant: "lumen", TenantURL: "/tenants/lumen", More: 3, Rule: "refund_errors", Slice: []view.Dim{{Label: "method", Value: "card"}}, Reason: "40 of 50 refunds failed since 08:51:00 UTC; usual is 1.0%."}},
			Commands: []view.Watched{{What: "tocsin policy resume --reason TEXT", Why: "goes on: its pages were right"}, {What: "tocsin policy rollback --reason TEXT", Why: "puts revision 4 in force for every tenant, at once"}}},
		Revisions: []view.PolicyRow{{Number: 5, At: after(-7200), From: "the API", By: "token:ci", Because: "Refunds wake somebody.", Say: "being rolled out", Changed: []string{"refund_errors: severity critical, before: warning.", "evolution.stage_for: 4h0m0s, before: 2h0m0s."}, More: 3}, {Number: 4, At: after(-9000), From: "a file", By: "tocsin", Because: "It was read by a reload.", Say: "in force"}}}
}
