package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/samples/quota"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// Machine is how the process and its disk do.
type Machine struct {
	Version          string           `json:"version"`
	StartedAt        time.Time        `json:"started_at"`
	Ready            bool             `json:"ready"`
	HistoryOpen      bool             `json:"history_open"`
	SamplesPerSecond float64          `json:"samples_per_second"` // taken, over the last minute
	WaitingSamples   int64            `json:"waiting_samples"`    // durable and not evaluated yet
	Refused          map[string]int64 `json:"refused_samples"`    // since the start, by reason
	Journal          Room             `json:"journal"`
	Disk             Space            `json:"disk"`
}

// Room is how much of a bound is used, in bytes.
type Room struct {
	Used  int64 `json:"used_bytes"`
	Limit int64 `json:"limit_bytes"`
}

// Space is what the disk has.
type Space struct {
	Free    uint64 `json:"free_bytes"`
	Total   uint64 `json:"total_bytes"`
	TakesIn bool   `json:"takes_in"` // enough is free to take samples in
	Commits bool   `json:"commits"`  // enough is free to acknowledge and deliver
}

// StatusAnswer is the daemon's health.
type StatusAnswer struct {
	Machine
	Tenants     TenantCounts   `json:"tenants"`
	Firing      int            `json:"firing_alerts"`
	Incidents   IncidentCounts `json:"incidents"`
	Undelivered []flow.Backlog `json:"undelivered"`
	// Troubles says in a sentence each what somebody should look at.
	Troubles []string `json:"troubles"`
}

// TenantCounts counts tenants by state, and those that are watched by what is
// known of them.
type TenantCounts struct {
	Onboarding int `json:"onboarding"`
	Live       int `json:"live"`
	Paused     int `json:"paused"`
	Retired    int `json:"retired"`
	Blind      int `json:"blind"`      // sent, and do not any more
	NeverSent  int `json:"never_sent"` // nothing that an SLI counts
	Young      int `json:"young"`
	Unknown    int `json:"unknown"` // send and were never onboarded
}

// IncidentCounts counts what is not over.
type IncidentCounts struct {
	Open         int `json:"open"`
	Acknowledged int `json:"acknowledged"`
}

func (s *Server) status(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	glances, err := s.Flow.Glance(r.Context())
	if err != nil {
		return err
	}
	open, err := s.Open(r.Context())
	if err != nil {
		return err
	}
	a, err := s.Health(r.Context(), glances, open)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, a)
}

// Open lists the incidents of every environment that are not over.
func (s *Server) Open(ctx context.Context) ([]incident.Incident, error) {
	var out []incident.Incident
	for _, env := range s.Environments() {
		open, err := s.Flow.OpenIncidents(ctx, env)
		if err != nil {
			return nil, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
		}
		out = append(out, open...)
	}
	return out, nil
}

// Health is how the daemon does, with a look at its tenants and open incidents.
func (s *Server) Health(ctx context.Context, glances []evaluate.Glance, open []incident.Incident) (a StatusAnswer, err error) {
	a = StatusAnswer{Machine: s.Machine(), Troubles: []string{}, Tenants: s.countTenants(glances)}
	a.count(open)
	if a.Undelivered, err = s.Flow.Backlogs(ctx); err != nil {
		return a, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	a.judge(s.Now())
	if n := s.Flow.Rules().Next; n != nil && n.Rollout.State == rollout.Halted {
		a.Troubles = append(a.Troubles, fmt.Sprintf("the rollout of policy revision %d is halted and waits for somebody: tocsin policy status", n.Revision))
	}
	return a, nil
}

func (s *Server) countTenants(glances []evaluate.Glance) (c TenantCounts) {
	for _, t := range s.Flow.Directory().List() {
		switch t.State {
		case tenant.Onboarding:
			c.Onboarding++
		case tenant.Live:
			c.Live++
		case tenant.Paused:
			c.Paused++
		case tenant.Retired:
			c.Retired++
		}
	}
	for _, g := range glances {
		switch {
		case !g.Watched:
		case g.LastReceivedAt == nil:
			c.NeverSent++
		case g.Blind:
			c.Blind++
		case g.Young:
			c.Young++
		}
	}
	for _, u := range s.Door.Unknown() {
		if !s.Flow.Directory().Known(u.ID) {
			c.Unknown++
		}
	}
	return c
}

func (a *StatusAnswer) count(open []incident.Incident) {
	for _, i := range open {
		if i.State == incident.StateAcknowledged {
			a.Incidents.Acknowledged++
		} else {
			a.Incidents.Open++
		}
		for _, x := range i.Alerts {
			if x.State == alert.Firing {
				a.Firing++
			}
		}
	}
}

// TenantStatus is a tenant's state, what it sends, and what was made of it.
type TenantStatus struct {
	State tenant.State `json:"state"`
	evaluate.Status
	Usage quota.Usage `json:"usage"`
}

func (s *Server) tenantStatus(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	if err := s.Here(r.Context(), flow.TenantSubject(id)); err != nil {
		return err
	}
	t, ok := s.Flow.Directory().Get(id)
	if !ok {
		return problem.New(problem.NotFound, "there is no such tenant").WithHint("tocsin tenant unknown lists those that send and were never onboarded")
	}
	a := TenantStatus{State: t.State, Usage: s.Door.Usage(id)}
	err := s.Decide(r.Context(), flow.TenantSubject(id), func(tx *partition.Tx, h *flow.Handler) error {
		a.Status = h.Status(id, tx.Now())
		return nil
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, a)
}
