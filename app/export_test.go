package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/links"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// Routes is the route table.
func (a *App) Routes() []web.Route { return a.routes() }

// SignLink makes the read-only capability for one incident that stands in the
// links of tickets and pages.
func (a *App) SignLink(incident string, until time.Time) string {
	return a.server.Signer.Sign(web.LinkPurpose, incident, until)
}

// Links makes the addresses that stand in tickets and pages.
func (a *App) Links() links.Maker { return a.server.Links }

// Fire offers an alert to its environment's incidents, as evaluate would.
func (a *App) Fire(ctx context.Context, x alert.Alert) error {
	subject := response.Subject(x.Environment)
	return a.store.Offer(ctx, store.PartitionOf(subject), store.Input{ID: fmt.Sprintf("%s/%s/%d", x.ID, x.State, x.AsOf.UnixMilli()), Kind: "alert", Version: 1,
		Subject: subject, At: a.o.Now(), Payload: partition.Payload(x)})
}

// Hold keeps a tenant's partition busy until release is called.
func (a *App) Hold(id tenant.ID) (release func()) {
	ch, held := make(chan struct{}), make(chan struct{})
	a.shared.Owner(id.Subject()).Post(func(*partition.Tx) error { close(held); <-ch; return nil })
	<-held
	return sync.OnceFunc(func() { close(ch) })
}

// PollTickets asks a ticket system what changed there, as is done every few
// seconds.
func (a *App) PollTickets(ctx context.Context, system string) error {
	return a.poll(ctx, config.System{Name: system})
}

// Ask asks the queries of rules of kind promql, as is done once a minute.
func (a *App) Ask(ctx context.Context) { a.ask(ctx, []string{""}) }
