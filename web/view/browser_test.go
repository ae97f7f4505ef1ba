package view_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// site serves the sample pages as a handler would, with the policy on.
type site struct {
	*httptest.Server
	mu     sync.Mutex
	posts  []string
	looks  atomic.Int64
	broken atomic.Bool
}

func newSite(t *testing.T) *site {
	v, s := views(t), &site{}
	taken := ackPage(t)
	taken.State, taken.TakenAt, taken.TakenBy, taken.ByPerson = view.Acknowledged, after(5), "Maria Rossi", true
	pages := map[string]func(io.Writer) error{
		"/incident": func(w io.Writer) error { return v.Incident(w, incident(t)) }, "/ack": func(w io.Writer) error { return v.Ack(w, ackPage(t)) },
		"/incidents": func(w io.Writer) error { return v.Incidents(w, list(t)) }, "/dashboard": func(w io.Writer) error { return v.Dashboard(w, dashboard(t)) },
		"/overview": func(w io.Writer) error { return v.Overview(w, overview(t)) }, "/beginning": func(w io.Writer) error { return v.Overview(w, beginning(t)) },
		"/tenants": func(w io.Writer) error { return v.Tenants(w, tenants(t)) }, "/tenant": func(w io.Writer) error { return v.Tenant(w, tenant(t)) },
		"/alerts": func(w io.Writer) error { return v.Alerts(w, alerts(t)) }, "/oncall": func(w io.Writer) error { return v.OnCall(w, onCall(t)) },
		"/sources": func(w io.Writer) error { return v.Sources(w, sources(t)) }, "/ledger": func(w io.Writer) error { return v.Ledger(w, records(t)) },
		"/policy": func(w io.Writer) error { return v.Policy(w, policy(t)) }, "/calendar": func(w io.Writer) error { return v.Calendar(w, announcements(t)) },
		"/full": func(w io.Writer) error { return v.Incident(w, full(t)) }, "/filtered": func(w io.Writer) error { return v.Incidents(w, filtered(t)) },
		"/anywhere": func(w io.Writer) error { return v.Dashboard(w, anywhere(t)) },
		"/taken":    func(w io.Writer) error { return v.Ack(w, taken) },
		"/login": func(w io.Writer) error {
			return v.Login(w, view.LoginPage{Frame: view.Frame{Anonymous: true, CSRF: "c", Now: after(1)}, Path: "/login", Error: "That token is not one of ours."})
		},
		"/address": func(w io.Writer) error {
			return v.Login(w, view.LoginPage{Frame: view.Frame{Anonymous: true, CSRF: "c", Now: after(1)}, Path: "/login", LinkPath: "/login/link"})
		},
		"/signin": func(w io.Writer) error {
			return v.SignIn(w, view.SignInPage{Frame: view.Frame{Anonymous: true, CSRF: "c", Now: after(1)}, Path: "/login/link/x", Name: "Ada Lovelace"})
		},
		"/message": func(w io.Writer) error {
			return v.Message(w, view.MessagePage{Frame: frame(t), Status: 404, Title: "There is no incident 9", Text: "It may have been given another number.", Hint: "Look at the list.", Links: []view.Link{{Name: "All incidents", URL: "/incidents"}}})
		},
	}
	mux := http.NewServeMux()
	mux.Handle("GET "+view.StaticPrefix, v.StaticHandler())
	for path, render := range pages {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Security-Policy", view.ContentSecurityPolicy)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			if err := render(w); err != nil {
				t.Error(err)
			}
		})
	}
	for path, dark := range map[string]bool{"/chart.png": false, "/chart-dark.png": true} {
		png := drawnChart(t, dark)
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(png) })
	}
	mux.HandleFunc("GET /changing", func(w http.ResponseWriter, _ *http.Request) {
		if s.broken.Load() {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Security-Policy", view.ContentSecurityPolicy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		p := tenants(t)
		p.Rows[0].Say = fmt.Sprintf("looked %d times", s.looks.Add(1))
		if err := v.Tenants(w, p); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.posts = append(s.posts, r.URL.Path+" "+r.PostFormValue("csrf"))
		http.Redirect(w, r, "/taken", http.StatusSeeOther)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func drawnChart(t *testing.T, dark bool) []byte {
	c := dashboards.Chart{
		Title: "Payments over acquirer alpha", Subtitle: "1,641 of 1,648 failed since 03:09, usually 1.2%", Usual: 0.012,
		OnsetAt: began, FiredAt: after(1), Zone: frame(t).Zone, Dark: dark,
	}
	for m := -60; m < 11; m++ {
		p := dashboards.Point{T: after(m), N: float64(405 + (m*m*7+m*13)%31), K: float64(5 + (m*m+600)%4)}
		if m >= 0 {
			p.K = p.N - float64(m%3)
		}
		c.Points = append(c.Points, p)
	}
	raw, err := c.PNG()
	require.NoError(t, err)
	return raw
}

// lowContrast lists texts whose contrast with what is behind them is under
// 4.5 to 1; every colour of the style is opaque.
const lowContrast = `(() => {
  const lum = c => { const [r, g, b] = c.match(/[\d.]+/g).slice(0, 3).map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }); return 0.2126 * r + 0.7152 * g + 0.0722 * b }
  const out = []
  for (const el of document.querySelectorAll('body *')) {
    if (![...el.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue
    let at = el, back = 'rgb(255,255,255)'
    for (; at; at = at.parentElement) { const c = getComputedStyle(at).backgroundColor; if (!/rgba\(.*, 0\)|transparent/.test(c)) { back = c; break } }
    const [a, b] = [lum(getComputedStyle(el).color), lum(back)].sort((x, y) => y - x)
    if ((a + 0.05) / (b + 0.05) < 4.5) out.push(el.className + ': ' + el.textContent.trim().slice(0, 30))
  }
  return out })()`

func TestInABrowser(t *testing.T) {
	ctx := peer.ChromiumContext(t)
	s := newSite(t)
	var mu sync.Mutex
	var complaints []string
	require.NoError(t, chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*log.EventEntryAdded); ok && e.Entry.Level == log.EntryLevelError && !strings.HasSuffix(e.Entry.URL, "/changing") {
			mu.Lock()
			defer mu.Unlock()
			complaints = append(complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	}))
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	look := os.Getenv("VIEW_SCREENSHOTS") // a folder: every page is put there, to be looked at
	axe := peer.Axe(t)
	for _, name := range []string{"incident", "incidents", "ack", "taken", "login", "address", "signin", "dashboard", "message", "overview", "beginning", "tenants", "tenant", "alerts", "oncall", "sources", "policy", "calendar", "ledger", "full", "filtered", "anywhere"} {
		for _, scheme := range []string{"light", "dark"} {
			for _, size := range [][2]int64{{360, 740}, {390, 844}, {1280, 900}} {
				if scheme == "dark" && size[0] != 390 && look == "" {
					continue // the colours are the same at every width
				}
				show(ctx, t, s.URL+"/"+name, scheme, size)
				require.LessOrEqual(t, eval[int64](ctx, t, `document.documentElement.scrollWidth`), size[0], "%s scrolls sideways at %d", name, size[0])
				require.Empty(t, eval[[]string](ctx, t, lowContrast), "%s %s", name, scheme)
				if scheme == "light" && size[0] != 360 { // the dark colours are judged above
					require.Empty(t, accessible(ctx, t, axe), "axe-core on %s, %s, %d wide", name, scheme, size[0])
				}
				if look != "" && size[0] != 360 {
					shoot(ctx, t, filepath.Join(look, name+"-"+scheme+"-"+map[int64]string{390: "phone", 1280: "desktop"}[size[0]]+".png"))
				}
			}
		}
	}
	t.Run("axe finds what is wrong", func(t *testing.T) {
		show(ctx, t, s.URL+"/incident", "light", [2]int64{390, 844})
		eval[bool](ctx, t, `document.querySelector('main img').removeAttribute('alt'); true`)
		found := accessible(ctx, t, axe)
		require.Len(t, found, 1)
		require.Contains(t, found[0], "image-alt")
	})
	t.Run("a page stays fresh", func(t *testing.T) { fresh(ctx, t, s) })
	t.Run("keyboard", func(t *testing.T) { keyboard(ctx, t, s) })
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(complaints)
	require.Empty(t, slices.Compact(complaints), "the browser blocked or missed something")
}

// accessible lists what axe-core finds serious or critical, with where it is.
func accessible(ctx context.Context, t *testing.T, axe string) []string {
	t.Helper()
	eval[bool](ctx, t, axe+";true")
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`axe.run(document, {resultTypes: ['violations']}).then(r =>
		r.violations.filter(v => v.impact === 'serious' || v.impact === 'critical').flatMap(v => v.nodes.map(n => v.id + ': ' + n.html.slice(0, 200))))`, chromedp.EvalAwaitPromise))
	require.NoError(t, err)
	return found
}

