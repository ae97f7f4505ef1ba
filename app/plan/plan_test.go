package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/app/plan"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func builtIn(t testing.TB) *profiles.Policy {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	return p
}

// edited is the built-in policy with texts replaced, each of which must be there.
func edited(t testing.TB, pairs ...string) *profiles.Policy {
	t.Helper()
	text := string(builtIn(t).Text)
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(t, text, pairs[i])
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	p, err := profiles.Parse("edited", []byte(text))
	require.NoError(t, err)
	return p
}

// gateway is many tenants, every third with refunds.
func gateway(n int) []tenant.Tenant {
	out := make([]tenant.Tenant, n)
	for i := range out {
		out[i] = tenant.Tenant{ID: tenant.ID(fmt.Sprintf("t%05d", i)), Name: fmt.Sprintf("Shop %d", i), State: tenant.Live, ExpectedTPM: float64(i % 1000), Revision: 1}
		if i%3 == 0 {
			out[i].Features = []string{"refunds"}
		}
		if i%50 == 0 {
			out[i].Features = append(out[i].Features, "country.de")
		}
	}
	return out
}

func input(before, after *profiles.Policy, tenants []tenant.Tenant) plan.Input {
	c := catalog.Default()
	return plan.Input{Before: before, After: after, Tenants: tenants, Observe: func(p *profiles.Policy, _ tenant.Tenant) profiles.Observation {
		return whole.Observe(p, c, len(tenants))
	}}
}

func TestTheSamePolicyChangesNothing(t *testing.T) {
	got := plan.Make(input(builtIn(t), edited(t), gateway(300)))
	require.Equal(t, 300, got.Tenants)
	require.Zero(t, got.Changed)
	require.Empty(t, got.Rules)
	require.Empty(t, got.Changes)
	require.Empty(t, got.Warnings)
	require.Len(t, got.Largest, 10, "they are told all the same")
}

func TestAPlanSaysWhoGetsWhat(t *testing.T) {
	before := builtIn(t)
	refunds := before.Rules[0]
	for _, r := range before.Rules {
		if len(r.Features) > 0 && r.Features[0] == "refunds" {
			refunds = r
		}
	}
	require.Equal(t, []string{"refunds"}, refunds.Features)
	after := edited(t, "name: "+refunds.Name+"\n", "name: money_back\n")
	in := input(before, after, gateway(900))
	in.Volume = map[tenant.ID]float64{"t00300": 50_000}
	in.Firing = []alert.Key{
		{Tenant: "t00300", Service: refunds.Service, Rule: refunds.Name, Slice: sli.Slice{{Label: "method", Value: "card"}}},
		{Tenant: "t00300", Service: before.Rules[0].Service, Rule: before.Rules[0].Name},
		{Tenant: "gone", Service: refunds.Service, Rule: refunds.Name},
	}
	got := plan.Make(in)
	require.Equal(t, 300, got.Changed, "those that opted in")
	require.Len(t, got.Rules, 2)
	require.Contains(t, got.Rules[0], "money_back is added")
	require.Equal(t, 300, got.Changes[0].Tenants)
	require.Len(t, got.Changes, 2)
	require.Equal(t, "Shop 300", got.Largest[0].Name)
	require.Equal(t, 50_000.0, got.Largest[0].TPM)
	require.Len(t, got.Largest[0].Words, 2)
	require.Equal(t, []plan.Ending{{Tenant: "t00300", Rule: refunds.Name, Slice: sli.Slice{{Label: "method", Value: "card"}}}}, got.Ends)
	require.Empty(t, got.Warnings, "it counts the same as before: nothing is learned anew")
}

// TestAlikeTenantsAreCompiledOnce: what a plan leaves out of a tenant's document when it
// tells kinds apart changes no rule.
func TestAlikeTenantsAreCompiledOnce(t *testing.T) {
	before, after := builtIn(t), edited(t, "result: [error]", "result: [error, abandoned]")
	tenants := gateway(200)
	for i := range tenants {
		tenants[i].OnboardedAt = time.Date(2026, 1, i%28+1, 0, 0, 0, 0, time.UTC)
		tenants[i].Labels = map[string]string{"brand": fmt.Sprint(i)}
		tenants[i].State = []tenant.State{tenant.Live, tenant.Onboarding}[i%2]
		tenants[i].ExpectedTPM = float64(i % 4)
	}
	in := input(before, after, tenants)
	want := map[string]int{}
	for _, doc := range tenants {
		x, _ := profiles.Compile(before, doc, in.Observe(before, doc))
		y, _ := profiles.Compile(after, doc, in.Observe(after, doc))
		for _, w := range profiles.Compare(x, y).Words {
			want[w]++
		}
	}
	require.NotEmpty(t, want)
	got := map[string]int{}
	for _, c := range plan.Make(in).Changes {
		got[c.Words] = c.Tenants
	}
	require.Equal(t, want, got)
}

