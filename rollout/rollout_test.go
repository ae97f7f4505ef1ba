package rollout_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var began = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func tenants(n int) []tenant.ID {
	out := make([]tenant.ID, n)
	for i := range out {
		out[i] = tenant.ID(fmt.Sprintf("t%05d", i))
	}
	return out
}

// settled has revision 1 in force and nothing under way.
func settled() rollout.State {
	return rollout.State{Standing: rollout.Standing{Version: 1, InForce: 1, Newest: 1}}
}

func begin(t *testing.T, s rollout.State, set rollout.Settings, ids []tenant.ID, last ...tenant.ID) rollout.Change {
	t.Helper()
	c, err := rollout.Begin(s, rollout.Beginning{Revision: rollout.Revision{Sha: "abc", Text: "x", Author: "ada", Reason: "fewer pages", Origin: rollout.FromAPI}, Settings: set, Tenants: ids, Last: last}, began)
	require.NoError(t, err)
	return c
}

func count(r rollout.Rollout, ids []tenant.ID) (n [3]int) {
	for _, id := range ids {
		n[r.Place(id)]++
	}
	return n
}

func kinds(c rollout.Change) (out []string) {
	for _, e := range c.Ledger {
		out = append(out, e.Kind)
	}
	return out
}

func TestARolloutGoesThroughItsStages(t *testing.T) {
	ids := tenants(2000)
	c := begin(t, settled(), rollout.Settings{StageFor: time.Hour}, ids)
	require.Equal(t, 2, c.Revision.Number)
	require.Equal(t, 1, c.Standing.InForce, "nothing is in force yet")
	require.Equal(t, began.Add(75*time.Minute), c.Timer, "its last pages are known a quarter of an hour later")
	require.Equal(t, []string{"policy.rollout_began", "policy.stage_began"}, kinds(c))

	var places [][3]int
	now := began
	for range 3 {
		places = append(places, count(c.Rollout, ids))
		early := rollout.Due(c.State, nil, ids, c.Timer.Add(-time.Second))
		require.Equal(t, c.State, early.State, "not before its time")
		require.Equal(t, c.Timer, early.Timer)
		now = c.Timer
		c = rollout.Due(c.State, nil, ids, now)
	}
	for i, pct := range []float64{1, 10, 100} {
		require.InDelta(t, 20*pct, places[i][rollout.Beside]+places[i][rollout.New], 40, "stage %d", i+1)
	}
	require.Zero(t, places[0][rollout.New])
	require.Equal(t, places[1][rollout.New], places[0][rollout.Beside], "those that were in shadow have it now")
	require.Equal(t, places[2][rollout.New], places[1][rollout.Beside]+places[1][rollout.New])
	require.Zero(t, places[2][rollout.Old])

	require.Equal(t, rollout.Done, c.Rollout.State)
	require.Equal(t, 2, c.Standing.InForce)
	require.Equal(t, 1, c.Standing.Before)
	require.Equal(t, []string{"policy.stage_promoted", "policy.rollout_done"}, kinds(c))
	require.True(t, c.Timer.IsZero())
	require.Equal(t, began.Add(3*75*time.Minute), now)
}

func TestAStageWithoutTenantsTakesNoTime(t *testing.T) {
	c := begin(t, settled(), rollout.Settings{StageFor: time.Hour}, tenants(3), tenants(3)...)
	require.Equal(t, 2, c.Rollout.Stage, "1% of three tenants is nobody, and so is 10%")
	require.Equal(t, 3, c.Rollout.Stages[2].Tenants)
	c = begin(t, settled(), rollout.Settings{}, nil)
	require.Equal(t, rollout.Done, c.Rollout.State, "without tenants there is nobody to try it on")
	require.Equal(t, 2, c.Standing.InForce)
}

func TestTheLargestComeLast(t *testing.T) {
	ids := tenants(500)
	c := begin(t, settled(), rollout.Settings{Stages: []float64{50, 100}}, ids, ids[:10]...)
	for _, id := range ids[:10] {
		require.Equal(t, rollout.Old, c.Rollout.Place(id))
	}
}

func page(id tenant.ID, v rollout.Verdict, method string, at time.Time) rollout.Page {
	return rollout.Page{Verdict: v, Team: "payments", Tenant: id, Service: "payments", Slice: sli.Slice{{Label: "method", Value: method}}, Rule: "payment_errors", At: at, Reason: "40 of 50 failed"}
}

