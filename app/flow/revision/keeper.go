package revision

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/review"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/logkey"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	lookEvery = time.Hour // at every tenant's volume
	// KnownAfter is how much of the last day must have been observed before its mean is
	// the tenant's volume.
	KnownAfter = 12 * time.Hour
)

// Options of a Keeper; all are needed.
type Options struct {
	Maker  *Maker
	Engine *evaluate.Engine
	Trials *trial.Bench
	// Watch puts a tenant's rules in force; why is the reason that alerts of rules that are
	// gone end with.
	Watch func(t tenant.Tenant, rules []rule.Rule, now time.Time, why string)
	// Woken says whether every profile was installed once in this life.
	Woken   func() bool
	Awaited prometheus.Gauge // promotions that only a person can decide about
}

// Keeper keeps the profiles of one partition's tenants. To be used by its owner only.
type Keeper struct {
	*Maker
	o       Options
	awaited map[tenant.ID]bool // counted as waiting for a person
	next    time.Time          // when the tenants' volumes are looked at next
}

// New makes a keeper of nobody's profiles.
func New(o Options) *Keeper { return &Keeper{Maker: o.Maker, o: o, awaited: map[tenant.ID]bool{}} }

// Load takes over the profile that a tenant had when the process stopped, with what ran in
// shadow beside it; at the first start of a changed policy that is the new one, unless it
// is kept.
func (k *Keeper) Load(ctx context.Context, s store.Store, at store.Partition, t tenant.Tenant) ([]rule.Rule, error) {
	c, last, err := course.Stored(ctx, s, at, t.ID)
	if err != nil {
		return nil, err
	}
	policy, _ := k.Rules().Of(t.ID)
	document := t
	if last.Number == 0 {
		last.Observation = k.Observe(policy)
	}
	if kept := last.Document; kept != nil && course.Fixed(c, policy, t.ID, last.At) {
		document = *kept
		document.State = t.State
		if p, err := k.Policies.At(ctx, last); err == nil {
			policy = p
		}
	}
	rules, _ := profiles.Compile(policy, document, last.Observation)
	tried := trial.Of(k.Rules(), t, c, c.Freeze != nil)
	k.o.Trials.Set(t.ID, tried, k.shadow(t, c, last.Observation, tried, last.At))
	k.Directory.Observe(t.ID, last.Observation)
	k.count(t.ID, review.Waiting(c.State) > 0)
	return rules, nil
}

// Due says whether the partition's tenants are to be looked at: once an hour, and when
// something of one of them ends by time.
func (k *Keeper) Due(p store.Partition, now time.Time) bool {
	if now.Before(k.next) {
		return false
	}
	turn := time.Duration(p) * lookEvery / store.Partitions // not all at once
	k.next = now.Truncate(lookEvery).Add(lookEvery + turn)
	return true
}

// Look takes what the partition's tenants show for the priors of their tiers, and gives
// every tenant its profile.
func (k *Keeper) Look(tx *partition.Tx) error {
	k.Priors.Set(tx.Partition(), whole.Learned(k.o.Engine, func(id tenant.ID) string { return k.Directory.Observed(id).Tier }))
	return k.All(tx)
}

// All gives every tenant of the partition the profile that follows from
// everything at this moment.
func (k *Keeper) All(tx *partition.Tx) error {
	all, err := partition.Values[tenant.Tenant](tx.List(directory.Tenants))
	if err != nil {
		return err
	}
	for _, t := range all {
		if _, err := k.Follow(tx, t, "tocsin", ""); err != nil { // the others do not wait for it
			k.Logger.Error("a tenant's profile cannot be looked at", logkey.Tenant, t.ID, "error", err)
		}
	}
	return nil
}

// Follow decides what is due of one tenant's profile. A cause makes a revision in any
// case, unless the profile is kept as it is.
func (k *Keeper) Follow(tx *partition.Tx, t tenant.Tenant, author, cause string) (profiles.Triple, error) {
	c, err := course.Read(tx, t.ID)
	if err != nil {
		return profiles.Triple{}, err
	}
	was, before := partition.Payload(c), c.State
	in := k.volume(t, c, tx.Now())
	if in.Known {
		k.Scale.Set(t.ID, in.TPM)
	}
	change := evolution.Look(c.State, in, tx.Now())
	c.State = change.State
	course.Log(tx, t.ID, change.Ledger)
	k.Tell(tx, t, before, c.State)
	endOverrides(tx, t.ID, &c)
	last, err := k.settle(tx, t, &c, author, cmp.Or(cause, change.Assign))
	if err != nil {
		return last, err
	}
	if !bytes.Equal(was, partition.Payload(c)) {
		err = course.Put(tx, t.ID, c)
	}
	return last, err
}

