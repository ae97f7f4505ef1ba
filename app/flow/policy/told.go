package policy

import (
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
)

// Kinds of inputs for the policy's home, each with the version of its payload.
const (
	InputRead = "policy_read" // 1: Reading
	InputPage = "policy_page" // 1: Page
	InputWord = "policy_word" // 1: Word
)

// Page tells the policy's home what a comparison of two policies brought.
type Page struct {
	Revision int          `json:"revision"`
	Page     rollout.Page `json:"page"`
}

// Send sends it with this commit; id names the comparison.
func (p Page) Send(tx *partition.Tx, id string) {
	tx.Send(store.Input{ID: "policy_page/" + id, Kind: InputPage, Version: 1, Subject: rollout.Subject, Payload: partition.Payload(p)})
}

// Word tells the policy's home what somebody said of a fault.
type Word struct {
	Revision int          `json:"revision"`
	Word     rollout.Word `json:"word"`
}

// Send sends it with this commit; id names the saying.
func (w Word) Send(tx *partition.Tx, id string) {
	tx.Send(store.Input{ID: "policy_word/" + id, Kind: InputWord, Version: 1, Subject: rollout.Subject, Payload: partition.Payload(w)})
}

// Input takes what the policy's home is told.
func (b *Book) Input(tx *partition.Tx, in store.Input) error {
	switch in.Kind {
	case InputPage:
		return b.paged(tx, in)
	case InputWord:
		return b.worded(tx, in)
	}
	return b.read(tx, in)
}

// paged counts a page.
func (b *Book) paged(tx *partition.Tx, in store.Input) error {
	p, err := partition.DecodeInput[Page](in)
	if err != nil {
		return err
	}
	return b.told(tx, p.Revision, func(s rollout.State) rollout.Change { return rollout.Paged(s, p.Page, tx.Now()) })
}

// worded takes what somebody said.
func (b *Book) worded(tx *partition.Tx, in store.Input) error {
	w, err := partition.DecodeInput[Word](in)
	if err != nil {
		return err
	}
	return b.told(tx, w.Revision, func(s rollout.State) rollout.Change { return rollout.Judged(s, w.Word) })
}

// told takes what the rollout of a revision is told, and leaves out what is of another.
func (b *Book) told(tx *partition.Tx, revision int, f func(rollout.State) rollout.Change) error {
	s, err := State(tx)
	if err != nil || s.Rollout.To != revision {
		return err
	}
	if c := f(s); c.Standing.Version != s.Standing.Version {
		b.change(tx, c)
	}
	return nil
}

// Due looks at the rollout's stage, whose time may be over.
func (b *Book) Due(tx *partition.Tx) error {
	s, err := State(tx)
	if err != nil {
		return err
	}
	due := func() rollout.Change {
		return rollout.Due(s, b.holds(s.Rollout, tx.Now()), b.Directory.IDs(), tx.Now())
	}
	c := due()
	if c.Rollout.State == rollout.Done && b.Keeps != nil && b.Rules().Next != nil {
		if keeps, err := b.Keeps(tx.Context()); err == nil { // else it is not said
			all := keeps(b.Rules().Next.Policy, tx.Now())
			s.Keeps = &all
			c = due()
		}
	}
	if c.Timer.IsZero() && len(c.Ledger) == 0 {
		return nil
	}
	b.change(tx, c)
	return nil
}
