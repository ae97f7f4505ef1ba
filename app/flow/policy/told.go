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
	s, err := State(tx)
	if err != nil || s.Rollout.To != p.Revision {
		return err
	}
	if c := rollout.Paged(s, p.Page, tx.Now()); c.Standing.Version != s.Standing.Version {
		b.change(tx, c)
	}
	return nil
}

// worded takes what somebody said.
func (b *Book) worded(tx *partition.Tx, in store.Input) error {
	w, err := partition.DecodeInput[Word](in)
	if err != nil {
		return err
	}
	s, err := State(tx)
	if err != nil || s.Rollout.To != w.Revision {
		return err
	}
	if c := rollout.Judged(s, w.Word); c.Standing.Version != s.Standing.Version {
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
	c := rollout.Due(s, b.holds(s.Rollout, tx.Now()), b.Directory.IDs(), tx.Now())
	if c.Timer.IsZero() && len(c.Ledger) == 0 {
		return nil
	}
	b.change(tx, c)
	return nil
}
