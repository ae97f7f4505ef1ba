package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/api/policies"
	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

// town is an installation with tenants in every state, traffic and an incident.
func town(t *testing.T) (*rig, incidentDoc) {
	r := start(t, t.TempDir())
	for id, doc := range map[string]string{"acme": `{"name":"Acme Tickets","timezone":"Europe/Berlin"}`, "bolt": `{"features":["refunds"]}`, "calm": `{}`, "later": `{}`, "gone": `{"state":"paused"}`} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, doc)
	}
	_, sender := r.token(t, "sender", time.Time{}, "*")
	now := time.Now().Truncate(time.Second)
	for _, id := range []string{"acme", "bolt", "calm", "stranger"} {
		require.Equal(t, http.StatusNoContent, r.push(t, sender, "", traffic(id, now)...).Status)
	}
	builtIn := r.policy(t).Text
	r.want(t, http.StatusAccepted, http.MethodPost, "/api/v1/policy", body(t, policies.PolicyEditRequest{Policy: builtIn + "# another\n", Reason: "fewer pages"}))
	return r, r.incident(t)
}

// traffic is two hours of payments over two acquirers.
func traffic(id string, now time.Time) []simulate.Sample {
	var out []simulate.Sample
	for n, acquirer := range []string{"alpha", "beta"} {
		for m, result := range []string{"success", "error"} {
			for step := range 480 {
				v := float64(step * (10 + 5*n))
				if m == 1 {
					v = float64(step / 7)
				}
				out = append(out, series(now.Add(time.Duration(step-479)*15*time.Second), v, "payment_transactions_total", "tenant", id, "environment", "production", "service", "payments", "operation", "payment", "method", "card", "country", "DE", "acquirer", acquirer, "result", result))
			}
		}
	}
	return out
}

// person is somebody at a browser.
type person struct {
	t   *testing.T
	ctx context.Context
	url string
	axe string

	mu         sync.Mutex
	complaints []string
}

func browse(t *testing.T, base string) *person {
	p := &person{t: t, ctx: peer.ChromiumContext(t), url: base, axe: peer.Axe(t)}
	require.NoError(t, chromedp.Listen(p.ctx, func(ev any) {
		if e, ok := ev.(*log.EventEntryAdded); ok && e.Entry.Level == log.EntryLevelError {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.complaints = append(p.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	}))
	_, err := chromedp.Call(p.ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	return p
}

func see[T any](p *person, js string) T {
	p.t.Helper()
	out, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, js)
	return out
}

// open goes to a page and gives its words.
func (p *person) open(path string, width int64) string {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(p.url+path)))
	return p.words()
}

func (p *person) words() string { return see[string](p, `document.querySelector('main').innerText`) }

// press submits the form of a button and waits for the page after it.
func (p *person) press(js string) {
	p.t.Helper()
	before := see[float64](p, `performance.timeOrigin`)
	see[bool](p, js+`; true`)
	require.Eventually(p.t, func() bool {
		now, err := chromedp.Run(p.ctx, chromedp.Evaluate[float64](`document.readyState === 'complete' ? performance.timeOrigin : 0`))
		return err == nil && now != 0 && now != before
	}, 20*time.Second, 20*time.Millisecond)
}

// judge holds the page to what every page must keep.
func (p *person) judge(name string, width int64) {
	p.t.Helper()
	require.LessOrEqual(p.t, see[int64](p, `document.documentElement.scrollWidth`), width, "%s scrolls sideways", name)
	see[bool](p, p.axe+";true")
	require.Empty(p.t, see[[]string](p, `axe.run(document, {resultTypes: ['violations']}).then(r =>
		r.violations.filter(v => v.impact === 'serious' || v.impact === 'critical').flatMap(v => v.nodes.map(n => v.id + ': ' + n.html.slice(0, 200))))`), "%s at %d", name, width)
	see[bool](p, `Promise.all([...document.images].map(i => { i.loading = 'eager'; return i.decode().catch(() => 0) })).then(() => true)`)
	require.True(p.t, see[bool](p, `[...document.images].every(i => i.complete && i.naturalWidth > 0)`), "a picture of %s is missing", name)
	if look := os.Getenv("VIEW_SCREENSHOTS"); look != "" {
		png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
		require.NoError(p.t, err)
		require.NoError(p.t, os.WriteFile(filepath.Join(look, fmt.Sprintf("real-%s-%d.png", name, width)), png, 0o644))
	}
}

