package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
)

// company writes the files of a tocsin whose one team has a weekly rota by mail
// and its tickets in the Request Tracker at rtURL. Three take turns from fifteen
// days ago, so that the third, Bo, is on call. Ada and Bo are users of the
// ticket system, Cyd is not.
func company(desk peer.RT, rtURL string, mail peer.Mailpit, now time.Time) map[string]string {
	start := now.UTC().AddDate(0, 0, -15).Format("2006-01-02T15:04")
	return map[string]string{
		"rt.token": desk.Token + "\n",
		"tocsin.yaml": fmt.Sprintf(`
catalog_files: [catalog.yaml]
live_teams: [payments]
itsm:
  default: rt
  systems:
    - {name: rt, kind: rt, url: %q, token_file: rt.token, queue: Incidents, correlation_field: TocsinKey, mode: live, poll: 1s,
       resolution_field: Resolution, verdicts: {Repaired: real, Nothing found: false, Planned work: expected}}
channels:
  - {name: mail, kind: smtp, address: %q, from: tocsin@example.com, tls: none}
`, rtURL, mail.SMTPAddr),
		"catalog.yaml": fmt.Sprintf(`
teams:
  - {id: payments, name: Payments, kind: product, schedule: weekly, false_pages_per_week: 2}
services:
  - {id: payments, team: payments, kind: digital, calls: [alpha, beta, gamma]}
integrations:
  - {id: alpha, team: payments}
  - {id: beta, team: payments}
  - {id: gamma, team: payments}
people:
  - {id: ada, name: Ada Lindqvist, time_zone: Europe/Stockholm, itsm_user: ada, contacts: [{channel: mail, to: ada@example.com}]}
  - {id: bo, name: Bo Martins, time_zone: Europe/Lisbon, itsm_user: bo, contacts: [{channel: mail, to: bo@example.com}]}
  - {id: cyd, name: Cyd Novak, time_zone: Europe/Prague, contacts: [{channel: mail, to: cyd@example.com}]}
schedules:
  - id: weekly
    time_zone: UTC
    layers:
      - {start: %s, unit: week, every: 1, members: [ada, cyd, bo]}
`, start),
	}
}

// The parts of the API's documents that the tests read.
type (
	incident struct {
		ID             string
		Number         int
		State          string
		Title          string
		Severity       string
		Team           string
		AcknowledgedBy struct {
			Person string
			Name   string
		} `json:"acknowledged_by"`
		AcknowledgedVia  string                        `json:"acknowledged_via"`
		ResolvedBy       struct{ Person, Name string } `json:"resolved_by"`
		ResolutionReason string                        `json:"resolution_reason"`
		Slice            map[string]string             `json:"slice"`
		Tenants          []struct {
			ID   string
			K, N float64
		}
		Verdict struct {
			Verdict, Reason, Via string
			By                   struct{ Person string }
		}
		Ticket struct {
			Ref   struct{ ID, Number, URL string }
			Error string
		}
		Pages []string
	}
	page struct {
		ID     string
		Person string
		State  string
		Via    string `json:"channel"`
		To     string
		AckURL string `json:"ack_url"`
	}
	entry struct {
		At                  time.Time
		Kind, Actor, Reason string
	}
	why struct{ Entries []entry }
)

// ticket is what the Request Tracker shows.
type ticket struct {
	ID              any `json:"id"`
	Subject, Status string
	Owner           struct{ ID string }
	CustomFields    []struct {
		Name   string
		Values []string
	}
}

func (k ticket) field(name string) string {
	for _, f := range k.CustomFields {
		if f.Name == name && len(f.Values) > 0 {
			return f.Values[0]
		}
	}
	return ""
}

// rest2 makes a call to the Request Tracker with somebody's token.
func rest2(t require.TestingT, desk peer.RT, token, method, path string, body, out any) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(t, err)
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, desk.URL+"/REST/2.0"+path, in)
	require.NoError(t, err)
	req.Header.Set("Authorization", "token "+token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Less(t, res.StatusCode, 300, "%s %s: %s", method, path, raw)
	if out != nil {
		require.NoError(t, json.Unmarshal(raw, out), "%s", raw)
	}
}

func readTicket(t require.TestingT, desk peer.RT, id string) ticket {
	var k ticket
	rest2(t, desk, desk.RootToken, http.MethodGet, "/ticket/"+id, nil, &k)
	return k
}

// ticketIDs lists every ticket of the queue.
func ticketIDs(t require.TestingT, desk peer.RT) []string {
	var found struct{ Items []struct{ ID any } }
	rest2(t, desk, desk.RootToken, http.MethodGet, "/tickets?"+url.Values{"query": {"Queue = 'Incidents'"}, "per_page": {"100"}}.Encode(), nil, &found)
	out := []string{}
	for _, i := range found.Items {
		out = append(out, fmt.Sprint(i.ID))
	}
	return out
}

// attached reads a ticket's texts and the files attached to it.
func attached(t require.TestingT, desk peer.RT, id string) (texts []string, files [][]byte) {
	var found struct{ Items []struct{ ID any } }
	rest2(t, desk, desk.RootToken, http.MethodGet, "/ticket/"+id+"/attachments?per_page=100", nil, &found)
	for _, i := range found.Items {
		var a struct{ Content, ContentType, Filename string }
		rest2(t, desk, desk.RootToken, http.MethodGet, "/attachment/"+fmt.Sprint(i.ID), nil, &a)
		b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(a.Content, "\n", ""))
		require.NoError(t, err)
		switch {
		case a.Filename != "":
			files = append(files, b)
		case a.ContentType == "text/plain":
			texts = append(texts, string(b))
		}
	}
	return texts, files
}

// browser is somebody's, who is not signed in.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, Timeout: 10 * time.Second}
}

// open opens a link and gives the text of what it shows.
func open(t require.TestingT, b *http.Client, link string) string {
	return visit(t, b, http.MethodGet, link, nil)
}

// press sends the form with which a page's link lets its person take the
// incident.
func press(t require.TestingT, b *http.Client, link, shown string) string {
	m := regexp.MustCompile(`<input[^>]*name="csrf"[^>]*value="([^"]+)"`).FindStringSubmatch(shown)
	require.NotNil(t, m, "the link shows no button")
	return visit(t, b, http.MethodPost, link, url.Values{"csrf": {html.UnescapeString(m[1])}})
}

func visit(t require.TestingT, b *http.Client, method, link string, form url.Values) string {
	req, err := http.NewRequest(method, link, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Accept", "text/html")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
	}
	res, err := b.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, "%s", raw)
	return string(raw)
}
