package state

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// recordedFor is the time over which a team's record is looked at.
const recordedFor = 28 * 24 * time.Hour

// TeamRecord is how a team was called in the last four weeks, by what people said of it
// since, against its budget.
type TeamRecord struct {
	Team string `json:"team"`
	incident.Record
	Budget float64 `json:"false_pages_per_week"` // what the team bears
	Words  string  `json:"words"`
}

// TeamRecords are those of some teams, sorted. of is the one tenant whose incidents
// count; empty: all count.
func (s *State) TeamRecords(ctx context.Context, of tenant.ID, which func(catalog.TeamID) bool) ([]TeamRecord, error) {
	since := s.Now().Add(-recordedFor)
	list, err := s.IncidentsThat(ctx, string(incident.Before(since)), func(i incident.Incident) bool {
		return of == "" || slices.ContainsFunc(i.Tenants, func(t incident.Tenant) bool { return t.ID == of })
	})
	if err != nil {
		return nil, err
	}
	out := []TeamRecord{}
	for _, t := range s.Flow.Rules().Catalog.Teams {
		if !which(t.ID) {
			continue
		}
		r := TeamRecord{Team: string(t.ID), Record: incident.Recorded(list, t.ID, since), Budget: t.FalsePagesPerWeek}
		r.Words = r.Record.Words(r.Budget * recordedFor.Hours() / (7 * 24))
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b TeamRecord) int { return strings.Compare(a.Team, b.Team) })
	return out, nil
}

// IncidentsThat reads the incidents of every environment that count, in no order: those
// whose id is after one, as [incident.Before] gives it for a time; empty: all.
func (s *State) IncidentsThat(ctx context.Context, after string, counts func(incident.Incident) bool) ([]incident.Incident, error) {
	var out []incident.Incident
	for _, env := range s.Environments() {
		list, err := partition.AllOfAfter[incident.Incident](ctx, s.Store, response.Subject(env), response.Incidents, after)
		if err != nil {
			return nil, err
		}
		for _, i := range list {
			if i.Environment == env && counts(i) {
				out = append(out, i)
			}
		}
	}
	return out, nil
}
