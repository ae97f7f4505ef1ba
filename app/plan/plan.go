// Package plan says what another policy would change, before it does: for how many
// tenants, in which way, and for the largest by name.
//
// It compiles both policies once for all tenants that are alike and keeps the
// differences only, so that a hundred thousand tenants need little time and memory.
// It stores nothing.
package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	largest      = 10     // tenants told by name
	maxSentences = 100    // told
	maxDistinct  = 20_000 // kept while counting
	maxKnown     = 50_000 // kinds of tenants whose difference is remembered
)

// Input is what a plan is made of.
type Input struct {
	Before, After *profiles.Policy
	Tenants       []tenant.Tenant
	// Observe is what a tenant's profile depends on besides policy and document.
	Observe func(*profiles.Policy, tenant.Tenant) profiles.Observation
	// Volume is transactions a minute of those tenants that are known to have some.
	Volume map[tenant.ID]float64
	// Firing are the alerts that fire now.
	Firing []alert.Key
	// Now is when the plan is made: what has ended by then counts no more.
	Now time.Time
	// Steered are the tenants whose profile a person pins or freezes.
	Steered map[tenant.ID]course.Course
	// HasRevision says whether a revision of a tenant's profile is kept; nil: not known.
	HasRevision func(tenant.ID, int) bool
}

// Plan is who gets what.
type Plan struct {
	Tenants int      `json:"tenants"`
	Changed int      `json:"changed"` // of those, with a profile that differs
	Rules   []string `json:"rules"`   // how the policies' rules differ, one sentence each
	// Settings is how the policies differ besides SLIs and rules, one sentence each.
	Settings []string `json:"settings"`
	Changes  []Count  `json:"changes"` // what tenants' profiles would say, the most tenants first
	More     int      `json:"more"`    // sentences that are left out of Changes
	Largest  []Tenant `json:"largest"` // the largest tenants, whether they change or not
	Ends     []Ending `json:"ends"`    // alerts that fire and would end
	Warnings []string `json:"warnings"`
	// Stays are the tenants whose profile a person pins or freezes, or the new policy pins
	// at a revision: the policy's tiers, or all of it, do not move them.
	Stays   rollout.Keeps `json:"stays"`
	Untried []string      `json:"untried"` // what would not run in shadow before it counts, and why
}

// Count is one sentence of how profiles differ, and of how many tenants it is true.
type Count struct {
	Words   string `json:"words"`
	Tenants int    `json:"tenants"`
}

// Tenant is what changes for one tenant.
type Tenant struct {
	ID    tenant.ID `json:"id"`
	Name  string    `json:"name"`
	TPM   float64   `json:"tpm"`   // transactions a minute; what was promised, where none are known
	Words []string  `json:"words"` // empty: nothing changes
	Stays string    `json:"stays"` // why the profile stays where it is, or the tier; empty: it follows
}

// Ending is an alert that fires and whose rule the tenant would not have.
type Ending struct {
	Tenant tenant.ID `json:"tenant"`
	Rule   string    `json:"rule"`
	Slice  sli.Slice `json:"slice"`
}

// Make makes the plan.
func Make(in Input) Plan {
	p := Plan{Tenants: len(in.Tenants), Rules: Rules(in.Before, in.After), Settings: profiles.Settings(in.Before, in.After), Changes: []Count{}, Largest: []Tenant{},
		Ends: in.ends(), Stays: course.Largest(in.Tenants, func(t tenant.Tenant) float64 { return volume(t, in.Volume) }, in.stays), Warnings: slices.Concat(in.silenced(), in.unknown(), in.warnings()), Untried: profiles.Untried(in.Before, in.After)}
	all := in.count()
	p.Changed = all.changed
	for words, n := range all.sentences {
		p.Changes = append(p.Changes, Count{Words: words, Tenants: n})
	}
	slices.SortFunc(p.Changes, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Tenants, a.Tenants), strings.Compare(a.Words, b.Words))
	})
	p.More = all.more
	if n := len(p.Changes) - maxSentences; n > 0 {
		p.More += n
		p.Changes = p.Changes[:maxSentences]
	}
	for _, t := range Largest(in.Tenants, in.Volume) {
		p.Largest = append(p.Largest, Tenant{ID: t.ID, Name: t.Name, TPM: volume(t, in.Volume), Words: in.words(t), Stays: in.stays(t)})
	}
	p.Warnings = append(p.Warnings, all.warnings()...)
	return p
}

