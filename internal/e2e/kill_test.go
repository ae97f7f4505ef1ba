// Package e2e tells the main job against the built daemon while it is killed.
package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/embedded"
)

// TestKillNine tells the story from onboarding to the mended fault while the
// daemon is killed by SIGKILL and started again on the same storage and port:
// right after each step became visible, and at random moments. What was
// accepted must be there; what was decided must have been decided once.
func TestKillNine(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two minutes")
	}
	bin := killBinary(t)
	for name, tell := range map[string]func(t *testing.T, bin string){
		"after each step, tickets in Request Tracker": func(t *testing.T, bin string) { killStory(t, bin, true, false) },
		"at random moments, tickets in the register":  func(t *testing.T, bin string) { killStory(t, bin, false, true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tell(t, bin)
		})
	}
}

const (
	killHistory  = 25 * time.Hour
	killScrape   = 5 * time.Second
	killAcquirer = "alpha"
)

// killTale is one story and what is known to be true in it.
type killTale struct {
	d       *killable
	api     *killClient
	sender  *simulate.RemoteWrite
	gateway *simulate.Gateway
	mail    peer.Mailpit
	rt      *peer.RT
	random  bool
	began   time.Time

	from  time.Time // of the history
	truth map[string]killTruth
	born  map[string]uint64 // events of each tenant before its first scrape
	last  time.Time         // the newest scrape that was acknowledged

	incident killIncident
}

// killTruth is what was acknowledged of one series.
type killTruth struct {
	samples   int
	sum, last float64
}

type killIncident struct {
	ID             string
	Number         int
	State          string
	AcknowledgedBy struct{ Person, Name string } `json:"acknowledged_by"`
	Ticket         struct {
		Ref struct{ ID, Number, URL string }
	}
	Dashboard struct{ URL, Blob string }
	Pages     []string
}

func killStory(t *testing.T, bin string, withRT, random bool) {
	s := &killTale{mail: peer.StartMailpit(t), random: random, began: time.Now(), truth: map[string]killTruth{}}
	dir := t.TempDir()
	if withRT {
		rt := peer.StartRT(t)
		s.rt = &rt
	}
	s.d = newKillable(t, bin, dir, "--config.file", s.configure(t, dir))
	token, err := os.ReadFile(filepath.Join(s.d.storage(), "admin.token"))
	require.NoError(t, err)
	s.api = &killClient{base: s.d.url(), token: strings.TrimSpace(string(token)), http: &http.Client{Timeout: 10 * time.Second}}

	s.onboard(t)
	s.killed(t, "1 onboarded")
	s.tenantsAreThere(t)

	s.history(t)
	ctx, stop := context.WithCancel(t.Context())
	live := make(chan error, 1)
	go func() { live <- s.live(ctx) }()
	stopped := false
	defer func() {
		if stop(); !stopped {
			<-live
		}
	}()
	s.killed(t, "2 samples acknowledged")
	require.Empty(t, killList[killAlert](t, s.api, "/api/v1/alerts", nil), "nothing rang before anything broke")

	fault := s.breaks(t)
	if random {
		s.atRandom(t, ctx, func() { s.rings(t, fault) })
	} else {
		s.rings(t, fault)
	}
	stop()
	require.NoError(t, <-live)
	stopped = true
	s.nothingLost(t)
	s.decidedOnce(t)
	s.d.stop(t)
	s.chainHolds(t)
	t.Logf("killed %d times; ready again after %v", s.d.kills, s.d.down)
}

// configure writes tocsin.yaml with a catalog of one team and two people.
func (s *killTale) configure(t *testing.T, dir string) string {
	t.Helper()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	itsm := "register"
	systems := ""
	if s.rt != nil {
		itsm = "rt-main"
		write("rt.token", s.rt.Token)
		systems = "\n  systems:\n    - {name: rt-main, kind: rt, url: " + s.rt.URL + ", token_file: rt.token, queue: Incidents, mode: live, poll: 1s}"
	}
	write("catalog.yaml", `
teams: [{id: payments, name: Payments, kind: product, oncall: [ada]}]
services: [{id: payments, team: payments, kind: digital, runbook: "https://wiki.example.com/payments"}]
people:
  - {id: ada, name: Ada Lindqvist, time_zone: Europe/Stockholm, itsm_user: ada, contacts: [{channel: mail, to: ada@example.com}]}
`)
	return write("tocsin.yaml", `
catalog_files: [catalog.yaml]
live_teams: [payments]
channels: [{name: mail, kind: smtp, address: "`+s.mail.SMTPAddr+`", from: tocsin@example.com, tls: none}]
itsm:
  default: `+itsm+systems+"\n")
}

