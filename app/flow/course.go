package flow

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	courses       = "course" // Course by tenant
	courseVersion = 1
	mostRevisions = 100 // of one tenant's profile; the oldest goes first, but not one that it is pinned at
)

// Course is what is decided of a tenant's profile besides its document: how it
// evolves, what somebody overrides, and which of its revisions are kept.
type Course struct {
	evolution.State
	Overrides []profiles.Override `json:"overrides"` // made by API, that have not ended
	Oldest    int                 `json:"oldest"`    // revision
	Newest    int                 `json:"newest"`    // 0: there is none
}

// ReadCourse reads a tenant's course. Of a tenant of a release that kept none it is
// made of the revisions there are.
func ReadCourse(tx *partition.Tx, id tenant.ID) (c Course, err error) {
	r, ok, err := tx.Raw(courses, string(id))
	if err != nil {
		return c, err
	}
	if ok {
		return partition.DecodeVersion[Course](r, "course", courseVersion)
	}
	records, err := tx.ListPrefix(profileRevisions, string(id)+"/")
	if err != nil {
		return c, err
	}
	return courseOf(records)
}

// courseOf is the course that follows from a tenant's revisions alone.
func courseOf(records []store.Record) (c Course, err error) {
	for _, r := range records {
		t, err := readTriple(r)
		if err != nil {
			return c, err
		}
		if c.Newest = t.Number; c.Oldest == 0 {
			c.Oldest = t.Number
		}
	}
	return c, nil
}

func putCourse(tx *partition.Tx, id tenant.ID, c Course) error {
	if c.Overrides == nil {
		c.Overrides = []profiles.Override{}
	}
	return tx.Put(courses, string(id), "course", courseVersion, c)
}

// revision reads one revision; false when it is not kept.
func revision(tx *partition.Tx, id tenant.ID, number int) (profiles.Triple, bool, error) {
	r, ok, err := tx.Raw(profileRevisions, profileKey(id, number))
	if err != nil || !ok {
		return profiles.Triple{}, false, err
	}
	t, err := readTriple(r)
	return t, err == nil, err
}

// Revisions lists a tenant's profile revisions, the oldest first.
func Revisions(tx *partition.Tx, id tenant.ID) ([]profiles.Triple, error) {
	c, err := ReadCourse(tx, id)
	if err != nil {
		return nil, err
	}
	out := []profiles.Triple{}
	for n := max(c.Oldest, 1); n <= c.Newest; n++ {
		t, ok, err := revision(tx, id, n)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, t)
		}
	}
	return out, nil
}

// forgetProfiles deletes a tenant's revisions and its course; it says how many
// records there were.
func forgetProfiles(tx *partition.Tx, id tenant.ID) (records int, err error) {
	c, err := ReadCourse(tx, id)
	if err != nil {
		return 0, err
	}
	for n := max(c.Oldest, 1); n <= c.Newest; n++ {
		if _, ok, err := tx.Raw(profileRevisions, profileKey(id, n)); err != nil {
			return records, err
		} else if ok {
			tx.Delete(profileRevisions, profileKey(id, n))
			records++
		}
	}
	if _, ok, err := tx.Raw(courses, string(id)); err != nil {
		return records, err
	} else if ok {
		tx.Delete(courses, string(id))
		records++
	}
	return records, nil
}

// add makes the next revision of a profile, and forgets the oldest when there are
// too many.
func (c *Course) add(tx *partition.Tx, t tenant.Tenant, triple profiles.Triple) (profiles.Triple, error) {
	c.Newest++
	if c.Oldest == 0 {
		c.Oldest = c.Newest
	}
	triple.Number, triple.At = c.Newest, tx.Now()
	for ; c.Newest-c.Oldest >= mostRevisions; c.Oldest++ {
		if c.Pin != nil && c.Pin.Revision == c.Oldest {
			break // and those behind it stay for as long
		}
		tx.Delete(profileRevisions, profileKey(t.ID, c.Oldest))
	}
	return triple, tx.Put(profileRevisions, profileKey(t.ID, triple.Number), "profile", profileVersion, triple)
}

