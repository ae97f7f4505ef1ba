package story

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

const tenants = 50

// gateway has fifty tenants, half of whose traffic goes through alpha.
func gateway(t *testing.T) *simulate.Gateway {
	t.Helper()
	o := simulate.Options{Start: time.Now().Add(-time.Minute), Seed: 7, Base: simulate.Rates{Error: 0.01, Declined: 0.05}}
	for n := range tenants {
		o.Tenants = append(o.Tenants, simulate.Tenant{ID: fmt.Sprintf("t%02d", n), TPS: 4, Countries: []simulate.Share{{Name: "de", Weight: 1}},
			Methods: []simulate.Share{{Name: "card", Weight: 1}}, Acquirers: []simulate.Share{{Name: "alpha", Weight: 1}, {Name: "beta", Weight: 1}}})
	}
	g, err := simulate.New(o)
	require.NoError(t, err)
	return g
}

const stranger = "t49" // sends and is not onboarded

const people = `
teams: [{id: payments, name: Payments, kind: product, schedule: rota}]
services: [{id: payments, team: payments, kind: digital}]
people:
  - {id: ada, name: Ada Lindqvist, time_zone: Europe/Stockholm, itsm_user: ada, contacts: [{channel: mail, to: ada@example.com}]}
  - {id: bo, name: Bo Martins, time_zone: Europe/Lisbon, itsm_user: bo, contacts: [{channel: mail, to: bo@example.com}]}
schedules: [{id: rota, time_zone: Europe/Berlin, layers: [{start: 2026-01-05T09:00, unit: week, every: 1, members: [ada, bo]}]}]
`

// configuration with the real ticket system and mail server.
func configuration(t *testing.T, rtURL, token, smtp string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	return fmt.Sprintf(`
catalog_files: [%q]
live_teams: [payments]
itsm:
  default: rt
  systems: [{name: rt, kind: rt, url: %q, token_file: %q, queue: Incidents, mode: live, poll: 1s}]
channels: [{name: mail, kind: smtp, address: %q, from: tocsin@example.com, tls: none}]
`, write("catalog.yaml", people), rtURL, write("token", token), smtp)
}

// pair starts two Prometheus that scrape the same exporter and send it on.
func pair(t *testing.T, d *daemon, g *simulate.Gateway) []peer.Prometheus {
	t.Helper()
	exporter := httptest.NewServer(g.Exporter(time.Now))
	t.Cleanup(exporter.Close)
	token := d.senderToken()
	var out []peer.Prometheus
	for _, replica := range []string{"a", "b"} {
		out = append(out, peer.StartPrometheus(t, fmt.Sprintf(`
global:
  scrape_interval: 2s
  external_labels: {cluster: eu, prometheus_replica: %s}
scrape_configs:
  - job_name: gateway
    honor_labels: true
    static_configs: [{targets: [%q]}]
remote_write:
  - url: %s
    authorization: {credentials: %q}
    write_relabel_configs: [{source_labels: [__name__], regex: payment_.*, action: keep}]
    queue_config: {batch_send_deadline: 500ms}
`, replica, strings.TrimPrefix(exporter.URL, "http://"), d.url("/api/v1/push"), token)))
	}
	return out
}

func query(t *testing.T, base, auth, q string) map[string]float64 {
	t.Helper()
	status, raw := send(t, http.MethodGet, base+"/api/v1/query?"+url.Values{"query": {q}}.Encode(), auth, nil)
	require.Equal(t, http.StatusOK, status, "%s", raw)
	var a struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	require.NoError(t, json.Unmarshal(raw, &a))
	out := map[string]float64{}
	for _, r := range a.Data.Result {
		v, err := strconv.ParseFloat(r.Value[1].(string), 64)
		require.NoError(t, err)
		out[r.Metric["tenant"]] += v
	}
	return out
}

type ticketDoc struct {
	ID           json.Number `json:"id"`
	Subject      string      `json:"Subject"`
	Status       string      `json:"Status"`
	CustomFields []struct {
		Name   string   `json:"name"`
		Values []string `json:"values"`
	} `json:"CustomFields"`
}

