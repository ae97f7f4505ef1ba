package rollout_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// inShadow are those of the tenants that run the new policy beside theirs.
func inShadow(c rollout.Change, ids []tenant.ID) (out []tenant.ID) {
	for _, id := range ids {
		if c.Rollout.Place(id) == rollout.Beside {
			out = append(out, id)
		}
	}
	return out
}

// share is a side of a tenant with a part of the volume, of which so much calls.
func share(of, floor float64) *rollout.Side {
	return &rollout.Side{Facts: impact.Facts{Share: of, Sure: of, Tenants: 1}, Limits: impact.Limits{Floor: impact.Floor{Share: floor, Tenants: 20}, Of: 1000}}
}

func sided(p rollout.Page, fresh, old *rollout.Side) rollout.Page {
	p.Verdict, p.New, p.Old = "", fresh, old
	return p
}

// TestWhatCallsNobodyIsATicket: pages are weighed as real ones are, each by the policy
// that would make it, and what many tenants have at stake adds up.
func TestWhatCallsNobodyIsATicket(t *testing.T) {
	ids := tenants(4000)
	c := begin(t, settled(), rollout.Settings{StageFor: time.Hour, Teams: map[string]float64{"payments": 2}}, ids)
	who, at := inShadow(c, ids), began.Add(time.Minute)
	require.Greater(t, len(who), 25)
	say := func(p rollout.Page) rollout.Stage {
		t.Helper()
		c = rollout.Paged(c.State, p, at)
		return c.Rollout.Stages[0]
	}
	require.Equal(t, 1, say(sided(page(who[0], "", "card", at), share(.001, .01), nil)).Tickets)
	require.Equal(t, 1, say(sided(page(who[0], "", "card", at), share(.5, .01), nil)).Tickets, "of one tenant one rule counts, the first: what a tenant has at stake is one thing")
	s := say(sided(page(who[1], "", "card", at), share(.001, .01), share(.001, .01)))
	require.Equal(t, [4]int{0, 0, 0, 0}, [4]int{s.Extra, s.Agreed, s.Gone, s.Tickets}, "both would open that ticket")
	require.Equal(t, rollout.Small, c.Rollout.Pages[0].Verdict)
	require.Contains(t, c.Rollout.Pages[0].Weighed, "certain but small: 0.2% of all volume, 2 tenants")
	for _, id := range who[2:9] {
		say(sided(page(id, "", "card", at), share(.001, .01), share(.001, .01)))
	}
	require.Equal(t, rollout.Shadow, c.Rollout.State)
	s = say(sided(page(who[9], "", "card", at), share(.002, .01), share(.0015, .01)))
	require.Equal(t, rollout.Halted, c.Rollout.State, "the new one sees 1.1% in ten tenants, the old one 0.95% in nine")
	require.Equal(t, 1, s.Extra)
	require.Contains(t, c.Rollout.Why, "of 0 allowed, for team payments (2 a week over all tenants)")
	require.Contains(t, c.Rollout.Why, "1.1% of all volume is affected, 1% is enough")

	c = begin(t, settled(), rollout.Settings{StageFor: time.Hour, Teams: map[string]float64{"payments": 2}}, ids)
	who = inShadow(c, ids)
	s = say(sided(page(who[0], "", "card", at), share(.02, .01), share(.02, .01)))
	require.Equal(t, [3]int{0, 1, 0}, [3]int{s.Extra, s.Agreed, s.Gone})
	s = say(sided(page(who[0], "", "wallet", at), share(.02, .05), share(.02, .01)))
	require.Equal(t, [3]int{0, 1, 1}, [3]int{s.Extra, s.Agreed, s.Gone}, "the new policy's floor is higher")
	total := sided(page(who[0], "", "card", at.Add(time.Minute)), share(.02, .01), share(.02, .01))
	total.Slice = nil
	s = say(total)
	require.Equal(t, [3]int{0, 1, 1}, [3]int{s.Extra, s.Agreed, s.Gone}, "the slice above is part of the same incident")
	s = say(sided(page(who[1], "", "card", at), nil, share(.02, .01)))
	require.Equal(t, [3]int{0, 1, 1}, [3]int{s.Extra, s.Agreed, s.Gone}, "it is part of what both page")
	s = say(sided(page(who[2], "", "sofort", at), share(.02, .01), share(.02, .05)))
	require.Equal(t, rollout.Halted, c.Rollout.State, "and one that only opened a ticket is an extra page")
	require.Equal(t, [3]int{1, 1, 1}, [3]int{s.Extra, s.Agreed, s.Gone})
}