func TestAPlanWarns(t *testing.T) {
	before := builtIn(t)
	after := edited(t, "environments: [production]", "environments: [staging]", "result: [error]", "result: [error, abandoned]")
	got := plan.Make(input(before, after, gateway(60)))
	all := strings.Join(got.Warnings, "\n")
	require.Contains(t, all, "environment production may page no longer, for any tenant")
	require.Contains(t, all, "environment staging may page from now on")
	require.Contains(t, all, "it learns from nothing for 60 tenant(s)")
}

// TestAPlanSaysWhatSilences: neither rules nor profiles differ, and fewer are called.
func TestAPlanSaysWhatSilences(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	plans := func(before, more string) plan.Plan {
		in := input(edited(t, "version: 1\n", "version: 1\n"+before), edited(t, "version: 1\n", "version: 1\n"+more), gateway(60))
		in.Now = now
		return plan.Make(in)
	}
	require.False(t, plans("", "").Differs())

	quiet := "calendar: [{name: all_quiet, effect: hold_pages, starts_at: 2026-11-26T00:00:00Z, ends_at: 2036-11-28T00:00:00Z, why: x, by: ada}]\n"
	got := plans("", quiet)
	require.Zero(t, got.Changed)
	require.True(t, got.Differs())
	require.Contains(t, got.Settings[0], "the calendar entry all_quiet is added: from 2026-11-26 00:00 UTC")
	require.Contains(t, got.Warnings[0], "NOBODY IS CALLED for everybody while the calendar entry all_quiet holds")
	require.Contains(t, got.Untried[0], "all_quiet")
	require.Empty(t, plans(quiet, strings.Replace(quiet, "why: x", "why: y", 1)).Warnings, "only its words are others")

	got = plans("", "impact: {day: {tenants: 999, share: 1}}\n")
	require.Equal(t, []string{"impact.day.share: 1, before: not set", "impact.day.tenants: 999, before: not set"}, got.Settings)
	require.Contains(t, got.Warnings[0], "FEWER FAULTS CALL SOMEBODY by day: 999 tenant(s) or 100% of the volume must be affected; before: 3 tenant(s)")
	require.Contains(t, got.Warnings[1], "at night")
	require.Empty(t, plans("impact: {day: {tenants: 999, share: 1}}\n", "").Warnings)

	got = plans("", "evolution: {stage_for: 100h, promote: person}\n")
	require.Equal(t, []string{"evolution.promote: person, before: record", "evolution.stage_for: 100h0m0s, before: 24h0m0s"}, got.Settings)
}

// TestAPinnedRevisionIsNoRuleOfThePolicy: what it says is not known here.
func TestAPinnedRevisionIsNoRuleOfThePolicy(t *testing.T) {
	at := func(pins string) *profiles.Policy {
		return edited(t, "version: 1\n", "version: 1\n"+pins, "result: [error]", "result: [error, abandoned]")
	}
	in := input(builtIn(t), at("pins: [{tenant: t00007, revision: 2, reason: x, by: ada}]\n"), gateway(9))
	got := plan.Make(in)
	i := slices.IndexFunc(got.Largest, func(l plan.Tenant) bool { return l.ID == "t00007" })
	require.Equal(t, []string{"the profile is kept at revision 2, whatever the policy says"}, got.Largest[i].Words)
	require.Equal(t, 9, got.Changed)
	in.Before = edited(t, "version: 1\n", "version: 1\npins: [{tenant: t00007, revision: 2, reason: x, by: ada}]\n")
	require.Equal(t, 8, plan.Make(in).Changed, "it stays where it is")
}

