package flow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Collections of a tenant's partition.
const (
	tenants          = "tenant"  // tenant.Tenant by id
	profileRevisions = "profile" // profiles.Triple by tenant/number
	cells            = "cell"    // evaluate's checkpoint by tenant, behind the journal position it stands at
	alerts           = "alert"   // alert.Alert by id
)

// TenantSubject names a tenant as a subject.
func TenantSubject(id tenant.ID) string { return "tenant/" + string(id) }

// PutTenant stores a tenant's document and assigns a profile. match is the
// revision the caller saw; 0 asks for nothing. created says that it is new.
func (s *Shared) PutTenant(tx *partition.Tx, h *Handler, t tenant.Tenant, match int, actor string) (p profiles.Profile, stored tenant.Tenant, created bool, err error) {
	var old tenant.Tenant
	exists, err := tx.Get(tenants, string(t.ID), &old)
	if err != nil {
		return p, t, false, err
	}
	if match != 0 && match != old.Revision {
		return p, t, false, problem.New(problem.Conflict, "the tenant was changed meanwhile: it is at revision %d", old.Revision).WithHint("read it again and send If-Match with its ETag")
	}
	if exists && t.OnboardedAt.IsZero() {
		t.OnboardedAt = old.OnboardedAt
	}
	if t, err = t.Normalise(tx.Now()); err != nil {
		return p, t, false, err
	}
	t.Revision = old.Revision
	if exists && sameDocument(old, t) {
		p, err = s.currentProfile(tx, old)
		return p, old, false, err
	}
	t.Revision++
	if err := tx.Put(tenants, string(t.ID), "tenant", 1, t); err != nil {
		return p, t, false, err
	}
	cause, kind := "onboarded", "tenant.onboarded"
	if exists {
		cause, kind = "the tenant's document changed", "tenant.changed"
	}
	tx.Log(ledger.Entry{Subject: TenantSubject(t.ID), Kind: kind, Actor: actor,
		Reason: fmt.Sprintf("tenant %s %s (revision %d, %s)", t.ID, strings.TrimPrefix(kind, "tenant."), t.Revision, t.State), Data: partition.Payload(t)})
	if p, err = s.assign(tx, t, actor, cause); err != nil {
		return p, t, false, err
	}
	begins := s.JournalEnd()
	if !exists {
		tx.PutRaw(checkpoint(t.ID, begins, nil))
	}
	tx.After(func() {
		if !exists {
			h.at[t.ID] = begins
		}
		before := s.observation()
		s.directory.put(t)
		h.watch(t, p.Rules, tx.Now())
		if !s.observation().Equal(before) {
			s.refreshAll()
		}
	})
	return p, t, !exists, nil
}

// DeleteTenant offboards: the document goes, nothing of it is evaluated any
// more; ledger and history stay until they expire.
func (s *Shared) DeleteTenant(tx *partition.Tx, h *Handler, id tenant.ID, actor string) error {
	_, ok, err := tx.Raw(tenants, string(id))
	if err != nil {
		return err
	}
	if !ok {
		return problem.New(problem.NotFound, "there is no such tenant")
	}
	tx.Delete(tenants, string(id))
	tx.Delete(cells, string(id))
	tx.Log(ledger.Entry{Subject: TenantSubject(id), Kind: "tenant.offboarded", Actor: actor, Reason: fmt.Sprintf("tenant %s was offboarded; its history stays until it expires", id)})
	// Its alerts end with the same commit: after it nobody would know of them.
	h.engine.RemoveTenant(id)
	delete(h.at, id)
	h.countBlind(id, false)
	if err := h.evaluated(tx, h.engine.Advance(tx.Now())); err != nil {
		return err
	}
	tx.After(func() {
		before := s.observation()
		s.directory.remove(id)
		if !s.observation().Equal(before) {
			s.refreshAll()
		}
	})
	return nil
}

func sameDocument(a, b tenant.Tenant) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// assign makes the next revision of a tenant's profile.
func (s *Shared) assign(tx *partition.Tx, t tenant.Tenant, author, cause string) (profiles.Profile, error) {
	revisions, err := Revisions(tx, t.ID)
	if err != nil {
		return profiles.Profile{}, err
	}
	r := s.Rules()
	triple := profiles.Triple{Number: len(revisions) + 1, PolicyRevision: r.Revision, PolicySha: r.Policy.Sha, TenantRevision: t.Revision,
		Observation: s.observation(), At: tx.Now(), Author: author, Cause: cause}
	if err := tx.Put(profileRevisions, profileKey(t.ID, triple.Number), "profile", 1, triple); err != nil {
		return profiles.Profile{}, err
	}
	p := s.profile(t, triple)
	tx.Log(ledger.Entry{Subject: TenantSubject(t.ID), Kind: "profile.assigned", Actor: author,
		Reason: fmt.Sprintf("profile revision %d of %d rule(s), because %s: %s", triple.Number, len(p.Rules), cause, strings.Join(p.Reasons, "; ")),
		Data:   partition.Payload(triple)})
	return p, nil
}

