package flow

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// profileVersion of the records of revisions: since 2 they hold the document.
const profileVersion = 2

func readTriple(r store.Record) (profiles.Triple, error) {
	if r.Kind != "profile" || r.Version < profileVersion-1 || r.Version > profileVersion {
		return profiles.Triple{}, problem.New(problem.Internal, "a profile's record of kind %s version %d cannot be read by this release", r.Kind, r.Version)
	}
	return partition.Decode[profiles.Triple](r)
}

// Explain makes revisions of triples: with reasons, and how each differs from
// the one before.
func (s *Shared) Explain(ctx context.Context, triples []profiles.Triple) []profiles.Revision {
	out := make([]profiles.Revision, len(triples))
	var before []rule.Rule
	known := true // the rules of the revision before
	for i, t := range triples {
		r := profiles.Revision{Triple: t, Reasons: []string{}, Diff: profiles.Compare(nil, nil)}
		p, err := s.policyAt(ctx, t)
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

// policyAt is the policy of a revision: one in use, or read from the store.
func (s *Shared) policyAt(ctx context.Context, t profiles.Triple) (*profiles.Policy, error) {
	for _, p := range s.Rules().Policies() {
		if p.Sha == t.PolicySha {
			return p, nil
		}
	}
	s.mu.Lock()
	p := s.earlier[t.PolicyRevision]
	s.mu.Unlock()
	if p != nil && p.Sha == t.PolicySha {
		return p, nil
	}
	if s.PolicyAt == nil {
		return nil, problem.New(problem.NotFound, "earlier policies are not kept")
	}
	p, err := s.PolicyAt(ctx, t.PolicyRevision)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.earlier == nil || len(s.earlier) >= mostEarlier {
		s.earlier = map[int]*profiles.Policy{}
	}
	s.earlier[t.PolicyRevision] = p
	return p, nil
}

const mostEarlier = 16 // earlier policies that are kept parsed

// stored is a tenant with what its profile was when the process stopped.
type stored struct {
	course Course
	last   profiles.Triple
	rules  []rule.Rule
}

// storedProfile compiles the profile that a tenant had when the process stopped; at
// the first start of a changed policy that is the new one, unless it is kept.
func (s *Shared) storedProfile(ctx context.Context, at store.Partition, t tenant.Tenant) (out stored, err error) {
	r, ok, err := s.Store.Record(ctx, at, courses, string(t.ID))
	if err != nil {
		return out, err
	}
	if ok {
		out.course, err = partition.DecodeVersion[Course](r, "course", courseVersion)
	} else {
		var records []store.Record
		if records, err = s.Store.Records(ctx, at, profileRevisions, string(t.ID)+"/", 1000); err == nil {
			out.course, err = courseOf(slices.DeleteFunc(records, func(r store.Record) bool { return !strings.HasPrefix(r.Key, string(t.ID)+"/") }))
		}
	}
	if err != nil {
		return out, err
	}
	policy, _ := s.Rules().Of(t.ID)
	document := t
	out.last.Observation = s.observe(policy)
	if r, ok, err = s.Store.Record(ctx, at, profileRevisions, profileKey(t.ID, out.course.Newest)); err != nil {
		return out, err
	}
	if ok {
		if out.last, err = readTriple(r); err != nil {
			return out, err
		}
		if kept := out.last.Document; kept != nil && fixed(out.course, policy, t.ID, out.last.At) {
			document = *kept
			document.State = t.State
			if p, err := s.policyAt(ctx, out.last); err == nil {
				policy = p
			}
		}
	}
	out.rules, _ = profiles.Compile(policy, document, out.last.Observation)
	return out, nil
}

func profileKey(id tenant.ID, number int) string { return fmt.Sprintf("%s/%08d", id, number) }

// Profile compiles a tenant's current profile.
func (s *Shared) Profile(tx *partition.Tx, id tenant.ID) (profiles.Profile, error) {
	var t tenant.Tenant
	ok, err := tx.Get(tenants, string(id), &t)
	if err != nil {
		return profiles.Profile{}, err
	}
	if !ok {
		return profiles.Profile{}, noTenant()
	}
	return s.currentProfile(tx, t)
}

// currentProfile is the profile of the newest revision. Before there is one it is
// what the first look will make.
func (s *Shared) currentProfile(tx *partition.Tx, t tenant.Tenant) (profiles.Profile, error) {
	c, err := ReadCourse(tx, t.ID)
	if err != nil {
		return profiles.Profile{}, err
	}
	last, ok, err := revision(tx, t.ID, c.Newest)
	if err == nil && !ok {
		last, err = s.basis(tx, t, c)
	}
	if err != nil {
		return profiles.Profile{}, err
	}
	return s.profile(tx, t, last)
}
