package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Next is the policy that is being rolled out.
type Next struct {
	Policy   *profiles.Policy
	Revision int
	Rollout  rollout.Rollout
}

// Of is the policy that a tenant has, with its revision.
func (r Rules) Of(id tenant.ID) (*profiles.Policy, int) {
	if r.Next != nil && r.Next.Rollout.Place(id) == rollout.New {
		return r.Next.Policy, r.Next.Revision
	}
	return r.Policy, r.Revision
}

// Beside is the policy that a tenant runs in shadow; ok is false when it runs none.
func (r Rules) Beside(id tenant.ID) (p *profiles.Policy, revision int, ok bool) {
	if r.Next == nil || r.Next.Rollout.Place(id) != rollout.Beside {
		return nil, 0, false
	}
	return r.Next.Policy, r.Next.Revision, true
}

// Policies lists those that any tenant has, the one in force first.
func (r Rules) Policies() []*profiles.Policy {
	out := []*profiles.Policy{r.Policy}
	if r.Next != nil {
		out = append(out, r.Next.Policy)
	}
	return out
}

// revisionsKept is how many texts of the policy are kept.
const revisionsKept = 1000

func revisionKey(number int) string { return fmt.Sprintf("%08d", number) }

func policyHome() store.Partition { return store.PartitionOf(rollout.Subject) }

// ReadPolicy reads what is in force and the newest rollout.
func ReadPolicy(ctx context.Context, s store.Store) (rollout.State, error) {
	return policyState(func(collection, key string) (store.Record, bool, error) {
		return s.Record(ctx, policyHome(), collection, key)
	}, func() ([]store.Record, error) { return partition.All(ctx, s, policyHome(), rollout.Revisions) })
}

// policyState reads through record; list is asked where a release wrote that had no
// Standing: then the newest revision is in force.
func policyState(record func(collection, key string) (store.Record, bool, error), list func() ([]store.Record, error)) (s rollout.State, err error) {
	r, ok, err := record(rollout.Standings, rollout.Key)
	if err != nil {
		return s, err
	}
	if !ok {
		records, err := list()
		if err != nil || len(records) == 0 {
			return s, err
		}
		last, err := readRevision(records[len(records)-1])
		s.Standing = rollout.Standing{InForce: last.Number, Newest: last.Number, At: last.At, By: last.Author, Reason: last.Reason}
		if len(records) > 1 {
			s.Standing.Before = last.Number - 1
		}
		return s, err
	}
	if s.Standing, err = partition.DecodeVersion[rollout.Standing](r, rollout.StandingKind, rollout.StandingVersion); err != nil || s.Standing.Rollout == 0 {
		return s, err
	}
	if r, ok, err = record(rollout.Rollouts, revisionKey(s.Standing.Rollout)); err != nil || !ok {
		return s, err
	}
	s.Rollout, err = partition.DecodeVersion[rollout.Rollout](r, rollout.RolloutKind, rollout.RolloutVersion)
	s.Rollout = s.Rollout.Read()
	return s, err
}

// readRevision reads a stored revision; those of version 1 came from files.
func readRevision(r store.Record) (rollout.Revision, error) {
	v, err := partition.DecodeVersion[rollout.Revision](r, rollout.RevisionKind, rollout.RevisionVersion)
	if err == nil && r.Version < rollout.RevisionVersion {
		v.Author, v.Reason, v.Origin = "tocsin", "it was read from the files", rollout.FromFile
	}
	return v, err
}

// PolicyRevision reads a stored revision.
func PolicyRevision(ctx context.Context, s store.Store, number int) (rollout.Revision, error) {
	r, ok, err := s.Record(ctx, policyHome(), rollout.Revisions, revisionKey(number))
	if err != nil {
		return rollout.Revision{}, err
	}
	if !ok {
		return rollout.Revision{}, problem.New(problem.NotFound, "there is no policy revision %d", number).WithHint("tocsin policy revisions lists them")
	}
	return readRevision(r)
}

