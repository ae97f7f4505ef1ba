package revision

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Steer lets a person decide about a tenant's profile: f says what becomes of its
// evolution.
func (k *Keeper) Steer(tx *partition.Tx, id tenant.ID, by string, f func(course.Course) (evolution.Change, error)) error {
	return k.decided(tx, id, by, func(t tenant.Tenant, c *course.Course) (string, error) {
		change, err := f(*c)
		if err != nil {
			return "", err
		}
		k.Tell(tx, t, c.State, change.State)
		c.State = change.State
		course.Log(tx, id, change.Ledger)
		return change.Assign, nil
	})
}

// decided stores what a person decided of a tenant's profile, and what follows from it: f
// changes its course, and says because of what a revision is made (empty: of nothing but
// what it is a function of).
func (k *Keeper) decided(tx *partition.Tx, id tenant.ID, by string, f func(t tenant.Tenant, c *course.Course) (cause string, err error)) error {
	t, err := directory.Document(tx, id)
	if err != nil {
		return err
	}
	c, err := course.Read(tx, id)
	if err != nil {
		return err
	}
	cause, err := f(t, &c)
	if err != nil {
		return err
	}
	if _, err := k.settle(tx, t, &c, by, cause); err != nil {
		return err
	}
	return course.Put(tx, id, c)
}

// CanPin says whether a tenant's profile can be pinned so: the tier is the policy's,
// the revision is kept.
func (k *Keeper) CanPin(tx *partition.Tx, id tenant.ID, p evolution.Pin) error {
	policy, _ := k.Rules().Of(id)
	if _, ok := policy.Tier(p.Tier); p.Tier != "" && !ok {
		return problem.New(problem.Invalid, "the policy has no such tier").WithHint("one of %s", tierNames(policy))
	}
	if p.Revision == 0 {
		return nil
	}
	r, ok, err := course.At(tx, id, p.Revision)
	if err != nil {
		return err
	}
	if !ok || r.Document == nil {
		return problem.New(problem.Invalid, "that revision of the profile is not kept").WithHint("tocsin tenant revisions lists those that are")
	}
	_, err = k.Policies.At(tx.Context(), r)
	return err
}

func tierNames(p *profiles.Policy) string {
	var out []string
	for _, t := range p.Tiers {
		out = append(out, t.Name)
	}
	return strings.Join(out, ", ")
}

// Override changes a rule for one tenant until a time.
func (k *Keeper) Override(tx *partition.Tx, o profiles.Override) error {
	policy, _ := k.Rules().Of(tenant.ID(o.Tenant))
	faults := o.Faults(policy)
	if !o.Until.IsZero() && !o.Until.After(tx.Now()) {
		faults = append(faults, "until is over already")
	}
	if len(faults) > 0 {
		return problem.New(problem.Invalid, "%s", strings.Join(faults, "; "))
	}
	return k.changeOverrides(tx, tenant.ID(o.Tenant), o.By, func(c *course.Course) (string, error) {
		if len(c.Overrides) >= mostOverrides {
			return "", problem.New(problem.TooMany, "the tenant has %d overrides", len(c.Overrides)).WithHint("end some of them, or change the policy")
		}
		o.Until = o.Until.UTC()
		c.Overrides = append(c.Overrides, o)
		return fmt.Sprintf("%s overrides %s until %s: %s", o.By, ruleWords(o), o.Until.Format("2006-01-02 15:04 UTC"), o.Reason), nil
	})
}

const mostOverrides = 50

// EndOverride takes out the overrides of a rule (empty: those of every rule) that
// were made by API.
func (k *Keeper) EndOverride(tx *partition.Tx, id tenant.ID, rule, by string) error {
	return k.changeOverrides(tx, id, by, func(c *course.Course) (string, error) {
		left := slices.DeleteFunc(slices.Clone(c.Overrides), func(o profiles.Override) bool { return o.Rule == rule })
		if len(left) == len(c.Overrides) {
			return "", problem.New(problem.NotFound, "there is no such override").WithHint("one of the policy is taken out there")
		}
		c.Overrides = left
		return fmt.Sprintf("%s ended the override of %s", by, cmp.Or(rule, "every rule")), nil
	})
}

// changeOverrides lets f change the overrides made by API, and say so.
func (k *Keeper) changeOverrides(tx *partition.Tx, id tenant.ID, by string, f func(*course.Course) (why string, err error)) error {
	return k.decided(tx, id, by, func(_ tenant.Tenant, c *course.Course) (string, error) {
		why, err := f(c)
		if err == nil {
			tx.Log(ledger.Entry{Subject: id.Subject(), Kind: "profile.override", Actor: by, Reason: why})
		}
		return why, err
	})
}

// Standing says where a tenant's profile stands: its course, and that in sentences.
func (k *Keeper) Standing(tx *partition.Tx, t tenant.Tenant) (course.Course, []string, error) {
	c, err := course.Read(tx, t.ID)
	if err != nil {
		return c, nil, err
	}
	policy, _ := k.Rules().Of(t.ID)
	words := c.Words(Evolution(policy), k.heldFor(t, c, policy, tx.Now()))
	for _, o := range append(policy.InForce(t.ID, tx.Now()), course.InForce(c.Overrides, tx.Now())...) {
		words = append(words, fmt.Sprintf("Until %s %s overrides %s (%s): %s.", o.Until.UTC().Format("2006-01-02 15:04 UTC"), o.By, ruleWords(o), o.What(), o.Reason))
		if long := o.Long(tx.Now()); long != "" {
			words = append(words, "The override of "+ruleWords(o)+": "+long+".")
		}
	}
	return c, words, nil
}

// endOverrides takes out what has ended, and says so.
func endOverrides(tx *partition.Tx, id tenant.ID, c *course.Course) {
	left := course.InForce(c.Overrides, tx.Now())
	if len(left) == len(c.Overrides) {
		return
	}
	for _, o := range c.Overrides {
		if !tx.Now().Before(o.Until) {
			tx.Log(ledger.Entry{Subject: id.Subject(), Kind: "profile.override_ended", Reason: fmt.Sprintf("the override of %s has ended; %s had set it: %s", ruleWords(o), o.By, o.Reason)})
		}
	}
	c.Overrides = left
}

func ruleWords(o profiles.Override) string { return cmp.Or(o.Rule, "every rule") }
