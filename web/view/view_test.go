package view_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/tocsin-alerting/tocsin/web/view"
)

func views(t testing.TB) *view.Views {
	v, err := view.New()
	require.NoError(t, err)
	return v
}

// page renders and parses; it fails on unbalanced or ill-nested elements.
func page(t *testing.T, render func(io.Writer) error) *html.Node {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, render(&b))
	balanced(t, b.String())
	doc, err := html.Parse(&b)
	require.NoError(t, err)
	return doc
}

func balanced(t *testing.T, src string) {
	void := map[string]bool{"meta": true, "link": true, "img": true, "input": true, "source": true}
	z := html.NewTokenizer(strings.NewReader(src))
	var open []string
	for {
		switch z.Next() {
		case html.ErrorToken:
			require.Empty(t, open)
			return
		case html.StartTagToken:
			if name, _ := z.TagName(); !void[string(name)] {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			require.NotEmpty(t, open)
			require.Equal(t, open[len(open)-1], string(name))
			open = open[:len(open)-1]
		}
	}
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func all(doc *html.Node, tag string) []*html.Node {
	var out []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == tag {
			out = append(out, n)
		}
	}
	return out
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestIncidentSaysWhatMatters(t *testing.T) {
	v, p := views(t), incident(t)
	doc := page(t, func(w io.Writer) error { return v.Incident(w, p) })
	main := text(all(doc, "main")[0])
	for _, want := range []string{
		"Payments over acquirer alpha fail for 4 tenants", "Bad since 03:09 (11 min); noticed at 03:10.", "Nobody has it yet. Maria Rossi was called.",
		"99.6% 1,641 of 1,648", "1.2%", "38%", "131.4 needed 13.2", "4 of 6, usually 2% · over", "Tenants (6)", "And 2 tenants more not shown", "Request Tracker #317",
		"team payments owns service payments", "Why at night?", "Paged Maria Rossi by mail",
	} {
		require.Contains(t, main, want)
	}
	form := all(all(doc, "main")[0], "form")
	require.Len(t, form, 1)
	require.Equal(t, "post", attr(form[0], "method"))
	require.Equal(t, "/incidents/1042/acknowledge", attr(form[0], "action"))
	require.Equal(t, "csrf-1", attr(all(form[0], "input")[0], "value"))
	require.Equal(t, "csrf", attr(all(form[0], "input")[0], "name"))
	first := all(doc, "time")[0]
	require.Equal(t, "2026-03-03T02:09:00Z", attr(first, "datetime"))
	require.Equal(t, "Tue 3 Mar 2026 02:09:00 UTC", attr(first, "title"))
	require.Contains(t, text(all(doc, "footer")[0]), "Times in Europe/Berlin (CET).")
}

func TestIncidentStates(t *testing.T) {
	v := views(t)
	say := func(change func(*view.IncidentPage)) (string, int) {
		p := incident(t)
		change(&p)
		main := all(page(t, func(w io.Writer) error { return v.Incident(w, p) }), "main")[0]
		return text(main), len(all(main, "form"))
	}
	s, forms := say(func(p *view.IncidentPage) {
		p.State, p.Acknowledged, p.AcknowledgedBy = view.Acknowledged, after(5), "Maria"
	})
	require.Contains(t, s, "Maria has it since 03:14.")
	require.Zero(t, forms, "what is taken has no button, even when the model offers one")
	s, _ = say(func(p *view.IncidentPage) {
		p.State, p.Acknowledged, p.AcknowledgedBy, p.ByViewer = view.Acknowledged, after(5), "Maria", true
	})
	require.Contains(t, s, "You have it since 03:14.")
	s, forms = say(func(p *view.IncidentPage) { p.State, p.ResolvedAt = view.Resolved, after(34) })
	require.Contains(t, s, "Over since 03:43.")
	require.Contains(t, s, "from 03:09 to 03:43 (34 min)")
	require.Zero(t, forms)
	_, forms = say(func(p *view.IncidentPage) { p.Acknowledge = nil })
	require.Zero(t, forms)
	s, _ = say(func(p *view.IncidentPage) { p.Ticket.Number = "" })
	require.Contains(t, s, "not created yet in Request Tracker")
	s, _ = say(func(p *view.IncidentPage) {
		*p = view.IncidentPage{Headline: "bare", OnsetAt: began, FiredAt: began}
	})
	require.NotContains(t, s, "NaN")
	require.Contains(t, s, "3 Mar 02:09", "without now the date is shown, without a zone UTC")
}

func TestAckLinkStates(t *testing.T) {
	v := views(t)
	say := func(change func(*view.AckPage)) (string, *html.Node) {
		p := ackPage(t)
		change(&p)
		doc := page(t, func(w io.Writer) error { return v.Ack(w, p) })
		require.Empty(t, all(all(doc, "header")[0], "a"), "the link's holder gets no navigation")
		return text(all(doc, "main")[0]), doc
	}
	s, doc := say(func(*view.AckPage) {})
	require.Contains(t, s, "Nobody has it yet. I have it This link is Maria Rossi’s.")
	inputs := all(doc, "input")
	require.Len(t, inputs, 2)
	require.Equal(t, []string{"csrf", "csrf-1", "page", "pg_1"}, []string{attr(inputs[0], "name"), attr(inputs[0], "value"), attr(inputs[1], "name"), attr(inputs[1], "value")})
	s, doc = say(func(p *view.AckPage) { p.TakenAt, p.TakenBy, p.ByPerson = after(5), "Maria", true })
	require.Contains(t, s, "You have it since 03:14.")
	require.Empty(t, all(doc, "form"))
	s, _ = say(func(p *view.AckPage) { p.TakenAt, p.TakenBy = after(3), "Jon" })
	require.Contains(t, s, "Jon has it since 03:12.")
	s, doc = say(func(p *view.AckPage) { p.ResolvedAt = after(34) })
	require.Contains(t, s, "over since 03:43")
	require.Empty(t, all(doc, "form"))
	s, _ = say(func(p *view.AckPage) { p.Take = nil })
	require.Contains(t, s, "can no longer take it")
}

func TestTheRota(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	monday := time.Date(2026, 3, 23, 0, 0, 0, 0, zone) // clocks change on Sunday the 29th
	shifts := []view.Shift{{Who: "Ada", From: monday.AddDate(0, 0, -3), To: monday.Add(12 * time.Hour)}, {Who: "Bo", From: monday.Add(12 * time.Hour), To: monday.AddDate(0, 0, 20)}}
	r := view.NewRota(shifts, monday, 2, zone, monday.AddDate(0, 0, 7).Add(6*time.Hour))
	require.Len(t, r.Days, 14)
	require.Equal(t, "Mon 23 Mar", r.Days[0].Label)
	require.Equal(t, "Mon 30", r.Days[7].Label)
	require.True(t, r.Days[7].Today)
	require.Len(t, r.Bars, 15, "one a day, and one more on the day of the handover")
	require.Equal(t, []view.RotaPerson{{Class: "p0", Name: "Ada"}, {Class: "p1", Name: "Bo"}}, r.People)
	require.Equal(t, r.Days[0].W/2, r.Bars[0].W, "half a day")
	for _, b := range r.Bars[2:] {
		require.Equal(t, r.Days[0].W, b.W, "a day is a day, also one of 23 hours")
	}
	require.Equal(t, "Bo", r.Bars[8].Label, "a week begins with its name")
	require.Equal(t, r.Days[7].W/4, r.NowX)
	require.Equal(t, r.Days[7].Y, r.NowY-34)
}

func TestOtherPages(t *testing.T) {
	v := views(t)
	doc := page(t, func(w io.Writer) error { return v.Incidents(w, list(t)) })
	require.Contains(t, text(doc), "since 01:39 (1 h 41 min) · 1 tenant · team payments · Jon Berg has it")
	require.Contains(t, text(doc), "2 Mar 00:29 to 2 Mar 01:14 (45 min)")
	doc = page(t, func(w io.Writer) error { return v.Incidents(w, view.IncidentsPage{OpenOnly: true}) })
	require.Contains(t, text(doc), "Nothing is broken that tocsin knows of.")

	doc = page(t, func(w io.Writer) error {
		return v.Login(w, view.LoginPage{Frame: view.Frame{Anonymous: true, CSRF: "c"}, Path: "/login", Next: "/incidents/7", Error: "That token is not one of ours."})
	})
	var field *html.Node
	for _, in := range all(doc, "input") {
		if attr(in, "type") == "password" {
			field = in
		}
	}
	require.Equal(t, attr(field, "id"), attr(all(doc, "label")[0], "for"))
	require.Empty(t, attr(field, "value"))

	doc = page(t, func(w io.Writer) error { return v.Dashboard(w, dashboard(t)) })
	require.Contains(t, text(doc), "02:09 to 03:40, about 03:10")
	require.Contains(t, text(all(doc, "pre")[0]), `result="error"`)

	doc = page(t, func(w io.Writer) error {
		return v.Message(w, view.MessagePage{Status: 410, Title: "This link has expired", Text: "Links are good for 7 days.", Hint: "Sign in and open the incident.", Links: []view.Link{{Name: "Sign in", URL: "/login"}}})
	})
	require.Contains(t, text(doc), "What to do: Sign in and open the incident.")
}

// TestHostileText puts what breaks pages into every text a sender controls.
func TestHostileText(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'{{.}}`
	v := views(t)
	p := incident(t)
	p.Headline, p.Service, p.Owner, p.Paged, p.Number, p.State, p.Severity = evil, evil, evil, evil, evil, evil, evil
	p.Slice = []view.Dim{{Label: evil, Value: evil}}
	p.Tenants = []view.TenantRow{{ID: evil, Name: evil, URL: "javascript:alert(1)", N: 1}}
	p.Ticket = &view.Ticket{System: evil, Number: evil, URL: "data:text/html,x", State: evil}
	p.Runbook, p.Dashboard = "javascript:alert(1)", "//evil.example"
	p.Links = []view.Link{{Name: evil, URL: "vbscript:x"}, {Name: "ok", URL: "/\\evil.example"}}
	p.Chart = &view.Picture{URL: "javascript:alert(1)", DarkURL: "javascript:alert(1)", Alt: evil}
	p.Why = []view.Reason{{Question: evil, Answer: evil}}
	p.Timeline = []view.Event{{At: began, What: evil, Who: evil, Reason: evil}}
	p.Acknowledge = &view.Form{Path: "javascript:alert(1)", Hidden: map[string]string{evil: evil}}
	p.Environment, p.Viewer, p.CSRF = evil, evil, evil
	a := ackPage(t)
	a.Headline, a.Person, a.Links = evil, evil, []view.Link{{Name: evil, URL: "javascript:alert(1)"}}
	d := dashboard(t)
	d.Rule, d.Tenant, d.Earlier, d.Queries = evil, evil, "javascript:alert(1)", []view.Query{{Title: evil, PromQL: evil}}
	for name, render := range map[string]func(io.Writer) error{
		"tenants": func(w io.Writer) error {
			return v.Tenants(w, view.TenantsPage{Query: evil, Rows: []view.TenantLine{{ID: evil, Name: evil, URL: "javascript:alert(1)", Say: evil}}, Tones: []view.Choice{{Value: evil, Name: evil}}})
		},
		"overview": func(w io.Writer) error {
			return v.Overview(w, view.OverviewPage{Verdict: evil, Services: []view.ServiceCard{{Service: evil, OnCall: evil, Problem: evil}}, Wall: view.Wall{Total: 1, Fields: []view.Field{{Name: evil, URL: "javascript:alert(1)"}}}, Sources: []view.SourceRow{{Name: evil}}})
		},
		"oncall": func(w io.Writer) error {
			monday := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
			return v.OnCall(w, view.OnCallPage{Teams: []view.DutyCard{{ID: evil, Name: evil, Who: evil, Next: evil, Rota: view.NewRota([]view.Shift{{Who: evil, From: monday, To: monday.AddDate(0, 0, 5)}}, monday, 1, time.UTC, monday)}}})
		},
		"policy": func(w io.Writer) error {
			return v.Policy(w, view.PolicyPage{By: evil, Because: evil, Ledger: "javascript:alert(1)", Revisions: []view.PolicyRow{{By: evil, Because: evil, Changed: []string{evil}}},
				Rollout: &view.Rollout{Why: evil, Because: evil, Untried: []string{evil}, Stages: []view.Stage{{Name: evil, Say: evil, Teams: []view.StageTeam{{Team: evil}}}}, Pages: []view.TrialPage{{Tenant: evil, TenantURL: "javascript:alert(1)", Rule: evil, Reason: evil}}}})
		},
		"calendar": func(w io.Writer) error {
			return v.Calendar(w, view.CalendarPage{Tenant: evil, All: "javascript:alert(1)", Holding: []view.Announced{{Name: evil, Why: evil, When: evil, Whom: evil, By: evil, Behind: evil, Holds: []string{evil}}}})
		},
		"ledger": func(w io.Writer) error {
			return v.Ledger(w, view.LedgerPage{Subject: evil, Text: evil, Rows: []view.EntryRow{{Kind: evil, Subject: evil, SubjectURL: "javascript:alert(1)", Reason: evil, Data: evil}}})
		},
		"incident": func(w io.Writer) error { return v.Incident(w, p) }, "ack": func(w io.Writer) error { return v.Ack(w, a) },
		"dashboard": func(w io.Writer) error { return v.Dashboard(w, d) },
		"message":   func(w io.Writer) error { return v.Message(w, view.MessagePage{Title: evil, Text: evil, Hint: evil}) },
		"login": func(w io.Writer) error {
			return v.Login(w, view.LoginPage{Path: "javascript:x", LinkPath: "javascript:x", Next: evil, Error: evil})
		},
		"signin": func(w io.Writer) error { return v.SignIn(w, view.SignInPage{Path: "javascript:x", Name: evil}) },
	} {
		doc := page(t, render)
		require.Empty(t, all(doc, "script"), name)
		require.Contains(t, text(all(doc, "body")[0]), "<script>alert(1)</script>", "%s shows it as text", name)
		for n := range doc.Descendants() {
			for _, at := range n.Attr {
				require.False(t, strings.HasPrefix(at.Key, "on"), name)
				require.NotRegexp(t, `^(?i)\s*(javascript|vbscript|data):`, at.Val, name)
				if at.Key == "href" {
					require.False(t, strings.HasPrefix(at.Val, "//") || strings.HasPrefix(at.Val, "/\\"), "%s: %s", name, at.Val)
				}
			}
		}
	}
}

// TestPagesKeepThePolicy: nothing that the content security policy would block.
func TestPagesKeepThePolicy(t *testing.T) {
	v := views(t)
	for _, render := range []func(io.Writer) error{
		func(w io.Writer) error { return v.Incident(w, incident(t)) }, func(w io.Writer) error { return v.Ack(w, ackPage(t)) },
		func(w io.Writer) error { return v.Incidents(w, list(t)) }, func(w io.Writer) error { return v.Dashboard(w, dashboard(t)) },
		func(w io.Writer) error { return v.Overview(w, overview(t)) }, func(w io.Writer) error { return v.Overview(w, beginning(t)) },
		func(w io.Writer) error { return v.Tenants(w, tenants(t)) }, func(w io.Writer) error { return v.Tenant(w, tenant(t)) },
		func(w io.Writer) error { return v.Alerts(w, alerts(t)) }, func(w io.Writer) error { return v.OnCall(w, onCall(t)) },
		func(w io.Writer) error { return v.Sources(w, sources(t)) }, func(w io.Writer) error { return v.Ledger(w, records(t)) },
		func(w io.Writer) error { return v.Policy(w, policy(t)) }, func(w io.Writer) error { return v.Calendar(w, announcements(t)) },
		func(w io.Writer) error { return v.Incident(w, full(t)) }, func(w io.Writer) error { return v.Dashboard(w, anywhere(t)) },
	} {
		doc := page(t, render)
		require.Empty(t, all(doc, "style"))
		for _, s := range all(doc, "script") {
			require.Regexp(t, `^/static/live\.[0-9a-f]{12}\.js$`, attr(s, "src"), "only the one script, from a file")
			require.Empty(t, text(s))
		}
		parts := map[string]bool{}
		for n := range doc.Descendants() {
			if id := attr(n, "id"); id != "" {
				require.False(t, parts[id], "the id %s stands twice", id)
				parts[id] = true
			}
			for _, a := range n.Attr {
				require.False(t, a.Key == "data-live" && attr(n, "id") == "", "a live part is found again by its id")
			}
		}
		require.Equal(t, "en", attr(all(doc, "html")[0], "lang"))
		require.Len(t, all(doc, "main"), 1)
		require.Len(t, all(doc, "h1"), 1)
		for n := range doc.Descendants() {
			require.Empty(t, attr(n, "style"))
			if n.Data == "img" {
				require.True(t, strings.HasPrefix(attr(n, "src"), "/"))
			}
		}
	}
}

func TestStaticFiles(t *testing.T) {
	v := views(t)
	doc := page(t, func(w io.Writer) error { return v.Overview(w, beginning(t)) })
	for _, link := range append(all(doc, "link"), all(doc, "script")...) {
		href := attr(link, "href") + attr(link, "src")
		require.Regexp(t, regexp.MustCompile(`^/static/[a-z]+\.[0-9a-f]{12}\.(css|svg|js)$`), href)
		rec := httptest.NewRecorder()
		v.StaticHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, href, nil))
		require.Equal(t, http.StatusOK, rec.Code)
		require.Contains(t, rec.Header().Get("Cache-Control"), "immutable")
		require.Positive(t, rec.Body.Len())
	}
	for _, path := range []string{"/static/tocsin.css", "/static/", "/static/../view.go", "/static/tocsin.000000000000.css"} {
		rec := httptest.NewRecorder()
		v.StaticHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusNotFound, rec.Code, path)
		require.NotContains(t, rec.Header().Get("Cache-Control"), "immutable")
	}
}

// TestTimesOfOtherDays covers the change of the clocks as well.
func TestTimesOfOtherDays(t *testing.T) {
	v, p := views(t), ackPage(t)
	p.Now = time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC) // 03:30 summer time
	p.OnsetAt = time.Date(2026, 3, 29, 0, 59, 0, 0, time.UTC)
	p.FiredAt = p.OnsetAt.Add(-26 * time.Hour)
	doc := page(t, func(w io.Writer) error { return v.Ack(w, p) })
	require.Contains(t, text(doc), "Bad since 01:59; noticed at 27 Mar 23:59.")
	require.Contains(t, text(doc), "(CEST)")
}