// PolicyRevisions lists the stored revisions, the oldest first.
func PolicyRevisions(ctx context.Context, s store.Store) ([]rollout.Revision, error) {
	records, err := partition.All(ctx, s, policyHome(), rollout.Revisions)
	if err != nil {
		return nil, err
	}
	out := make([]rollout.Revision, 0, len(records))
	for _, r := range records {
		v, err := readRevision(r)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// PolicyBatch is what a change writes, to be committed at its home.
func PolicyBatch(c rollout.Change) store.Batch {
	put := func(collection, key, kind string, version int, v any) store.Record {
		return store.Record{Collection: collection, Key: key, Kind: kind, Version: version, Value: partition.Payload(v)}
	}
	b := store.Batch{Ledger: slices.Clone(c.Ledger), Puts: []store.Record{put(rollout.Standings, rollout.Key, rollout.StandingKind, rollout.StandingVersion, c.Standing)}}
	if c.Rollout.Number > 0 {
		b.Puts = append(b.Puts, put(rollout.Rollouts, revisionKey(c.Rollout.Number), rollout.RolloutKind, rollout.RolloutVersion, c.Rollout))
	}
	if c.Revision != nil {
		if old := c.Revision.Number - revisionsKept; old > 0 && old != c.Standing.InForce && old != c.Standing.Before {
			b.Deletes = append(b.Deletes, store.RecordKey{Collection: rollout.Revisions, Key: revisionKey(old)})
		}
		b.Puts = append(b.Puts, put(rollout.Revisions, revisionKey(c.Revision.Number), rollout.RevisionKind, rollout.RevisionVersion, c.Revision))
	}
	b.Timers = []store.Timer{{ID: rollout.StageTimer, At: c.Timer, Subject: rollout.Subject, Kind: rollout.StageTimer}}
	return b
}

// FileRecord notes what a process read from its files.
func FileRecord(who, sha string) store.Record {
	return store.Record{Collection: rollout.Files, Key: who, Kind: rollout.FileKind, Version: rollout.FileVersion, Value: partition.Payload(rollout.File{Sha: sha})}
}

// PolicyState is ReadPolicy within a decision at the policy's home.
func PolicyState(tx *partition.Tx) (rollout.State, error) {
	return policyState(tx.Raw, func() ([]store.Record, error) { return tx.List(rollout.Revisions) })
}

// ChangePolicy writes a change; it is in force once FollowPolicy was called.
func ChangePolicy(tx *partition.Tx, c rollout.Change) {
	b := PolicyBatch(c)
	for _, r := range b.Puts {
		tx.PutRaw(r)
	}
	for _, k := range b.Deletes {
		tx.Delete(k.Collection, k.Key)
	}
	for _, t := range b.Timers {
		tx.SetTimer(t)
	}
	tx.Log(b.Ledger...)
}

// changePolicy is ChangePolicy with what follows from it.
func (s *Shared) changePolicy(tx *partition.Tx, c rollout.Change) {
	ChangePolicy(tx, c)
	ctx := context.WithoutCancel(tx.Context())
	tx.After(func() {
		if err := s.FollowPolicy(ctx, nil); err != nil {
			s.Logger.Error("the policy that is in force by decision cannot be read; the one before is used", "error", err)
		}
	})
}

// FollowPolicy puts in force what the store says, when it is news: another
// process may have decided it. A catalog that is not nil comes with it.
func (s *Shared) FollowPolicy(ctx context.Context, c *catalog.Catalog) error {
	s.following.Lock()
	defer s.following.Unlock()
	old := s.Rules()
	state, err := ReadPolicy(ctx, s.Store)
	if err != nil {
		return err
	}
	if c == nil && old.Version == state.Standing.Version && old.Revision == state.Standing.InForce {
		return nil
	}
	next := Rules{Catalog: old.Catalog, Revision: state.Standing.InForce, Version: state.Standing.Version}
	if c != nil {
		next.Catalog = c
	}
	if next.Policy, err = s.policyOf(ctx, next.Revision); err != nil {
		return err
	}
	if r := state.Rollout; r.Open() {
		next.Next = &Next{Revision: r.To, Rollout: r}
		if next.Next.Policy, err = s.policyOf(ctx, r.To); err != nil {
			return err
		}
	}
	s.SetRules(next)
	if s.Followed != nil {
		s.Followed(next)
	}
	if c != nil || !samePlaces(old, next) {
		s.refreshAll()
	}
	return nil
}

// samePlaces says whether every tenant has the policies that it had.
func samePlaces(a, b Rules) bool {
	if a.Revision != b.Revision || (a.Next == nil) != (b.Next == nil) {
		return false
	}
	if a.Next == nil {
		return true
	}
	x, y := a.Next.Rollout, b.Next.Rollout
	return x.Number == y.Number && x.Stage == y.Stage && x.State == y.State
}

// policyOf parses a revision, unless it is one of those in use.
func (s *Shared) policyOf(ctx context.Context, number int) (*profiles.Policy, error) {
	now := s.Rules()
	if now.Revision == number && now.Policy != nil {
		return now.Policy, nil
	}
	if now.Next != nil && now.Next.Revision == number {
		return now.Next.Policy, nil
	}
	return ParseRevision(ctx, s.Store, number)
}

// ParseRevision reads a stored revision of the policy.
func ParseRevision(ctx context.Context, s store.Store, number int) (*profiles.Policy, error) {
	r, err := PolicyRevision(ctx, s, number)
	if err != nil {
		return nil, err
	}
	p, err := profiles.Parse(fmt.Sprintf("policy revision %d", number), []byte(r.Text))
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "policy revision %d cannot be used by this release: %s", number, problem.From(err).Message).
			WithHint("put one in force that can: tocsin policy apply, or a changed policy file")
	}
	return p, nil
}

