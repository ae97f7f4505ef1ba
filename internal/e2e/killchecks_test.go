package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/simulate"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/embedded"
)

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
	pages := killList[killPage](t, s.api, "/api/v1/pages", nil)
	require.Len(t, pages, 1)
	require.Equal(t, "ada", pages[0].Person)
	most := 1 + s.killsOnTheWay(t, pages[0].ID)
	copies := map[string]int{}
	for _, m := range s.mail.Messages(t) {
		copies[s.mail.Message(t, m.ID).MessageID]++
	}
	require.Len(t, copies, 1, "one page, one Message-ID")
	for id, n := range copies {
		t.Logf("page %s arrived in %d copies", id, n)
		require.LessOrEqual(t, n, most, "a copy more for each kill while the page was on its way, and no other")
	}

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

// killsOnTheWay counts the kills between a page's being wanted and its being
// noted as sent. Mail that the server took just before such a kill is sent once
// more, as nobody can know that it arrived: under the same Message-ID, so that a
// reader sees one. A kill right after an alert may be one of them, since such a
// page does not wait.
func (s *killTale) killsOnTheWay(t *testing.T, page string) int {
	t.Helper()
	var wanted, sent time.Time
	for _, e := range killList[ledger.Entry](t, s.api, "/api/v1/ledger", url.Values{"subject": {"page/" + page}}) {
		switch e.Kind {
		case "page.requested":
			wanted = e.At
		case "page.sent":
			sent = e.At
		}
	}
	require.False(t, wanted.IsZero() || sent.IsZero(), "the page is in the ledger")
	n := 0
	for _, at := range s.d.kills {
		if at.After(wanted) && at.Before(sent) {
			n++
		}
	}
	return n
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

// chainHolds reads every partition's ledger from the stopped daemon's storage,
// as an auditor would: the API gives entries by subject, and a chain is one
// partition's. It is the only reader of the daemon's own files here.
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