// volume is what evolution must know of a tenant.
func (k *Keeper) volume(t tenant.Tenant, c course.Course, now time.Time) evolution.Input {
	policy, _ := k.Rules().Of(t.ID)
	in := evolution.Input{Settings: Evolution(policy), Promised: t.ExpectedTPM}
	if spec, ok := policy.VolumeSLI(); ok {
		perMinute, observed := k.o.Engine.Volume(t.ID, k.Environment, spec, now)
		in.TPM, in.Known = perMinute, observed >= KnownAfter && t.Watched()
	}
	in.Held = k.heldFor(t, c, policy, now)
	in.Unseen = c.Proposal != nil && trial.Of(k.Rules(), t, c, course.Fixed(c, policy, t.ID, now)).Proposal == 0
	return in
}

// heldFor says why a tenant's tier may not change now, besides what a person set.
func (m *Maker) heldFor(t tenant.Tenant, c course.Course, p *profiles.Policy, now time.Time) string {
	if why := course.HeldTier(t, c, p, m.Environment, now); why != "" {
		return why
	}
	if _, number, ok := m.Rules().Beside(t.ID); ok {
		return fmt.Sprintf("policy revision %d runs in shadow for the tenant", number)
	}
	return ""
}

// Evolution are a policy's settings.
func Evolution(p *profiles.Policy) evolution.Settings {
	e := p.Evolution
	out := evolution.Settings{GrowAfter: e.GrowAfter, ShrinkAfter: e.ShrinkAfter, Margin: e.Margin, ShadowFor: e.ShadowFor, KnownAfter: trial.Wait, SeenFor: KnownAfter, ByPerson: e.Promote == profiles.ByPerson}
	for _, t := range p.Tiers {
		out.Tiers = append(out.Tiers, evolution.Tier{Name: t.Name, From: t.FromTPM})
	}
	return out
}

// settle makes a revision when the basis of the profile is another than that of the
// last one, and puts it in force.
func (k *Keeper) settle(tx *partition.Tx, t tenant.Tenant, c *course.Course, author, cause string) (profiles.Triple, error) {
	last, has, err := course.At(tx, t.ID, c.Newest)
	if err != nil {
		return last, err
	}
	basis, err := k.basis(tx, t, *c, last, has)
	if err != nil {
		return basis, err
	}
	policy, _ := k.Rules().Of(t.ID)
	still := course.Fixed(*c, policy, t.ID, tx.Now())
	switch {
	case !has:
		cause = cmp.Or(cause, fmt.Sprintf("the policy is at revision %d", basis.PolicyRevision))
	case still && last.PolicySha == basis.PolicySha && last.TenantRevision == basis.TenantRevision && last.Observation.Equal(basis.Observation):
		cause = "" // what the document says waits
	case cause == "":
		if cause, err = k.differs(tx, last, basis); err != nil {
			return last, err
		}
	}
	if !has || cause != "" {
		if last, err = k.assign(tx, t, c, basis, author, cause); err != nil {
			return last, err
		}
	}
	return last, k.install(tx, t, *c, last, still, cause)
}

// install puts a revision in force once the decision is committed, with what runs in
// shadow beside it.
func (k *Keeper) install(tx *partition.Tx, t tenant.Tenant, c course.Course, last profiles.Triple, still bool, why string) error {
	tried := trial.Of(k.Rules(), t, c, still)
	due := c.Next()
	tx.After(func() {
		k.Directory.Observe(t.ID, last.Observation)
		if !due.IsZero() && due.Before(k.next) {
			k.next = due
		}
	})
	if why == "" && k.o.Woken() && k.o.Trials.Tries(t.ID) == tried {
		return nil
	}
	made, err := k.Make(tx, t, last)
	if err != nil {
		return err
	}
	shadow := k.shadow(t, c, last.Observation, tried, tx.Now())
	tx.After(func() {
		k.o.Trials.Set(t.ID, tried, shadow)
		k.o.Watch(t, made.Rules, tx.Now(), cmp.Or(why, "the profile changed"))
	})
	return nil
}

// assign makes the next revision of a tenant's profile.
func (m *Maker) assign(tx *partition.Tx, t tenant.Tenant, c *course.Course, basis profiles.Triple, author, cause string) (profiles.Triple, error) {
	basis.Author, basis.Cause = author, cause
	triple, err := c.Add(tx, t.ID, basis)
	if err != nil {
		return triple, err
	}
	made, err := m.Make(tx, t, triple)
	if err != nil {
		return triple, err
	}
	tx.Log(ledger.Entry{Subject: t.ID.Subject(), Kind: "profile.assigned", Actor: author,
		Reason: fmt.Sprintf("profile revision %d of %d rule(s), because %s: %s", triple.Number, len(made.Rules), cause, strings.Join(made.Reasons, "; ")),
		Data:   partition.Payload(triple)})
	return triple, nil
}
