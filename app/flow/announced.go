package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/calendar"
)

// announced finds the calendar entry that says what volume is to be expected.
func (s *Shared) announced(at time.Time, on calendar.Scope) (calendar.Entry, bool) {
	p, _ := s.Rules().Of(on.Tenant)
	return p.Calendar().Active(at, calendar.Widen, on)
}

// Announced is an entry of the calendar with what it does at this moment.
type Announced struct {
	calendar.Standing
	// Tenants is how many it concerns, of those that there are.
	Tenants int
	// Holding is what waits or is silent because of it, one sentence each.
	Holding []string
}

// Announcements are the calendar's entries by the policy in force: those that concern
// on (nil: all of them), those that hold first.
func (s *Shared) Announcements(ctx context.Context, on *calendar.Scope, now time.Time) ([]Announced, error) {
	r := s.Rules()
	out := []Announced{}
	holding := map[string][]string{}
	if n := r.Next; n != nil && n.Rollout.Held != "" {
		holding[n.Rollout.Held] = append(holding[n.Rollout.Held], fmt.Sprintf("the rollout of policy revision %d waits at the end of stage %d", n.Revision, n.Rollout.Stage+1))
	}
	for _, env := range s.Environments() {
		open, err := response.Open(ctx, s.Store, env)
		if err != nil {
			return nil, err
		}
		for _, i := range open {
			if i.Stakes == nil {
				continue
			}
			if name, ok := whole.HeldBy(i.Stakes.Limits.Held); ok {
				holding[name] = append(holding[name], fmt.Sprintf("incident %d calls nobody", i.Number))
			}
		}
	}
	list := s.directory.List()
	for _, e := range r.Policy.Calendar().Standings(now, on) {
		a := Announced{Standing: e, Holding: append([]string{}, holding[e.Name]...)}
		for _, t := range list {
			if t.Watched() && e.About(*calendar.Of(t, s.Settings.Environment)) {
				a.Tenants++
			}
		}
		out = append(out, a)
	}
	return out, nil
}
