package e2e

import (
	"bytes"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
	"github.com/tocsin-alerting/tocsin/ledger"
)

// scene is a product with its monitoring, its mail and its ticket system.
type scene struct {
	*daemon
	desk    peer.RT
	mail    peer.Mailpit
	tenants []simulate.Tenant // the last one was never onboarded
	gateway *simulate.Gateway
	pair    []peer.Prometheus

	stopped  atomic.Pointer[time.Time] // the gateway's time, once it stands still
	fault    int
	brokenAt time.Time
	incident incident
	began    time.Time
}

// One pair of Prometheus servers carries all tenants in; one incident, one
// ticket and one page come out.
func TestPrometheusPairToRequestTracker(t *testing.T) {
	long(t)
	s := &scene{desk: peer.StartRT(t), mail: peer.StartMailpit(t), tenants: shops(50), began: time.Now()}
	s.daemon = install(t, company(s.desk, s.desk.URL, s.mail, time.Now()))
	s.start(t)
	s.onboard(t, s.tenants[:49])
	s.gateway = newGateway(t, s.tenants)
	s.scrape(t)

	s.arrived(t)
	s.fault, s.brokenAt = breakAlpha(t, s.gateway, time.Now().Add(2*time.Second))
	s.opened(t)
	s.ticketWritten(t)
	link := s.paged(t)
	s.takenInTheTicketSystem(t, link)
	s.resolvedEverywhere(t)
	s.explained(t)
	s.counted(t)
}

func (s *scene) tell(t *testing.T, what string) {
	t.Helper()
	t.Logf("%3.0f s: %s", time.Since(s.began).Seconds(), what)
}

// now is what the gateway's exporter goes by.
func (s *scene) now() time.Time {
	if at := s.stopped.Load(); at != nil {
		return *at
	}
	return time.Now()
}

// scrape starts the pair: both scrape the one exporter and remote write.
func (s *scene) scrape(t *testing.T) {
	t.Helper()
	exporter := httptest.NewServer(s.gateway.Exporter(s.now))
	t.Cleanup(exporter.Close)
	token := s.sender(t)
	for _, replica := range []string{"a", "b"} {
		s.pair = append(s.pair, peer.StartPrometheus(t, fmt.Sprintf(`
global:
  scrape_interval: 3s
  external_labels: {cluster: c, __replica__: %s}
scrape_configs:
  - job_name: gateway
    static_configs: [{targets: [%q]}]
remote_write:
  - url: %s/api/v1/push
    authorization: {credentials: %s}
    queue_config: {batch_send_deadline: 1s}
`, replica, strings.TrimPrefix(exporter.URL, "http://"), s.url, token)))
	}
	s.tell(t, "the pair runs")
}

// arrived waits until every tenant is evaluated and its first steps are closed.
func (s *scene) arrived(t *testing.T) {
	t.Helper()
	type status struct {
		Series       int
		Live         int        `json:"series_live"`
		Refused      int64      `json:"refused_samples"`
		Late         int64      `json:"late_samples"`
		LastSampleAt *time.Time `json:"last_sample_at"`
		Young        bool
		SLIs         []struct {
			Name string
			Rate float64 `json:"rate_per_minute"`
		}
	}
	for _, tenant := range s.tenants[:49] {
		eventually(t, 60*time.Second, "traffic of "+tenant.ID, func(c *assert.CollectT) {
			st := get[status](c, s.daemon, "/api/v1/tenants/"+tenant.ID+"/status")
			require.Equal(c, 2*2*4, st.Series, "a series for each acquirer, method and result, not one for each replica too")
			require.Equal(c, st.Series, st.Live)
			require.Zero(c, st.Refused)
			require.Zero(c, st.Late, "what the other replica sends is not late, it does not count")
			require.True(c, st.Young)
			at := slices.IndexFunc(st.SLIs, func(x struct {
				Name string
				Rate float64 `json:"rate_per_minute"`
			}) bool {
				return x.Name == "payments"
			})
			require.GreaterOrEqual(c, at, 0)
			require.InDelta(c, 60*tenant.TPS, st.SLIs[at].Rate, 15*tenant.TPS, "payments a minute, not twice as many")
		})
	}
	unknown := list[struct{ ID string }](t, s.daemon, "/api/v1/unknown-tenants")
	require.Equal(t, []struct{ ID string }{{"shop-50"}}, unknown)
	ignored, _ := metric(t, s.url, "tocsin_samples_deduplicated_samples_total")
	require.NotZero(t, ignored, "both replicas send")
	require.Empty(t, list[incident](t, s.daemon, "/api/v1/incidents"))
	s.tell(t, "49 tenants are evaluated")
}

