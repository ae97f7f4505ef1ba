package flow

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/logkey"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
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

// lookSoon has the partition's tenants looked at once an hour, and when something of
// one of them ends by time. It is work of its own: what fails in it takes nothing else
// with it, and is looked at again.
func (h *Handler) lookSoon(tx *partition.Tx) {
	now := tx.Now()
	seat, ok := h.s.Seat(tx.Partition())
	if !ok || seat.Handler != h || now.Before(h.lookAt) {
		return
	}
	turn := time.Duration(tx.Partition()) * lookEvery / store.Partitions // not all at once
	h.lookAt = now.Truncate(lookEvery).Add(lookEvery + turn)
	seat.Owner.Post(func(tx *partition.Tx) error {
		h.s.priors.Set(tx.Partition(), whole.Learned(h.engine, func(id tenant.ID) string { return h.s.directory.Observed(id).Tier }))
		return h.followAll(tx)
	})
}

// followAll gives every tenant of the partition the profile that follows from
// everything at this moment.
func (h *Handler) followAll(tx *partition.Tx) error {
	records, err := tx.List(tenants)
	if err != nil {
		return err
	}
	for _, r := range records {
		t, err := partition.Decode[tenant.Tenant](r)
		if err != nil {
			return err
		}
		if _, err := h.follow(tx, t, "tocsin", ""); err != nil { // the others do not wait for it
			h.s.Logger.Error("a tenant's profile cannot be looked at", logkey.Tenant, t.ID, "error", err)
		}
	}
	return nil
}

// follow decides what is due of one tenant's profile. A cause makes a revision in any
// case, unless the profile is kept as it is.
func (h *Handler) follow(tx *partition.Tx, t tenant.Tenant, author, cause string) (profiles.Triple, error) {
	c, err := course.Read(tx, t.ID)
	if err != nil {
		return profiles.Triple{}, err
	}
	was, before := partition.Payload(c), c.State
	in := h.volume(t, c, tx.Now())
	if in.Known {
		h.s.scale().Set(t.ID, in.TPM)
	}
	change := evolution.Look(c.State, in, tx.Now())
	c.State = change.State
	course.Log(tx, t.ID, change.Ledger)
	h.tellReview(tx, t, before, c.State)
	endOverrides(tx, t.ID, &c)
	last, err := h.settle(tx, t, &c, author, cmp.Or(cause, change.Assign))
	if err != nil {
		return last, err
	}
	if !bytes.Equal(was, partition.Payload(c)) {
		err = course.Put(tx, t.ID, c)
	}
	return last, err
}

// volume is what evolution must know of a tenant.
func (h *Handler) volume(t tenant.Tenant, c course.Course, now time.Time) evolution.Input {
	policy, _ := h.s.Rules().Of(t.ID)
	in := evolution.Input{Settings: EvolutionOf(policy), Promised: t.ExpectedTPM}
	if spec, ok := policy.VolumeSLI(); ok {
		perMinute, observed := h.engine.Volume(t.ID, h.s.Settings.Environment, spec, now)
		in.TPM, in.Known = perMinute, observed >= KnownAfter && t.Watched()
	}
	in.Held = h.s.heldFor(t, c, policy, now)
	in.Unseen = c.Proposal != nil && trial.Of(h.s.Rules(), t, c, course.Fixed(c, policy, t.ID, now)).Proposal == 0
	return in
}

// heldFor says why a tenant's tier may not change now, besides what a person set.
func (s *Shared) heldFor(t tenant.Tenant, c course.Course, p *profiles.Policy, now time.Time) string {
	if why := course.HeldTier(t, c, p, s.Settings.Environment, now); why != "" {
		return why
	}
	if _, number, ok := s.Rules().Beside(t.ID); ok {
		return fmt.Sprintf("policy revision %d runs in shadow for the tenant", number)
	}
	return ""
}

