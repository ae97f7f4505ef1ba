package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/access"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/itsm/register"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/web"
)

// homes lists the partitions whose ledger may tell of a subject, by its form;
// of most that is any.
func (s *Server) homes(subject string) []store.Partition {
	kind, _, _ := strings.Cut(subject, "/")
	switch kind {
	case "tenant": // its own, and those of the incidents it is in
		out := []store.Partition{store.PartitionOf(subject)}
		for _, env := range s.Environments() {
			if p := store.PartitionOf(flow.IncidentsSubject(env)); !slices.Contains(out, p) {
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
func (s *Server) Entries(ctx context.Context, subject string) ([]ledger.Entry, error) {
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

func (s *Server) getLedger(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
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
func (s *Server) why(w http.ResponseWriter, r *http.Request, p web.Principal) error {
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
		i, ferr := s.Incident(r.Context(), id, p)
		switch {
		case ferr == nil:
			a.Subject, a.Title = i.ID.Subject(), i.Title
		case !problem.Is(ferr, problem.NotFound):
			return ferr
		default:
			a.Subject = flow.TenantSubject("") + id
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

func (s *Server) listTickets(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	if err := s.Here(r.Context(), s.RegisterSubject()); err != nil {
		return err
	}
	items, next, err := s.Register.List(r.Context(), register.Filter{Limit: l.Limit, After: l.Cursor})
	if err != nil {
		return err
	}
	if items == nil {
		items = []register.Entry{}
	}
	return web.WriteJSON(w, http.StatusOK, web.List[register.Entry]{Items: items, Next: next})
}

func (s *Server) getTicket(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	if err := s.Here(r.Context(), s.RegisterSubject()); err != nil {
		return err
	}
	e, err := s.Register.Get(r.Context(), r.PathValue("number"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, e)
}

func (s *Server) checkSystem(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	system, ok := s.Systems()[r.PathValue("name")]
	if !ok {
		return problem.New(problem.NotFound, "there is no such ticket system").WithHint("the names stand under itsm.systems in tocsin.yaml")
	}
	ctx, cancel := context.WithTimeout(r.Context(), 25*time.Second)
	defer cancel()
	if err := system.Check(ctx); err != nil {
		p := *problem.From(err)
		p.Kind = problem.Unavailable // it is the ticket system that refuses, not this API
		return &p
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// actTicket is what a person does in the built-in register.
func (s *Server) actTicket(do func(ctx context.Context, number, user, note string) (register.Entry, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
		var in ActRequest
		if r.ContentLength != 0 {
			if err := web.ReadJSON(r, &in); err != nil {
				return err
			}
		}
		user := in.Person
		if user == "" {
			user = p.Name
		}
		if err := s.Here(r.Context(), s.RegisterSubject()); err != nil {
			return err
		}
		e, err := do(r.Context(), r.PathValue("number"), user, in.Note)
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, e)
	}
}

func (s *Server) takeTicket(ctx context.Context, number, user, _ string) (register.Entry, error) {
	return s.Register.Acknowledge(ctx, number, user)
}

// RegisterRecords keeps the built-in register in the store, in the partition of
// its destination: who delivers to it is the one who may write it.
type RegisterRecords struct {
	Store store.Store
	Owner func(subject string) *partition.Owner
	Name  string // of the system in the configuration; default register
}

const registerRecords = "register"

func (r RegisterRecords) subject() string {
	return store.DestinationSubject("itsm/" + cmp.Or(r.Name, "register"))
}

// RegisterSubject is where the built-in register lives.
func (s *Server) RegisterSubject() string {
	for name, system := range s.Systems() {
		if system == itsm.System(s.Register) {
			return RegisterRecords{Name: name}.subject()
		}
	}
	return RegisterRecords{}.subject()
}

// Get implements register.Records.
func (r RegisterRecords) Get(ctx context.Context, key string) ([]byte, bool, error) {
	rec, ok, err := r.Store.Record(ctx, store.PartitionOf(r.subject()), registerRecords, key)
	return rec.Value, ok, err
}

// Put implements register.Records.
func (r RegisterRecords) Put(ctx context.Context, key string, value []byte) error {
	return r.Owner(r.subject()).Call(ctx, func(tx *partition.Tx) error {
		tx.PutRaw(store.Record{Collection: registerRecords, Key: key, Kind: "register", Version: 1, Value: value})
		return nil
	})
}

// List implements register.Records.
func (r RegisterRecords) List(ctx context.Context, prefix, after string, limit int) ([]register.Record, error) {
	var out []register.Record
	if after < prefix {
		after = prefix // keys are longer than their prefix
	}
	for len(out) < limit {
		page, err := r.Store.Records(ctx, store.PartitionOf(r.subject()), registerRecords, after, limit)
		if err != nil {
			return nil, err
		}
		for _, rec := range page {
			if !strings.HasPrefix(rec.Key, prefix) {
				return out, nil
			}
			if len(out) < limit {
				out = append(out, register.Record{Key: rec.Key, Value: rec.Value})
			}
			after = rec.Key
		}
		if len(page) < limit {
			break
		}
	}
	return out, nil
}