// opened waits for the incident.
func (s *scene) opened(t *testing.T) {
	t.Helper()
	eventually(t, time.Until(s.brokenAt)+90*time.Second, "the incident", func(c *assert.CollectT) {
		all := list[incident](c, s.daemon, "/api/v1/incidents")
		require.NotEmpty(c, all)
		s.incident = all[0]
	})
	t.Logf("the incident came %.0f s after alpha broke: %s", time.Since(s.brokenAt).Seconds(), s.incident.Title)
	require.Equal(t, "payments", s.incident.Team)
	require.Equal(t, "critical", s.incident.Severity)
}

// read gives the only incident there is.
func (s *scene) read(t require.TestingT) incident {
	all := list[incident](t, s.daemon, "/api/v1/incidents")
	require.Len(t, all, 1, "one fault is one incident")
	return all[0]
}

// ticketWritten holds the ticket in the Request Tracker against the incident.
func (s *scene) ticketWritten(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "the ticket with the picture", func(c *assert.CollectT) {
		i := s.read(c)
		require.NotEmpty(c, i.Ticket.Ref.ID, "ticket: %s", i.Ticket.Error)
		k := readTicket(c, s.desk, i.Ticket.Ref.ID)
		require.Equal(c, i.Title, k.Subject)
		require.Equal(c, i.ID, k.field("TocsinKey"))
		require.Equal(c, "critical", k.field("Severity"))
		require.Equal(c, "new", k.Status)
		require.Equal(c, "Nobody", k.Owner.ID)
		_, files := attached(c, s.desk, i.Ticket.Ref.ID)
		require.Len(c, files, 1)
		require.Equal(c, s.raw(c, http.MethodGet, "/api/v1/incidents/"+i.ID+"/picture", nil, http.StatusOK), files[0], "byte for byte")
		s.incident = i
	})
	require.Len(t, ticketIDs(t, s.desk), 1)
	texts, files := attached(t, s.desk, s.incident.Ticket.Ref.ID)
	_, err := png.Decode(bytes.NewReader(files[0]))
	require.NoError(t, err)
	require.Contains(t, strings.Join(texts, "\n"), s.url+"/incidents/"+s.incident.ID)
	require.Contains(t, strings.Join(texts, "\n"), "Runbook: https://")
	s.tell(t, "ticket "+s.incident.Ticket.Ref.Number+": "+s.incident.Title)

	concerned := map[string]bool{}
	for _, x := range s.tenants[:49] {
		concerned[x.ID] = usesAlpha(x)
	}
	for _, x := range s.incident.Tenants {
		require.True(t, concerned[x.ID], "%s does not use alpha, or is not a tenant", x.ID)
	}
	require.Equal(t, map[string]string{"acquirer": "alpha"}, s.incident.Slice)
}

