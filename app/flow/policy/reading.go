package policy

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
)

// Reading asks the policy's home to take up what a process read from its files.
type Reading struct {
	Who      string           `json:"who"`
	Joins    bool             `json:"joins"` // one of several processes
	Revision rollout.Revision `json:"revision"`
}

// Input is how it is offered to the policy's home.
func (j Reading) Input(now time.Time) store.Input {
	return store.Input{ID: fmt.Sprintf("policy_read/%s/%s/%d", j.Who, j.Revision.Sha, now.UnixNano()), Kind: InputRead, Version: 1, Subject: rollout.Subject, At: now, Payload: partition.Payload(j)}
}

func (b *Book) read(tx *partition.Tx, in store.Input) error {
	j, err := partition.DecodeInput[Reading](in)
	if err != nil {
		return err
	}
	_, changed, err := j.Take(tx, func(rollout.State) error { return nil })
	if changed {
		b.follow(tx)
	}
	return err
}

// Take takes it up in the policy's home. What is in force changes only if may lets it, and
// does so once Follow was called.
func (j Reading) Take(tx *partition.Tx, may func(rollout.State) error) (c rollout.Change, changed bool, err error) {
	s, err := State(tx)
	if err != nil {
		return c, false, err
	}
	c, changed, err = j.Decide(s, tx.Now(), tx.Raw, func() ([]store.Record, error) { return tx.List(rollout.Revisions) })
	if err != nil {
		return c, false, err
	}
	if changed {
		if err := may(s); err != nil {
			return c, false, err
		}
		Put(tx, c)
	}
	tx.PutRaw(FileRecord(j.Who, j.Revision.Sha))
	return c, changed, nil
}

// Decide says what it means for what is in force; ok is
// false when it changes nothing. record and list read the policy's home.
func (j Reading) Decide(s rollout.State, now time.Time, record func(collection, key string) (store.Record, bool, error), list func() ([]store.Record, error)) (c rollout.Change, ok bool, err error) {
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
		v, err := decode(r)
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
