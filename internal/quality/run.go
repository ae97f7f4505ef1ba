// Package quality measures detection: tocsin and what users would run instead on
// the same streams of a simulated world, and a score.
package quality

import (
	"time"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/internal/quality/world"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Config of a run.
type Config struct {
	World   world.Config
	Policy  *profiles.Policy
	Catalog *catalog.Catalog
	// Teams are the numbers of tenants among which a team's budget is shared; one
	// tocsin runs for each. The world may hold fewer: then each of its tenants
	// stands for several.
	Teams []int
	// Alone leaves the peers out.
	Alone bool
}

// Run lets a world pass before tocsin and its peers, and scores them. The first
// results are tocsin's, one for each team.
func Run(c Config) (*world.World, []Result, error) {
	w, err := world.New(c.World)
	if err != nil {
		return nil, nil, err
	}
	var ours replays
	for _, team := range c.Teams {
		r, err := backtest.New(backtest.Options{Policy: c.Policy, Catalog: c.Catalog, Tenants: documents(w), Watched: team}, w.Start)
		if err != nil {
			return nil, nil, err
		}
		ours = append(ours, r)
	}
	var beside []*peer
	if !c.Alone {
		beside = peers()
	}
	s, others := world.NewStreams(w), newField(w, beside)
	for w.Pass() {
		others.pass()
		if err := s.Deliver(ours); err != nil {
			return nil, nil, err
		}
	}
	court := newCourt(w)
	var out []Result
	for i, r := range ours {
		out = append(out, court.judge("tocsin", alerts(r.Lines(), w.Now), c.Teams[i]))
	}
	for _, p := range others.peers {
		out = append(out, court.judge(p.name, p.alerts, c.Teams[0]))
	}
	return w, out, nil
}

// documents are what a user would say of the tenants.
func documents(w *world.World) (out []tenant.Tenant) {
	for _, t := range w.Tenants {
		doc := tenant.Tenant{ID: tenant.ID(t.ID), Timezone: t.Zone.String(), OnboardedAt: t.Born}
		seen := map[string]bool{}
		for _, c := range t.Cells {
			if !seen[c.Country] {
				seen[c.Country] = true
				doc.Countries = append(doc.Countries, c.Country)
			}
			if !c.Opens.IsZero() && !seen[c.Method] {
				seen[c.Method] = true
				doc.OptIns = append(doc.OptIns, tenant.OptIn{Feature: "method." + c.Method, At: c.Opens})
			}
		}
		out = append(out, doc)
	}
	return out
}

// alerts are the lines that somebody sees: what is only recorded is none.
func alerts(lines []backtest.Line, end time.Time) (out []Alert) {
	for _, l := range lines {
		if l.Severity == "info" {
			continue
		}
		a := Alert{Tenant: l.Tenant, Rule: l.Rule, Slice: l.Slice, At: l.StartsAt, End: end, Critical: l.Severity == "critical", Incident: l.Incident, Reason: l.Reason, Unheard: l.Unheard}
		if l.EndsAt != nil {
			a.End = *l.EndsAt
		}
		if l.Pages {
			a.Paged = l.PagedAt
		}
		out = append(out, a)
	}
	return out
}

// replays hear the same streams.
type replays []*backtest.Replay

// Window implements world.Taker.
func (rs replays) Window(end time.Time) error {
	for _, r := range rs {
		if err := r.Window(end); err != nil {
			return err
		}
	}
	return nil
}

// Take implements world.Taker.
func (rs replays) Take(s *recorded.Series, xs []recorded.Sample) {
	for _, r := range rs {
		r.Take(s, xs)
	}
}
