// Package revision makes the profiles of tenants and keeps them up to date: what a profile is
// a function of, when that makes a new revision, what runs in shadow beside it, and what
// people decide of it.
//
// profiles compiles, evolution decides about tiers, and package course keeps the records.
package revision

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/logkey"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Maker makes profiles of what they are a function of. The fields are to be set before
// use. Safe for concurrent use.
type Maker struct {
	Rules     func() policy.Rules
	Policies  *policy.Book
	Directory *directory.Directory
	Scale     *whole.Scale
	Priors    *whole.Priors
	// Observe is what the profiles of all tenants depend on besides themselves, under a
	// policy, which may be one that only some have.
	Observe     func(*profiles.Policy) profiles.Observation
	Environment string // whose calendar entries hold a tenant's tier
	Logger      *slog.Logger
}

// Explain makes revisions of triples: with reasons, and how each differs from
// the one before.
func (m *Maker) Explain(ctx context.Context, triples []profiles.Triple) []profiles.Revision {
	out := make([]profiles.Revision, len(triples))
	var before []rule.Rule
	known := true // the rules of the revision before
	for i, t := range triples {
		r := profiles.Revision{Triple: t, Reasons: []string{}, Diff: profiles.Compare(nil, nil)}
		p, err := m.Policies.At(ctx, t)
		switch {
		case t.Document == nil:
			known = false
			r.Diff.Words = append(r.Diff.Words, "recorded by a release that did not keep what changed")
		case err != nil:
			known = false
			r.Diff.Words = append(r.Diff.Words, fmt.Sprintf("policy revision %d cannot be read any more", t.PolicyRevision))
		default:
			var rules []rule.Rule
			rules, r.Reasons = profiles.Compile(p, *t.Document, t.Observation)
			if known {
				r.Diff = profiles.Compare(before, rules)
			} else {
				r.Diff.Words = append(r.Diff.Words, "what changed is not known: the revision before cannot be read")
			}
			before, known = rules, true
		}
		out[i] = r
	}
	return out
}

// Profile compiles a tenant's current profile.
func (m *Maker) Profile(tx *partition.Tx, id tenant.ID) (profiles.Profile, error) {
	t, err := directory.Document(tx, id)
	if err != nil {
		return profiles.Profile{}, err
	}
	return m.Current(tx, t)
}

// Current is the profile of the newest revision. Before there is one it is
// what the first look will make.
func (m *Maker) Current(tx *partition.Tx, t tenant.Tenant) (profiles.Profile, error) {
	c, err := course.Read(tx, t.ID)
	if err != nil {
		return profiles.Profile{}, err
	}
	last, ok, err := course.At(tx, t.ID, c.Newest)
	if err == nil && !ok {
		last, err = m.basis(tx, t, c, last, ok)
	}
	if err != nil {
		return profiles.Profile{}, err
	}
	return m.Make(tx, t, last)
}

// Make makes a profile of what it is a function of.
func (m *Maker) Make(tx *partition.Tx, t tenant.Tenant, triple profiles.Triple) (profiles.Profile, error) {
	if triple.Document == nil { // of a release that did not keep it
		triple.Document = &t
	}
	policy, err := m.Policies.At(tx.Context(), triple)
	if err != nil { // one that cannot be read any more: what is in force is better than nothing
		policy, _ = m.Rules().Of(t.ID)
		m.Logger.Error("the policy of a profile cannot be read; the one in force is used", logkey.Tenant, t.ID, "error", err)
	}
	rules, reasons := profiles.Compile(policy, *triple.Document, triple.Observation)
	if rules == nil {
		rules = []rule.Rule{}
	}
	reasons = append(reasons, profiles.Suspended(policy, *triple.Document, triple.Observation)...)
	reasons = append(reasons, profiles.Unknown(policy, m.services(), *triple.Document)...)
	if triple.TenantRevision != t.Revision {
		reasons = append(reasons, fmt.Sprintf("the profile is kept by a pin or a freeze: it follows revision %d of the tenant's document, which is at %d; what changed in between waits", triple.TenantRevision, t.Revision))
	}
	triple.Document = nil // the answer has it as the tenant
	return profiles.Profile{Tenant: t.ID, Revision: triple, Rules: rules, Reasons: reasons}, nil
}

// services are those of the catalog.
func (m *Maker) services() (out []string) {
	for _, s := range m.Rules().Catalog.Services {
		out = append(out, string(s.ID))
	}
	return out
}

// compile makes the rules of a triple.
func (m *Maker) compile(tx *partition.Tx, t profiles.Triple) ([]rule.Rule, []string, error) {
	if t.Document == nil {
		return nil, nil, nil
	}
	p, err := m.Policies.At(tx.Context(), t)
	if err != nil {
		return nil, nil, err
	}
	rules, reasons := profiles.Compile(p, *t.Document, t.Observation)
	return rules, reasons, nil
}