// basis is what a tenant's profile is a function of at this moment: policy, document
// and what is observed, unless a pin or a freeze says otherwise.
func (s *Shared) basis(tx *partition.Tx, t tenant.Tenant, c Course) (profiles.Triple, error) {
	policy, number := s.Rules().Of(t.ID)
	now := tx.Now()
	of := profiles.Triple{Document: &t, PolicyRevision: number, PolicySha: policy.Sha, TenantRevision: t.Revision, Observation: s.observe(policy)}
	of.Observation.Tier, of.Observation.TPM = c.Tier, c.TPM
	pin, pinned := PinOf(c, policy, t.ID, now)
	kept := 0
	switch {
	case pinned && pin.Revision > 0:
		kept = pin.Revision
	case c.Freeze != nil:
		kept = c.Newest
	}
	last, has, err := revision(tx, t.ID, c.Newest)
	if err != nil {
		return of, err
	}
	if kept > 0 {
		at, ok, err := revision(tx, t.ID, kept)
		if err != nil {
			return of, err
		}
		if ok && at.Document != nil {
			document := *at.Document
			document.State = t.State // who is onboarded is no question of the profile
			at.Document = &document
			of = at
		}
	}
	if pinned && pin.Tier != "" {
		of.Observation.Tier = pin.Tier
	}
	of.Observation.Overrides = slices.Concat(policy.InForce(t.ID, now), inForce(c.Overrides, now))
	if of.Observation.Weight = last.Observation.Weight; has && kept == 0 { // a frozen profile keeps its part too
		of.Observation.Weight = s.scale().Weight(policy, t, last.Observation.Weight, s.directory.Watched(), now)
	}
	if of.Observation.Priors = last.Observation.Priors; !has || last.Observation.Tier != of.Observation.Tier {
		of.Observation.Priors = s.priors.Of(of.Observation.Tier)
	}
	return of, nil
}

// PinOf is the pin that holds: a person's before the policy's.
func PinOf(c Course, p *profiles.Policy, id tenant.ID, now time.Time) (evolution.Pin, bool) {
	if c.Pin != nil {
		return *c.Pin, c.Pin.Until == nil || now.Before(*c.Pin.Until)
	}
	n, ok := p.Pinned(id, now)
	pin := evolution.Pin{Tier: n.Tier, Revision: n.Revision, Reason: n.Reason, By: n.By}
	if !n.Until.IsZero() {
		pin.Until = &n.Until
	}
	return pin, ok
}

// fixed says whether a tenant's profile follows nothing, so that nothing need run in
// shadow for it either.
func fixed(c Course, p *profiles.Policy, id tenant.ID, now time.Time) bool {
	pin, pinned := PinOf(c, p, id, now)
	return c.Freeze != nil || pinned && pin.Revision > 0
}

func inForce(all []profiles.Override, now time.Time) (out []profiles.Override) {
	for _, o := range all {
		if now.Before(o.Until) {
			out = append(out, o)
		}
	}
	return out
}

// differs says in what a profile's basis is another than that of the last revision;
// empty: in nothing that a revision is made for.
func (s *Shared) differs(tx *partition.Tx, last, now profiles.Triple) (string, error) {
	policies := last.PolicySha != now.PolicySha
	documents := last.TenantRevision != now.TenantRevision
	a, b := last.Observation, now.Observation
	switch {
	case policies:
		return fmt.Sprintf("the policy is at revision %d", now.PolicyRevision), nil
	case documents:
		return "the tenant's document is followed again", nil
	case a.Equal(b):
		return "", nil
	case a.Tenants != b.Tenants:
		return fmt.Sprintf("the team's budget is shared by up to %d tenants now, before: %d", b.Tenants, a.Tenants), nil
	}
	old, _, err := s.compile(tx, last)
	if err != nil {
		return "", err
	}
	rules, _, err := s.compile(tx, now)
	if err != nil {
		return "", err
	}
	switch {
	case slices.EqualFunc(old, rules, sameRule):
		return "", nil
	case a.Weight != b.Weight:
		return fmt.Sprintf("the tenant's part of the turnover changed: it has %s of its teams' budgets now, before: %s", b.PartWords(), a.PartWords()), nil
	case a.Tier != b.Tier:
		return fmt.Sprintf("the tenant is in tier %s", b.Tier), nil
	case len(b.Overrides) < len(a.Overrides):
		return "an override has ended", nil
	case len(b.Overrides) > len(a.Overrides):
		return "there is an override", nil
	}
	for _, service := range slices.Sorted(maps.Keys(b.Budgets)) {
		now := b.Budgets[service]
		if was := a.Budgets[service]; was.Sensitivity != now.Sensitivity {
			return fmt.Sprintf("team %s wants to hear otherwise now: %s, before: %s", now.Team, cmp.Or(now.Sensitivity, rule.Balanced), cmp.Or(was.Sensitivity, rule.Balanced)), nil
		}
	}
	return "the team's budget changed", nil
}

func sameRule(a, b rule.Rule) bool { return reflect.DeepEqual(a, b) }

// compile makes the rules of a triple.
func (s *Shared) compile(tx *partition.Tx, t profiles.Triple) ([]rule.Rule, []string, error) {
	if t.Document == nil {
		return nil, nil, nil
	}
	p, err := s.policyAt(tx.Context(), t)
	if err != nil {
		return nil, nil, err
	}
	rules, reasons := profiles.Compile(p, *t.Document, t.Observation)
	return rules, reasons, nil
}

// logged are a decision's entries, of the tenant.
func logged(id tenant.ID, entries []ledger.Entry) []ledger.Entry {
	for i := range entries {
		entries[i].Subject = TenantSubject(id)
	}
	return entries
}

// noTenant is what is said of an id that nobody has.
func noTenant() error { return problem.New(problem.NotFound, "there is no such tenant") }
