package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
)

const hookSecret = "0123456789abcdef0123456789abcdef"

// hooked is the receiver of a webhook: a gateway for text messages, say. It is
// busy the first time.
type hooked struct {
	*httptest.Server
	mu    sync.Mutex
	calls []hookCall
}

type hookCall struct {
	key    string
	signed bool
	doc    struct {
		Kind       string
		Person     struct{ ID, To string }
		Incident   *struct{ Number int }
		Escalation struct {
			Step, Steps int
			LastResort  bool `json:"last_resort"`
		}
		Text   string
		AckURL string `json:"acknowledge_url"`
	}
}

func startHook(t *testing.T) *hooked {
	t.Helper()
	h := &hooked{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		c := hookCall{key: r.Header.Get("Idempotency-Key"), signed: signedBy(hookSecret, r.Header.Get("Tocsin-Signature"), raw)}
		_ = json.Unmarshal(raw, &c.doc)
		h.mu.Lock()
		first := len(h.calls) == 0
		h.calls = append(h.calls, c)
		h.mu.Unlock()
		if first {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hooked) got() []hookCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]hookCall{}, h.calls...)
}

// signedBy is what docs/channels.md tells receivers to do.
func signedBy(secret, header string, body []byte) bool {
	stamp, signatures, _ := strings.Cut(header, ",")
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(strings.TrimPrefix(stamp, "t=") + "."))
	m.Write(body)
	return strings.Contains(","+signatures+",", ",v1="+hex.EncodeToString(m.Sum(nil))+",")
}

// TestTheNextOneIsAsked drills a team and takes it live; then nobody answers a
// fault, across a kill -9 between two steps, until the last resort has it, gives
// it back, and the second person acknowledges.
func TestTheNextOneIsAsked(t *testing.T) {
	long(t)
	mail, hook := peer.StartMailpit(t), startHook(t)
	d := install(t, map[string]string{
		"hook.secret": hookSecret + "\n",
		"tocsin.yaml": fmt.Sprintf(`
catalog_files: [catalog.yaml]
channels:
  - {name: mail, kind: smtp, address: %q, from: tocsin@example.com, tls: none}
  - {name: hook, kind: webhook, url: %q, secret_file: hook.secret}
`, mail.SMTPAddr, hook.URL+"/pages"),
		"catalog.yaml": `
teams:
  - id: payments
    schedule: first
    escalation: [{after: 15s, person: bo}]
    last_resort: {after: 15s, person: cyd}
services: [{id: payments, team: payments}]
people:
  - {id: ada, name: Ada Lindqvist, contacts: [{channel: mail, to: ada@example.com}]}
  - {id: bo, name: Bo Martins, contacts: [{channel: hook, to: "+351 1"}]}
  - {id: cyd, name: Cyd Novak, contacts: [{channel: mail, to: cyd@example.com}]}
  - {id: dee, name: Dee Okafor, contacts: [{channel: mail, to: dee@example.com}]}
schedules: [{id: first, layers: [{start: 2026-01-05T09:00, unit: week, every: 1, members: [dee]}]}]
`})
	d.start(t)
	d.run(t, "oncall", "override", "add", "--team", "payments", "--person", "ada", "--instead", "dee", "--to", time.Now().Add(24*time.Hour).Format(time.RFC3339), "--reason", "Dee is ill")
	drilled(t, d, mail)
	outage(t, d)

	eventually(t, 110*time.Second, "the first page", func(c *assert.CollectT) {
		pages := incidentPages(c, d)
		require.Len(c, pages, 1)
		require.Equal(c, "sent", pages[0].State)
	})
	d.kill(t) // between two steps
	require.Equal(t, []string{"ada@example.com", "ada@example.com"}, recipients(t, mail), "the drill and the page")
	d.start(t)
	eventually(t, 40*time.Second, "the second step by webhook", func(c *assert.CollectT) {
		require.GreaterOrEqual(c, len(hook.got()), 2, "once refused for the moment, then taken")
	})
	calls := hook.got()
	require.Equal(t, calls[0].key, calls[1].key, "it is the same page")
	for _, x := range calls {
		require.Equal(t, "bo +351 1", x.doc.Person.ID+" "+x.doc.Person.To)
		require.Equal(t, "page", x.doc.Kind)
		require.Equal(t, 1, x.doc.Incident.Number)
		require.Equal(t, 2, x.doc.Escalation.Step)
		require.Contains(t, x.doc.Text, "Asked before you: Ada Lindqvist at ")
	}
	eventually(t, 40*time.Second, "the last resort by mail", func(c *assert.CollectT) {
		pages := incidentPages(c, d)
		require.Len(c, pages, 3)
		require.Equal(c, "cyd sent", pages[2].Person+" "+pages[2].State)
	})
	cyd := incidentPages(t, d)[2]
	b := browser(t)
	require.Contains(t, press(t, b, cyd.AckURL, open(t, b, cyd.AckURL)), "You have it")
	require.Equal(t, "cyd", list[incident](t, d, "/api/v1/incidents")[0].AcknowledgedBy.Person)
	require.Equal(t, []string{"cyd@example.com", "ada@example.com", "ada@example.com"}, recipients(t, mail), "the newest first; nobody twice")

	d.raw(t, http.MethodPost, "/api/v1/incidents/1/release", map[string]string{"person": "cyd", "note": "no laptop"}, http.StatusOK)
	eventually(t, 60*time.Second, "Ada, and then Bo again", func(c *assert.CollectT) {
		pages := incidentPages(c, d)
		require.Len(c, pages, 5)
		require.Equal(c, "ada bo sent", pages[3].Person+" "+pages[4].Person+" "+pages[4].State)
	})
	calls = hook.got()
	last := calls[len(calls)-1]
	require.NotEqual(t, calls[0].key, last.key, "given back it is another call")
	require.Contains(t, press(t, b, last.doc.AckURL, open(t, b, last.doc.AckURL)), "You have it")
	told := d.run(t, "why", "1")
	for _, want := range []string{"escalation.step", "because nobody acknowledged within", "Bo Martins", "given back by Cyd Novak (api): no laptop", "page.sent"} {
		require.Contains(t, told, want)
	}
	d.stop(t)
	require.Len(t, recipients(t, mail), 4, "nobody is called once it is acknowledged")
	for _, x := range hook.got() {
		require.True(t, x.signed, "every request is signed")
	}
}

