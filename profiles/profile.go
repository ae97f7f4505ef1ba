package profiles

import (
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Observation is what a profile depends on besides policy and document.
type Observation struct {
	// Tenants is how many share the teams' budgets, rounded up to a power of two:
	// thresholds grow only with its logarithm and need not move with every
	// onboarding.
	Tenants int `json:"tenants"`
	// Budgets is, by service, the budget of the team that owns it.
	Budgets map[string]Budget `json:"budgets"`
	// Weight is the tenant's part of its teams' budgets; 0: an equal share.
	Weight float64 `json:"weight,omitempty"`
	// Tier is the tenant's class by its observed volume; empty: that of the volume it
	// was promised to have.
	Tier string `json:"tier,omitempty"`
	// Overrides are those of the tenant that have not ended.
	Overrides []Override `json:"overrides,omitempty"`
	// TPM is the observed volume, in transactions a minute to a power of two; 0: not
	// known. No rule follows from it alone.
	TPM float64 `json:"tpm,omitempty"`
	// Priors are, by rule, the failure ratio that tenants of the tier usually had when
	// this one came to it; a rule that is not named has the policy's.
	Priors map[string]float64 `json:"priors,omitempty"`
}

// Budget is how many false pages a week a team bears, over all tenants and
// rules that can page it.
type Budget struct {
	Team              string  `json:"team"`
	FalsePagesPerWeek float64 `json:"false_pages_per_week"`
	// Sensitivity is the team's own, for rules that have none and tenants whose tier has
	// none; empty: balanced.
	Sensitivity rule.Sensitivity `json:"sensitivity,omitempty"`
}

// Rounded is the number of tenants as Observation takes it. One share more than
// there are tenants is the pooled streams'.
func Rounded(tenants int) int { return 1 << bits.Len(uint(max(tenants, 1))) }

// Equal says whether two observations make the same profile.
func (o Observation) Equal(p Observation) bool {
	return o.Tenants == p.Tenants && o.Weight == p.Weight && maps.Equal(o.Budgets, p.Budgets) && o.Tier == p.Tier &&
		slices.EqualFunc(o.Overrides, p.Overrides, func(a, b Override) bool {
			same := a.Until.Equal(b.Until)
			a.Until, b.Until = time.Time{}, time.Time{}
			return same && a == b
		})
}

// Triple is what is stored of a profile: everything it is a function of.
type Triple struct {
	// Document is the tenant as it was; nil in records of version 1.
	Document       *tenant.Tenant `json:"document,omitempty"`
	Number         int            `json:"number"` // of the profile's revision, from 1
	PolicyRevision int            `json:"policy_revision"`
	PolicySha      string         `json:"policy_sha"`
	TenantRevision int            `json:"tenant_revision"`
	Observation    Observation    `json:"observation"`
	At             time.Time      `json:"at"`
	Author         string         `json:"author"`
	Cause          string         `json:"cause"` // why this revision came to be
}

// Revision is a revision of a profile with what follows from its triple.
type Revision struct {
	Triple
	Reasons []string `json:"reasons"` // one sentence per rule
	Diff    Diff     `json:"diff"`    // against the revision before; of the first, all is added
}

// Profile is what the policy makes of one tenant.
type Profile struct {
	Tenant   tenant.ID   `json:"tenant"`
	Revision Triple      `json:"revision"`
	Rules    []rule.Rule `json:"rules"`
	Reasons  []string    `json:"reasons"` // one sentence per rule: why this tenant has it
}

const daysPerMonth = 30

// Compile applies the policy to a tenant. It is pure: the same three inputs
// give the same rules.
func Compile(p *Policy, t tenant.Tenant, o Observation) ([]rule.Rule, []string) {
	specs := map[string]SLI{}
	for _, s := range p.SLIs {
		specs[s.Name] = s
	}
	var rules []rule.Rule
	reasons := []string{}
	tier := p.tier(t, o)
	for _, d := range p.Rules {
		why, ok := p.applies(d, t, o)
		if !ok {
			continue
		}
		s := specs[cmp.Or(d.SLI, p.Volume.SLI)]
		spec := s.spec()
		always := alwaysJudged(p, t, rule.Kind(d.Kind), spec)
		wish := wished(d, tier, o.Budgets[d.Service])
		r, off, changed := overridden(o.Overrides, t.ID, rule.Rule{
			Name: d.Name, Kind: rule.Kind(d.Kind), SLI: spec, Service: d.Service,
			Severity: rule.Severity(d.Severity), Summary: d.Summary, RunbookURL: d.RunbookURL, DashboardURL: d.DashboardURL,
			Prior: cmp.Or(o.Priors[d.Name], prior(s)), Sensitivity: wish.sensitivity, Always: always,
			Direction: rule.Direction(d.Direction), Slices: tier.Slices, Burn: d.burn(), Query: d.query(), AcceptAfter: p.accepts(rule.Kind(d.Kind)),
		})
		if off {
			continue
		}
		severity, calmed := soften(r.Severity, t)
		r.Severity = severity
		rules = append(rules, r)
		reasons = append(reasons, fmt.Sprintf("%s: %s%s%s%s%s%s", d.Name, why, wish.why, changed, calmed, alsoJudged(always), noBudget(r.Kind)))
	}
	team := func(service string) string { return o.Budgets[service].Team }
	of := map[string]int{} // rules that can page each team
	for _, r := range rules {
		if r.Kind.Budgeted() {
			of[team(r.Service)]++
		}
	}
	for i := range rules {
		if !rules[i].Kind.Budgeted() {
			continue
		}
		n := of[team(rules[i].Service)]
		rules[i].FalsePages = share(o, rules[i].Service, n)
		if rules[i].FalseAlarms = rules[i].FalsePages; t.ID != tenant.Product {
			rules[i].FalseAlarms = tickets(rules[i].FalsePages, n, p.thin(tier))
		}
	}
	return rules, reasons
}

// PooledPart is what the rules over all tenants have of a team's budget: half of what
// tenants leave of it. What many share is worth more than one tenant's part.
const PooledPart = (1 - ofTenants) / 2

// Pooled gives the rules judged over all tenants of a service, with PooledPart of the
// budget, or what one tenant has where that is more.
func Pooled(p *Policy, service string, o Observation) []rule.Rule {
	o.Weight = max(PooledPart, o.weight())
	all, _ := Compile(p, tenant.Tenant{ID: tenant.Product, Features: features(p)}, o)
	return slices.DeleteFunc(all, func(r rule.Rule) bool { return r.Service != service || len(r.SLI.Slices) == 0 })
}

func features(p *Policy) []string {
	var out []string
	for _, r := range p.Rules {
		out = append(out, r.Features...)
	}
	return out
}

// applies says whether the tenant has the rule, and why.
func (p *Policy) applies(d RuleDoc, t tenant.Tenant, o Observation) (string, bool) {
	if len(t.Services) > 0 && !slices.Contains(t.Services, d.Service) {
		return "", false
	}
	of := ""
	if tier := p.tier(t, o); len(d.Tiers) > 0 && t.ID != tenant.Product {
		if !slices.Contains(d.Tiers, tier.Name) {
			return "", false
		}
		of = " in tier " + tier.Name
	}
	if len(d.Features) == 0 {
		return "every tenant of service " + d.Service + of + " has it", true
	}
	features, via := p.withImplied(t.Features)
	for _, f := range d.Features {
		if !slices.Contains(features, f) {
			continue
		}
		if from := via[f]; from != "" {
			return "the tenant opted in to " + from + ", which implies " + f + of, true
		}
		return "the tenant opted in to " + f + of, true
	}
	return "", false
}

// tier is the tenant's: the observed one, else that of the volume it was promised to
// have. Without either it is in none yet, as is what is judged over all tenants.
func (p *Policy) tier(t tenant.Tenant, o Observation) Tier {
	if t.ID == tenant.Product {
		return Tier{}
	}
	if v, ok := p.Tier(o.Tier); ok {
		return v
	}
	if !(t.ExpectedTPM > 0) { // nothing is known of its size
		return Tier{}
	}
	return p.TierOf(t.ExpectedTPM)
}

func prior(s SLI) float64 {
	if s.Prior > 0 {
		return s.Prior
	}
	if s.Histogram != "" {
		return 0.05 // an edge is chosen that a tenth at most exceeds
	}
	return 0.01
}

// share gives one rule of one tenant its part of its team's weekly budget, as
// false alarms a month.
func share(o Observation, service string, rules int) float64 {
	return o.Budgets[service].Weekly() * daysPerMonth / 7 * o.weight() / float64(max(rules, 1))
}

// Describe says what the profile watches, one line per rule.
func (p Profile) Describe() []string {
	out := []string{}
	for _, r := range p.Rules {
		cut := "the total"
		if len(r.SLI.Slices) > 0 {
			cut += " and by " + strings.Join(r.SLI.Slices, ", ")
		}
		what := "failures"
		switch r.Kind {
		case rule.Declines:
			what = "the declined share"
		case rule.Latency:
			what = "the share above a usual duration"
		case rule.Traffic:
			what = map[rule.Direction]string{"": "too little", rule.Less: "too little", rule.More: "too much", rule.Both: "too little and too much"}[r.Direction]
		}
		if r.Kind == rule.PromQL {
			out = append(out, fmt.Sprintf("%s (%s, %s): whether %s gives something for %s", r.Name, r.Kind, r.Severity, r.Query.Expr, time.Duration(r.Query.For*float64(time.Second))))
			continue
		}
		if r.Kind == rule.BurnRate {
			out = append(out, fmt.Sprintf("%s (%s, %s): failures of %s, %s, against the objective that %g%% succeed", r.Name, r.Kind, r.Severity, r.SLI.Name, cut, 100*r.Burn.Objective))
			continue
		}
		if r.Kind == rule.Absent {
			out = append(out, fmt.Sprintf("%s (%s, %s): whether the series of %s arrive, while their source sends others", r.Name, r.Kind, r.Severity, r.SLI.Name))
			continue
		}
		out = append(out, fmt.Sprintf("%s (%s, %s): %s of %s, %s; %s",
			r.Name, r.Kind, r.Severity, what, r.SLI.Name, cut, bears(r)+p.Revision.Observation.weighs(r.Service)))
	}
	return out
}

// bears says how many false alarms the rule may raise.
func bears(r rule.Rule) string {
	text := fmt.Sprintf("at most %.2g false alarms a month", r.FalseAlarms)
	if r.FalsePages < r.FalseAlarms {
		text += fmt.Sprintf(", of which %.2g call", r.FalsePages)
	}
	switch r.Sensitivity {
	case rule.Quiet:
		text += ", and fewer: quiet asks for a quarter more evidence"
	case rule.Early:
		text = fmt.Sprintf("its share of the budget is %.2g false alarms a month, and early spends more: it asks for a fifth less evidence", r.FalseAlarms)
	}
	return text
}

// SLIs lists the distinct SLIs of the rules.
func SLIs(rules []rule.Rule) []sli.Spec {
	var out []sli.Spec
	seen := map[sli.ID]bool{}
	for _, r := range rules {
		if id := r.SLI.ID(); !seen[id] {
			seen[id] = true
			out = append(out, r.SLI)
		}
	}
	return out
}

// All lists every rule of a policy, whichever tenants have it. Its shares of
// budgets are nobody's.
func All(p *Policy) []rule.Rule {
	rules, _ := Compile(p, tenant.Tenant{ID: tenant.Product, Features: features(p)}, Observation{})
	return rules
}