// paged checks the one mail and gives the link in it.
func (s *scene) paged(t *testing.T) string {
	t.Helper()
	eventually(t, 20*time.Second, "the mail", func(c *assert.CollectT) { require.NotEmpty(c, s.mail.Messages(t)) })
	t.Logf("the mail was there %.0f s after alpha broke", time.Since(s.brokenAt).Seconds())
	mails := s.mail.Messages(t)
	require.Len(t, mails, 1)
	m := s.mail.Message(t, mails[0].ID)
	require.Len(t, m.To, 1)
	require.Equal(t, "bo@example.com", m.To[0].Address, "whose turn it is by the rota")
	first, rest, _ := strings.Cut(strings.ReplaceAll(m.Text, "\r\n", "\n"), "\n")
	require.Equal(t, m.Subject, first)
	require.Contains(t, first, "payments through acquirer alpha fail for ")
	require.Regexp(t, `(?m)^\d+ of \d+ attempts failed$`, rest)
	var k, n uint64
	for line := range strings.Lines(rest) {
		if _, err := fmt.Sscanf(line, "%d of %d attempts failed", &k, &n); err == nil {
			break
		}
	}
	truth := s.gateway.Truth()[s.fault]
	require.Positive(t, k)
	require.LessOrEqual(t, k, n)
	require.LessOrEqual(t, n, truth.Events, "no more payments than there were through alpha")
	require.Contains(t, rest, "Why you: ")
	require.Len(t, m.Inline, 1)
	require.Equal(t, "image/png", m.Inline[0].ContentType)
	require.Contains(t, m.HTML, "cid:"+m.Inline[0].ContentID)
	require.Equal(t, s.raw(t, http.MethodGet, "/api/v1/incidents/"+s.incident.ID+"/picture", nil, http.StatusOK), s.mail.Part(t, mails[0].ID, m.Inline[0].PartID))

	var pages []page
	eventually(t, 10*time.Second, "the page to be noted as sent", func(c *assert.CollectT) {
		pages = list[page](c, s.daemon, "/api/v1/pages?incident="+s.incident.ID)
		require.Len(c, pages, 1)
		require.Equal(c, "sent", pages[0].State)
	})
	require.Equal(t, "bo", pages[0].Person)
	require.Contains(t, rest, pages[0].AckURL)
	if s.noted(t, "incident.ticket", "incident/"+s.incident.ID).Before(s.noted(t, "page.sent", "page/"+pages[0].ID).Add(-time.Second)) {
		require.Contains(t, rest, s.incident.Ticket.Ref.URL)
	} else {
		t.Log("the ticket system answered when the page was leaving, and a page waits for no ticket")
	}
	s.tell(t, "mail: "+first)
	return pages[0].AckURL
}

// noted gives when the ledger first says something of a subject.
func (s *scene) noted(t *testing.T, kind, subject string) time.Time {
	t.Helper()
	for _, e := range list[ledger.Entry](t, s.daemon, "/api/v1/ledger?subject="+subject) {
		if e.Subject == subject && e.Kind == kind {
			return e.At
		}
	}
	require.Fail(t, kind+" of "+subject+" is not in the ledger")
	return time.Time{}
}

// takenInTheTicketSystem opens the page's link, which changes nothing; then Ada
// takes the ticket where she works.
func (s *scene) takenInTheTicketSystem(t *testing.T, link string) {
	t.Helper()
	for range 2 {
		require.Contains(t, open(t, browser(t), link), "Nobody has it yet")
	}
	require.Equal(t, "open", s.read(t).State)
	path := "/ticket/" + s.incident.Ticket.Ref.ID
	rest2(t, s.desk, s.desk.People["ada"], http.MethodPut, path+"/take", map[string]any{}, nil)
	rest2(t, s.desk, s.desk.People["ada"], http.MethodPut, path, map[string]any{"Status": "open"}, nil)
	eventually(t, 20*time.Second, "the incident to be acknowledged", func(c *assert.CollectT) {
		i := s.read(c)
		require.Equal(c, "acknowledged", i.State)
		require.Equal(c, "ada", i.AcknowledgedBy.Person)
		require.Equal(c, "ticket", i.AcknowledgedVia)
	})
	shown := open(t, browser(t), link)
	require.Contains(t, shown, "Ada Lindqvist has it")
	require.NotContains(t, shown, "I have it")
	k := readTicket(t, s.desk, s.incident.Ticket.Ref.ID)
	require.Equal(t, "ada", k.Owner.ID)
	require.Equal(t, "open", k.Status)
	s.tell(t, "Ada has it")
}