// tickets reads every ticket of the queue over REST2, as an administrator.
func tickets(t *testing.T, rt peer.RT) []ticketDoc {
	t.Helper()
	auth := "token " + rt.RootToken
	status, raw := send(t, http.MethodGet, rt.URL+"/REST/2.0/tickets?"+url.Values{"query": {"Queue = 'Incidents'"}, "per_page": {"100"}}.Encode(), auth, nil)
	require.Equal(t, http.StatusOK, status, "%s", raw)
	var page struct {
		Items []struct {
			ID json.Number `json:"id"`
		} `json:"items"`
	}
	require.NoError(t, json.Unmarshal(raw, &page))
	var out []ticketDoc
	for _, i := range page.Items {
		status, raw := send(t, http.MethodGet, rt.URL+"/REST/2.0/ticket/"+i.ID.String(), auth, nil)
		require.Equal(t, http.StatusOK, status)
		var doc ticketDoc
		require.NoError(t, json.Unmarshal(raw, &doc))
		out = append(out, doc)
	}
	return out
}

func attachment(t *testing.T, rt peer.RT, ticket string) []byte {
	t.Helper()
	auth := "token " + rt.RootToken
	_, raw := send(t, http.MethodGet, rt.URL+"/REST/2.0/ticket/"+ticket+"/attachments?fields=Filename,ContentType&per_page=100", auth, nil)
	var page struct {
		Items []struct {
			ID       json.Number `json:"id"`
			Filename string      `json:"Filename"`
		} `json:"items"`
	}
	require.NoError(t, json.Unmarshal(raw, &page))
	for _, i := range page.Items {
		if strings.HasSuffix(i.Filename, ".png") {
			_, raw := send(t, http.MethodGet, rt.URL+"/REST/2.0/attachment/"+i.ID.String(), auth, nil)
			var a struct {
				Content string `json:"Content"`
			}
			require.NoError(t, json.Unmarshal(raw, &a))
			png, err := base64.StdEncoding.DecodeString(a.Content)
			require.NoError(t, err)
			return png
		}
	}
	return nil
}

// TestPrometheusPairToRequestTracker is the main job on real input: a Prometheus
// pair scrapes fifty tenants, an acquirer fails, one ticket and one page come of
// it, the ticket system acknowledges, and the end of the fault resolves it.
func TestPrometheusPairToRequestTracker(t *testing.T) {
	t.Parallel()
	rt, mail := peer.StartRT(t), peer.StartMailpit(t)
	d := newDaemon(t, configuration(t, rt.URL, rt.Token, mail.SMTPAddr))
	require.Equal(t, http.StatusNoContent, d.call(http.MethodPost, "/api/v1/itsm/rt/check", map[string]any{}, nil))
	for n := range tenants {
		if id := fmt.Sprintf("t%02d", n); id != stranger {
			require.Equal(t, http.StatusCreated, d.call(http.MethodPut, "/api/v1/tenants/"+id, map[string]any{"name": "Tenant " + id}, nil))
		}
	}
	g := gateway(t)
	both := pair(t, d, g)
	d.eventually(30*time.Second, "every tenant's samples arrive", func() bool {
		return len(query(t, d.url("/prometheus"), "Bearer "+d.admin(), "sum by (tenant) (payment_transactions_total)")) == tenants
	})

	// Nothing is doubled, and no replica label is left.
	auth := "Bearer " + d.admin()
	require.Equal(t, float64(tenants), sum(query(t, d.url("/prometheus"), auth, `count(count by (tenant) (payment_transactions_total))`)))
	require.Zero(t, sum(query(t, d.url("/prometheus"), auth, `count(payment_transactions_total{prometheus_replica=~".+"})`)))
	ours, theirs := query(t, d.url("/prometheus"), auth, "count by (tenant) (payment_transactions_total)"), query(t, both[0].URL, "", "count by (tenant) (payment_transactions_total)")
	require.Equal(t, theirs, ours)
	require.Contains(t, fmt.Sprint(list[map[string]any](d, "/api/v1/unknown-tenants")), stranger)
	require.Len(t, list[map[string]any](d, "/api/v1/unknown-tenants"), 1)

	from := time.Now().Truncate(15 * time.Second).Add(15 * time.Second)
	fault, err := g.Break(simulate.Fault{Kind: simulate.AcquirerDown, Acquirer: "alpha", From: from, Size: 0.97})
	require.NoError(t, err)
	d.story(t, rt, mail, g, fault)

	evaluated := 0
	for n := range tenants {
		var s struct {
			Series int `json:"series"`
		}
		if d.call(http.MethodGet, fmt.Sprintf("/api/v1/tenants/t%02d/status", n), nil, &s) == http.StatusOK && s.Series > 0 {
			evaluated++
		}
	}
	require.Equal(t, tenants-1, evaluated)
	for _, p := range both {
		require.Zero(t, sum(query(t, p.URL, "", "prometheus_remote_storage_samples_failed_total")))
	}
}

