package flow

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/router"
)

// Likely finds among the incidents of an environment what called the same team just now
// and is likely the same fault as i; nil: nothing did. a is the alert that is news of i,
// which may not have it yet; nil: a timer is.
func Likely(open []incident.Incident, i incident.Incident, a *alert.Alert, now time.Time) *incident.Likely {
	if i.Paged {
		return nil
	}
	var theirs []incident.Incident
	for n := range open {
		if o := &open[n]; o.PagedUrgent && o.CalledAt != nil && now.Sub(*o.CalledAt) <= router.Fresh && o.Team == i.Team {
			theirs = append(theirs, *o)
		}
	}
	if len(theirs) == 0 { // nearly always
		return nil
	}
	if a != nil {
		if i.Alerts = append(slices.Clone(i.Alerts), *a); i.OnsetAt.IsZero() {
			i.OnsetAt = a.OnsetAt
		}
	}
	of, ok := router.Likely(Candidates(theirs), Candidates([]incident.Incident{i})[0], now)
	if !ok {
		return nil
	}
	return &incident.Likely{Number: of.Number, CalledAt: of.CalledAt}
}

// weigh is Shared.weigh, and says what of the incidents that are open called just now and
// is likely the same fault.
func (h *Handler) weigh(open []incident.Incident, i incident.Incident, a *alert.Alert, now time.Time) incident.Incident {
	i = h.s.weigh(i, a, now)
	i.Likely = Likely(open, i, a, now)
	return i
}
