package evolution_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sli"
)

var began = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func settings() evolution.Settings {
	return evolution.Settings{Tiers: []evolution.Tier{{Name: "micro"}, {Name: "small", From: 1}, {Name: "medium", From: 20}, {Name: "large", From: 500}},
		GrowAfter: 24 * time.Hour, ShrinkAfter: 7 * 24 * time.Hour, Margin: 0.2, ShadowFor: 24 * time.Hour}
}

// life looks every hour, as the program does, and keeps what was decided.
type life struct {
	t     *testing.T
	s     evolution.State
	in    evolution.Input
	now   time.Time
	kinds []string
	why   []string
	tiers []string // one after the other
	since []time.Time
}

func begin(t *testing.T, promised float64) *life {
	l := &life{t: t, in: evolution.Input{Settings: settings(), Promised: promised}, now: began}
	l.take(evolution.Look(l.s, l.in, l.now))
	return l
}

func (l *life) take(c evolution.Change) {
	require.Equal(l.t, c.Changed || len(c.Ledger) > 0, c.Changed)
	l.s = c.State
	for _, e := range c.Ledger {
		l.kinds, l.why = append(l.kinds, e.Kind), append(l.why, e.Reason)
	}
	if n := len(l.tiers); n == 0 || l.tiers[n-1] != l.s.Tier {
		l.tiers, l.since = append(l.tiers, l.s.Tier), append(l.since, l.now)
	}
}

func (l *life) must(c evolution.Change, err error) {
	l.t.Helper()
	require.NoError(l.t, err)
	l.take(c)
}

func (l *life) live(d time.Duration, tpm float64) {
	l.in.TPM, l.in.Known = tpm, true
	for end := l.now.Add(d); l.now.Before(end); {
		l.now = l.now.Add(time.Hour)
		l.take(evolution.Look(l.s, l.in, l.now))
	}
}

const day = 24 * time.Hour

func TestOnboardingAssignsTheTierOfThePromisedVolume(t *testing.T) {
	require.Equal(t, "small", begin(t, 4).s.Tier)
	require.Equal(t, "micro", begin(t, 0.5).s.Tier)
	require.Equal(t, "large", begin(t, 1e9).s.Tier)
}

// TestTheTierFollowsThePromise and the bounds, as long as no volume was ever known.
func TestTheTierFollowsThePromise(t *testing.T) {
	l := begin(t, 5)
	look := func() { l.take(evolution.Look(l.s, l.in, l.now)) }
	l.in.Promised = 5000
	l.in.Held = "the calendar says so"
	look()
	require.Equal(t, "small", l.s.Tier, "that holds revisions")
	require.Contains(t, strings.Join(l.s.Words(l.in.Settings, l.in.Held), " "), "By what was promised when it was held it is in tier small")
	l.in.Held = ""
	look()
	require.Equal(t, "large", l.s.Tier)
	require.Equal(t, "5000 transactions a minute are promised: tier large instead of small", l.why[len(l.why)-1])
	l.in.Settings.Tiers[3].From = 6000
	look()
	require.Equal(t, "medium", l.s.Tier)
	l.in.Promised = 0
	look()
	require.Empty(t, l.s.Tier)
	l.in.Promised = 5
	look()
	l.live(time.Hour, 15)
	l.in.Known, l.in.Promised = false, 5000
	look()
	require.Equal(t, "small", l.s.Tier, "what was observed once says more")
}

// TestATenantThatPromisedNothing is in no tier before its volume was observed, and then
// at once in the one that fits, however far from the smallest.
func TestATenantThatPromisedNothing(t *testing.T) {
	l := begin(t, 0)
	require.Empty(t, l.s.Tier)
	l.now = l.now.Add(time.Hour)
	l.take(evolution.Look(l.s, l.in, l.now))
	require.Empty(t, l.s.Tier)
	l.live(time.Hour, 700)
	require.Equal(t, "large", l.s.Tier)
	require.Contains(t, l.why[len(l.why)-1], "700 transactions a minute are observed: tier large")
}