// TestWhatWasCalledRightMayBeOfManyTenants: each of them sees too little of it by itself.
func TestWhatWasCalledRightMayBeOfManyTenants(t *testing.T) {
	ids := tenants(4000)
	c := begin(t, settled(), rollout.Settings{StageFor: time.Hour, Teams: map[string]float64{"payments": 2}}, ids)
	at := began.Add(time.Minute)
	ring := func(at time.Time, method string) {
		for _, id := range inShadow(c, ids)[:10] {
			c = rollout.Paged(c.State, sided(page(id, "", method, at), share(.001, .01), nil), at)
		}
	}
	ring(at, "card")
	require.Equal(t, rollout.Halted, c.Rollout.State)
	var err error
	c, err = rollout.Resume(c.State, "ada", "that fault was real", ids, at.Add(time.Hour))
	require.NoError(t, err)
	ring(at.Add(61*time.Minute), "card")
	require.Equal(t, rollout.Shadow, c.Rollout.State, "it lasts")
	ring(at.Add(62*time.Minute), "wallet")
	require.Equal(t, rollout.Halted, c.Rollout.State, "another one is another one")
}

// TestEachTeamHasItsBudget: what one team may bear is no room for another's.
func TestEachTeamHasItsBudget(t *testing.T) {
	ids := tenants(1000)
	set := rollout.Settings{Stages: []float64{100}, StageFor: 7 * 24 * time.Hour, Teams: map[string]float64{"payments": 10, "wallets": 1}}
	c := begin(t, settled(), set, ids)
	require.InDelta(t, 11, c.Rollout.PagesPerWeek, 0)
	teams := c.Rollout.Stages[0].Teams
	require.Len(t, teams, 2)
	require.Equal(t, []string{"payments", "wallets"}, []string{teams[0].Team, teams[1].Team})
	require.Greater(t, teams[0].Allowed, teams[1].Allowed)
	require.Equal(t, teams[0].Allowed+teams[1].Allowed, c.Rollout.Stages[0].Allowed)
	require.Contains(t, c.Rollout.Why, "for payments, ")
	at := began
	for range teams[1].Allowed + 1 {
		require.Equal(t, rollout.Shadow, c.Rollout.State)
		at = at.Add(time.Hour)
		p := page(ids[0], rollout.Extra, "card", at)
		p.Team, p.Service = "wallets", "wallets"
		c = rollout.Paged(c.State, p, at)
	}
	require.Equal(t, rollout.Halted, c.Rollout.State, "payments could have borne that")
	require.Contains(t, c.Rollout.Why, "for team wallets (1 a week over all tenants)")

	c = begin(t, settled(), set, ids)
	p := page(ids[0], rollout.Extra, "card", began)
	p.Team = "fraud" // owns a service since the catalog was read anew
	c = rollout.Paged(c.State, p, began)
	require.Equal(t, rollout.Shadow, c.Rollout.State)
	require.Equal(t, 1, c.Rollout.Stages[0].Teams[2].Extra)
	require.Equal(t, c.Rollout.Stages[0].Teams[1].Allowed, c.Rollout.Stages[0].Teams[2].Allowed, "the least of the others'")
}

// TestARolloutOfAnEarlierRelease has one budget for all, and pages that nobody weighed.
func TestARolloutOfAnEarlierRelease(t *testing.T) {
	ids := tenants(1000)
	c := begin(t, settled(), rollout.Settings{Stages: []float64{100}, StageFor: time.Hour}, ids)
	c.Rollout.Budgets, c.Rollout.PagesPerWeek, c.Rollout.Stages[0].Teams, c.Rollout.Untried = nil, 2, nil, nil
	c.Rollout = c.Rollout.Read()
	raw, err := json.Marshal(c.Rollout)
	require.NoError(t, err)
	require.NotContains(t, strings.ReplaceAll(string(raw), `"ended_at":null`, ""), "null", "lists are never null")
	for range 3 {
		p := page(ids[0], rollout.Extra, "card", began)
		p.Team = "payments"
		c = rollout.Paged(c.State, p, began)
	}
	require.Equal(t, 1, c.Rollout.Stages[0].Extra)
	c = rollout.Paged(c.State, page(ids[0], rollout.Extra, "wallet", began), began)
	require.Equal(t, rollout.Halted, c.Rollout.State)
	require.Contains(t, c.Rollout.Why, "for all teams together")
}
