// Package records is how the ledger is read: every decision about a subject, over all
// partitions, with its reason.
package records

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/app/access"
	"github.com/tocsin-alerting/tocsin/app/api/incidents"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// API answers for why things were decided. All fields are needed.
type API struct {
	*state.State
	Incidents *incidents.API
}

// Routes are the rows of the route table.
func (s *API) Routes() []web.Route {
	return []web.Route{
		{Method: "GET", Path: "/api/v1/ledger", Summary: "Every decision about a subject", Roles: web.People, Response: web.List[ledger.Entry]{}, Handle: s.getLedger},
		{Method: "GET", Path: "/api/v1/why/{id}", Summary: "Why: the decisions behind an incident, alert, page or tenant", Roles: web.People, Response: WhyAnswer{}, Handle: s.why},
	}
}

// homes lists the partitions whose ledger may tell of a subject, by its form;
// of most that is any.
func (s *API) homes(subject string) []store.Partition {
	kind, _, _ := strings.Cut(subject, "/")
	switch kind {
	case "tenant": // its own, and those of the incidents it is in
		out := []store.Partition{store.PartitionOf(subject)}
		for _, env := range s.Environments() {
			if p := store.PartitionOf(response.Subject(env)); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
		return out
	case "token":
		return []store.Partition{store.PartitionOf(access.Subject)}
	}
	out := make([]store.Partition, store.Partitions)
	for p := range out {
		out[p] = store.Partition(p)
	}
	return out
}

// Entries collects the ledger's entries of a subject over all partitions, in
// order of time.
func (s *API) Entries(ctx context.Context, subject string) ([]ledger.Entry, error) {
	var out []ledger.Entry
	read := func(p store.Partition) error {
		for after := uint64(0); ; {
			page, err := s.Store.Ledger(ctx, p, subject, after, 1000)
			if err != nil {
				return problem.Wrap(err, problem.Unavailable, "the ledger cannot be read")
			}
			out = append(out, page...)
			if len(page) < 1000 {
				return nil
			}
			after = page[len(page)-1].Seq
		}
	}
	for _, p := range s.homes(subject) {
		if err := read(p); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b ledger.Entry) int { return strings.Compare(entryKey(a), entryKey(b)) })
	return out, nil
}

// entryKey orders entries by time; those of one commit, which share it, as they
// were written.
func entryKey(e ledger.Entry) string {
	return fmt.Sprintf("%s/%020d/%s", e.At.UTC().Format("20060102T150405.000000000"), e.Seq, e.Hash)
}

func (s *API) getLedger(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	subject := r.URL.Query().Get("subject")
	if subject == "" {
		return problem.New(problem.Malformed, "subject is missing").WithHint("for example ?subject=tenant/acme or ?subject=incident/inc_…")
	}
	list, err := s.Entries(r.Context(), subject)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, web.Cut(list, entryKey, l))
}

// WhyAnswer is every decision about one thing, with the reasons, oldest first.
type WhyAnswer struct {
	Subject string         `json:"subject"`
	Title   string         `json:"title"`
	Entries []ledger.Entry `json:"entries"`
}

// why answers for the id of an incident (or its number), alert, page, drill,
// override or tenant.
func (s *API) why(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	id := r.PathValue("id")
	a := WhyAnswer{Entries: []ledger.Entry{}}
	var err error
	switch {
	case strings.HasPrefix(id, "alt_"):
		a.Subject = "alert/" + id
	case strings.HasPrefix(id, "pg_"):
		a.Subject = "page/" + id
	case strings.HasPrefix(id, "drl_"):
		a.Subject = "drill/" + id
	case strings.HasPrefix(id, "ovr_"):
		a.Subject = "override/" + id
	case id == rollout.Subject: // a tenant of that name has its own view
		a.Subject, a.Title = rollout.Subject, "The policy"
	default:
		i, ferr := s.Incidents.One(r.Context(), id, p)
		switch {
		case ferr == nil:
			a.Subject, a.Title = i.ID.Subject(), i.Title
		case !problem.Is(ferr, problem.NotFound):
			return ferr
		default:
			a.Subject = tenant.ID(id).Subject()
		}
	}
	if a.Entries, err = s.Entries(r.Context(), a.Subject); err != nil {
		return err
	}
	if len(a.Entries) == 0 {
		return problem.New(problem.NotFound, "nothing is recorded under this id").WithHint("give the id or number of an incident, or the id of an alert, page or tenant, or policy")
	}
	return web.WriteJSON(w, http.StatusOK, a)
}