func TestPeopleFindTheirWay(t *testing.T) {
	r, in := town(t)
	p := browse(t, r.URL())

	require.Contains(t, p.open("/alerts", 1280), "Sign in", "who is not signed in is asked to")
	see[bool](p, `document.getElementById('token').value = `+fmt.Sprintf("%q", r.admin)+`; true`)
	p.press(`document.querySelector('main form').submit()`)
	require.Contains(t, see[string](p, `location.pathname`), "/alerts", "and goes where it wanted to")
	require.Equal(t, []string{"/", "/incidents", "/alerts", "/tenants", "/oncall", "/sources", "/policy", "/calendar", "/ledger"}, see[[]string](p, `[...document.querySelectorAll('nav[aria-label=Main] a')].map(a => a.getAttribute('href'))`))

	number := fmt.Sprint(in.Number)
	for _, c := range []struct {
		name, path string
		want       []string
		not        []string
	}{
		{"overview", "/", []string{"Payments is broken", "payments", "1 open incident", number + " ", "samples a second come in", "To look at", "1 tenant(s) send and were never onboarded", "on call for", "Tenants (5)", "4 tenants are watched, ", "Broken 2", "Learning 1", "Nothing came yet 1", "Not watched 1"}, nil},
		{"tenants", "/tenants", []string{"5 tenants", "Acme Tickets", "paused, so nothing of it is judged", "nothing has arrived yet"}, []string{"stranger"}},
		{"tenants-found", "/tenants?q=ACME+tick", []string{"1 tenant matches, of 5", "Acme Tickets"}, []string{"bolt"}},
		{"tenants-learning", "/tenants?state=learning", []string{"1 tenant matches", "calm"}, []string{"Acme"}},
		{"tenants-none", "/tenants?q=zzz", []string{"No tenant is called that"}, nil},
		{"tenant", "/tenants/acme", []string{"Acme Tickets", "Broken", "Europe/Berlin", "payments", "all", "And by slice", "Usual", "payment_errors", "Every tenant of service payments has it.", "Revision 1", "onboarded"}, nil},
		{"tenant-empty", "/tenants/later", []string{"Nothing came yet", "nothing has arrived yet", `tenant="later"`}, nil},
		{"alerts", "/alerts", []string{"Firing", "payment_errors · acme", "payment_errors · bolt", "90 of 100 failed", "incident " + number}, nil},
		{"alerts-none", "/alerts?q=calm", []string{"No alert is like that"}, nil},
		{"incidents", "/incidents", []string{"Open incidents", "2 tenants"}, nil},
		{"incidents-over", "/incidents?state=resolved", []string{"No incident is like that"}, nil},
		{"incidents-found", "/incidents?q=bolt+alpha&severity=critical", []string{"2 tenants"}, nil},
		{"incident", "/incidents/" + in.ID, []string{"Nobody has it yet", "Timeline", "Why did it fire?", "Add the note", "Call it over"}, nil},
		{"oncall", "/oncall", []string{"On call", "Payments", "First under oncall of team payments"}, nil},
		{"sources", "/sources", []string{"sender", "samples a second", "stranger", "1,920 samples"}, []string{"acme"}},
		{"policy", "/policy", []string{"Policy revision 1", "In force since", "Revision 2: in shadow", "up to 100%", "tocsin policy rollback", "being rolled out", "Fewer pages"}, nil},
		{"calendar", "/calendar", []string{"Holds now", "Nothing is announced for now", "To come"}, nil},
		{"calendar-tenant", "/calendar?tenant=acme", []string{"Calendar of Acme Tickets", "All entries"}, nil},
		{"ledger", "/ledger", []string{"tenant.onboarded", "tenant/acme", "page.sent", "decisions from"}, nil},
		{"ledger-subject", "/ledger?subject=incident/" + number, []string{"incident.opened"}, []string{"tenant.onboarded"}},
		{"ledger-kind", "/ledger?kind=tenant.&text=paused+gone", []string{"tenant/gone", "1 decision "}, []string{"tenant/acme"}},
		{"ledger-none", "/ledger?from=2020-01-01T00:00&to=2020-01-02T00:00", []string{"0 decisions", "Take an earlier start"}, nil},
		{"ledger-wrong", "/ledger?from=yesterday", []string{"A time cannot be read"}, nil},
		{"dashboard", "/dashboards/payment_errors?tenant=acme&last=6h", []string{"payment_errors · acme", "1 day", "The same in PromQL"}, nil},
		{"dashboard-all", "/dashboards/payment_errors?slice=acquirer%3Dalpha&from=" + time.Now().UTC().Add(-time.Hour).Format("2006-01-02T15:04") + "&to=&tenant=", []string{"all tenants", "acquirer alpha"}, nil},
	} {
		for _, width := range []int64{390, 1280} {
			if width == 1280 && strings.Contains(c.name, "-") {
				continue // the same page in another state
			}
			words := p.open(c.path, width)
			for _, want := range c.want {
				require.Contains(t, strings.ReplaceAll(words, "\n", " "), want, c.name)
			}
			for _, not := range c.not {
				require.NotContains(t, words, not, c.name)
			}
			p.judge(c.name, width)
		}
	}
	p.open("/dashboards/payment_errors?tenant=acme&last=6h", 1280)
	require.Contains(t, see[[]string](p, `[...document.querySelectorAll('#slice option')].map(o => o.value)`), "acquirer=beta")

	t.Run("an incident is handled", func(t *testing.T) { handled(t, p, r, in) })
	t.Run("it works without a script", func(t *testing.T) { scriptless(t, r) })
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.complaints {
		require.Contains(t, c, "/ledger?from=yesterday", "the browser blocked or missed something: %s", c)
	}
}