func TestGrowthIsProposedShadowedAndPromoted(t *testing.T) {
	l := begin(t, 4)
	l.live(30*day, 4)
	require.Equal(t, []string{"profile.tier"}, l.kinds)
	require.Equal(t, 4.0, l.s.TPM)
	l.live(23*time.Hour, 80)
	require.Nil(t, l.s.Proposal, "not for long enough")
	l.live(2*time.Hour, 80)
	require.NotNil(t, l.s.Proposal)
	require.Equal(t, [2]string{"small", "medium"}, [2]string{l.s.Proposal.From, l.s.Proposal.To})
	require.Equal(t, "small", l.s.Tier, "still in force")
	require.Contains(t, l.s.Proposal.Cause, "80 transactions a minute, above 20 by a margin of 20%, where tier medium begins, since 2026-04-01")
	l.take(evolution.Paged(l.s, 1, evolution.Page{Verdict: evolution.Agreed, At: l.now}))
	l.take(evolution.Paged(l.s, 9, evolution.Page{Verdict: evolution.Extra, At: l.now})) // of another
	l.live(day, 80)
	require.Equal(t, "medium", l.s.Tier)
	require.Nil(t, l.s.Proposal)
	require.Equal(t, []string{"profile.tier", "profile.proposed", "profile.promoted"}, l.kinds)
	require.Contains(t, l.why[2], "would have made the pages that were made, 1, and no other")
	l.live(60*day, 80)
	require.Len(t, l.kinds, 3, "and that is that")
}

// TestTheLastPagesInShadowCount although they are known a little later.
func TestTheLastPagesInShadowCount(t *testing.T) {
	l := begin(t, 4)
	l.in.Settings.KnownAfter = 15 * time.Minute
	l.live(25*time.Hour, 80)
	require.Equal(t, l.s.Proposal.At.Add(day+15*time.Minute), l.s.Proposal.Until)
	at := l.s.Proposal.At.Add(day)
	require.NotNil(t, evolution.Look(l.s, l.in, at).State.Proposal)
	c := evolution.Paged(l.s, 1, evolution.Page{Verdict: evolution.Extra, At: at.Add(-time.Minute)})
	c = evolution.Look(c.State, l.in, at.Add(15*time.Minute))
	require.NotNil(t, c.State.Proposal)
	require.NotNil(t, c.State.Proposal.WaitsSince)
}

func TestAVolumeAtABoundChangesNothing(t *testing.T) {
	l := begin(t, 4)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 90 * 24 { // around 20, hour by hour
		l.live(time.Hour, 20*(0.85+0.3*rng.Float64()))
	}
	require.Equal(t, []string{"small"}, l.tiers)
	for range 60 { // above the margin for most of a day, again and again
		l.live(20*time.Hour, 40)
		l.live(4*time.Hour, 10)
	}
	require.Equal(t, []string{"small"}, l.tiers)
}

// TestNoFlapping: whatever the volume does, tiers are neighbours, no change comes
// sooner than its time in shadow and its time of waiting, and a volume that jumps a
// thousandfold and stays is followed tier by tier.
func TestNoFlapping(t *testing.T) {
	order := []string{"micro", "small", "medium", "large"}
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		l := begin(t, 2)
		volume := 2.0
		for range 60 {
			if rng.IntN(4) == 0 {
				volume = []float64{0.002, 0.9, 1.1, 2, 19, 21, 25, 499, 601, 2000}[rng.IntN(10)]
			}
			l.live(time.Duration(1+rng.IntN(72))*time.Hour, volume*(0.9+0.2*rng.Float64()))
		}
		for i := 1; i < len(l.tiers); i++ {
			a, b := slices.Index(order, l.tiers[i-1]), slices.Index(order, l.tiers[i])
			require.Equal(t, 1, max(a-b, b-a), "seed %d: %v", seed, l.tiers)
			least := 2 * day // waiting and shadow
			if b < a {
				least = 8 * day
			}
			require.True(t, i == 1 || l.since[i].Sub(l.since[i-1]) >= least, "seed %d: %v", seed, l.since)
		}
		l.live(40*day, 2000)
		require.Equal(t, "large", l.s.Tier, "seed %d", seed)
	}
	l := begin(t, 2)
	l.live(10*day, 2)
	l.live(10*day, 2000)
	require.Equal(t, []string{"small", "medium", "large"}, l.tiers)
	l.live(60*day, 0)
	require.Equal(t, []string{"small", "medium", "large", "medium", "small", "micro"}, l.tiers)
}

func TestARecordOfPagesHoldsThePromotion(t *testing.T) {
	for _, v := range []evolution.Verdict{evolution.Extra, evolution.Missed} {
		l := begin(t, 4)
		l.live(26*time.Hour, 80)
		l.live(20*time.Hour, 80)
		l.take(evolution.Paged(l.s, 1, evolution.Page{Verdict: v, At: l.now}))
		l.live(10*time.Hour, 80)
		require.NotNil(t, l.s.Proposal, v)
		require.NotEmpty(t, l.s.Proposal.Held)
		l.live(15*time.Hour, 80)
		require.Equal(t, "medium", l.s.Tier, "a day without")
		require.Equal(t, 1, count(l.kinds, "profile.held"), "said once")
	}
}