func sum(m map[string]float64) (total float64) {
	for _, v := range m {
		total += v
	}
	return total
}

// story goes from the broken acquirer to the resolved ticket.
func (d *daemon) story(t *testing.T, rt peer.RT, mail peer.Mailpit, g *simulate.Gateway, fault int) {
	t.Helper()
	i := d.incident(75*time.Second, "an incident with its ticket and picture", func(i incidentDoc) bool {
		return i.Ticket.Ref.ID != "" && i.Dashboard.Blob != "" && i.Ticket.Delivered == i.Ticket.Desired
	})
	require.Equal(t, map[string]string{"acquirer": "alpha"}, i.Slice)
	require.Empty(t, i.Ticket.Error)

	all := tickets(t, rt)
	require.Len(t, all, 1, "one incident is one ticket")
	require.Contains(t, all[0].Subject, "alpha")
	require.Contains(t, fmt.Sprint(all[0].CustomFields), i.ID)
	require.Contains(t, fmt.Sprint(all[0].CustomFields), "critical")
	_, png := send(t, http.MethodGet, d.url("/api/v1/incidents/"+i.ID+"/picture"), "Bearer "+d.admin(), nil)
	require.True(t, bytes.HasPrefix(png, []byte("\x89PNG")))
	require.Equal(t, png, attachment(t, rt, all[0].ID.String()), "the picture on the ticket is the picture of the incident")

	d.eventually(20*time.Second, "a page by mail", func() bool { return len(mail.Messages(t)) > 0 })
	pages := list[pageDoc](d, "/api/v1/pages")
	require.Len(t, pages, 1)
	messages := mail.Messages(t)
	require.Len(t, messages, 1, "one incident is one page")
	require.Equal(t, pages[0].To, messages[0].To[0].Address)
	m := mail.Message(t, messages[0].ID)
	require.Contains(t, m.Subject, "alpha")
	require.Contains(t, m.Text, "Usual")
	require.NotEmpty(t, m.Inline, "the picture is in the mail")
	link := regexp.MustCompile(`http://\S+/p/\S+`).FindString(m.Text)
	require.NotEmpty(t, link)

	// Scanners and previews open links: that changes nothing.
	status, body := send(t, http.MethodGet, link, "", nil)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(body), "<form")
	require.Equal(t, "open", d.incidents()[0].State)

	// The other one takes it in the ticket system.
	other := map[string]string{"ada": "bo", "bo": "ada"}[pages[0].Person]
	status, body = send(t, http.MethodPut, rt.URL+"/REST/2.0/ticket/"+all[0].ID.String(), "token "+rt.People[other], strings.NewReader(`{"Owner":"`+other+`"}`))
	require.Equal(t, http.StatusOK, status, "%s", body)
	i = d.incident(20*time.Second, "acknowledged from the ticket", func(i incidentDoc) bool { return i.State == "acknowledged" })
	require.Equal(t, "ticket", i.Via)
	require.Equal(t, other, i.By.Person)
	_, body = send(t, http.MethodGet, link, "", nil)
	require.Contains(t, html.UnescapeString(string(body)), map[string]string{"ada": "Ada Lindqvist has it", "bo": "Bo Martins has it"}[other])

	require.NoError(t, g.Mend(fault, time.Now().Truncate(time.Second).Add(2*time.Second)))
	d.incident(4*time.Minute, "resolved when the fault is over", func(i incidentDoc) bool { return i.State == "resolved" && i.Ticket.Observed == "resolved" })
	all = tickets(t, rt)
	require.Len(t, all, 1)
	require.Equal(t, "resolved", all[0].Status)
	require.Len(t, mail.Messages(t), 1)
}
