package flow

import (
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/samples"
)

// knownRefs is how many series of a partition are known by their number: ten times
// what a partition of a hundred thousand tenants holds. Numbers of series that are
// gone stay until then.
const knownRefs = 100_000

// refs are the engine's references of series, by the number that the door gave them.
type refs map[uint64]*evaluate.Ref

// of finds a series' reference or makes it. A number may be given again, so what it
// stood for is compared.
func (r *refs) of(e *evaluate.Engine, s *samples.Series) *evaluate.Ref {
	if known := (*r)[s.ID]; known != nil && known.Is(s.Tenant, s.Labels) {
		return known
	}
	made := e.Resolve(s.Tenant, s.Labels)
	if s.ID == 0 { // it has none
		return made
	}
	if *r == nil || len(*r) >= knownRefs {
		*r = refs{}
	}
	(*r)[s.ID] = made
	return made
}
