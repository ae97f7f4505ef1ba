package plan

import (
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const frozen = -1 // stands for the revision that a frozen profile has

// at is the revision that a tenant's profile is kept at under a policy, and why; 0: it
// follows the policy.
func (in Input) at(p *profiles.Policy, t tenant.Tenant) (revision int, why string) {
	has := func(n int) bool { return in.HasRevision == nil || in.HasRevision(t.ID, n) }
	if revision, why = course.Kept(in.Steered[t.ID], p, t.ID, in.Now, has); why != "" && revision == 0 {
		revision = frozen
	}
	return revision, why
}

// stays says why a tenant stays where it is, whatever the policy says; empty: it does not.
func (in Input) stays(t tenant.Tenant) string {
	if _, why := in.at(in.After, t); why != "" {
		return why
	}
	if pin, ok := in.pinned(t.ID); ok && pin.Tier != "" {
		return pin.Words()
	}
	return ""
}

// pinned is a person's pin.
func (in Input) pinned(id tenant.ID) (evolution.Pin, bool) {
	if pin := in.Steered[id].Pin; pin != nil && (pin.Until == nil || in.Now.Before(*pin.Until)) {
		return *pin, true
	}
	return evolution.Pin{}, false
}

// observe is Observe with the tier that a person pinned, which goes before the policy's.
func (in Input) observe(p *profiles.Policy, t tenant.Tenant) profiles.Observation {
	o := in.Observe(p, t)
	if pin, ok := in.pinned(t.ID); ok && pin.Tier != "" {
		o.Tier = pin.Tier
	}
	return o
}

// kept says what becomes of a tenant whose profile is kept at a revision, under one
// of the policies or both: not the policy says then what it is.
func (in Input) kept(t tenant.Tenant) (words []string, ok bool) {
	before, _ := in.at(in.Before, t)
	after, _ := in.at(in.After, t)
	switch {
	case before == 0 && after == 0:
		return nil, false
	case before == after, after == frozen: // as it was when it was frozen
	case after == 0:
		words = append(words, fmt.Sprintf("the profile is kept at revision %d no longer, and follows the policy", before))
	default:
		words = append(words, fmt.Sprintf("the profile is kept at revision %d, whatever the policy says", after))
	}
	return words, true
}

// silenced warns of all that lets people be called less than before, besides rules.
func (in Input) silenced() (out []string) {
	was := map[string]string{}
	for _, e := range in.Before.Announced {
		was[e.Name] = hold(e)
	}
	for _, e := range in.After.Announced {
		if e.Effect == calendar.HoldPages && was[e.Name] != hold(e) && (e.EndsAt.IsZero() || in.Now.Before(e.EndsAt)) {
			out = append(out, fmt.Sprintf("NOBODY IS CALLED for %s while the calendar entry %s holds: %s", e.Whom(), e.Name, e.When(time.UTC)))
		}
	}
	n := len(in.Tenants)
	day := func(p *profiles.Policy) impact.Floor { return impact.Floor(p.Impact.Day).Or(impact.Day(n)) }
	night := func(p *profiles.Policy) impact.Floor { // which demands nothing less than the day
		f, d := impact.Floor(p.Impact.Night.Floor()).Or(impact.AtNight(n)), day(p)
		return impact.Floor{Share: max(f.Share, d.Share), LossPerMinute: max(f.LossPerMinute, d.LossPerMinute), Tenants: max(f.Tenants, d.Tenants)}
	}
	for _, f := range []struct {
		when          string
		before, after impact.Floor
	}{{"by day", day(in.Before), day(in.After)}, {"at night", night(in.Before), night(in.After)}} {
		if harder(f.before, f.after) {
			out = append(out, fmt.Sprintf("FEWER FAULTS CALL SOMEBODY %s: %s; before: %s", f.when, floor(f.after), floor(f.before)))
		}
	}
	return out
}

// hold tells a change of what an entry holds from one of its words.
func hold(e calendar.Entry) string {
	return string(e.Effect) + "\n" + e.Whom() + "\n" + e.When(time.UTC)
}

// harder says whether a part of a floor that is enough by itself is reached later.
func harder(before, after impact.Floor) bool {
	switch {
	case after.Share == 0: // every tenant is enough
		return false
	case after.Share > before.Share, after.Tenants > before.Tenants:
		return true
	}
	return before.LossPerMinute > 0 && (after.LossPerMinute == 0 || after.LossPerMinute > before.LossPerMinute)
}

func floor(f impact.Floor) string {
	if f.Share == 0 {
		return "every tenant is enough"
	}
	s := fmt.Sprintf("%d tenant(s) or %.3g%% of the volume must be affected", f.Tenants, 100*f.Share)
	if f.LossPerMinute > 0 {
		s += fmt.Sprintf(", or %g a minute be lost", f.LossPerMinute)
	}
	return s
}

// unknown warns of tenants that the policy names and that are not onboarded, and of
// revisions that are not kept; and of overrides that are forgotten before they end.
func (in Input) unknown() (out []string) {
	has := map[string]bool{}
	for _, t := range in.Tenants {
		has[string(t.ID)] = true
	}
	warn := func(what, id string) {
		if !has[id] {
			out = append(out, what+" names the tenant "+id+", which is not onboarded: it does nothing; correct the name")
		}
	}
	for _, o := range in.After.Overrides {
		if in.Now.Before(o.Until) {
			warn("an override", o.Tenant)
		}
		if long := o.Long(in.Now); long != "" {
			out = append(out, "the override of tenant "+o.Tenant+": "+long)
		}
	}
	for _, n := range in.After.Pins {
		if _, counts := in.After.Pinned(tenant.ID(n.Tenant), in.Now); !counts {
			continue
		}
		if warn("a pin", n.Tenant); has[n.Tenant] && n.Revision > 0 && in.HasRevision != nil && !in.HasRevision(tenant.ID(n.Tenant), n.Revision) {
			out = append(out, fmt.Sprintf("the pin of tenant %s names revision %d of its profile, which is not kept: it does nothing; tocsin profile explain lists them", n.Tenant, n.Revision))
		}
	}
	for _, e := range in.After.Announced {
		if !e.EndsAt.IsZero() && !in.Now.Before(e.EndsAt) {
			continue
		}
		for _, id := range e.Tenants {
			warn("the calendar entry "+e.Name, id)
		}
	}
	return out
}