// killed kills the daemon after a step, unless it is killed at random.
func (s *killTale) killed(t *testing.T, step string) {
	t.Helper()
	t.Logf("%5.1f s: %s", time.Since(s.began).Seconds(), step)
	if s.random {
		return
	}
	require.NoError(t, s.d.kill(t.Context()), "start again after %s", step)
}

var killTenants = []simulate.Tenant{
	killTenant("marigold", 200, killAcquirer, "beta"),
	killTenant("tidewater", 240, killAcquirer, "gamma"),
	killTenant("lumen", 160, killAcquirer, "beta"),
	killTenant("arcade", 120, "beta", "gamma"),
}

func killTenant(id string, tps float64, acquirers ...string) simulate.Tenant {
	t := simulate.Tenant{ID: id, Name: id, TPS: tps, Zone: "Europe/Berlin", Countries: []simulate.Share{{Name: "de", Weight: 1}}, Methods: []simulate.Share{{Name: "card", Weight: 1}}}
	for _, a := range acquirers {
		t.Acquirers = append(t.Acquirers, simulate.Share{Name: a, Weight: 1})
	}
	return t
}

func (s *killTale) onboard(t *testing.T) {
	s.from = time.Now().UTC().Truncate(time.Minute).Add(-killHistory)
	for _, tn := range killTenants {
		s.api.do(t, http.MethodPut, "/api/v1/tenants/"+tn.ID, map[string]any{"name": tn.Name, "timezone": tn.Zone, "expected_tpm": tn.TPS * 60, "onboarded_at": s.from.Format(time.RFC3339)}, nil)
	}
}

func (s *killTale) tenantsAreThere(t *testing.T) {
	t.Helper()
	for _, tn := range killTenants {
		var doc struct {
			Name    string
			Profile struct{ Rules []any }
		}
		s.api.do(t, http.MethodGet, "/api/v1/tenants/"+tn.ID, nil, &doc)
		require.Equal(t, tn.Name, doc.Name)
		require.NotEmpty(t, doc.Profile.Rules, "tenant %s has its profile", tn.ID)
	}
}