func show(ctx context.Context, t *testing.T, url, scheme string, size [2]int64) {
	t.Helper()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate(url)))
}

func eval[T any](ctx context.Context, t *testing.T, js string) T {
	t.Helper()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	require.NoError(t, err)
	return out
}

func shoot(ctx context.Context, t *testing.T, path string) {
	raw, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, raw, 0o644))
}

// fresh watches a page renew itself under somebody who is using it.
func fresh(ctx context.Context, t *testing.T, s *site) {
	show(ctx, t, s.URL+"/changing", "light", [2]int64{1280, 900})
	refresh := func() { eval[bool](ctx, t, `document.dispatchEvent(new Event('visibilitychange')); true`) }
	eventually := func(js string) {
		t.Helper()
		require.Eventually(t, func() bool { refresh(); return eval[bool](ctx, t, js) }, 10*time.Second, 50*time.Millisecond, js)
	}
	eval[bool](ctx, t, `document.querySelector('#list a[href="/tenants/acme"]').focus(); document.getElementById('q').value = 'typed'; true`)
	eventually(`!document.body.innerText.includes('looked 1 times')`)
	require.Equal(t, "/tenants/acme", eval[string](ctx, t, `document.activeElement.getAttribute('href')`), "the focus stays where it was")
	require.Equal(t, "typed", eval[string](ctx, t, `document.getElementById('q').value`))
	require.True(t, eval[bool](ctx, t, `document.getElementById('stale').hidden`))

	s.broken.Store(true) // and every look at the clock finds a minute gone: a last good answer may still be on its way
	eval[bool](ctx, t, `const now = Date.now; let passed = 0; Date.now = () => now() + (passed += 60000); true`)
	eventually(`!document.getElementById('stale').hidden && document.getElementById('stale').innerText.includes('may be out of date')`)
	s.broken.Store(false)
	eventually(`document.getElementById('stale').hidden`)
}