func TestPagesOverTheBudgetHaltIt(t *testing.T) {
	ids := tenants(1000)
	c := begin(t, settled(), rollout.Settings{StageFor: time.Hour, Teams: map[string]float64{"payments": 2}}, ids)
	var shadow []tenant.ID
	for _, id := range ids {
		if c.Rollout.Place(id) == rollout.Beside {
			shadow = append(shadow, id)
		}
	}
	require.Greater(t, len(shadow), 3)
	require.Zero(t, c.Rollout.Stages[0].Allowed, "1% of 2 a week is none in an hour")

	at := began.Add(time.Minute)
	for _, v := range []rollout.Verdict{rollout.Agreed, rollout.Gone} {
		c = rollout.Paged(c.State, page(shadow[0], v, "card", at), at)
	}
	c = rollout.Paged(c.State, page(shadow[1], rollout.Agreed, "card", at.Add(time.Minute)), at.Add(time.Minute))
	require.Equal(t, rollout.Shadow, c.Rollout.State, "what the old one pages too is no reason")
	require.Equal(t, 1, c.Rollout.Stages[0].Agreed, "two tenants of one fault are one page")
	require.Equal(t, 2, c.Rollout.Pages[0].Tenants)

	for _, id := range ids {
		if c.Rollout.Place(id) == rollout.Old {
			same := rollout.Paged(c.State, page(id, rollout.Extra, "card", at), at)
			require.Equal(t, c.State, same.State, "a tenant that is not in shadow has no say")
			break
		}
	}
	c = rollout.Paged(c.State, page(shadow[0], rollout.Extra, "wallet", at), at)
	require.Equal(t, rollout.Halted, c.Rollout.State)
	require.Contains(t, c.Rollout.Why, "1 page(s) beyond those of revision 1, of 0 allowed")
	require.Contains(t, c.Rollout.Why, "40 of 50 failed")
	require.True(t, c.Timer.IsZero())
	require.Equal(t, rollout.Old, c.Rollout.Place(shadow[0]))
	require.Equal(t, c.State, rollout.Due(c.State, nil, ids, began.Add(time.Hour)).State, "nothing goes on by itself")

	require.ErrorContains(t, rollout.Said(" "), "a reason is missing")
	_, err := rollout.Begin(c.State, rollout.Beginning{Revision: rollout.Revision{Reason: "another"}}, at)
	require.Equal(t, problem.Conflict, problem.From(err).Kind)
	require.Contains(t, problem.From(err).Hint, "tocsin policy rollback")

	_, err = rollout.Resume(c.State, "ada", "", ids, at)
	require.Equal(t, problem.Invalid, problem.From(err).Kind)
	again, err := rollout.Resume(c.State, "ada", "that fault was real", ids, at.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, rollout.Shadow, again.Rollout.State)
	require.Zero(t, again.Rollout.Stages[0].Extra)
	require.Equal(t, at.Add(2*time.Hour+15*time.Minute), again.Timer)
	lasts := rollout.Paged(again.State, page(shadow[0], rollout.Extra, "wallet", at.Add(61*time.Minute)), at.Add(2*time.Hour))
	require.Equal(t, again.State, lasts.State, "the fault that was said to be right lasts")
	later := rollout.Paged(again.State, page(shadow[0], rollout.Extra, "wallet", at.Add(90*time.Minute)), at.Add(2*time.Hour))
	require.Equal(t, rollout.Halted, later.Rollout.State, "another one is another one")
	above := page(shadow[0], rollout.Extra, "wallet", at.Add(61*time.Minute))
	above.Slice = nil
	require.Equal(t, again.State, rollout.Paged(again.State, above, at.Add(2*time.Hour)).State, "the total sees the same fault a little later")
	old := rollout.Paged(again.State, page(shadow[0], rollout.Extra, "wallet", at), at.Add(time.Hour))
	require.Equal(t, again.State, old.State, "a page from before counts no more")

	back, err := rollout.RollBack(c.State, 0, "ada", "too loud", at)
	require.NoError(t, err)
	require.Equal(t, rollout.RolledBack, back.Rollout.State)
	require.Equal(t, 1, back.Standing.InForce)
	require.Equal(t, [3]int{1000, 0, 0}, count(back.Rollout, ids))
}