// Largest lists the largest tenants, the largest first.
func Largest(tenants []tenant.Tenant, by map[tenant.ID]float64) []tenant.Tenant {
	var out []tenant.Tenant
	order := func(a, b tenant.Tenant) int {
		return cmp.Or(cmp.Compare(volume(b, by), volume(a, by)), strings.Compare(string(a.ID), string(b.ID)))
	}
	for _, t := range tenants {
		at, _ := slices.BinarySearchFunc(out, t, order)
		if at < largest {
			out = slices.Insert(out, at, t)
			out = out[:min(len(out), largest)]
		}
	}
	return out
}

func volume(t tenant.Tenant, by map[tenant.ID]float64) float64 {
	if v := by[t.ID]; v > 0 {
		return v
	}
	return t.ExpectedTPM
}

// Differs says whether the policies would do anything otherwise, whatever tenants there
// are.
func (p Plan) Differs() bool { return p.Changed+len(p.Rules)+len(p.Settings) > 0 }

// Rules says how the rules of two policies differ, whichever tenants have them.
func Rules(before, after *profiles.Policy) []string {
	of := func(p *profiles.Policy) []rule.Rule {
		rules := profiles.All(p)
		for i := range rules { // shares of a budget are the tenants' affair
			rules[i].FalseAlarms = 0
		}
		return rules
	}
	return profiles.Compare(of(before), of(after)).Words
}

func (in Input) compile(t tenant.Tenant) (before, after []rule.Rule) {
	return in.kindOf(t).compile(in)
}

func (in Input) words(t tenant.Tenant) []string {
	if words, ok := in.kept(t); ok {
		return append([]string{}, words...)
	}
	return profiles.Compare(in.compile(t)).Words
}

// kind is all that a tenant's profiles depend on: tenants of one kind have the same.
type kind struct {
	Document      tenant.Tenant
	Before, After profiles.Observation
}

// kindOf leaves out of the document who the tenant is. Only overrides name tenants.
func (in Input) kindOf(t tenant.Tenant) kind {
	k := kind{t, in.observe(in.Before, t), in.observe(in.After, t)}
	d := &k.Document
	d.Name, d.Revision, d.OnboardedAt, d.OptIns, d.Labels = "", 0, time.Time{}, nil, nil
	if len(k.Before.Overrides)+len(k.After.Overrides) == 0 {
		d.ID = ""
	}
	return k
}

func (k kind) compile(in Input) (before, after []rule.Rule) {
	before, _ = profiles.Compile(in.Before, k.Document, k.Before)
	after, _ = profiles.Compile(in.After, k.Document, k.After)
	return before, after
}

// tally is what many tenants' differences add up to.
type tally struct {
	changed   int
	sentences map[string]int
	more      int            // sentences beyond maxDistinct
	anew      map[string]int // tenants by rule that would learn anew
	bare      int            // tenants that would have no rule
	unruled   map[string]int // tenants by feature that would bring nothing any more
}

func newTally() *tally {
	return &tally{sentences: map[string]int{}, anew: map[string]int{}, unruled: map[string]int{}}
}

// effect is what a tenant of one kind adds to the tally.
type effect struct {
	words   []string
	anew    []string
	unruled []string
	bare    bool
}

// count compiles every tenant, a part on each of half the processors: a daemon has
// samples to judge meanwhile.
func (in Input) count() *tally {
	workers := max(1, runtime.GOMAXPROCS(0)/2)
	parts := slices.Collect(slices.Chunk(in.Tenants, max(1, (len(in.Tenants)+workers-1)/workers)))
	made := make([]*tally, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { made[i] = in.countPart(part) })
	}
	wg.Wait()
	all := newTally()
	for _, t := range made {
		all.changed, all.bare, all.more = all.changed+t.changed, all.bare+t.bare, all.more+t.more
		for _, pair := range []struct{ to, from map[string]int }{{all.sentences, t.sentences}, {all.anew, t.anew}, {all.unruled, t.unruled}} {
			for k, n := range pair.from {
				pair.to[k] += n
			}
		}
	}
	return all
}

func (in Input) countPart(tenants []tenant.Tenant) *tally {
	t := newTally()
	known := map[[32]byte]effect{}
	for _, doc := range tenants {
		if words, ok := in.kept(doc); ok {
			t.add(effect{words: words})
			continue
		}
		k := in.kindOf(doc)
		key := k.fingerprint()
		e, ok := known[key]
		if !ok {
			e = compare(k.compile(in))
			now := profiles.Unruled(in.Before, doc)
			e.unruled = slices.DeleteFunc(profiles.Unruled(in.After, doc), func(f string) bool { return slices.Contains(now, f) })
			if len(known) < maxKnown {
				known[key] = e
			}
		}
		t.add(e)
	}
	return t
}

