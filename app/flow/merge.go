package flow

import (
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/router"
)

// merge makes incidents that turned out to be part of the one an alert joined part of
// it, all in the commit that took the alert.
func (h *Handler) merge(tx *partition.Tx, d router.Decision) error {
	for _, id := range d.Merge {
		into, err := getIncident(tx, d.Incident)
		if err != nil {
			return err
		}
		from, err := getIncident(tx, id)
		if err != nil {
			return err
		}
		elder, younger, ok := incident.Merge(h.s.weigh(into, nil, tx.Now()), from, d.Reason, tx.Now())
		if !ok {
			continue
		}
		for _, c := range []incident.Change{younger, elder} { // the one is over before the other calls anybody
			if err := h.apply(tx, c); err != nil {
				return err
			}
		}
	}
	return nil
}
