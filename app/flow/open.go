package flow

import (
	"context"

	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
)

// OpenIncidents reads the incidents of an environment that are not over.
func (s *Shared) OpenIncidents(ctx context.Context, environment string) ([]incident.Incident, error) {
	home := store.PartitionOf(IncidentsSubject(environment))
	ids, err := partition.All(ctx, s.Store, home, active)
	if err != nil {
		return nil, err
	}
	var out []incident.Incident
	for _, r := range ids {
		rec, ok, err := s.Store.Record(ctx, home, Incidents, r.Key)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		i, err := partition.Decode[incident.Incident](rec)
		if err != nil {
			return nil, err
		}
		if i.Environment == environment && i.State != incident.StateResolved {
			out = append(out, i)
		}
	}
	return out, nil
}