func TestTheBudgetGrowsWithTimeAndTenants(t *testing.T) {
	ids := tenants(1000)
	for _, c := range []struct {
		days    int
		stages  []float64
		perWeek float64
		allowed int
	}{{1, []float64{100}, 0, 0}, {7, []float64{100}, 2, 6}, {7, []float64{10, 100}, 2, 2}, {7, []float64{100}, 100, 124}, {7, []float64{100}, 1000, 1074}} {
		got := begin(t, settled(), rollout.Settings{Stages: c.stages, StageFor: time.Duration(c.days) * 24 * time.Hour, Teams: map[string]float64{"payments": c.perWeek}}, ids)
		require.Equal(t, c.allowed, got.Rollout.Stages[0].Allowed, "%+v", c)
	}
}

func TestACalendarEntryHoldsIt(t *testing.T) {
	ids := tenants(300)
	c := begin(t, settled(), rollout.Settings{StageFor: time.Hour}, ids)
	hold := &rollout.Hold{Name: "black-friday", Until: began.Add(3 * time.Hour)}
	c = rollout.Due(c.State, hold, ids, c.Timer)
	require.Equal(t, []string{"policy.rollout_held"}, kinds(c))
	require.Equal(t, "black-friday", c.Rollout.Held)
	require.Contains(t, c.Rollout.Why, "until 2026-03-02 12:00 UTC")
	require.Zero(t, count(c.Rollout, ids)[rollout.New])
	again := rollout.Due(c.State, hold, ids, c.Timer)
	require.Empty(t, again.Ledger, "said once")
	require.True(t, again.Timer.After(c.Timer))
	c = rollout.Due(again.State, nil, ids, again.Timer)
	require.Equal(t, "", c.Rollout.Held)
	require.NotZero(t, count(c.Rollout, ids)[rollout.New])
}

func TestBackInOneStep(t *testing.T) {
	ids := tenants(100)
	s := settled()
	_, err := rollout.RollBack(s, 0, "ada", "x", began)
	require.Equal(t, problem.Conflict, problem.From(err).Kind, "there is none before the first")
	c := rollout.Put(s, rollout.Revision{Sha: "b", Author: "ada", Reason: "hurry", Origin: rollout.FromAPI}, began)
	require.Equal(t, [2]int{2, 1}, [2]int{c.Standing.InForce, c.Standing.Before})
	for to, kind := range map[int]problem.Kind{-1: problem.NotFound, 3: problem.NotFound, 2: problem.Conflict} {
		_, err := rollout.RollBack(c.State, to, "ada", "x", began)
		require.Equal(t, kind, problem.From(err).Kind, "to %d", to)
	}
	back, err := rollout.RollBack(c.State, 0, "bo", "too loud", began)
	require.NoError(t, err)
	require.Equal(t, 1, back.Standing.InForce)
	require.Contains(t, back.Ledger[0].Reason, "policy revision 1 is in force at once for every tenant whose profile is neither frozen nor pinned at a revision, instead of revision 2: too loud")
	_, err = rollout.RollBack(back.State, 0, "bo", "x", began)
	require.Equal(t, problem.Conflict, problem.From(err).Kind, "back and forth is not back")
	forth, err := rollout.RollBack(back.State, 2, "bo", "it was right", began)
	require.NoError(t, err)
	require.Equal(t, 2, forth.Standing.InForce)

	open := begin(t, forth.State, rollout.Settings{}, ids)
	put := rollout.Put(open.State, rollout.Revision{Sha: "d", Author: "tocsin", Reason: "the file changed", Origin: rollout.FromFile}, began)
	require.Equal(t, rollout.Superseded, put.Rollout.State)
	require.Equal(t, 4, put.Standing.InForce)
	fast, err := rollout.Hurry(open.State, "ada", "it is burning", began)
	require.NoError(t, err)
	require.Equal(t, rollout.Done, fast.Rollout.State)
	require.Equal(t, 3, fast.Standing.InForce)
	_, err = rollout.Hurry(fast.State, "ada", "x", began)
	require.Equal(t, problem.Conflict, problem.From(err).Kind)
	_, err = rollout.RollBack(fast.State, 0, "ada", strings.Repeat("x", 501), began)
	require.Equal(t, problem.Invalid, problem.From(err).Kind)
}