// handled presses every button an incident has.
func handled(t *testing.T, p *person, r *rig, in incidentDoc) {
	p.t = t
	p.open("/incidents/"+in.ID, 390)
	p.press(`document.querySelector('form[action$="/acknowledge"] button').click()`)
	require.Contains(t, p.words(), "has it since")
	see[bool](p, `document.getElementById('note').value = 'called the acquirer, <b>they know</b>'; true`)
	p.press(`document.querySelector('form[action$="/notes"] button').click()`)
	require.Contains(t, p.words(), "called the acquirer, <b>they know</b>", "text stays text")
	see[bool](p, `document.getElementById('resolve').open = true; document.getElementById('why').value = 'they mended it'; true`)
	p.press(`document.querySelector('form[action$="/resolve"] button').click()`)
	require.Contains(t, p.words(), "Over since")
	require.Contains(t, p.words(), "they mended it")
	require.True(t, see[bool](p, `document.getElementById('judge').open`), "what is over is asked about")
	see[bool](p, `document.getElementById('reason').value = 'reports came late'; true`)
	p.press(`document.querySelector('form[action$="/verdict"] button[value="false"]').click()`)
	require.Contains(t, p.words(), "A false alarm, says")
	require.Contains(t, p.words(), "reports came late")
	p.press(`(document.getElementById('judge').open = true, document.querySelector('form[action$="/verdict"] button[value="expected"]').click())`)
	require.Contains(t, p.words(), "Expected, says")
	require.Equal(t, 1, see[int](p, `document.querySelectorAll('main form').length`), "what is over has no other buttons")
	var got incidentDoc
	r.want(t, http.StatusOK, http.MethodGet, "/api/v1/incidents/"+in.ID, "").into(t, &got)
	require.Equal(t, "resolved", got.State)
}

// scriptless signs in and sends a form as a browser without scripts does, and
// forges one.
func scriptless(t *testing.T, r *rig) {
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(r.URL()+"/login", url.Values{"token": {r.admin}})
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	cookie := res.Cookies()[0].String()
	for _, action := range []string{"acknowledge", "notes", "resolve", "verdict"} {
		got := r.do(t, call{Method: http.MethodPost, Path: "/incidents/1/" + action, Body: "note=x&csrf=guessed", Header: map[string]string{"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}})
		require.Equal(t, http.StatusForbidden, got.Status, action)
	}
	got := r.do(t, call{Method: http.MethodGet, Path: "/tenants?q=calm", Header: map[string]string{"Cookie": cookie}})
	require.Equal(t, http.StatusOK, got.Status)
	require.Contains(t, got.Body, `href="/tenants/calm"`)
}
