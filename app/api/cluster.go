package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// Cluster is the other replicas, as the routes need them.
type Cluster interface {
	// Journal keeps what another replica received and hands it on.
	Journal(ctx context.Context, received []byte) error
	// Status tells who lives and who serves what.
	Status(ctx context.Context) (ClusterAnswer, error)
}

// ClusterAnswer is who lives and who serves what.
type ClusterAnswer struct {
	Store      string         `json:"store"`      // embedded or redis
	Partitions int            `json:"partitions"` // of the store
	Unserved   int            `json:"unserved"`   // partitions that nobody serves at this moment
	Waiting    int            `json:"waiting"`    // inputs not decided on yet
	LagSeconds float64        `json:"lag_seconds"`
	Members    []MemberAnswer `json:"members"`
}

// MemberAnswer is one replica.
type MemberAnswer struct {
	store.Member
	Self       bool    `json:"self"` // it is the one that answers
	Partitions int     `json:"partitions"`
	Waiting    int     `json:"waiting"`
	LagSeconds float64 `json:"lag_seconds"` // age of the oldest input that waits for it
}

// inner is what replicas ask each other.
func (s *Server) inner() []web.Route {
	return []web.Route{
		{Method: "POST", Path: "/internal/v1/journal", Summary: "Keep what another replica received", Kind: web.Raw, Roles: web.Replicas, Status: http.StatusNoContent, Handle: s.innerJournal},
		{Method: "POST", Path: "/internal/v1/contributions", Summary: "Feed a pool that this replica serves", Kind: web.Raw, Roles: web.Replicas, Status: http.StatusNoContent, Handle: s.innerContributions},
		{Method: "POST", Path: "/internal/v1/tenants/{id}/adopt", Summary: "Onboard a tenant that sends to another replica", Kind: web.Raw, Roles: web.Replicas, Tenant: "id", Status: http.StatusNoContent, Handle: s.innerAdopt},
		{Method: "GET", Path: "/internal/v1/glances", Summary: "The tenants that this replica serves", Kind: web.Raw, Roles: web.Replicas, Handle: s.innerGlances},
		{Method: "GET", Path: "/internal/v1/blobs/{id}", Summary: "A picture that this replica keeps", Kind: web.Raw, Roles: web.Replicas, Handle: s.innerBlob},
		{Method: "PUT", Path: "/internal/v1/blobs/{id}", Summary: "Keep a picture that another replica drew", Kind: web.Raw, Roles: web.Replicas, Status: http.StatusNoContent, Handle: s.innerPutBlob},
	}
}

// maxInner bounds what one replica sends another.
const maxInner = 64 << 20

func innerBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxInner))
	if err != nil {
		return nil, problem.Wrap(err, problem.Malformed, "the body cannot be read")
	}
	return raw, nil
}

func (s *Server) noCluster() error {
	if s.Cluster == nil {
		return problem.New(problem.NotFound, "this tocsin shares its store with nobody")
	}
	return nil
}

func (s *Server) innerJournal(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	if err := s.noCluster(); err != nil {
		return err
	}
	raw, err := innerBody(w, r)
	if err != nil {
		return err
	}
	if err := s.Cluster.Journal(r.Context(), raw); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ContributionsJob is what one replica's tenants say of a service whose pool
// another serves.
type ContributionsJob struct {
	Subject       string                  `json:"subject"`
	Contributions []exchange.Contribution `json:"contributions"`
}

func (s *Server) innerContributions(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	raw, err := innerBody(w, r)
	if err != nil {
		return err
	}
	var in ContributionsJob
	if err := json.Unmarshal(raw, &in); err != nil || !strings.HasPrefix(in.Subject, "pool/") {
		return problem.Wrap(err, problem.Malformed, "the body is not what a replica sends")
	}
	if slices.ContainsFunc(in.Contributions, func(c exchange.Contribution) bool { return c.Origin == nil }) {
		return problem.New(problem.Malformed, "a contribution does not say whose it is")
	}
	if !s.Flow.Pooled(in.Subject, in.Contributions) {
		return problem.New(problem.Unavailable, "this replica does not serve the pool").WithRetryAfter(time.Second)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) innerAdopt(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	err := s.Flow.Decide(r.Context(), id.Subject(), func(tx *partition.Tx, h *flow.Handler) error {
		_, _, _, err := s.Flow.Adopt(tx, h, id)
		return err
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) innerGlances(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	list, err := s.Flow.Glances(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, list)
}

func (s *Server) innerBlob(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	b, err := s.Blobs.Own(r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(b) // the replica may be gone
	return nil
}

func (s *Server) innerPutBlob(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	raw, err := innerBody(w, r)
	if err != nil {
		return err
	}
	if err := s.Blobs.Keep(r.PathValue("id"), raw); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// clusters are the documents about replicas.
func (s *Server) clusters() []web.Route {
	return []web.Route{{Method: "GET", Path: "/api/v1/cluster", Summary: "Who lives, who serves what, and what waits", Roles: web.Administrators, Response: ClusterAnswer{}, Handle: s.getCluster}}
}

func (s *Server) getCluster(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	if s.Cluster == nil {
		return web.WriteJSON(w, http.StatusOK, ClusterAnswer{Store: "embedded", Partitions: store.Partitions,
			Members: []MemberAnswer{{Self: true, Partitions: store.Partitions, Member: store.Member{ID: "tocsin", URL: s.Links.Base.String(), Started: s.Started, Version: s.Version}}}})
	}
	a, err := s.Cluster.Status(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, a)
}