// PolicyRead asks the policy's home to take up what a process read from its files.
type PolicyRead struct {
	Who      string           `json:"who"`
	Joins    bool             `json:"joins"` // one of several processes
	Revision rollout.Revision `json:"revision"`
}

// PolicyReadInput is how a PolicyRead is offered.
func PolicyReadInput(j PolicyRead, now time.Time) store.Input {
	return store.Input{ID: fmt.Sprintf("policy_read/%s/%s/%d", j.Who, j.Revision.Sha, now.UnixNano()), Kind: inputPolicyRead, Version: 1, Subject: rollout.Subject, At: now, Payload: partition.Payload(j)}
}

func (h *Handler) policyRead(tx *partition.Tx, in store.Input) error {
	j, err := partition.DecodeInput[PolicyRead](in)
	if err != nil {
		return err
	}
	s, err := PolicyState(tx)
	if err != nil {
		return err
	}
	c, ok, err := Read(s, j, tx.Now(), tx.Raw, func() ([]store.Record, error) { return tx.List(rollout.Revisions) })
	if err != nil {
		return err
	}
	tx.PutRaw(FileRecord(j.Who, j.Revision.Sha))
	if ok {
		h.s.changePolicy(tx, c)
	}
	return nil
}

// Read decides what a policy that a process read from its files means; ok is
// false when it changes nothing. record and list read the policy's home.
func Read(s rollout.State, j PolicyRead, now time.Time, record func(collection, key string) (store.Record, bool, error), list func() ([]store.Record, error)) (c rollout.Change, ok bool, err error) {
	in := rollout.Reading{Revision: j.Revision, Joins: j.Joins}
	r, known, err := record(rollout.Files, j.Who)
	if err == nil && known {
		in.Last = new(rollout.File)
		err = json.Unmarshal(r.Value, in.Last)
	}
	if err != nil {
		return c, false, err
	}
	records, err := list()
	if err != nil {
		return c, false, err
	}
	for _, r := range records {
		v, err := readRevision(r)
		if err != nil {
			return c, false, err
		}
		in.Known = in.Known || v.Sha == j.Revision.Sha
		if v.Number == s.Standing.InForce {
			in.InForce = v
		}
	}
	c, ok = rollout.Read(s, in, now)
	return c, ok, nil
}

// stageOver looks at the rollout's stage, whose time may be over.
func (h *Handler) stageOver(tx *partition.Tx) error {
	s, err := PolicyState(tx)
	if err != nil {
		return err
	}
	c := rollout.Due(s, h.s.holdsRevisions(s.Rollout, tx.Now()), h.s.directory.IDs(), tx.Now())
	if c.Timer.IsZero() && len(c.Ledger) == 0 {
		return nil
	}
	h.s.changePolicy(tx, c)
	return nil
}