// fingerprint tells kinds of tenants apart.
func (k kind) fingerprint() [32]byte {
	raw, err := json.Marshal(k)
	if err != nil {
		panic(problem.Wrap(err, problem.Internal, "a tenant's document cannot be encoded"))
	}
	return sha256.Sum256(raw)
}

func compare(before, after []rule.Rule) (e effect) {
	d := profiles.Compare(before, after)
	e.words, e.bare = d.Words, len(after) == 0 && len(before) > 0
	counts := profiles.SLIs(before)
	learned := func(r rule.Rule) bool {
		return slices.ContainsFunc(counts, func(s sli.Spec) bool { return s.ID() == r.SLI.ID() })
	}
	for _, c := range d.Changed {
		if c.Before.SLI.ID() != c.After.SLI.ID() && !learned(c.After) {
			e.anew = append(e.anew, c.After.Name)
		}
	}
	for _, r := range d.Added {
		if !learned(r) {
			e.anew = append(e.anew, r.Name)
		}
	}
	return e
}

func (t *tally) add(e effect) {
	if len(e.words) > 0 {
		t.changed++
	}
	for _, w := range e.words {
		if _, known := t.sentences[w]; !known && len(t.sentences) == maxDistinct {
			t.more++
			continue
		}
		t.sentences[w]++
	}
	for _, r := range e.anew {
		t.anew[r]++
	}
	for _, f := range e.unruled {
		t.unruled[f]++
	}
	if e.bare {
		t.bare++
	}
}

func (t *tally) warnings() (out []string) {
	for _, r := range sorted(t.anew) {
		out = append(out, fmt.Sprintf("%s counts what was not counted before: it learns from nothing for %d tenant(s), and raises only hard faults until it has seen a day", r, t.anew[r]))
	}
	if t.bare > 0 {
		out = append(out, fmt.Sprintf("%d tenant(s) would have no rule at all, and be watched for nothing", t.bare))
	}
	for _, f := range sorted(t.unruled) {
		out = append(out, fmt.Sprintf("the feature %s would bring nothing any more to %d tenant(s) that opted in", f, t.unruled[f]))
	}
	return out
}

func sorted(m map[string]int) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// ends lists the firing alerts whose rules are gone.
func (in Input) ends() []Ending {
	out := []Ending{}
	for _, a := range in.Firing {
		if a.Tenant == tenant.Product { // of pooled streams: those of the policy as a whole
			if !hasRule(profiles.All(in.After), a) && hasRule(profiles.All(in.Before), a) {
				out = append(out, Ending{Tenant: a.Tenant, Rule: a.Rule, Slice: a.Slice})
			}
			continue
		}
		i := slices.IndexFunc(in.Tenants, func(t tenant.Tenant) bool { return t.ID == a.Tenant })
		if i < 0 {
			continue
		}
		if _, kept := in.kept(in.Tenants[i]); kept {
			continue
		}
		if before, after := in.compile(in.Tenants[i]); hasRule(before, a) && !hasRule(after, a) {
			out = append(out, Ending{Tenant: a.Tenant, Rule: a.Rule, Slice: a.Slice})
		}
	}
	return out
}

func hasRule(rules []rule.Rule, a alert.Key) bool {
	return slices.ContainsFunc(rules, func(r rule.Rule) bool { return r.Name == a.Rule && r.Service == a.Service })
}

// warnings are about the policies themselves.
func (in Input) warnings() []string {
	out := []string{}
	for _, e := range in.Before.Environments {
		if !in.After.MayPage(e) {
			out = append(out, "environment "+e+" may page no longer, for any tenant")
		}
	}
	for _, e := range in.After.Environments {
		if !in.Before.MayPage(e) {
			out = append(out, "environment "+e+" may page from now on")
		}
	}
	if in.Before.Volume != in.After.Volume {
		out = append(out, "another SLI is the tenants' volume")
	}
	if !slices.EqualFunc(in.Before.SpanLabels(), in.After.SpanLabels(), func(a, b profiles.SpanLabel) bool {
		return a.Label == b.Label && slices.Equal(a.Attributes, b.Attributes)
	}) {
		out = append(out, "spans are cut by other labels: what is counted of them learns anew")
	}
	if !slices.Equal(in.Before.SpanCustomer(), in.After.SpanCustomer()) {
		out = append(out, "spans say by other attributes which end customer was served")
	}
	return out
}