// resolvedEverywhere mends alpha and waits for the end.
func (s *scene) resolvedEverywhere(t *testing.T) {
	t.Helper()
	at := boundary(time.Now().Add(2 * time.Second))
	require.NoError(t, s.gateway.Mend(s.fault, at))
	eventually(t, time.Until(at)+150*time.Second, "the incident to be resolved", func(c *assert.CollectT) {
		require.Equal(c, "resolved", s.read(c).State)
	})
	t.Logf("resolved %.0f s after alpha was mended", time.Since(at).Seconds())
	eventually(t, 20*time.Second, "the ticket to be resolved", func(c *assert.CollectT) {
		k := readTicket(c, s.desk, s.incident.Ticket.Ref.ID)
		require.Equal(c, "resolved", k.Status)
		require.Equal(c, "ada", k.Owner.ID)
		require.Equal(c, s.read(c).Title, k.Subject)
	})
	require.Len(t, ticketIDs(t, s.desk), 1)
	require.Len(t, s.mail.Messages(t), 1, "nobody was called twice")
	i := s.read(t)
	require.Empty(t, i.ResolvedBy, "its alerts ended; nobody resolved it")
	require.Empty(t, i.Ticket.Error)
	s.tell(t, "resolved")
}

// explained asks why.
func (s *scene) explained(t *testing.T) {
	t.Helper()
	told := map[string]entry{}
	for _, e := range get[why](t, s.daemon, "/api/v1/why/"+fmt.Sprint(s.incident.Number)).Entries {
		if _, again := told[e.Kind]; !again {
			told[e.Kind] = e
		}
		require.NotEmpty(t, e.Reason, e.Kind)
	}
	for _, kind := range []string{"incident.opened", "incident.owner", "incident.ticket", "incident.dashboard", "incident.acknowledged", "incident.alert_ended", "incident.resolved"} {
		require.Contains(t, told, kind)
	}
	require.Equal(t, "person:ada", told["incident.acknowledged"].Actor)
	require.Contains(t, told["incident.resolved"].Reason, "ended")
	out := s.run(t, "why", fmt.Sprint(s.incident.Number))
	for _, e := range told {
		require.Contains(t, out, e.Reason)
	}
	pages := list[page](t, s.daemon, "/api/v1/pages?incident="+s.incident.ID)
	paged := s.run(t, "why", pages[0].ID)
	require.Contains(t, paged, "page.sent")
	require.Contains(t, paged, "Bo Martins")
}

// counted lets the gateway stand still and compares what is stored with what
// it knows, event by event.
func (s *scene) counted(t *testing.T) {
	t.Helper()
	at := time.Now()
	s.stopped.Store(&at)
	truth := map[string]float64{}
	s.gateway.Advance(at)
	for _, x := range s.tenants {
		truth[x.ID] = float64(s.gateway.Total(x.ID, ""))
	}
	eventually(t, 30*time.Second, "every event to be stored once", func(c *assert.CollectT) {
		require.Equal(c, truth, s.query(c, "sum by (tenant) ("+simulate.Metric+")", "tenant"))
	})
	require.Empty(t, s.query(t, `count({__replica__!=""})`, "tenant"), "no replica label is stored")
	series := s.query(t, `count by (cluster) (`+simulate.Metric+`)`, "cluster")
	require.Equal(t, map[string]float64{"c": 50 * 2 * 2 * 4}, series)
	for _, p := range s.pair {
		sent, n := metric(t, p.URL, "prometheus_remote_storage_samples_total")
		require.Positive(t, n)
		require.Positive(t, sent)
		failed, n := metric(t, p.URL, "prometheus_remote_storage_samples_failed_total")
		require.Positive(t, n)
		require.Zero(t, failed, "samples that were refused")
		dropped, _ := metric(t, p.URL, "prometheus_remote_storage_samples_dropped_total") // not shown while it is zero
		require.Zero(t, dropped)
	}
	s.tell(t, "all is counted")
}
