package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pretender answers as a daemon would that does everything right, but for the
// one wrong it is told to do. It holds the story's own assertions to account;
// the daemon itself is held by TestStory.
type pretender struct {
	wrong string
	srv   *httptest.Server

	mu       sync.Mutex
	listings int // of alerts
	acked    bool
	after    int // listings since the acknowledgement
}

func pretend(t *testing.T, wrong string) *pretender {
	p := &pretender{wrong: wrong}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /api/v1/tenants/{id}", func(w http.ResponseWriter, r *http.Request) {
		rules := `[{"name":"payment_errors","severity":"critical"}]`
		if p.wrong == "no profile" {
			rules = `[]`
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":%q,"profile":{"revision":{"number":1,"cause":"onboarded"},"rules":%s,"reasons":["payment_errors: every tenant has it"]}}`, r.PathValue("id"), rules)
	})
	mux.HandleFunc("POST /api/v1/tokens", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"token":"sender"}`)
	})
	mux.HandleFunc("POST /api/v1/push", p.push)
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "{}")
	})
	mux.HandleFunc("GET /api/v1/tenants/kiosk/status", func(w http.ResponseWriter, _ *http.Request) {
		customers := 1
		if p.wrong == "retries are customers" {
			customers = 7
		}
		fmt.Fprintf(w, `{"slis":[{"source":"metrics"},{"source":"spans","customers":{"this_hour":%d}}]}`, customers)
	})
	mux.HandleFunc("GET /api/v1/alerts", p.alerts)
	mux.HandleFunc("GET /api/v1/incidents", func(w http.ResponseWriter, _ *http.Request) {
		items := `{"id":"inc_1"}`
		if p.wrong == "two incidents" {
			items += `,{"id":"inc_2","number":2,"title":"again"}`
		}
		fmt.Fprintf(w, `{"items":[%s],"next":""}`, items)
	})
	mux.HandleFunc("GET /api/v1/incidents/inc_1", p.incident)
	mux.HandleFunc("GET /api/v1/incidents/inc_1/picture", func(w http.ResponseWriter, _ *http.Request) {
		if p.wrong == "no picture" {
			fmt.Fprint(w, "<svg/>")
			return
		}
		_ = png.Encode(w, image.NewGray(image.Rect(0, 0, 4, 3)))
	})
	mux.HandleFunc("GET /api/v1/tickets/INC0000001", p.ticket)
	mux.HandleFunc("GET /api/v1/pages", p.pages)
	mux.HandleFunc("GET /dashboards/payment_errors", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if p.wrong == "dashboard asks for a login" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	mux.HandleFunc("GET /p/key", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.acked = p.acked || p.wrong == "opening acknowledges"
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<form method="post" action="/p/key"><input type="hidden" name="csrf" value="c1"><button>I have it</button></form>`)
	})
	mux.HandleFunc("POST /p/key", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.acked = r.PostFormValue("csrf") == "c1" && p.wrong != "the button does nothing"
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	})
	p.srv = httptest.NewServer(mux)
	t.Cleanup(p.srv.Close)
	return p
}

func (p *pretender) push(w http.ResponseWriter, r *http.Request) {
	if p.wrong == "refuses samples" {
		http.Error(w, "tenant is not yours", http.StatusForbidden)
		return
	}
	var body bytes.Buffer
	_, _ = body.ReadFrom(r.Body)
	w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", fmt.Sprint(written(body.Bytes())))
	w.WriteHeader(http.StatusNoContent)
}

func (p *pretender) alerts(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listings++
	if p.acked {
		p.after++
	}
	if p.wrong != "rings before" && p.listings == 1 || p.wrong == "never rings" {
		fmt.Fprint(w, `{"items":[],"next":""}`)
		return
	}
	a := map[string]any{"tenant": "marigold", "rule": "payment_errors", "slice": map[string]string{"acquirer": "alpha"}, "severity": "critical", "state": "firing", "reason": "95 of 100 failed, usual 1%",
		"incident": "inc_1", "onset_at": time.Now().Add(time.Minute), "starts_at": time.Now().Add(time.Minute)}
	switch p.wrong {
	case "no reason":
		a["reason"] = ""
	case "old onset":
		a["onset_at"] = time.Now().Add(-time.Hour)
	case "wrong tenant":
		a["tenant"] = "kestrel"
	case "stray alert":
		a["incident"] = ""
	}
	if p.after > 1 && p.wrong != "never resolves" {
		a["state"] = "resolved"
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"items": []any{a}, "next": ""})
}

