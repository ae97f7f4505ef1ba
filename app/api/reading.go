package api

import (
	"context"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

// PagesOf reads the pages of an incident, the oldest first; one that cannot be
// read is left out.
func (s *Server) PagesOf(ctx context.Context, i incident.Incident) []oncall.Page {
	var out []oncall.Page
	for _, id := range i.Pages {
		rec, ok, err := s.Store.Record(ctx, store.PartitionOf(flow.IncidentsSubject(i.Environment)), flow.Pages, id)
		if err != nil || !ok {
			continue
		}
		if p, err := partition.Decode[oncall.Page](rec); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// TeamName is what people call a team.
func (s *Server) TeamName(id catalog.TeamID) string {
	if t, ok := s.Flow.Rules().Catalog.Team(id); ok && t.Name != "" {
		return t.Name
	}
	return string(id)
}
