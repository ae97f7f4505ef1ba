package policy

import (
	"context"
	"fmt"
	"slices"

	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
)

// revisionsKept is how many texts of the policy are kept.
const revisionsKept = 1000

func revisionKey(number int) string { return fmt.Sprintf("%08d", number) }

func home() store.Partition { return store.PartitionOf(rollout.Subject) }

// Read reads what is in force and the newest rollout.
func Read(ctx context.Context, s store.Store) (rollout.State, error) {
	return read(func(collection, key string) (store.Record, bool, error) {
		return s.Record(ctx, home(), collection, key)
	}, func() ([]store.Record, error) { return partition.All(ctx, s, home(), rollout.Revisions) })
}

// read reads through record; list is asked where a release wrote that had no
// Standing: then the newest revision is in force.
func read(record func(collection, key string) (store.Record, bool, error), list func() ([]store.Record, error)) (s rollout.State, err error) {
	r, ok, err := record(rollout.Standings, rollout.Key)
	if err != nil {
		return s, err
	}
	if !ok {
		records, err := list()
		if err != nil || len(records) == 0 {
			return s, err
		}
		last, err := decode(records[len(records)-1])
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

// decode reads a stored revision; those of version 1 came from files.
func decode(r store.Record) (rollout.Revision, error) {
	v, err := partition.DecodeVersion[rollout.Revision](r, rollout.RevisionKind, rollout.RevisionVersion)
	if err == nil && r.Version < rollout.RevisionVersion {
		v.Author, v.Reason, v.Origin = "tocsin", "it was read from the files", rollout.FromFile
	}
	return v, err
}

// Revision reads a stored revision.
func Revision(ctx context.Context, s store.Store, number int) (rollout.Revision, error) {
	r, ok, err := s.Record(ctx, home(), rollout.Revisions, revisionKey(number))
	if err != nil {
		return rollout.Revision{}, err
	}
	if !ok {
		return rollout.Revision{}, problem.New(problem.NotFound, "there is no policy revision %d", number).WithHint("tocsin policy revisions lists them")
	}
	return decode(r)
}

// Revisions lists the stored revisions, the oldest first.
func Revisions(ctx context.Context, s store.Store) ([]rollout.Revision, error) {
	records, err := partition.All(ctx, s, home(), rollout.Revisions)
	if err != nil {
		return nil, err
	}
	out := make([]rollout.Revision, 0, len(records))
	for _, r := range records {
		v, err := decode(r)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Batch is what a change writes, to be committed at its home.
func Batch(c rollout.Change) store.Batch {
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

// State is Read within a decision at the policy's home.
func State(tx *partition.Tx) (rollout.State, error) {
	return read(tx.Raw, func() ([]store.Record, error) { return tx.List(rollout.Revisions) })
}

// Put writes a change; it is in force once Follow was called.
func Put(tx *partition.Tx, c rollout.Change) {
	b := Batch(c)
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

// parse reads a stored revision for use.
func parse(ctx context.Context, s store.Store, number int) (*profiles.Policy, error) {
	r, err := Revision(ctx, s, number)
	if err != nil {
		return nil, err
	}
	p, err := profiles.Stored(fmt.Sprintf("policy revision %d", number), []byte(r.Text))
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "policy revision %d cannot be used by this release: %s", number, problem.From(err).Message).
			WithHint("put one in force that can: tocsin policy apply, or a changed policy file")
	}
	return p, nil
}
