package profiles

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Override changes rules for one tenant until a date. It has a reason and somebody
// who answers for it; when the date has come the rules are as the policy says again.
type Override struct {
	Tenant string `yaml:"tenant" json:"tenant"`       // its id
	Rule   string `yaml:"rule" json:"rule,omitempty"` // empty: every rule
	// Severity, Sensitivity and Off are what is changed, at least one of them.
	Severity    string    `yaml:"severity" json:"severity,omitempty"`
	Sensitivity string    `yaml:"sensitivity" json:"sensitivity,omitempty"` // quiet, balanced or early
	Off         bool      `yaml:"off" json:"off,omitempty"`                 // the tenant has no such rule meanwhile
	Until       time.Time `yaml:"until" json:"until"`                       // not included
	Reason      string    `yaml:"reason" json:"reason"`                     // whoever reads the profile asks
	By          string    `yaml:"by" json:"by"`                             // who answers for it
}

// Pin keeps a tenant's profile as it is, whatever its volume: in a tier, or at a
// revision.
type Pin struct {
	Tenant   string    `yaml:"tenant" json:"tenant"`               // its id
	Tier     string    `yaml:"tier" json:"tier,omitempty"`         // the name of one of tiers; or revision instead
	Revision int       `yaml:"revision" json:"revision,omitempty"` // of the profile
	Until    time.Time `yaml:"until" json:"until,omitzero"`        // not included; without it, until it is taken out
	Reason   string    `yaml:"reason" json:"reason"`               // whoever reads the profile asks
	By       string    `yaml:"by" json:"by"`                       // who answers for it
}

// Faults names what is wrong with an override of the policy's rules; each sentence
// begins with its key.
func (o Override) Faults(p *Policy) (faults []string) {
	say := func(text string) { faults = append(faults, text) }
	if _, err := tenant.ParseID(o.Tenant); err != nil {
		say("tenant must be the id of one tenant")
	}
	if o.Rule != "" && !p.Lost("rules", "name") && !slices.ContainsFunc(p.Rules, func(r RuleDoc) bool { return r.Name == o.Rule }) {
		say("rule names none of the policy's rules; leave it out for all of them")
	}
	if o.Severity != "" && rule.Severity(o.Severity).Rank() == 0 {
		say("severity must be critical, warning or info")
	}
	if !rule.Sensitivity(o.Sensitivity).Known() {
		say("sensitivity must be quiet, balanced or early")
	}
	switch set := o.Severity != "" || o.Sensitivity != ""; {
	case o.Off && set:
		say("off leaves no rule whose severity or sensitivity could be another: leave those out")
	case !o.Off && !set:
		say("it changes nothing: give severity, sensitivity or off")
	}
	if o.Until.IsZero() {
		say("until is missing: an override ends by itself")
	}
	if strings.TrimSpace(o.Reason) == "" {
		say("reason is missing: whoever reads the profile asks")
	}
	if strings.TrimSpace(o.By) == "" {
		say("by is missing: somebody answers for it")
	}
	return faults
}

// forgotten is how long an override may last before it is warned of.
const forgotten = 90 * 24 * time.Hour

// Long warns of an override that ends so late that nobody will think of it; empty: it
// does not.
func (o Override) Long(now time.Time) string {
	if o.Until.Sub(now) < forgotten {
		return ""
	}
	return "it lasts until " + o.Until.UTC().Format(time.DateOnly) + ", 90 days or more from now: a tenant that is overridden so long is forgotten; let it end sooner, or change the policy"
}

func (p *Policy) checkOverrides() (faults []string) {
	for i, o := range p.Overrides {
		faults = append(faults, place(fmt.Sprintf("overrides[%d] (%s)", i, o.Tenant), o.Faults(p))...)
	}
	seen := map[string]bool{}
	for i, n := range p.Pins {
		say := func(text string) {
			faults = append(faults, fmt.Sprintf("pins[%d] (%s): %s", i, n.Tenant, text))
		}
		if _, err := tenant.ParseID(n.Tenant); err != nil {
			say("tenant must be the id of one tenant")
		}
		if seen[n.Tenant] {
			say("tenant is pinned already; remove one of the two")
		}
		seen[n.Tenant] = true
		_, known := p.Tier(n.Tier)
		known = known || p.Lost("tiers", "name")
		switch {
		case (n.Tier == "") == (n.Revision == 0):
			say("it needs tier or revision, and not both")
		case n.Tier != "" && !known:
			say("tier is not under tiers; add it or correct the name")
		case n.Revision < 0:
			say("revision must be the number of a revision of the profile")
		}
		if strings.TrimSpace(n.Reason) == "" {
			say("reason is missing: whoever reads the profile asks")
		}
		if strings.TrimSpace(n.By) == "" {
			say("by is missing: somebody answers for it")
		}
	}
	return faults
}

// InForce lists the policy's overrides of a tenant that have not ended.
func (p *Policy) InForce(id tenant.ID, now time.Time) (out []Override) {
	for _, o := range p.Overrides {
		if o.Tenant == string(id) && now.Before(o.Until) {
			out = append(out, o)
		}
	}
	return out
}

// Pinned is the policy's pin of a tenant, unless it has ended.
func (p *Policy) Pinned(id tenant.ID, now time.Time) (Pin, bool) {
	for _, n := range p.Pins {
		if n.Tenant == string(id) && (n.Until.IsZero() || now.Before(n.Until)) {
			return n, true
		}
	}
	return Pin{}, false
}

// overridden is what a tenant's overrides make of a rule, and why; of several that
// change the same, the last counts.
func overridden(all []Override, id tenant.ID, r rule.Rule) (out rule.Rule, off bool, why string) {
	for _, o := range all {
		if o.Tenant != string(id) || o.Rule != "" && o.Rule != r.Name {
			continue
		}
		until := fmt.Sprintf("until %s, by %s: %s", o.Until.UTC().Format("2006-01-02 15:04 UTC"), o.By, o.Reason)
		if o.Off {
			return r, true, "off " + until
		}
		r.Severity = rule.Severity(cmp.Or(o.Severity, string(r.Severity)))
		r.Sensitivity = rule.Sensitivity(cmp.Or(o.Sensitivity, string(r.Sensitivity)))
		if o.Severity != "" {
			why += "; " + o.Severity + " " + until
		}
		if o.Sensitivity != "" {
			why += "; " + o.Sensitivity + " " + until
		}
	}
	return r, false, why
}

// Suspended says which rules of the policy an override takes from the tenant.
func Suspended(p *Policy, t tenant.Tenant, o Observation) (out []string) {
	for _, d := range p.Rules {
		if _, ok := p.applies(d, t, o); !ok {
			continue
		}
		if _, off, why := overridden(o.Overrides, t.ID, rule.Rule{Name: d.Name}); off {
			out = append(out, d.Name+" is "+why)
		}
	}
	return out
}

// What says in words what an override changes.
func (o Override) What() string {
	if o.Off {
		return "off"
	}
	var out []string
	if o.Severity != "" {
		out = append(out, "severity "+o.Severity)
	}
	if o.Sensitivity != "" {
		out = append(out, "sensitivity "+o.Sensitivity)
	}
	return strings.Join(out, ", ")
}
