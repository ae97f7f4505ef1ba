package incident

import (
	"fmt"
	"time"
)

// duplicateOf begins the reason with which one of two is over.
const duplicateOf = "duplicate of "

// Merge makes the younger of two incidents part of the elder, because they turned out
// to be one fault: the elder takes its alerts, the younger is over as its duplicate, and
// what it would have called somebody for is called for by the elder alone. An incident
// that is over or that a person has is merged into nothing: ok is false.
func Merge(elder, younger Incident, reason string, now time.Time) (e, y Change, ok bool) {
	if elder.State == StateResolved || younger.State != StateOpen || elder.ID == younger.ID {
		return begin(elder, now).done(), begin(younger, now).done(), false
	}
	if s := elder.Stakes; s != nil && younger.Stakes != nil {
		elder = Weigh(elder, s.Limits, younger.Stakes.Tenants)
	}
	into := begin(elder, now)
	for _, a := range younger.Alerts {
		into.put(a)
	}
	into.Incident.learnOf(younger)
	into.log("merged", "tocsin", fmt.Sprintf("%s is part of this: %s", younger.label(), reason), younger.ID.Subject())
	into.note("merged/"+string(younger.ID), fmt.Sprintf("%s is part of this: %s.", younger.label(), reason), nil)
	into.waitFor(younger)
	if nobody := into.consider(); nobody != "" {
		into.log("no_page", "tocsin", "nobody is paged for what joined: "+nobody)
	}
	from := begin(younger, now)
	why := fmt.Sprintf(duplicateOf+"%s: %s", elder.label(), reason)
	from.resolve(Actor{}, why)
	from.log("duplicate", "tocsin", why+from.unsent(), elder.ID.Subject())
	from.note(fmt.Sprintf("resolved/%d", younger.Openings), "Closed as a d"+why[1:]+".", nil)
	return into.done(), from.done(), true
}
