package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
)

const (
	chance = 0.01 // that a policy within its budgets is halted at a stage
	week   = 7 * 24 * time.Hour
)

// Budget is how many more pages than the policy in force the new one may bring a team.
type Budget struct {
	Team    string  `json:"team"`
	PerWeek float64 `json:"pages_per_week"` // over all tenants
}

// budgetsOf lists the teams' budgets by name.
func budgetsOf(teams map[string]float64) []Budget {
	out := []Budget{}
	for _, name := range slices.Sorted(maps.Keys(teams)) {
		out = append(out, Budget{name, teams[name]})
	}
	return out
}

// Tally is what a stage brought one team.
type Tally struct {
	Team    string `json:"team"`    // empty: all of them, in a rollout that an earlier release began
	Extra   int    `json:"extra"`   // pages that only the new policy would have made
	Allowed int    `json:"allowed"` // of those; more halt the rollout
	Agreed  int    `json:"agreed"`  // pages that both make
	Gone    int    `json:"gone"`    // pages that only the policy in force made
	Tickets int    `json:"tickets"` // that only the new policy would have opened, without a call
}

func (t *Tally) add(p Page, n int) {
	switch p.Verdict {
	case Extra:
		if p.Said != alert.VerdictReal { // what was real was worth it
			t.Extra += n
		}
	case Agreed:
		t.Agreed += n
	case Gone:
		t.Gone += n
	case Small:
		if p.Old == nil {
			t.Tickets += n
		}
	}
}

// team is a team's tally. One that owned nothing when the stage began has one from now on.
func (s *Stage) team(name string) *Tally {
	i := slices.IndexFunc(s.Teams, func(t Tally) bool { return t.Team == name })
	if i < 0 {
		i = len(s.Teams)
		s.Teams = append(s.Teams, Tally{Team: name})
	}
	return &s.Teams[i]
}

// count adds a page n times to its team's tally and to the sums.
func (s *Stage) count(team string, p Page, n int) {
	t := s.team(team)
	was := *t
	t.add(p, n)
	s.Extra, s.Agreed, s.Gone, s.Tickets = s.Extra+t.Extra-was.Extra, s.Agreed+t.Agreed-was.Agreed, s.Gone+t.Gone-was.Gone, s.Tickets+t.Tickets-was.Tickets
}

// Read makes of a stored rollout what this release answers: one of an earlier release
// had less to say.
func (r Rollout) Read() Rollout {
	r.Budgets, r.Untried, r.Stages = append([]Budget{}, r.Budgets...), append([]string{}, r.Untried...), slices.Clone(r.Stages)
	for i := range r.Stages {
		r.Stages[i].Teams = append([]Tally{}, r.Stages[i].Teams...)
	}
	return r
}

// budgets are the teams' budgets; a rollout of an earlier release has one for all.
func (r Rollout) budgets() []Budget {
	if len(r.Budgets) > 0 {
		return r.Budgets
	}
	return []Budget{{PerWeek: r.PagesPerWeek}}
}

// teamOf is the team whose budget a page is of.
func (r Rollout) teamOf(p Page) string {
	if len(r.Budgets) == 0 {
		return ""
	}
	return p.Team
}

// budget is a team's. One that had nothing to watch when the rollout began has the
// least of the others'.
func (r Rollout) budget(team string) float64 {
	all := r.budgets()
	if i := slices.IndexFunc(all, func(b Budget) bool { return b.Team == team }); i >= 0 {
		return all[i].PerWeek
	}
	return slices.MinFunc(all, func(a, b Budget) int { return cmp.Compare(a.PerWeek, b.PerWeek) }).PerWeek
}

// allow says how many extra pages each team may have in the stage, as it is by now.
func (r Rollout) allow(s *Stage, now time.Time) {
	for _, b := range r.budgets() {
		s.team(b.Team)
	}
	s.Allowed = 0
	span := max(r.stageFor(), now.Sub(*s.StartedAt)) // a hold makes it longer
	for i := range s.Teams {
		t := &s.Teams[i]
		t.Allowed = most(r.budget(t.Team)*float64(span)/float64(week)*min(1, s.Percent/100+r.Pooled), chance/float64(len(s.Teams)))
		s.Allowed += t.Allowed
	}
}

// most is how many extra pages a policy within its budget makes but for the chance: the
// budget is a mean, and a rollout that a single page of a quiet stage could halt would
// never end.
func most(mean, chance float64) int {
	if mean > 500 { // exp would be nothing
		return int(math.Ceil(mean + math.Sqrt(2*mean)*math.Erfinv(1-2*chance)))
	}
	p := math.Exp(-mean)
	n, below := 0, p
	for below < 1-chance {
		n++
		p *= mean / float64(n)
		below += p
	}
	return n
}

// demand says what halts a stage.
func (s Stage) demand(from int) string {
	if len(s.Teams) == 1 {
		return fmt.Sprintf("more than %d page(s) beyond those of revision %d halt it", s.Allowed, from)
	}
	var parts []string
	for _, t := range s.Teams {
		parts = append(parts, fmt.Sprintf("%d for %s", t.Allowed, t.Team))
	}
	return fmt.Sprintf("more pages beyond those of revision %d than %s halt it", from, strings.Join(parts, ", "))
}
