// Package api is what each route does: the JSON API, the doors that others
// call, and the views. The table itself is in routes.go.
//
// It reads the store and asks the partitions' owners to decide; it decides
// nothing. Everything a caller may see is narrowed by the Principal here, after
// the one role check in web.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/app/signin"
	"github.com/tocsin-alerting/tocsin/blob"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/itsm/register"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/otlp"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// Server has what the handlers need.
type Server struct {
	Store    store.Store
	Flow     *flow.Shared
	Access   *Access
	Door     *samples.Door
	OTLP     []otlp.Door
	Query    func() *query.Querier // nil result: the history is still opening
	Register *register.Register
	Systems  func() map[string]itsm.System // by configured name, not to be changed
	Blobs    *blob.Dir
	Artist   send.Artist
	Views    *view.Views
	Links    Links
	Signer   web.Signer
	Gatherer prometheus.Gatherer
	Now      func() time.Time
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
	// Environments that have incidents; the configured one first.
	Environments func() []string
	// Machine is how the process and its disk do.
	Machine func() Machine
	// Purge offboards a tenant and erases what is kept of it; by is who asked.
	Purge func(ctx context.Context, id tenant.ID, match int, by string) (flow.Erased, error)
}

// Links makes every address from the external one.
type Links struct {
	Base   *url.URL
	Signer web.Signer
	Now    func() time.Time
	Rule   func(name string) (rule.Rule, bool)
}

const (
	linkAge = 30 * 24 * time.Hour // of a signed link to one incident
	ackAge  = 7 * 24 * time.Hour  // of the button of one page
)

func (l Links) at(path string, q url.Values) string {
	u := l.Base.JoinPath(path)
	u.RawQuery = q.Encode()
	return u.String()
}

// Incident is the incident's view with a signed, expiring, read-only capability.
func (l Links) Incident(id string) string {
	return l.at("/incidents/"+id, url.Values{"cap": {l.cap(id)}})
}

func (l Links) cap(id string) string {
	// Whole days, so that the same document has the same link and is not written
	// to the ticket again for nothing.
	until := l.Now().Truncate(24 * time.Hour).Add(linkAge)
	return l.Signer.Sign(web.LinkPurpose, id, until)
}

// Dashboard opens the rule's dashboard for the incident's tenant and slice at
// the firing time.
func (l Links) Dashboard(i incident.Incident) string {
	lead, ok := send.Lead(i)
	if !ok || lead.Kind == rule.Source { // nothing is drawn of what does not arrive
		return l.Incident(string(i.ID))
	}
	r, _ := l.Rule(lead.Rule)
	r.Name = lead.Rule
	path, query, _ := strings.Cut(dashboards.ForRule(r, lead.Environment).Path(send.Whose(i), i.Slice, lead.OnsetAt, lead.StartsAt), "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return l.Incident(string(i.ID))
	}
	q.Set("incident", string(i.ID))
	q.Set("environment", i.Environment)
	q.Set("cap", l.cap(string(i.ID)))
	return l.at(path, q)
}

// Acknowledge is the link bound to one person's page.
func (l Links) Acknowledge(p oncall.Page) string {
	return l.at("/p/"+l.Signer.Sign("page", p.Environment+"/"+string(p.ID), p.RequestedAt.Add(ackAge)), nil)
}

// Rule finds a rule of the policy in force, or of one that some tenants have.
func (s *Server) Rule(name string) (rule.Rule, bool) {
	return FindRule(s.Flow.Rules(), name)
}

// FindRule finds a rule by its name in the policies that any tenant has, the one in
// force first.
func FindRule(rules flow.Rules, name string) (rule.Rule, bool) {
	for _, p := range rules.Policies() {
		for _, r := range profiles.All(p) {
			if r.Name == name {
				return r, true
			}
		}
	}
	return rule.Rule{}, false
}

// Decide runs f in the owner of a subject's partition.
func (s *Server) Decide(ctx context.Context, subject string, f func(tx *partition.Tx, h *flow.Handler) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.Here(ctx, subject); err != nil {
		return err
	}
	return s.Flow.Decide(ctx, subject, f)
}

// page of a list: ?limit= and ?cursor=.
type listing struct {
	limit  int
	cursor string
}

func parseListing(r *http.Request) (listing, error) {
	l := listing{limit: 100, cursor: r.URL.Query().Get("cursor")}
	if v := r.URL.Query().Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 1000 {
			return l, problem.New(problem.Malformed, "limit must be a number from 1 to 1000")
		}
		l.limit = n
	}
	return l, nil
}

// List is the shape of every list.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"` // cursor of the next part; empty: this was the last
}

// cut gives the part of items, which are ordered by key, that l asks for.
func cut[T any](items []T, key func(T) string, l listing) List[T] {
	out := List[T]{Items: []T{}}
	for _, v := range items {
		if k := key(v); k <= l.cursor && l.cursor != "" {
			continue
		}
		if len(out.Items) == l.limit {
			out.Next = key(out.Items[l.limit-1])
			return out
		}
		out.Items = append(out.Items, v)
	}
	return out
}

func decodeRecord[T any](r store.Record) (T, error) {
	var v T
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return v, problem.Wrap(err, problem.Internal, "a record cannot be read")
	}
	return v, nil
}

func all[T any](ctx context.Context, s store.Store, subject, collection string) ([]T, error) {
	records, err := partition.All(ctx, s, store.PartitionOf(subject), collection)
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	out := make([]T, 0, len(records))
	for _, r := range records {
		v, err := decodeRecord[T](r)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
