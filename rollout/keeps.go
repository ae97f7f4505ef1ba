package rollout

import (
	"fmt"
	"strings"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// Keeps are the tenants that keep the profile they have, whatever policy comes in force:
// those that are frozen, or pinned at a revision.
type Keeps struct {
	Tenants int    `json:"tenants"` // how many
	Largest []Keep `json:"largest"` // of those, ten at most, the largest first
}

// Keep is one of them.
type Keep struct {
	ID   tenant.ID `json:"id"`
	Name string    `json:"name"`
	Why  string    `json:"why"` // "frozen by ada: a trial"
}

// Words name them; empty: there are none.
func (k Keeps) Words() string {
	if k.Tenants == 0 {
		return ""
	}
	ids := make([]string, len(k.Largest))
	for i, t := range k.Largest {
		ids[i] = string(t.ID)
	}
	out := fmt.Sprintf("%d whose profile is frozen or pinned at a revision (%s", k.Tenants, strings.Join(ids, ", "))
	if n := k.Tenants - len(ids); n > 0 {
		out += fmt.Sprintf(" and %d more", n)
	}
	return out + ")"
}

// whom says who follows a policy that comes in force.
func (s State) whom() string {
	switch {
	case s.Keeps == nil:
		return "every tenant whose profile is neither frozen nor pinned at a revision"
	case s.Keeps.Tenants > 0:
		return "every tenant but " + s.Keeps.Words()
	}
	return "every tenant"
}