// history makes the gateway and sends what it did until now.
func (s *killTale) history(t *testing.T) {
	t.Helper()
	var token struct{ Token string }
	s.api.do(t, http.MethodPost, "/api/v1/tokens", map[string]any{"name": "gateway", "role": "sender", "tenants": []string{"*"}}, &token)
	s.sender = &simulate.RemoteWrite{URL: s.d.url() + "/api/v1/push", Token: token.Token, Version: 2, Client: &http.Client{Timeout: 10 * time.Second},
		// As a Prometheus would, but without its growing waits: they would hide what comes right after a start.
		Wait: func(ctx context.Context, d time.Duration) error {
			select {
			case <-time.After(min(d, 100*time.Millisecond)):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
	g, err := simulate.New(simulate.Options{Seed: 7, Start: s.from, Tick: killScrape, Tenants: killTenants, Base: simulate.Rates{Error: .008, Declined: .07, Abandoned: .02}})
	require.NoError(t, err)
	s.gateway = g
	end := time.Now().UTC().Truncate(time.Minute)
	var batch []simulate.Sample
	for at := s.from.Add(time.Minute); !at.After(end); at = at.Add(time.Minute) {
		batch = append(batch, s.scrape(at)...)
		if s.born == nil {
			s.born = map[string]uint64{}
			for _, tn := range killTenants {
				s.born[tn.ID] = g.Total(tn.ID, "")
			}
		}
		if len(batch) > 4900 || at.Equal(end) {
			require.NoError(t, s.send(t.Context(), batch))
			batch = nil
		}
	}
	s.last = end
}

func (s *killTale) scrape(at time.Time) []simulate.Sample {
	var out []simulate.Sample
	for _, c := range s.gateway.Snapshot(at) {
		out = append(out, simulate.Sample{Labels: c.Labels, T: at, Value: c.Value, Start: c.Start})
	}
	return out
}

// send sends until it is acknowledged, the same body again and again, and notes
// what was.
func (s *killTale) send(ctx context.Context, batch []simulate.Sample) error {
	if err := s.sender.Send(ctx, batch); err != nil {
		return err
	}
	for _, x := range batch {
		key := x.Labels.String()
		v := s.truth[key]
		s.truth[key] = killTruth{v.samples + 1, v.sum + x.Value, x.Value}
	}
	s.last = batch[0].T
	return nil
}

// live goes on with a scrape every few seconds until ctx ends.
func (s *killTale) live(ctx context.Context) error {
	for at := s.last.Add(killScrape); ; at = at.Add(killScrape) {
		select {
		case <-time.After(time.Until(at)):
		case <-ctx.Done():
			return nil
		}
		// What is begun is finished, so that the truth is what was acknowledged.
		if err := s.send(context.WithoutCancel(ctx), s.scrape(at)); err != nil {
			return err
		}
	}
}

type killAlert struct {
	ID, State, Tenant, Incident, Reason string
}

func (s *killTale) breaks(t *testing.T) int {
	killEventually(t, time.Minute, "the traffic to be live", func() error {
		if d := time.Since(s.gateway.Now()); d > killScrape+time.Second {
			return fmt.Errorf("%s behind", d)
		}
		return nil
	})
	at := s.gateway.Now().Truncate(15 * time.Second).Add(30 * time.Second)
	t.Logf("%5.1f s: broken", at.Sub(s.began).Seconds())
	n, err := s.gateway.Break(simulate.Fault{Kind: simulate.AcquirerDown, Acquirer: killAcquirer, From: at, Size: .95})
	require.NoError(t, err)
	return n
}

// rings tells the part of the story from the fault to its end.
func (s *killTale) rings(t *testing.T, fault int) {
	killEventually(t, 2*time.Minute, "an alert", func() error {
		if len(killList[killAlert](t, s.api, "/api/v1/alerts", nil)) == 0 {
			return errors.New("none")
		}
		return nil
	})
	s.killed(t, "3 alert")
	s.until(t, "the ticket", func(i killIncident) bool { return i.Ticket.Ref.Number != "" })
	number := s.incident.Ticket.Ref
	s.killed(t, "4 incident and ticket")
	s.until(t, "the picture", func(i killIncident) bool { return i.Dashboard.Blob != "" })
	s.killed(t, "5 dashboard attached")
	status, png, err := s.api.send(t.Context(), http.MethodGet, "/api/v1/incidents/"+s.incident.ID+"/picture", "", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "\x89PNG", string(png[:4]))
	killEventually(t, time.Minute, "the page", func() error {
		pages := killList[killPage](t, s.api, "/api/v1/pages", url.Values{"incident": {s.incident.ID}})
		if len(pages) != 1 || pages[0].State != "sent" {
			return fmt.Errorf("%+v", pages)
		}
		return nil
	})
	s.killed(t, "6 page sent")
	s.acknowledge(t)
	s.killed(t, "7 acknowledged")
	s.until(t, "the acknowledgement", func(i killIncident) bool { return i.State == "acknowledged" && i.AcknowledgedBy.Person == "ada" })

	at := s.gateway.Now().Truncate(15 * time.Second).Add(30 * time.Second)
	require.NoError(t, s.gateway.Mend(fault, at))
	t.Logf("%5.1f s: mended", at.Sub(s.began).Seconds())
	s.until(t, "the end", func(i killIncident) bool { return i.State == "resolved" })
	require.Equal(t, "ada", s.incident.AcknowledgedBy.Person, "whose it was is kept")
	require.Equal(t, number, s.incident.Ticket.Ref, "the ticket is the first one")
	s.ticketResolved(t)
}

// until waits for the only incident there is; a second one is an error.
func (s *killTale) until(t *testing.T, what string, holds func(killIncident) bool) {
	t.Helper()
	killEventually(t, 150*time.Second, what, func() error {
		list := killList[killIncident](t, s.api, "/api/v1/incidents", nil)
		if len(list) > 1 {
			t.Fatalf("one fault made %d incidents: %+v", len(list), list)
		}
		if len(list) == 1 {
			s.incident = list[0]
		}
		if len(list) == 0 || !holds(list[0]) {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
}

type killPage struct {
	ID, State, Person string
	Attempts          int
}

var (
	killLink = regexp.MustCompile(`http://\S+/p/\S+`)
	killCSRF = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
)

// acknowledge opens the mail's link and presses the button, as its reader would.
func (s *killTale) acknowledge(t *testing.T) {
	t.Helper()
	mails := s.mail.Messages(t)
	require.NotEmpty(t, mails)
	link := killLink.FindString(s.mail.Message(t, mails[0].ID).Text)
	require.NotEmpty(t, link, "the mail has the link that acknowledges")
	person := &killClient{http: &http.Client{Timeout: 10 * time.Second}}
	status, text, err := person.send(t.Context(), http.MethodGet, link, "", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	field := killCSRF.FindSubmatch(text)
	require.NotNil(t, field, "%s", text)
	status, text, err = person.send(t.Context(), http.MethodPost, link, "application/x-www-form-urlencoded", []byte(url.Values{"csrf": {string(field[1])}}.Encode()))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(text), "You have it")
}

// atRandom kills the daemon again and again while the story goes on.
func (s *killTale) atRandom(t *testing.T, ctx context.Context, tell func()) {
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv("TOCSIN_KILL_SEED"); v != "" {
		require.NoError(t, json.Unmarshal([]byte(v), &seed))
	}
	t.Logf("the moments are drawn from TOCSIN_KILL_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 9))
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		for {
			// Mostly seconds, sometimes while it is still starting to work.
			wait := time.Duration(rng.ExpFloat64() * float64(4*time.Second))
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				done <- nil
				return
			}
			if err := s.d.kill(context.WithoutCancel(ctx)); err != nil {
				done <- err
				return
			}
		}
	}()
	finished := false
	defer func() {
		if stop(); !finished {
			<-done
		}
	}()
	tell()
	stop()
	finished = true
	require.NoError(t, <-done)
	require.GreaterOrEqual(t, s.d.kills, 5)
}

// nothingLost holds the history and evaluate against what was acknowledged.
func (s *killTale) nothingLost(t *testing.T) {
	t.Helper()
	s.tenantsAreThere(t)
	for expr, of := range map[string]func(killTruth) float64{
		"count_over_time(payment_transactions_total[26h])": func(v killTruth) float64 { return float64(v.samples) },
		"sum_over_time(payment_transactions_total[26h])":   func(v killTruth) float64 { return v.sum },
		"payment_transactions_total":                       func(v killTruth) float64 { return v.last },
	} {
		q := url.Values{"query": {expr}, "time": {s.last.Format(time.RFC3339)}}
		var answer struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Value  [2]any
				}
			}
		}
		s.api.do(t, http.MethodGet, "/prometheus/api/v1/query?"+q.Encode(), nil, &answer)
		require.Len(t, answer.Data.Result, len(s.truth), expr)
		for _, r := range answer.Data.Result {
			r.Metric["__name__"] = simulate.Metric
			v, ok := s.truth[killKey(r.Metric)]
			require.True(t, ok, "%v was never sent", r.Metric)
			var got float64
			require.NoError(t, json.Unmarshal([]byte(r.Value[1].(string)), &got))
			require.Equal(t, of(v), got, "%s of %v", expr, r.Metric)
		}
	}
	for _, tn := range killTenants {
		var st struct {
			Series       int
			SeriesLive   int        `json:"series_live"`
			LastSampleAt *time.Time `json:"last_sample_at"`
			LateEvents   float64    `json:"late_events"`
			GapEvents    float64    `json:"gap_events"`
			Blind        bool
			Young        bool
		}
		s.api.do(t, http.MethodGet, "/api/v1/tenants/"+tn.ID+"/status", nil, &st)
		require.Equal(t, 8, st.Series, "%s: two acquirers, four results", tn.ID)
		require.Equal(t, 8, st.SeriesLive, tn.ID)
		require.NotNil(t, st.LastSampleAt, tn.ID)
		require.True(t, s.last.Equal(*st.LastSampleAt), "%s: the last sample is of %s, not %s", tn.ID, s.last, st.LastSampleAt)
		require.InDelta(t, s.born[tn.ID], st.GapEvents, .5, "%s: no interval is missing but the one before its first scrape", tn.ID)
		require.False(t, st.Blind, tn.ID)
		require.False(t, st.Young, "%s has learned a day", tn.ID)
	}
}

func killKey(metric map[string]string) string {
	names := make([]string, 0, len(metric))
	for k := range metric {
		names = append(names, k)
	}
	slices.Sort(names)
	for i, k := range names {
		names[i] = fmt.Sprintf("%s=%q", k, metric[k])
	}
	return "{" + strings.Join(names, ", ") + "}"
}

// ticketResolved finds the one ticket, closed.
func (s *killTale) ticketResolved(t *testing.T) {
	t.Helper()
	if s.rt == nil {
		killEventually(t, 30*time.Second, "the ticket's end", func() error {
			tickets := killList[struct{ Number, State, Key string }](t, s.api, "/api/v1/tickets", nil)
			if len(tickets) != 1 || tickets[0].State != "resolved" || tickets[0].Key != s.incident.ID {
				return fmt.Errorf("%+v", tickets)
			}
			return nil
		})
		return
	}
	killEventually(t, 30*time.Second, "the ticket's end", func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.rt.URL+"/REST/2.0/tickets?"+url.Values{"query": {"Queue = 'Incidents'"}, "fields": {"Status"}}.Encode(), nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "token "+s.rt.RootToken)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		var found struct {
			Items []struct{ ID, Status string }
		}
		require.NoError(t, json.NewDecoder(res.Body).Decode(&found))
		if len(found.Items) != 1 || found.Items[0].Status != "resolved" || found.Items[0].ID != s.incident.Ticket.Ref.ID {
			return fmt.Errorf("%+v", found.Items)
		}
		return nil
	})
}