// TestAFewTicketsAreNoReasonToWait: of what calls nobody a few may differ, and no more.
func TestAFewTicketsAreNoReasonToWait(t *testing.T) {
	for tickets, tier := range map[int]string{3: "medium", 4: "small"} {
		l := begin(t, 4)
		l.live(26*time.Hour, 80)
		for i := range tickets {
			v := []evolution.Verdict{evolution.Ticket, evolution.TicketMissed}[i%2]
			l.take(evolution.Paged(l.s, 1, evolution.Page{Verdict: v, At: l.now}))
		}
		l.live(day-time.Hour, 80)
		require.Equal(t, tier, l.s.Tier)
		if tickets > 3 {
			require.Contains(t, l.s.Proposal.Held, "opened or missed 4 ticket(s) of what is too small to call somebody for, of 3 allowed")
		}
		l.live(2*day, 80)
		require.Equal(t, "medium", l.s.Tier, "that was over")
	}
}

func count(in []string, what string) (n int) {
	for _, s := range in {
		if s == what {
			n++
		}
	}
	return n
}

func TestAVolumeThatGoesBackTakesTheProposalBack(t *testing.T) {
	l := begin(t, 4)
	l.live(26*time.Hour, 80)
	require.NotNil(t, l.s.Proposal)
	l.live(time.Hour, 15)
	require.Nil(t, l.s.Proposal)
	require.Contains(t, l.why[len(l.why)-1], "tier small fits")
	l.live(23*time.Hour, 80)
	require.Nil(t, l.s.Proposal, "the time counts anew")
}

func TestATimeWithoutShadowDoesNotCount(t *testing.T) {
	l := begin(t, 4)
	l.live(26*time.Hour, 80)
	l.in.Held, l.in.Unseen = "policy revision 2 runs in shadow for the tenant", true
	l.live(3*day, 80)
	l.in.Held, l.in.Unseen = "", false
	l.live(23*time.Hour, 80)
	require.Equal(t, "small", l.s.Tier)
	l.live(2*time.Hour, 80)
	require.Equal(t, "medium", l.s.Tier)
}

func TestAPersonDecides(t *testing.T) {
	l := begin(t, 4)
	l.in.Settings.ByPerson = true
	l.live(10*day, 80)
	require.Equal(t, "small", l.s.Tier)
	require.Contains(t, l.s.Proposal.Held, "a person promotes it")
	_, err := evolution.Promote(l.s, "eve", "", l.now)
	require.Equal(t, problem.Invalid, problem.From(err).Kind)
	l.must(evolution.Refuse(l.s, "eve", "a promotion that ends on Monday", l.now))
	l.live(29*day, 80)
	require.Nil(t, l.s.Proposal)
	l.live(3*day, 80)
	require.NotNil(t, l.s.Proposal, "thirty days are over")
	l.must(evolution.Promote(l.s, "eve", "they stay", l.now))
	require.Equal(t, "medium", l.s.Tier)
	require.Contains(t, l.why[len(l.why)-1], "eve promoted it: they stay")
	_, err = evolution.Promote(l.s, "eve", "again", l.now)
	require.Equal(t, problem.Conflict, problem.From(err).Kind)
}

// TestPrecedence: pin, freeze, what else holds.
func TestPrecedence(t *testing.T) {
	l := begin(t, 4)
	until := began.Add(5 * day)
	l.must(evolution.FreezeFor(l.s, evolution.Freeze{Until: &until, By: "eve", Reason: "an audit"}, l.now))
	l.must(evolution.PinAt(l.s, evolution.Pin{Tier: "small", By: "eve", Reason: "a test"}, l.now))
	l.live(4*day, 80)
	require.Nil(t, l.s.Proposal)
	l.must(evolution.Unpin(l.s, "eve", "the test is over", l.now))
	require.Equal(t, until, l.s.Due())
	l.live(23*time.Hour, 80)
	require.Nil(t, l.s.Proposal, "frozen still")
	l.live(time.Hour, 80)
	require.Nil(t, l.s.Freeze)
	require.NotNil(t, l.s.Proposal, "it has been there for long enough meanwhile")
	l.in.Held = "the calendar entry black_friday holds revisions"
	l.live(3*day, 80)
	require.Equal(t, "small", l.s.Tier)
	require.Contains(t, l.s.Proposal.Held, "black_friday")
	l.in.Held = ""
	l.live(time.Hour, 80)
	require.Equal(t, "medium", l.s.Tier)

	_, err := evolution.PinAt(l.s, evolution.Pin{By: "eve", Reason: "nothing"}, l.now)
	require.Equal(t, problem.Invalid, problem.From(err).Kind)
	_, err = evolution.PinAt(l.s, evolution.Pin{Tier: "small", Until: &until, By: "eve", Reason: "late"}, l.now)
	require.Equal(t, problem.Invalid, problem.From(err).Kind)
	_, err = evolution.PinAt(l.s, evolution.Pin{Tier: "small", By: "eve", Reason: "  "}, l.now)
	require.ErrorContains(t, err, "reason is missing")
	_, err = evolution.Thaw(l.s, "eve", "x", l.now)
	require.Equal(t, problem.Conflict, problem.From(err).Kind)
}