// TestWhomAPersonPinsStays: a person's pin goes before the policy's, and what is frozen
// follows nothing.
func TestWhomAPersonPinsStays(t *testing.T) {
	now, over := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	pins := "pins: [{tenant: t00001, revision: 7, reason: x, by: eve}, {tenant: t00002, tier: micro, reason: x, by: eve}, {tenant: t00003, tier: micro, reason: x, by: eve}]\n"
	in := input(builtIn(t), edited(t, "version: 1\n", "version: 1\n"+pins), gateway(9))
	in.Now = now
	in.Observe = func(p *profiles.Policy, doc tenant.Tenant) (o profiles.Observation) {
		o.Tier = p.TierOf(500).Name
		if n, ok := p.Pinned(doc.ID, now); ok {
			o.Tier = n.Tier
		}
		return o
	}
	got := plan.Make(in)
	require.Equal(t, 3, got.Changed)
	require.Equal(t, 1, got.Stays.Tenants, "the policy's pin at a revision")

	pinned := func(p evolution.Pin) course.Course {
		p.By, p.Reason = "ada", "a trial"
		return course.Course{State: evolution.State{Pin: &p}}
	}
	in.Steered = map[tenant.ID]course.Course{"t00001": pinned(evolution.Pin{Revision: 2}), "t00002": pinned(evolution.Pin{Tier: "large"}),
		"t00003": pinned(evolution.Pin{Tier: "large", Until: &over}), "t00004": {State: evolution.State{Freeze: &evolution.Freeze{By: "ada", Reason: "an audit"}}}}
	got = plan.Make(in)
	require.Equal(t, 1, got.Changed, "the pin of t00003 is over")
	require.Equal(t, rollout.Keeps{Tenants: 3, Largest: []rollout.Keep{{ID: "t00004", Name: "Shop 4", Why: "frozen by ada: an audit"},
		{ID: "t00002", Name: "Shop 2", Why: "pinned at tier large by ada: a trial"}, {ID: "t00001", Name: "Shop 1", Why: "pinned at revision 2 by ada: a trial"}}}, got.Stays)
	for _, l := range got.Largest {
		require.Equal(t, l.ID == "t00003", len(l.Words) > 0, "%s: %v", l.ID, l.Words)
		require.Equal(t, l.ID == "t00001" || l.ID == "t00002" || l.ID == "t00004", l.Stays != "", l.ID)
	}

	// What is frozen has no other rules by another policy, and a pin at a revision goes before.
	in.After = edited(t, "version: 1\n", "version: 1\npins: [{tenant: t00004, revision: 7, reason: x, by: eve}]\n", "result: [error]", "result: [error, abandoned]")
	got = plan.Make(in)
	i := slices.IndexFunc(got.Largest, func(l plan.Tenant) bool { return l.ID == "t00004" })
	require.Equal(t, []string{"the profile is kept at revision 7, whatever the policy says"}, got.Largest[i].Words)
	require.Equal(t, 8, got.Changed, "all but t00001")
	in.Before, in.After = in.After, edited(t, "result: [error]", "result: [error, abandoned, lost]")
	require.Equal(t, 7, plan.Make(in).Changed)
}

func TestAPlanWarnsOfTenantsThatAreNone(t *testing.T) {
	const names = `overrides: [{tenant: acm, off: true, until: 2036-01-01T00:00:00Z, reason: x, by: ada}]
pins: [{tenant: nobody, revision: 1, reason: x, by: ada}, {tenant: t00001, revision: 9999, reason: x, by: ada}]
calendar: [{name: a, effect: deny_changes, tenants: [t00001, tt], weekly: {days: [sun]}, why: w, by: ada}]
`
	in := input(builtIn(t), edited(t, "version: 1\n", "version: 1\n"+names), gateway(9))
	in.HasRevision = func(_ tenant.ID, n int) bool { return n < 10 }
	require.Equal(t, []string{
		"an override names the tenant acm, which is not onboarded: it does nothing; correct the name",
		"the override of tenant acm: it lasts until 2036-01-01, 90 days or more from now: a tenant that is overridden so long is forgotten; let it end sooner, or change the policy",
		"a pin names the tenant nobody, which is not onboarded: it does nothing; correct the name",
		"the pin of tenant t00001 names revision 9999 of its profile, which is not kept: it does nothing; tocsin profile explain lists them",
		"the calendar entry a names the tenant tt, which is not onboarded: it does nothing; correct the name",
	}, plan.Make(in).Warnings)
}

func BenchmarkPlan(b *testing.B) {
	before := builtIn(b)
	after := edited(b, "environments: [production]", "environments: [staging]", "result: [error]", "result: [error, abandoned]")
	for _, n := range []int{1, 100, 10_000, 100_000} {
		in := input(before, after, gateway(n))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				plan.Make(in)
			}
		})
	}
}