// drilled sends a test page to the observed team, presses its button and takes
// the team live.
func drilled(t *testing.T, d *daemon, mail peer.Mailpit) {
	t.Helper()
	type drill struct{ ID, State, Person, Detail string }
	var begun drill
	require.NoError(t, json.Unmarshal([]byte(d.run(t, "drill", "--team", "payments", "--no-wait", "--output", "json")), &begun))
	require.Equal(t, "ada waiting", begun.Person+" "+begun.State)
	var link string
	eventually(t, 20*time.Second, "the drill's page", func(c *assert.CollectT) {
		pages := list[page](c, d, "/api/v1/pages")
		require.Len(c, pages, 1)
		require.Equal(c, "sent", pages[0].State)
		link = pages[0].AckURL
	})
	require.Contains(t, mail.Messages(t)[0].Subject, "DRILL for team payments")
	b := browser(t)
	shown := open(t, b, link)
	require.Contains(t, shown, "nothing is broken")
	require.Equal(t, "waiting", get[drill](t, d, "/api/v1/drills/"+begun.ID).State, "opening the link changes nothing")
	require.Contains(t, press(t, b, link, shown), "You have it")
	require.Equal(t, "passed", get[drill](t, d, "/api/v1/drills/"+begun.ID).State)
	require.Contains(t, d.run(t, "live", "payments"), "a drill has passed")
	require.Regexp(t, `payments +Ada Lindqvist .* live .*Dee is ill`, d.run(t, "oncall", "now"))
}

// incidentPages are the pages of incidents, drills left out, the oldest first.
func incidentPages(t require.TestingT, d *daemon) []page {
	i := list[incident](t, d, "/api/v1/incidents")
	if len(i) == 0 {
		return nil
	}
	return list[page](t, d, "/api/v1/pages?incident="+i[len(i)-1].ID)
}

// recipients lists to whom mail went, the newest first.
func recipients(t *testing.T, mail peer.Mailpit) []string {
	t.Helper()
	out := []string{}
	for _, m := range mail.Messages(t) {
		for _, to := range m.To {
			out = append(out, to.Address)
		}
	}
	return out
}