// decidedOnce reads mail and ledger: every decision stands there once.
func (s *killTale) decidedOnce(t *testing.T) {
	t.Helper()
	defer func() {
		if t.Failed() {
			s.tell(t)
		}
	}()
	copies := map[string]int{}
	for _, m := range s.mail.Messages(t) {
		copies[s.mail.Message(t, m.ID).MessageID]++
	}
	require.Len(t, copies, 1, "one page, one Message-ID")
	for id, n := range copies {
		t.Logf("page %s arrived in %d copies", id, n)
		if !s.random { // the daemon was never killed while a page was under way
			require.Equal(t, 1, n)
		}
	}
	pages := killList[killPage](t, s.api, "/api/v1/pages", nil)
	require.Len(t, pages, 1)
	require.Equal(t, "ada", pages[0].Person)

	kinds := s.kinds(t, "incident/"+s.incident.ID)
	for _, kind := range []string{"incident.opened", "incident.acknowledged", "incident.resolved"} {
		require.Equal(t, 1, kinds[kind], "%s in %v", kind, kinds)
	}
	require.Zero(t, kinds["incident.reopened"], "%v", kinds)
	of := s.kinds(t, "page/"+pages[0].ID)
	for _, kind := range []string{"page.requested", "page.sent", "page.acknowledged"} {
		require.Equal(t, 1, of[kind], "%s in %v", kind, of)
	}
	alerts := killList[killAlert](t, s.api, "/api/v1/alerts", nil)
	for _, a := range alerts {
		require.Equal(t, "resolved", a.State, "%+v", a)
		require.Equal(t, s.incident.ID, a.Incident)
		require.NotEqual(t, "arcade", a.Tenant, "it does not use the acquirer: %s", a.Reason)
		k := s.kinds(t, "alert/"+a.ID)
		require.Equal(t, map[string]int{"alert.firing": 1, "alert.resolved": 1}, k, a.ID)
	}
	for _, tn := range killTenants {
		require.Equal(t, 1, s.kinds(t, "tenant/"+tn.ID)["tenant.onboarded"], tn.ID)
	}
}

