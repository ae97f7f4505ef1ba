package send

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/blob"
	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
)

// slowly draws while something else happens.
type slowly struct{ meanwhile func() }

func (s slowly) Draw(context.Context, incident.Incident) ([]byte, error) {
	s.meanwhile()
	return []byte("picture"), nil
}

// postbox keeps what is sent.
type postbox struct{ pages []channel.Page }

func (b *postbox) Send(_ context.Context, p channel.Page) (channel.Receipt, error) {
	b.pages = append(b.pages, p)
	return channel.Receipt{Detail: "taken"}, nil
}

type addresses struct{}

func (addresses) Incident(string) string             { return "http://tocsin/incidents/1" }
func (addresses) Dashboard(incident.Incident) string { return "http://tocsin/dashboard" }
func (addresses) Acknowledge(oncall.Page) string     { return "http://tocsin/p/1" }

// paging is a page that was asked for, at a team's desk.
type paging struct {
	*Sender
	box      *postbox
	delivery delivery.Delivery
	page     oncall.Page
	incident incident.Incident
	put      func(coll, key string, v any)
}

func newPaging(t *testing.T) *paging {
	t.Helper()
	blobs, err := blob.Open(t.TempDir())
	require.NoError(t, err)
	s := &paging{box: &postbox{}, page: oncall.Page{ID: "pg_1", Key: "pg_1/1", Incident: "inc_1", Channel: "mail", To: "ada@example.com", State: oncall.Pending},
		incident: incident.Incident{ID: "inc_1", Number: 1, Openings: 1, State: incident.StateOpen, Service: "payments"}}
	st := memory.New(memory.Options{})
	const subject = "tenant/acme"
	lease, err := st.Acquire(t.Context(), store.PartitionOf(subject))
	require.NoError(t, err)
	s.put = func(coll, key string, v any) {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		require.NoError(t, lease.Commit(t.Context(), store.Batch{Puts: []store.Record{{Collection: coll, Key: key, Value: raw}}}))
	}
	s.put(response.Pages, "pg_1", s.page)
	s.put(response.Incidents, "inc_1", s.incident)
	payload, err := json.Marshal(outbox.PageJob{Call: oncall.Call{Page: "pg_1", Key: "pg_1/1", Incident: "inc_1", Channel: "mail", To: "ada@example.com"}})
	require.NoError(t, err)
	s.delivery = delivery.Delivery{Subject: subject, Payload: payload}
	s.Sender = New(Options{Store: st, Blobs: blobs, Channels: map[string]channel.Channel{"mail": s.box}, Links: addresses{},
		Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { require.NoError(t, s.Stop(context.WithoutCancel(t.Context()))) })
	return s
}

// TestAPageSaysWhatIsKnownWhenItLeaves: the ticket that was written while the
// picture was drawn stands in it.
func TestAPageSaysWhatIsKnownWhenItLeaves(t *testing.T) {
	s := newPaging(t)
	s.o.Pictures = slowly{func() {
		s.incident.Mirror.Ref = itsm.Ref{ID: "7", Number: "7", URL: "http://desk/7"}
		s.put(response.Incidents, "inc_1", s.incident)
	}}
	_, withheld, err := s.Sender.page(t.Context(), s.delivery)
	require.NoError(t, err)
	require.Empty(t, withheld)
	require.Len(t, s.box.pages, 1)
	require.Contains(t, s.box.pages[0].Text, "http://desk/7")
	require.NotNil(t, s.box.pages[0].Picture)
}

// TestWhatIsTakenWhileThePictureIsDrawnPagesNobody: the page is
// withheld, and says why.
func TestWhatIsTakenWhileThePictureIsDrawnPagesNobody(t *testing.T) {
	s := newPaging(t)
	s.o.Pictures = slowly{func() {
		s.incident.State = incident.StateAcknowledged
		s.put(response.Incidents, "inc_1", s.incident)
	}}
	_, withheld, err := s.Sender.page(t.Context(), s.delivery)
	require.NoError(t, err)
	require.Equal(t, "the incident is over or somebody has it", withheld)
	require.Empty(t, s.box.pages)
}
