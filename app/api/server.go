// Package api puts the one route table together (routes.go): the parts of the JSON API,
// each in a package below, and the doors that others call.
//
// It reads the store and asks the partitions' owners to decide; it decides
// nothing. Everything a caller may see is narrowed by the Principal here, after
// the one role check in web.
package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/app/access"
	"github.com/tocsin-alerting/tocsin/app/api/duty"
	"github.com/tocsin-alerting/tocsin/app/api/health"
	"github.com/tocsin-alerting/tocsin/app/api/incidents"
	"github.com/tocsin-alerting/tocsin/app/api/policies"
	"github.com/tocsin-alerting/tocsin/app/api/records"
	"github.com/tocsin-alerting/tocsin/app/api/tenants"
	"github.com/tocsin-alerting/tocsin/app/api/tickets"
	"github.com/tocsin-alerting/tocsin/app/links"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/blob"
	"github.com/tocsin-alerting/tocsin/otlp"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/web"
)

// Server has what the handlers need, those of each part of the API in its own package.
type Server struct {
	*state.State
	Incidents *incidents.API
	Duty      *duty.API
	Tenants   *tenants.API
	Policies  *policies.API
	Health    *health.API
	Records   *records.API
	Tickets   *tickets.API

	Access   *access.Keeper
	Door     *samples.Door
	OTLP     []otlp.Door
	Query    func() *query.Querier // nil result: the history is still opening
	Blobs    *blob.Dir
	Artist   send.Artist
	Links    links.Maker
	Signer   web.Signer
	Gatherer prometheus.Gatherer
	Logger   *slog.Logger
	Ready    func() error
	// Reload reads the configuration anew; by is who asked.
	Reload func(ctx context.Context, by string) (ReloadAnswer, error)
	// Cluster is how the other replicas are asked; nil: there are none.
	Cluster Cluster
	Started time.Time
	Version string
}
