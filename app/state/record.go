package state

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
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
	var list []incident.Incident
	since := s.Now().Add(-recordedFor)
	for _, env := range s.Environments() {
		all, err := partition.AllOfAfter[incident.Incident](ctx, s.Store, flow.IncidentsSubject(env), flow.Incidents, string(incident.Before(since)))
		if err != nil {
			return nil, err
		}
		for _, i := range all {
			if i.Environment == env && (of == "" || slices.ContainsFunc(i.Tenants, func(t incident.Tenant) bool { return t.ID == of })) {
				list = append(list, i)
			}
		}
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
