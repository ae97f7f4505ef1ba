// Package health is how the daemon, its tenants and its senders do, and what somebody
// should look at.
//
// It counts and judges what is; it changes nothing.
package health

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/flow/review"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// API answers for how the daemon does. All fields are needed.
type API struct {
	*state.State
	Door *samples.Door
	// Machine is how the process and its disk do.
	Machine func() Machine
}

// Routes are the rows of the route table.
func (s *API) Routes() []web.Route {
	return []web.Route{
		{Method: "GET", Path: "/api/v1/status", Summary: "The daemon's health", Roles: web.People, Response: StatusAnswer{}, Handle: s.status},
		{Method: "GET", Path: "/api/v1/sources", Summary: "Senders of samples: what each carries, and since when it is silent", Roles: web.People, Response: web.List[sources.Status]{}, Handle: s.sources},
	}
}

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
	Tenants     TenantCounts     `json:"tenants"`
	Firing      int              `json:"firing_alerts"`
	Incidents   IncidentCounts   `json:"incidents"`
	Undelivered []outbox.Backlog `json:"undelivered"`
	// Awaited are the tenants whose proposed profile waits for a person.
	Awaited int `json:"promotions_awaited"`
	// Called is how each team was called in the last four weeks, by what people said since.
	Called []state.TeamRecord `json:"called"`
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

func (s *API) status(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	glances, err := s.Flow.Glance(r.Context())
	if err != nil {
		return err
	}
	open, err := s.Open(r.Context())
	if err != nil {
		return err
	}
	a, err := s.Answer(r.Context(), glances, open)
	if err != nil {
		return err
	}
	if a.Called, err = s.TeamRecords(r.Context(), "", func(catalog.TeamID) bool { return true }); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, a)
}

// Open lists the incidents of every environment that are not over.
func (s *API) Open(ctx context.Context) ([]incident.Incident, error) {
	var out []incident.Incident
	for _, env := range s.Environments() {
		open, err := response.Open(ctx, s.Store, env)
		if err != nil {
			return nil, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
		}
		out = append(out, open...)
	}
	return out, nil
}

// Answer is how the daemon does, with a look at its tenants and open incidents.
func (s *API) Answer(ctx context.Context, glances []evaluate.Glance, open []incident.Incident) (a StatusAnswer, err error) {
	a = StatusAnswer{Machine: s.Machine(), Troubles: []string{}, Called: []state.TeamRecord{}, Tenants: s.countTenants(glances)}
	a.count(open)
	if a.Undelivered, err = outbox.Backlogs(ctx, s.Store); err != nil {
		return a, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	a.judge(s.Now())
	if n := s.Flow.Rules().Next; n != nil && n.Rollout.State == rollout.Halted {
		a.Troubles = append(a.Troubles, fmt.Sprintf("the rollout of policy revision %d is halted and waits for somebody: tocsin policy status", n.Revision))
	}
	for _, m := range s.Flow.Rules().Mend() {
		a.Troubles = append(a.Troubles, fmt.Sprintf("policy revision %d has %d fault(s) of which an earlier release did not know, the first on line %d: %s; it is used as before until the next change, which must mend them: tocsin policy show, tocsin policy plan",
			m.Revision, len(m.Faults), m.Faults[0].Line, m.Faults[0].Message))
	}
	waits, err := review.Waits(ctx, s.Store)
	if err != nil {
		return a, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	if a.Awaited = len(waits); a.Awaited > 0 {
		a.Troubles = append(a.Troubles, fmt.Sprintf("%d proposed profile(s) wait for somebody to promote or refuse them: tocsin profile waiting", a.Awaited))
	}
	return a, nil
}

func (s *API) countTenants(glances []evaluate.Glance) (c TenantCounts) {
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
