package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
)

// outage gives a daemon four shops with live traffic whose acquirer is about to
// break.
func outage(t *testing.T, d *daemon) {
	t.Helper()
	tenants := shops(4)
	d.onboard(t, tenants)
	g := newGateway(t, tenants)
	d.sendLive(t, g)
	breakAlpha(t, g, time.Now().Add(10*time.Second))
}

// Who presses the button gets the ticket.
func TestAcknowledgedHereTheTicketFollows(t *testing.T) {
	long(t)
	desk, mail := peer.StartRT(t), peer.StartMailpit(t)
	d := install(t, company(desk, desk.URL, mail, time.Now()))
	d.start(t)
	outage(t, d)
	var link string
	eventually(t, 110*time.Second, "the page and the ticket", func(c *assert.CollectT) {
		pages := list[page](c, d, "/api/v1/pages")
		require.Len(c, pages, 1)
		require.Equal(c, "sent", pages[0].State)
		require.Len(c, ticketIDs(c, desk), 1)
		link = pages[0].AckURL
	})
	id := ticketIDs(t, desk)[0]
	k := readTicket(t, desk, id)
	require.Equal(t, "new", k.Status)
	require.Equal(t, "Nobody", k.Owner.ID)

	b := browser(t)
	shown := open(t, b, link)
	require.Contains(t, shown, "Bo Martins’s")
	require.Contains(t, press(t, b, link, shown), "You have it")
	i := list[incident](t, d, "/api/v1/incidents")[0]
	require.Equal(t, "acknowledged", i.State)
	require.Equal(t, "bo", i.AcknowledgedBy.Person)
	require.Equal(t, "page", i.AcknowledgedVia)
	eventually(t, 60*time.Second, "the ticket to follow", func(c *assert.CollectT) {
		k := readTicket(c, desk, id)
		require.Equal(c, "open", k.Status)
		require.Equal(c, "bo", k.Owner.ID)
	})
	eventually(t, 15*time.Second, "the note on the ticket", func(c *assert.CollectT) {
		texts, _ := attached(c, desk, id)
		require.Equal(c, 1, strings.Count(strings.Join(texts, "\n"), "Acknowledged by Bo Martins"))
	})
	require.Contains(t, open(t, b, link), "You have it", "opening it again is no second acknowledgement")
	require.Len(t, mail.Messages(t), 1)
	require.Len(t, list[page](t, d, "/api/v1/pages"), 1)

	resolveAs(t, desk, "ada", id, "Nothing found")
	eventually(t, 60*time.Second, "the ticket's resolution to be heeded", func(c *assert.CollectT) {
		i := list[incident](c, d, "/api/v1/incidents")[0]
		require.Equal(c, "resolved", i.State)
		require.Equal(c, "false", i.Verdict.Verdict)
		require.Equal(c, "ada", i.Verdict.By.Person)
		require.Equal(c, "ticket", i.Verdict.Via)
	})
	require.Contains(t, d.run(t, "why", fmt.Sprint(i.Number)), "Ada Lindqvist says that it was a false alarm: ticket #"+fmt.Sprint(id)+` is resolved as "Nothing found"`)
	d.stop(t)
}

// resolveAs resolves a ticket as a person does who also says how.
func resolveAs(t *testing.T, desk peer.RT, user, id, how string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"Status": "resolved", "CustomFields": map[string]string{"Resolution": how}})
	require.NoError(t, err)
	req, err := http.NewRequest(http.MethodPut, desk.URL+"/REST/2.0/ticket/"+id, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "token "+desk.People[user])
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Less(t, res.StatusCode, 300)
}

// swallower stands before a Request Tracker. While it lies it answers writes
// with success and drops them.
type swallower struct {
	*httptest.Server
	lies      atomic.Bool
	swallowed atomic.Int64 // tickets that were never made
}

func swallow(t *testing.T, desk peer.RT) *swallower {
	t.Helper()
	target, err := url.Parse(desk.URL)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	s := &swallower{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || !s.lies.Load() {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if r.Method == http.MethodPost && r.URL.Path == "/REST/2.0/ticket" {
			s.swallowed.Add(1)
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, `{"type":"ticket","id":"4711","_url":"%s/REST/2.0/ticket/4711"}`, desk.URL)
			return
		}
		_, _ = fmt.Fprint(w, `["done"]`)
	}))
	t.Cleanup(s.Close)
	return s
}

// A ticket system that says yes and does nothing is noticed, shown, and made up
// for once it is honest.
func TestSwallowingProxy(t *testing.T) {
	long(t)
	desk, mail := peer.StartRT(t), peer.StartMailpit(t)
	proxy := swallow(t, desk)
	proxy.lies.Store(true)
	d := install(t, company(desk, proxy.URL, mail, time.Now()))
	d.start(t)
	outage(t, d)
	eventually(t, 110*time.Second, "the incident to show what is wrong with its ticket", func(c *assert.CollectT) {
		all := list[incident](c, d, "/api/v1/incidents")
		require.Len(c, all, 1)
		require.NotEmpty(c, all[0].Ticket.Error)
		require.Greater(c, proxy.swallowed.Load(), int64(1), "it is tried again")
		require.Empty(c, all[0].Ticket.Ref.ID, "a ticket that is not there is not named")
		require.Len(c, mail.Messages(t), 1, "the page does not wait for the ticket")
	})
	i := list[incident](t, d, "/api/v1/incidents")[0]
	t.Logf("the incident says: %s", i.Ticket.Error)
	require.Contains(t, d.run(t, "why", fmt.Sprint(i.Number)), i.Ticket.Error)
	shown := html.UnescapeString(string(d.raw(t, http.MethodGet, "/incidents/"+i.ID, nil, http.StatusOK)))
	require.Contains(t, shown, i.Ticket.Error, "whoever opens the incident sees it")
	require.Empty(t, ticketIDs(t, desk))

	d.kill(t)
	d.start(t)
	proxy.lies.Store(false)
	eventually(t, 100*time.Second, "the ticket, once the proxy is honest", func(c *assert.CollectT) {
		i := list[incident](c, d, "/api/v1/incidents")[0]
		require.Empty(c, i.Ticket.Error)
		require.NotEmpty(c, i.Ticket.Ref.ID)
		k := readTicket(c, desk, i.Ticket.Ref.ID)
		require.Equal(c, i.ID, k.field("TocsinKey"))
		require.Equal(c, i.Title, k.Subject)
	})
	require.Len(t, ticketIDs(t, desk), 1, "one ticket, however often it was tried, and by two processes")
	require.Len(t, mail.Messages(t), 1, "a page that was sent is not sent again")
	require.Contains(t, d.run(t, "why", fmt.Sprint(i.Number)), "the ticket is written again")
}