func TestOtherTiers(t *testing.T) {
	l := begin(t, 4)
	l.live(26*time.Hour, 80)
	require.NotNil(t, l.s.Proposal)
	l.in.Settings.Tiers = []evolution.Tier{{Name: "tiny"}, {Name: "huge", From: 60}}
	c := evolution.Look(l.s, l.in, l.now)
	require.NotEmpty(t, c.Assign)
	require.Equal(t, "huge", c.State.Tier, "by what is observed")
	require.Nil(t, c.State.Proposal)
	l.in.Settings.Tiers = nil
	c = evolution.Look(c.State, l.in, l.now)
	require.NotEmpty(t, c.Assign)
	require.Empty(t, c.State.Tier)
	require.False(t, evolution.Look(c.State, l.in, l.now).Changed)
}

func TestTheVolumeIsKeptRoughly(t *testing.T) {
	l := begin(t, 4)
	seen := map[float64]bool{}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		l.live(time.Hour, 100*(0.75+0.5*rng.Float64()))
		seen[l.s.TPM] = true
	}
	require.Len(t, seen, 1)
	l.live(time.Hour, 0)
	require.Equal(t, 0.125, l.s.TPM)
}

// TestWhatPeopleSayCountsInTheRecord: what was false is not missed, what was real is no page
// too many, and what was real and missed is for a person to decide.
func TestWhatPeopleSayCountsInTheRecord(t *testing.T) {
	for _, c := range []struct {
		page   evolution.Verdict
		said   alert.Verdict
		tier   string
		speaks string
	}{
		{evolution.Missed, "", "small", ""},
		{evolution.Missed, alert.VerdictFalse, "medium", "would have called nobody: that speaks for it"},
		{evolution.Missed, alert.VerdictExpected, "medium", "that speaks for it"},
		{evolution.Extra, alert.VerdictReal, "medium", "would have called somebody: that speaks for it"},
		{evolution.Extra, alert.VerdictFalse, "small", "that speaks against it"},
		{evolution.Agreed, alert.VerdictFalse, "medium", "that says nothing of it"},
	} {
		l := begin(t, 4)
		l.live(26*time.Hour, 80)
		l.live(20*time.Hour, 80)
		l.take(evolution.Paged(l.s, 1, evolution.Page{Verdict: c.page, Service: "payments", At: l.now}))
		word := alert.Word{Service: "payments", Slice: sli.Slice{{Label: "acquirer", Value: "alpha"}}, From: l.now.Add(-time.Hour), To: l.now, Said: c.said, By: "ann"}
		other := word
		other.Service = "payouts"
		require.False(t, evolution.Judged(l.s, other).Changed)
		if c.said != "" {
			l.take(evolution.Judged(l.s, word))
			require.Contains(t, l.why[len(l.why)-1], c.speaks)
			require.False(t, evolution.Judged(l.s, word).Changed, "said twice")
		}
		l.live(10*time.Hour, 80)
		require.Equal(t, c.tier, l.s.Tier, "%+v", c)
	}

	l := begin(t, 4)
	l.live(26*time.Hour, 80)
	l.take(evolution.Paged(l.s, 1, evolution.Page{Verdict: evolution.Missed, Service: "payments", At: l.now}))
	l.take(evolution.Judged(l.s, alert.Word{Service: "payments", From: l.now, To: l.now, Said: alert.VerdictReal, By: "ann"}))
	l.live(5*day, 80)
	require.Equal(t, "small", l.s.Tier, "no time makes it good")
	require.Contains(t, l.s.Proposal.Held, "it would have called nobody for what ann said was real")
	require.NotNil(t, l.s.Proposal.WaitsSince)
	require.Contains(t, strings.Join(l.s.Words(settings(), ""), " "), "right about 0 and wrong about 1")
}