// EvolutionOf are a policy's settings.
func EvolutionOf(p *profiles.Policy) evolution.Settings {
	e := p.Evolution
	out := evolution.Settings{GrowAfter: e.GrowAfter, ShrinkAfter: e.ShrinkAfter, Margin: e.Margin, ShadowFor: e.ShadowFor, KnownAfter: trial.Wait, ByPerson: e.Promote == profiles.ByPerson}
	for _, t := range p.Tiers {
		out.Tiers = append(out.Tiers, evolution.Tier{Name: t.Name, From: t.FromTPM})
	}
	return out
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

// settle makes a revision when the basis of the profile is another than that of the
// last one, and puts it in force.
func (h *Handler) settle(tx *partition.Tx, t tenant.Tenant, c *course.Course, author, cause string) (profiles.Triple, error) {
	s := h.s
	basis, err := s.basis(tx, t, *c)
	if err != nil {
		return basis, err
	}
	last, has, err := course.At(tx, t.ID, c.Newest)
	if err != nil {
		return last, err
	}
	policy, _ := s.Rules().Of(t.ID)
	still := course.Fixed(*c, policy, t.ID, tx.Now())
	switch {
	case !has:
		cause = cmp.Or(cause, fmt.Sprintf("the policy is at revision %d", basis.PolicyRevision))
	case still && last.PolicySha == basis.PolicySha && last.TenantRevision == basis.TenantRevision && last.Observation.Equal(basis.Observation):
		cause = "" // what the document says waits
	case cause == "":
		if cause, err = s.differs(tx, last, basis); err != nil {
			return last, err
		}
	}
	if !has || cause != "" {
		if last, err = s.assign(tx, t, c, basis, author, cause); err != nil {
			return last, err
		}
	}
	return last, h.install(tx, t, *c, last, still, cause)
}

// install puts a revision in force once the decision is committed, with what runs in
// shadow beside it.
func (h *Handler) install(tx *partition.Tx, t tenant.Tenant, c course.Course, last profiles.Triple, still bool, why string) error {
	tried := trial.Of(h.s.Rules(), t, c, still)
	due := c.Next()
	tx.After(func() {
		h.s.directory.Observe(t.ID, last.Observation)
		if !due.IsZero() && due.Before(h.lookAt) {
			h.lookAt = due
		}
	})
	if why == "" && h.woken && h.trials.Tries(t.ID) == tried {
		return nil
	}
	made, err := h.s.profile(tx, t, last)
	if err != nil {
		return err
	}
	shadow := h.s.shadow(t, c, last.Observation, tried, tx.Now())
	tx.After(func() {
		h.trials.Set(t.ID, tried, shadow)
		h.watch(t, made.Rules, tx.Now(), cmp.Or(why, "the profile changed"))
	})
	return nil
}

// assign makes the next revision of a tenant's profile.
func (s *Shared) assign(tx *partition.Tx, t tenant.Tenant, c *course.Course, basis profiles.Triple, author, cause string) (profiles.Triple, error) {
	basis.Author, basis.Cause = author, cause
	triple, err := c.Add(tx, t.ID, basis)
	if err != nil {
		return triple, err
	}
	made, err := s.profile(tx, t, triple)
	if err != nil {
		return triple, err
	}
	tx.Log(ledger.Entry{Subject: t.ID.Subject(), Kind: "profile.assigned", Actor: author,
		Reason: fmt.Sprintf("profile revision %d of %d rule(s), because %s: %s", triple.Number, len(made.Rules), cause, strings.Join(made.Reasons, "; ")),
		Data:   partition.Payload(triple)})
	return triple, nil
}

// profile makes a profile of what it is a function of.
func (s *Shared) profile(tx *partition.Tx, t tenant.Tenant, triple profiles.Triple) (profiles.Profile, error) {
	if triple.Document == nil { // of a release that did not keep it
		triple.Document = &t
	}
	policy, err := s.Policy().At(tx.Context(), triple)
	if err != nil { // one that cannot be read any more: what is in force is better than nothing
		policy, _ = s.Rules().Of(t.ID)
		s.Logger.Error("the policy of a profile cannot be read; the one in force is used", logkey.Tenant, t.ID, "error", err)
	}
	rules, reasons := profiles.Compile(policy, *triple.Document, triple.Observation)
	if rules == nil {
		rules = []rule.Rule{}
	}
	reasons = append(reasons, profiles.Suspended(policy, *triple.Document, triple.Observation)...)
	for _, f := range profiles.Unruled(policy, *triple.Document) {
		reasons = append(reasons, "no rule follows from the feature "+f+": the policy does not know it")
	}
	triple.Document = nil // the answer has it as the tenant
	return profiles.Profile{Tenant: t.ID, Revision: triple, Rules: rules, Reasons: reasons}, nil
}

// refresh gives the tenants of the partition, and its pools, the profile that
// follows from the policy, catalog and number of tenants of this moment.
func (h *Handler) refresh(tx *partition.Tx) error {
	if err := h.followAll(tx); err != nil {
		return err
	}
	h.pools.Refresh()
	return nil
}

// Steer lets a person decide about a tenant's profile: f says what becomes of its
// evolution.
func (h *Handler) Steer(tx *partition.Tx, id tenant.ID, by string, f func(course.Course) (evolution.Change, error)) error {
	var t tenant.Tenant
	if ok, err := tx.Get(tenants, string(id), &t); err != nil || !ok {
		return cmp.Or(err, noTenant())
	}
	c, err := course.Read(tx, id)
	if err != nil {
		return err
	}
	change, err := f(c)
	if err != nil {
		return err
	}
	h.tellReview(tx, t, c.State, change.State)
	c.State = change.State
	course.Log(tx, id, change.Ledger)
	if _, err := h.settle(tx, t, &c, by, change.Assign); err != nil {
		return err
	}
	return course.Put(tx, id, c)
}

// CanPin says whether a tenant's profile can be pinned so: the tier is the policy's,
// the revision is kept.
func (h *Handler) CanPin(tx *partition.Tx, id tenant.ID, p evolution.Pin) error {
	policy, _ := h.s.Rules().Of(id)
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
	_, err = h.s.Policy().At(tx.Context(), r)
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
func (h *Handler) Override(tx *partition.Tx, o profiles.Override) error {
	policy, _ := h.s.Rules().Of(tenant.ID(o.Tenant))
	faults := o.Faults(policy)
	if !o.Until.IsZero() && !o.Until.After(tx.Now()) {
		faults = append(faults, "until is over already")
	}
	if len(faults) > 0 {
		return problem.New(problem.Invalid, "%s", strings.Join(faults, "; "))
	}
	return h.changeOverrides(tx, tenant.ID(o.Tenant), o.By, func(c *course.Course) (string, error) {
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
func (h *Handler) EndOverride(tx *partition.Tx, id tenant.ID, rule, by string) error {
	return h.changeOverrides(tx, id, by, func(c *course.Course) (string, error) {
		left := filter(c.Overrides, func(o profiles.Override) bool { return o.Rule != rule })
		if len(left) == len(c.Overrides) {
			return "", problem.New(problem.NotFound, "there is no such override").WithHint("one of the policy is taken out there")
		}
		c.Overrides = left
		return fmt.Sprintf("%s ended the override of %s", by, cmp.Or(rule, "every rule")), nil
	})
}

func (h *Handler) changeOverrides(tx *partition.Tx, id tenant.ID, by string, f func(*course.Course) (string, error)) error {
	var t tenant.Tenant
	if ok, err := tx.Get(tenants, string(id), &t); err != nil || !ok {
		return cmp.Or(err, noTenant())
	}
	c, err := course.Read(tx, id)
	if err != nil {
		return err
	}
	why, err := f(&c)
	if err != nil {
		return err
	}
	tx.Log(ledger.Entry{Subject: id.Subject(), Kind: "profile.override", Actor: by, Reason: why})
	if _, err := h.settle(tx, t, &c, by, why); err != nil {
		return err
	}
	return course.Put(tx, id, c)
}

// Standing says where a tenant's profile stands: its course, and that in sentences.
func (h *Handler) Standing(tx *partition.Tx, t tenant.Tenant) (course.Course, []string, error) {
	c, err := course.Read(tx, t.ID)
	if err != nil {
		return c, nil, err
	}
	policy, _ := h.s.Rules().Of(t.ID)
	words := c.Words(EvolutionOf(policy), h.s.heldFor(t, c, policy, tx.Now()))
	for _, o := range append(policy.InForce(t.ID, tx.Now()), course.InForce(c.Overrides, tx.Now())...) {
		words = append(words, fmt.Sprintf("Until %s %s overrides %s (%s): %s.", o.Until.UTC().Format("2006-01-02 15:04 UTC"), o.By, ruleWords(o), o.What(), o.Reason))
	}
	return c, words, nil
}
