package app

import (
	"time"

	"github.com/tocsin-alerting/tocsin/web"
)

// Routes is the route table.
func (a *App) Routes() []web.Route { return a.server.Routes() }

// SignLink makes the read-only capability for one incident that stands in the
// links of tickets and pages.
func (a *App) SignLink(incident string, until time.Time) string {
	return a.server.Signer.Sign(web.LinkPurpose, incident, until)
}