func (s *Shared) profile(t tenant.Tenant, triple profiles.Triple) profiles.Profile {
	rules, reasons := profiles.Compile(s.Rules().Policy, t, triple.Observation)
	if rules == nil {
		rules = []rule.Rule{}
	}
	return profiles.Profile{Tenant: t.ID, Revision: triple, Rules: rules, Reasons: reasons}
}

func (s *Shared) currentProfile(tx *partition.Tx, t tenant.Tenant) (profiles.Profile, error) {
	revisions, err := Revisions(tx, t.ID)
	if err != nil {
		return profiles.Profile{}, err
	}
	r := s.Rules()
	if len(revisions) == 0 || revisions[len(revisions)-1].PolicySha != r.Policy.Sha {
		return s.assign(tx, t, "tocsin", "the policy is at revision "+fmt.Sprint(r.Revision))
	}
	return s.profile(t, revisions[len(revisions)-1]), nil
}

// Revisions lists a tenant's profile revisions, the oldest first.
func Revisions(tx *partition.Tx, id tenant.ID) ([]profiles.Triple, error) {
	records, err := tx.List(profileRevisions)
	if err != nil {
		return nil, err
	}
	out := []profiles.Triple{}
	for _, r := range records {
		if strings.HasPrefix(r.Key, string(id)+"/") {
			v, err := decode[profiles.Triple](r)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// refresh gives the tenants of the partition, and its pools, the profile that
// follows from the policy, catalog and number of tenants of this moment.
func (h *Handler) refresh(tx *partition.Tx) error {
	records, err := tx.List(tenants)
	if err != nil {
		return err
	}
	now := h.s.observation()
	for _, r := range records {
		t, err := decode[tenant.Tenant](r)
		if err != nil {
			return err
		}
		revisions, err := Revisions(tx, t.ID)
		if err != nil {
			return err
		}
		cause := ""
		switch last := len(revisions) - 1; {
		case last < 0 || revisions[last].PolicySha != h.s.Rules().Policy.Sha:
			cause = fmt.Sprintf("the policy is at revision %d", h.s.Rules().Revision)
		case !revisions[last].Observation.Equal(now):
			cause = fmt.Sprintf("the team's budget is shared by up to %d tenants now, before: %d", now.Tenants, revisions[last].Observation.Tenants)
		case h.woken:
			continue
		default: // whoever asked for the profile before this first look may have assigned it
			p := h.s.profile(t, revisions[last])
			tx.After(func() { h.watch(t, p.Rules, tx.Now()) })
			continue
		}
		p, err := h.s.assign(tx, t, "tocsin", cause)
		if err != nil {
			return err
		}
		tx.After(func() { h.watch(t, p.Rules, tx.Now()) })
	}
	for subject, pool := range h.pools {
		_, service, _ := cutPool(subject)
		pool.SetRules(profiles.Pooled(h.s.Rules().Policy, service, now))
	}
	return nil
}

// storedRules compiles the profile a tenant had when the process stopped; at the
// first start of a changed policy that is the new one.
func (s *Shared) storedRules(ctx context.Context, p store.Partition, t tenant.Tenant) ([]rule.Rule, error) {
	o := s.observation()
	records, err := partition.All(ctx, s.Store, p, profileRevisions)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if strings.HasPrefix(r.Key, string(t.ID)+"/") {
			triple, err := decode[profiles.Triple](r)
			if err != nil {
				return nil, err
			}
			o = triple.Observation
		}
	}
	rules, _ := profiles.Compile(s.Rules().Policy, t, o)
	return rules, nil
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
		return profiles.Profile{}, problem.New(problem.NotFound, "there is no such tenant")
	}
	return s.currentProfile(tx, t)
}

// checkpoint is the record of evaluate's state and where in the journal it
// stands: every batch that ends at or before the position is in it.
func checkpoint(id tenant.ID, at journal.Position, state []byte) store.Record {
	text, err := at.MarshalText()
	if err != nil {
		panic(err) // two integers always encode
	}
	return store.Record{Collection: cells, Key: string(id), Kind: "cell", Version: 1, Value: append(append(text, '\n'), state...)}
}

func readCheckpoint(r store.Record) (at journal.Position, state []byte, err error) {
	if r.Kind != "cell" || r.Version != 1 {
		return at, nil, problem.New(problem.Internal, "checkpoint of kind %s version %d cannot be read by this release", r.Kind, r.Version)
	}
	text, state, ok := bytes.Cut(r.Value, []byte{'\n'})
	if !ok {
		return at, nil, problem.New(problem.Internal, "a checkpoint is cut short")
	}
	return at, state, at.UnmarshalText(text)
}

func decode[T any](r store.Record) (T, error) {
	var v T
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return v, problem.Wrap(err, problem.Internal, "record %s/%s (%s version %d) cannot be read", r.Collection, r.Key, r.Kind, r.Version)
	}
	return v, nil
}