// keyboard takes an incident without a mouse: Tab to the button, Enter.
func keyboard(ctx context.Context, t *testing.T, s *site) {
	for page, want := range map[string]string{"/ack": "/ack/abc csrf-1", "/incident": "/incidents/1042/acknowledge csrf-1"} {
		show(ctx, t, s.URL+page, "light", [2]int64{390, 844})
		var focused string
		for range 8 {
			require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Tab)))
			if focused = eval[string](ctx, t, `document.activeElement.className`); focused == "go" {
				break
			}
		}
		require.Equal(t, "go", focused, "the button of %s is within eight tabs", page)
		require.Equal(t, "solid", eval[string](ctx, t, `getComputedStyle(document.activeElement).outlineStyle`), "focus is seen")
		require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)))
		require.Eventually(t, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.posts) > 0 && s.posts[len(s.posts)-1] == want
		}, 10*time.Second, 20*time.Millisecond)
		require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(`p[role=status]`))))
		require.Contains(t, eval[string](ctx, t, `document.querySelector('main').innerText`), "You have it since 03:14.")
	}
}

// TestUpdateScreenshots renews the pictures in docs/images.
func TestUpdateScreenshots(t *testing.T) {
	if os.Getenv("UPDATE_SCREENSHOTS") == "" {
		t.Skip("set UPDATE_SCREENSHOTS=1 to renew docs/images")
	}
	ctx, s := peer.ChromiumContext(t), newSite(t)
	dir := filepath.Join("..", "..", "docs", "images")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for page, name := range map[string]string{"full": "incident", "overview": "overview", "oncall": "oncall"} {
		for width, size := range map[string][2]int64{"desktop": {1280, 900}, "phone": {390, 844}} {
			show(ctx, t, s.URL+"/"+page, "light", size)
			path := filepath.Join(dir, name+"-"+width+".png")
			shoot(ctx, t, path)
			slim(t, path)
		}
	}
}

// slim writes a picture again with its 256 most frequent colours.
func slim(t *testing.T, path string) {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	full, err := png.Decode(bytes.NewReader(raw))
	require.NoError(t, err)
	count := map[color.Color]int{}
	for y := range full.Bounds().Dy() {
		for x := range full.Bounds().Dx() {
			count[full.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return count[b] - count[a] })
	few := image.NewPaletted(full.Bounds(), colours[:min(len(colours), 256)])
	draw.Draw(few, few.Bounds(), full, image.Point{}, draw.Src)
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few))
	require.Less(t, out.Len(), 200<<10, "%s is too large for a document", path)
	require.NoError(t, os.WriteFile(path, out.Bytes(), 0o644))
}