// TestWhoFollowsNoPolicyIsNamed: where a policy comes in force, "every tenant" is not who
// keeps the profile it has.
func TestWhoFollowsNoPolicyIsNamed(t *testing.T) {
	said := func(keeps *rollout.Keeps) (out []string) {
		s := settled()
		s.Keeps = keeps
		put := rollout.Put(s, rollout.Revision{Sha: "b", Author: "ada", Reason: "hurry", Origin: rollout.FromAPI}, began)
		back, err := rollout.RollBack(put.State, 0, "bo", "too loud", began)
		require.NoError(t, err)
		open := begin(t, s, rollout.Settings{}, tenants(100))
		done, err := rollout.Hurry(open.State, "ada", "it is burning", began)
		require.NoError(t, err)
		for _, c := range []rollout.Change{put, back, done} {
			last := c.Ledger[len(c.Ledger)-1]
			require.Equal(t, keeps != nil && keeps.Tenants > 0, strings.Contains(string(last.Data), "frozen by ada"))
			out = append(out, last.Reason)
		}
		return append(out, done.Rollout.Why)
	}
	for whom, keeps := range map[string]*rollout.Keeps{
		"every tenant whose profile is neither frozen nor pinned at a revision": nil,
		"every tenant": {},
		"every tenant but 12 whose profile is frozen or pinned at a revision (acme, bolt and 10 more)": {Tenants: 12, Largest: []rollout.Keep{
			{ID: "acme", Name: "Acme Travel", Why: "frozen by ada: a trial"}, {ID: "bolt", Why: "pinned at revision 3 by eve: a trial"}}},
	} {
		require.Equal(t, []string{"policy revision 2 (b) is in force at once for " + whom + ": hurry",
			"policy revision 1 is in force at once for " + whom + ", instead of revision 2: too loud",
			"policy revision 2 is in force for " + whom + ", after 3 stage(s); ada began it: fewer pages", whom + " has policy revision 2"}, said(keeps))
	}
}

// TestWhateverComes walks at random: a tenant that has the new policy keeps it
// while nobody goes back, versions only grow, the state survives its record, and
// only an open rollout places anybody.
func TestWhateverComes(t *testing.T) {
	ids := tenants(80)
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s, now := settled(), began
		for step := range 50 {
			now = now.Add(time.Duration(rnd.IntN(90)) * time.Minute)
			var c rollout.Change
			var err error
			back := false
			switch rnd.IntN(9) {
			case 0, 1:
				c, err = rollout.Begin(s, rollout.Beginning{Revision: rollout.Revision{Author: "a", Reason: "r"}, Settings: rollout.Settings{StageFor: time.Hour, Teams: map[string]float64{"payments": 2}}, Tenants: ids, Last: ids[:3]}, now)
			case 2:
				c, err = rollout.RollBack(s, 0, "a", "r", now)
				back = true
			case 3:
				c, err = rollout.Resume(s, "a", "r", ids, now)
			case 4:
				c = rollout.Paged(s, page(ids[rnd.IntN(len(ids))], rollout.Extra, fmt.Sprint(rnd.IntN(3)), now), now)
			case 5:
				if step%7 == 0 {
					c, back = rollout.Put(s, rollout.Revision{Author: "a", Reason: "r"}, now), true
					break
				}
				fallthrough
			default:
				c = rollout.Due(s, nil, ids, now)
			}
			if err != nil {
				continue
			}
			require.GreaterOrEqual(t, c.Standing.Version, s.Standing.Version)
			if len(c.Ledger) > 0 {
				require.Greater(t, c.Standing.Version, s.Standing.Version, "what is said is counted")
			}
			if s.Rollout.Open() && c.Rollout.Open() && !back {
				for _, id := range ids {
					require.GreaterOrEqual(t, c.Rollout.Place(id)/rollout.New, s.Rollout.Place(id)/rollout.New, "seed %d step %d", seed, step)
				}
			}
			if !c.Rollout.Open() {
				require.Equal(t, [3]int{len(ids), 0, 0}, count(c.Rollout, ids))
			}
			if c.Rollout.State == rollout.Shadow {
				require.False(t, c.Rollout.NextAt.IsZero(), "somebody looks again")
			}
			var kept rollout.Rollout
			raw, err := json.Marshal(c.Rollout)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(raw, &kept))
			require.Equal(t, count(c.Rollout, ids), count(kept, ids))
			s = c.State
		}
	}
}