// tell shows what was decided of the incident and its alerts, in order.
func (s *killTale) tell(t *testing.T) {
	subjects := []string{"incident/" + s.incident.ID}
	for _, a := range killList[killAlert](t, s.api, "/api/v1/alerts", nil) {
		subjects = append(subjects, "alert/"+a.ID)
	}
	for _, subject := range subjects {
		for _, e := range killList[ledger.Entry](t, s.api, "/api/v1/ledger", url.Values{"subject": {subject}}) {
			if e.Subject == subject {
				t.Logf("%s %s %s %s: %s", e.At.Format("15:04:05.000"), e.Subject, e.Kind, strings.Join(e.Refs, ","), e.Reason)
			}
		}
	}
}

func (s *killTale) kinds(t *testing.T, subject string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, e := range killList[ledger.Entry](t, s.api, "/api/v1/ledger", url.Values{"subject": {subject}}) {
		if e.Subject == subject {
			out[e.Kind]++
		}
	}
	return out
}

// chainHolds reads every partition's ledger from the stopped daemon's storage.
func (s *killTale) chainHolds(t *testing.T) {
	t.Helper()
	st, err := embedded.Open(filepath.Join(s.d.storage(), "store"), embedded.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close()) }()
	entries := 0
	for p := range store.Partitions {
		var head ledger.Head
		for {
			part, err := st.Ledger(t.Context(), store.Partition(p), "", head.Seq, 1000)
			require.NoError(t, err)
			head, err = ledger.Verify(head, part)
			require.NoError(t, err, "partition %d", p)
			for _, e := range part {
				require.NotEqual(t, "input.refused", e.Kind, e.Reason)
			}
			if entries += len(part); len(part) < 1000 {
				break
			}
		}
	}
	require.Greater(t, entries, 20)
}
