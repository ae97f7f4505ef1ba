package profiles

import (
	"fmt"
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/impact"
)

const (
	ofTenants = 0.875 // of a budget, by their turnover; rounding takes some of the rest, pooled streams have theirs
	wide      = 4     // by how much the true weight outgrows one before it is changed
	// ticketsPerMonth is how many false alerts a tenant's rules may raise a month that
	// are tickets and call nobody, however small its part of the budget is; thinTickets
	// those of tenants of tiers that end at thinTo payments a minute at most: their faults
	// bring little evidence.
	ticketsPerMonth = 0.2
	thinTickets     = 0.8
	thinTo          = 10
)

// Weight is a tenant's part of the budget of each of its teams. part is its part of
// the turnover of all, 0..1; least, of an equal share, is what the smallest has;
// before is what it had. 0: an equal share. It is a power of two and moves only when
// the turnover did so by much, so that profiles do not change with every sample. All
// weights together, equal shares counted, are at most 1.
func Weight(part, least, before float64, tenants int) float64 {
	n := max(tenants, 1)
	now := ofTenants * (least/float64(n) + (1-least)*part)
	equal := 1 / float64(Rounded(n))
	switch {
	case !(part >= 0 && part <= 1):
		return before
	case before > 0 && before <= now && now < wide*before:
		return before
	case ofTenants*equal <= now && now < wide*equal:
		return 0
	}
	return math.Exp2(math.Floor(math.Log2(now)))
}

// weight is the part of a budget that the tenant has.
func (o Observation) weight() float64 {
	if o.Weight > 0 {
		return o.Weight
	}
	return 1 / float64(max(o.Tenants, Rounded(1)))
}

// weighs says what the tenant's rules have together of the budget of a service's team.
func (o Observation) weighs(service string) string {
	b := o.Budgets[service]
	if b.Team == "" {
		return ""
	}
	return fmt.Sprintf(" (all its rules: %s of the %g false pages a week of team %s)", o.PartWords(), b.Weekly(), b.Team)
}

// tickets gives one of a tenant's rules what it may raise falsely a month: the part of
// the budget that it may call with, or, where that is less, a few tickets.
func tickets(pages float64, rules int, thin bool) float64 {
	few := ticketsPerMonth
	if thin {
		few = thinTickets
	}
	return math.Max(pages, few/float64(max(rules, 1)))
}

// thin says whether no tenant of a tier has more than thinTo payments a minute.
func (p *Policy) thin(t Tier) bool {
	i := slices.IndexFunc(p.Tiers, func(o Tier) bool { return o.Name == t.Name })
	return i >= 0 && i+1 < len(p.Tiers) && p.Tiers[i+1].FromTPM <= thinTo
}

// PartWords is how much of a budget the tenant has.
func (o Observation) PartWords() string { return impact.Percent(o.weight()) }

// Weekly is the budget, or the default of two pages where a team gives none.
func (b Budget) Weekly() float64 {
	if b.FalsePagesPerWeek <= 0 {
		return 2
	}
	return b.FalsePagesPerWeek
}
