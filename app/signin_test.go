package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/internal/peer"
)

const signinCatalog = `teams: [{id: payments, oncall: [ada]}, {id: fraud, oncall: [bob]}]
services: [{id: payments, team: payments}]
people:
  - {id: ada, name: Ada Lovelace, contacts: [{channel: log}, {channel: mail, to: Ada@example.com}]}
  - {id: bob, contacts: [{channel: mail, to: bob@example.com}, {channel: mail, to: shared@example.com}]}
  - {id: cem, contacts: [{channel: mail, to: shared@example.com}]}
`

// signinRig is an app with a mail server and a clock that can be put forward.
type signinRig struct {
	*rig
	mail  peer.Mailpit
	ahead *atomic.Int64
	write func(file, text string)
}

func startSignIn(t *testing.T) signinRig {
	t.Helper()
	s := signinRig{rig: &rig{dir: t.TempDir(), log: &logs{}}, mail: peer.StartMailpit(t), ahead: &atomic.Int64{}}
	dir := t.TempDir()
	s.write = func(file, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	s.write("tocsin.yaml", reloadConfig+fmt.Sprintf("channels: [{name: log, kind: log}, {name: mail, kind: smtp, address: %q, from: tocsin@example.com, tls: none}]\n", s.mail.SMTPAddr))
	s.write("catalog.yaml", signinCatalog)
	s.write("policy.yaml", reloadPolicy)
	load := func() (*config.Config, error) { return config.Load(filepath.Join(dir, "tocsin.yaml")) }
	c, err := load()
	require.NoError(t, err)
	s.App, err = app.New(t.Context(), app.Options{Config: c, Load: load, StoragePath: s.dir, ListenAddress: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(s.log, nil)),
		Now: func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	raw, err := os.ReadFile(filepath.Join(s.dir, "admin.token"))
	require.NoError(t, err)
	s.admin = strings.TrimSpace(string(raw))
	return s
}

// surfer is one browser: its cookies, and the form token of the page it sees.
type surfer struct {
	http.Client
	r    *rig
	csrf string
}

func newSurfer(t *testing.T, r *rig) *surfer {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &surfer{r: r, Client: http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]*)"`)

func (s *surfer) send(t *testing.T, method, path string, form url.Values) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.r.URL()+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := s.Do(req)
	require.NoError(t, err)
	got := readReply(t, res)
	if m := csrfField.FindStringSubmatch(got.Body); m != nil {
		s.csrf = m[1]
	}
	return got
}

func (s *surfer) open(t *testing.T, path string) reply { return s.send(t, "GET", path, nil) }

func (s *surfer) press(t *testing.T, path string) reply {
	return s.send(t, "POST", path, url.Values{"csrf": {s.csrf}})
}

func (s *surfer) ask(t *testing.T, address string) reply {
	t.Helper()
	s.open(t, "/login?next=/incidents")
	return s.send(t, "POST", "/login/link", url.Values{"csrf": {s.csrf}, "address": {address}, "next": {"/incidents"}})
}

var signinLink = regexp.MustCompile(`https?://\S+(/login/link/[A-Za-z0-9_.-]+)`)

// link waits for the n-th mail and gives the path of the newest one's link.
func (s signinRig) link(t *testing.T, n int) string {
	t.Helper()
	require.Eventually(t, func() bool { return len(s.mail.Messages(t)) == n }, 20*time.Second, 20*time.Millisecond)
	m := s.mail.Message(t, s.mail.Messages(t)[0].ID)
	found := signinLink.FindStringSubmatch(m.Text)
	require.NotNil(t, found, m.Text)
	require.Contains(t, m.HTML, found[1])
	return found[1]
}

// TestAPersonSignsInByALinkInTheirMail: as Ada does, with everybody in between.
func TestAPersonSignsInByALinkInTheirMail(t *testing.T) {
	s := startSignIn(t)
	ada, other := newSurfer(t, s.rig), newSurfer(t, s.rig)
	known := ada.ask(t, " ada@EXAMPLE.com ")
	require.Equal(t, http.StatusOK, known.Status, known.Body)
	link := s.link(t, 1)
	require.NotContains(t, s.log.String(), link)

	t.Run("nobody else can use the link, and looking uses nothing up", func(t *testing.T) {
		scanner := newSurfer(t, s.rig)
		for range 3 {
			require.Equal(t, http.StatusForbidden, scanner.open(t, link).Status)
			require.Equal(t, http.StatusForbidden, scanner.send(t, "POST", link, nil).Status)
		}
		other.open(t, "/login")
		got := other.open(t, link)
		require.Equal(t, http.StatusForbidden, got.Status)
		require.Contains(t, got.Body, "Another browser")
		require.NotContains(t, got.Body, "Lovelace")
		require.Equal(t, http.StatusForbidden, other.press(t, link).Status)
		require.Equal(t, http.StatusForbidden, ada.open(t, link[:len(link)-4]+"AAAA").Status)
		require.Equal(t, http.StatusForbidden, ada.send(t, "POST", link, url.Values{"csrf": {"guessed"}}).Status)
	})
	page := ada.open(t, link)
	require.Equal(t, http.StatusOK, page.Status)
	require.Contains(t, page.Body, "Sign in as Ada Lovelace")
	cookie := browserCookie(t, ada)
	form := ada.csrf
	got := ada.press(t, link)
	require.Equal(t, http.StatusSeeOther, got.Status, got.Body)
	require.Equal(t, "/incidents", got.Header.Get("Location"))

	t.Run("once only", func(t *testing.T) {
		again := call{Method: "POST", Path: link, Body: url.Values{"csrf": {form}}.Encode(), Header: map[string]string{"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}}
		used := s.do(t, again)
		require.Equal(t, http.StatusConflict, used.Status)
		require.Empty(t, used.Header.Values("Set-Cookie"))
	})
	t.Run("acts carry the name, on the own team's incidents", func(t *testing.T) { s.actsAs(t, ada) })
	t.Run("out of the catalog", func(t *testing.T) {
		s.write("catalog.yaml", strings.ReplaceAll(strings.Replace(signinCatalog, "id: ada", "id: eve", 1), "oncall: [ada]", "oncall: [eve]"))
		s.reload(t, http.StatusOK)
		require.Equal(t, http.StatusSeeOther, ada.open(t, "/incidents").Status)
		s.write("catalog.yaml", signinCatalog)
		s.reload(t, http.StatusOK)
		require.Equal(t, http.StatusSeeOther, ada.open(t, "/incidents").Status, "for good: the id may be somebody else's now")
		before := len(s.mail.Messages(t))
		ada.ask(t, "ada@example.com")
		next := s.link(t, before+1)
		ada.open(t, next)
		require.Equal(t, http.StatusSeeOther, ada.press(t, next).Status)
		require.Equal(t, http.StatusOK, ada.open(t, "/incidents").Status)
	})
	t.Run("signed out", func(t *testing.T) {
		stolen := sessionCookie(t, ada)
		require.Equal(t, http.StatusForbidden, ada.send(t, "POST", "/logout?everywhere", nil).Status)
		ada.open(t, "/incidents")
		require.Equal(t, http.StatusSeeOther, ada.press(t, "/logout").Status)
		require.Equal(t, http.StatusSeeOther, s.do(t, call{Method: "GET", Path: "/incidents", Header: map[string]string{"Cookie": stolen}}).Status, "the cookie is worth nothing any more")
		again := call{Method: "POST", Path: link, Body: url.Values{"csrf": {form}}.Encode(), Header: map[string]string{"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}}
		require.Equal(t, http.StatusConflict, s.do(t, again).Status, "nor is the link")
	})
}

func (s signinRig) actsAs(t *testing.T, ada *surfer) {
	for _, id := range []string{"acme", "bolt"} {
		s.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}
	in := s.incident(t)
	require.Contains(t, ada.open(t, "/incidents/"+in.ID).Body, "Ada Lovelace")
	require.Equal(t, http.StatusForbidden, ada.send(t, "POST", "/api/v1/tokens", url.Values{"csrf": {ada.csrf}}).Status, "a person is a responder")
	require.Equal(t, http.StatusSeeOther, ada.press(t, "/incidents/"+in.ID+"/acknowledge").Status)
	require.Contains(t, s.want(t, http.StatusOK, http.MethodGet, "/api/v1/incidents/"+in.ID, "").Body, `"person":"ada"`)
	var out struct{ Token string }
	s.want(t, http.StatusCreated, http.MethodPost, "/api/v1/tokens", `{"name":"r","role":"responder","team":"payments"}`).into(t, &out)
	got := s.do(t, call{Method: "POST", Path: "/api/v1/incidents/" + in.ID + "/notes", Token: out.Token, Body: `{"person":"bob","note":"x"}`})
	require.Equal(t, http.StatusForbidden, got.Status, "a responder's token names nobody")
	bob := newSurfer(t, s.rig)
	before := len(s.mail.Messages(t))
	bob.ask(t, "bob@example.com")
	link := s.link(t, before+1)
	bob.open(t, link)
	require.Equal(t, http.StatusSeeOther, bob.press(t, link).Status)
	bob.open(t, "/incidents/"+in.ID)
	require.Equal(t, http.StatusForbidden, bob.send(t, "POST", "/incidents/"+in.ID+"/notes", url.Values{"csrf": {bob.csrf}, "note": {"x"}}).Status, "of another team")
}

// TestALinkIsAskedForInVain: the answer is the same for addresses nobody has.
func TestALinkIsAskedForInVain(t *testing.T) {
	s := startSignIn(t)
	b := newSurfer(t, s.rig)
	at := regexp.MustCompile(`(?s)<footer.*</footer>`)
	known := b.ask(t, "bob@example.com")
	for _, address := range []string{"nobody@example.com", "shared@example.com"} {
		got := b.ask(t, address)
		require.Equal(t, known.Status, got.Status)
		require.Equal(t, at.ReplaceAllString(known.Body, ""), at.ReplaceAllString(got.Body, ""), address)
	}
	require.Equal(t, http.StatusUnprocessableEntity, b.ask(t, "not an address").Status)
	old := s.link(t, 1)
	require.Equal(t, http.StatusForbidden, newSurfer(t, s.rig).send(t, "POST", "/login/link", url.Values{"address": {"bob@example.com"}}).Status, "another site's form")
	for _, address := range []string{"nobody@example.com", "bob@example.com"} {
		b.ask(t, address)
		require.Equal(t, http.StatusOK, b.ask(t, address).Status)
		got := b.ask(t, address)
		require.Equal(t, http.StatusTooManyRequests, got.Status)
		require.NotEmpty(t, got.Header.Get("Retry-After"))
	}
	s.link(t, 3) // what was refused was not sent, nor was anything to the others
	require.Equal(t, http.StatusOK, b.open(t, old).Status)
	s.ahead.Store(int64(15*time.Minute + time.Second))
	got := b.press(t, old)
	require.Equal(t, http.StatusForbidden, got.Status)
	require.Contains(t, got.Body, "too old")
	require.Equal(t, http.StatusOK, b.ask(t, "bob@example.com").Status, "after a while it may be asked again")
}

// TestSigningOutEverywhereEndsEverySession: of a person and of a token.
func TestSigningOutEverywhereEndsEverySession(t *testing.T) {
	s := startSignIn(t)
	for n, in := range []func(*surfer){
		func(b *surfer) {
			before := len(s.mail.Messages(t))
			b.ask(t, "bob@example.com")
			link := s.link(t, before+1)
			b.open(t, link)
			require.Equal(t, http.StatusSeeOther, b.press(t, link).Status)
		},
		func(b *surfer) {
			require.Equal(t, http.StatusSeeOther, b.send(t, "POST", "/login", url.Values{"token": {s.admin}}).Status)
		},
	} {
		desk, phone := newSurfer(t, s.rig), newSurfer(t, s.rig)
		in(desk)
		in(phone)
		require.Equal(t, http.StatusOK, desk.open(t, "/incidents").Status, n)
		require.Equal(t, http.StatusOK, phone.open(t, "/incidents").Status, n)
		require.Equal(t, http.StatusSeeOther, phone.press(t, "/logout?everywhere").Status, n)
		require.Equal(t, http.StatusSeeOther, desk.open(t, "/incidents").Status, n)
		in(desk)
		require.Equal(t, http.StatusOK, desk.open(t, "/incidents").Status, n)
	}
	s.want(t, http.StatusOK, http.MethodGet, "/api/v1/tokens", "")
}

func browserCookie(t *testing.T, b *surfer) string { return cookieOf(t, b, "/login", "tocsin_login") }
func sessionCookie(t *testing.T, b *surfer) string { return cookieOf(t, b, "/", "tocsin_session") }

func cookieOf(t *testing.T, b *surfer, path, name string) string {
	t.Helper()
	u, err := url.Parse(b.r.URL() + path)
	require.NoError(t, err)
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == name {
			return c.String()
		}
	}
	t.Fatal("there is no cookie " + name)
	return ""
}