func (p *pretender) state() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.after > 1:
		return "resolved"
	case p.acked:
		return "acknowledged"
	}
	return "open"
}

func (p *pretender) incident(w http.ResponseWriter, _ *http.Request) {
	person, number := "kim", "INC0000001"
	switch p.wrong {
	case "another person":
		person = "lee"
	case "no ticket":
		number = ""
	}
	state := p.state()
	if state == "open" {
		person = ""
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"id": "inc_1", "number": 1, "title": "Payments by alpha fail", "state": state,
		"acknowledged_by": map[string]string{"person": person},
		"ticket":          map[string]any{"ref": map[string]string{"number": number, "url": p.srv.URL + "/tickets/1"}},
		"dashboard":       map[string]string{"url": p.srv.URL + "/dashboards/payment_errors"}})
}

func (p *pretender) ticket(w http.ResponseWriter, _ *http.Request) {
	state := p.state()
	if p.wrong == "ticket stays" && state == "resolved" {
		state = "open"
	}
	notes := `{"attachment":{"name":"a.png","content_type":"image/png"}}`
	if p.wrong == "nothing attached" {
		notes = `{"text":"it broke"}`
	}
	fmt.Fprintf(w, `{"state":%q,"dashboard":"http://x","notes":[%s]}`, state, notes)
}

func (p *pretender) pages(w http.ResponseWriter, _ *http.Request) {
	at := time.Now()
	if p.wrong == "late page" {
		at = at.Add(time.Hour)
	}
	page := fmt.Sprintf(`{"id":"pg_1","person":"kim","channel":"log","to":"kim","state":"sent","sent_at":%q,"ack_url":%q}`, at.Format(time.RFC3339), p.srv.URL+"/p/key")
	switch p.wrong {
	case "two pages":
		page += "," + page
	case "nobody paged":
		page = ""
	}
	fmt.Fprintf(w, `{"items":[%s],"next":""}`, page)
}

func TestEveryWrongIsNoticedAtItsStep(t *testing.T) {
	for wrong, at := range map[string]Step{
		"":                           "",
		"no profile":                 StepOnboard,
		"refuses samples":            StepHistory,
		"rings before":               StepLive,
		"never rings":                StepAlert,
		"no reason":                  StepAlert,
		"old onset":                  StepAlert,
		"two incidents":              StepIncident,
		"no ticket":                  StepTicket,
		"nothing attached":           StepDashboard,
		"no picture":                 StepDashboard,
		"dashboard asks for a login": StepDashboard,
		"two pages":                  StepPage,
		"nobody paged":               StepPage,
		"late page":                  StepPage,
		"opening acknowledges":       StepAcknowledge,
		"the button does nothing":    StepAcknowledge,
		"another person":             StepAcknowledge,
		"never resolves":             StepResolve,
		"ticket stays":               StepResolve,
		"wrong tenant":               StepResolve,
		"retries are customers":      StepResolve,
		"stray alert":                StepResolve,
	} {
		t.Run(or(wrong, "nothing wrong"), func(t *testing.T) {
			t.Parallel()
			p := pretend(t, wrong)
			var out bytes.Buffer
			err := Run(t.Context(), Options{Server: p.srv.URL, Token: "admin", Out: &out, Break: true, PictureDir: t.TempDir(), Patience: time.Second,
				History: 10 * time.Minute, AlertWithin: 5 * time.Second, PageWithin: 8 * time.Second, StoryWithin: 9 * time.Second})
			if at == "" {
				require.NoError(t, err, out.String())
				require.Equal(t, 1, strings.Count(out.String(), "The whole story"))
				return
			}
			var step *StepError
			require.ErrorAs(t, err, &step, out.String())
			require.Equal(t, at, step.Step, "%v\n%s", err, out.String())
		})
	}
}
