// Package api is what each route does: the JSON API, the doors that others
// call, and the views. The table itself is in routes.go.
//
// It reads the store and asks the partitions' owners to decide; it decides
// nothing. Everything a caller may see is narrowed by the Principal here, after
// the one role check in web.
package api

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/app/access"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/links"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/app/signin"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/blob"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/itsm/register"
	"github.com/tocsin-alerting/tocsin/otlp"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// Server has what the handlers need.
type Server struct {
	*state.State
	Access   *access.Keeper
	Door     *samples.Door
	OTLP     []otlp.Door
	Query    func() *query.Querier // nil result: the history is still opening
	Register *register.Register
	Systems  func() map[string]itsm.System // by configured name, not to be changed
	Blobs    *blob.Dir
	Artist   send.Artist
	Views    *view.Views
	Links    links.Maker
	Signer   web.Signer
	Gatherer prometheus.Gatherer
	Logger   *slog.Logger
	Ready    func() error
	// Reload reads the configuration anew; by is who asked.
	Reload func(ctx context.Context, by string) (ReloadAnswer, error)
	// CheckPolicy reads a policy as the files' are read, with the catalog in force.
	CheckPolicy func(text []byte) (*profiles.Policy, fault.List)
	planning    sync.Mutex // one plan at a time
	BodySize    int64      // of a remote-write request
	// SignIn sends people links to sign in; Mails says whether a mail channel is
	// configured that could.
	SignIn *signin.Desk
	Mails  func() bool
	// Cluster is how the other replicas are asked; nil: there are none.
	Cluster Cluster
	Started time.Time
	Version string
	// Machine is how the process and its disk do.
	Machine func() Machine
	// Purge offboards a tenant and erases what is kept of it; by is who asked.
	Purge func(ctx context.Context, id tenant.ID, match int, by string) (flow.Erased, error)
}
