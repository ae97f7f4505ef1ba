// Package ledger is the one append-only record of every decision with its
// reason, by subject. Timeline, audit and "why" are reads of it.
//
// Entries are chained by hash within a partition: each carries the hash of the
// one before, so a removed or altered entry is found by Verify. The store
// appends entries in the same commit as the change they explain; this package
// never writes.
package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Entry is one decision. Subject is "tenant/acme", "alert/alt_…",
// "incident/inc_…", "page/pg_…", "token/…"; Refs are further subjects the
// entry must be found under.
type Entry struct {
	Seq     uint64          `json:"seq"` // within the partition, from 1, without gaps
	At      time.Time       `json:"at"`
	Subject string          `json:"subject"`
	Refs    []string        `json:"refs,omitempty"`
	Kind    string          `json:"kind"`  // e.g. "profile.assigned", "alert.firing", "page.sent"
	Actor   string          `json:"actor"` // "tocsin", "token:NAME", "person:ID"
	Reason  string          `json:"reason"`
	Data    json.RawMessage `json:"data,omitempty"`
	Prev    string          `json:"prev"` // hash of the entry before; empty for the first
	Hash    string          `json:"hash"`
}

// Head is where a partition's chain stands; the zero Head is an empty chain.
type Head struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}

// Chain numbers and hashes entries onto head and returns the new head. The
// entries are changed in place. Called by the store inside Commit.
func Chain(head Head, entries []Entry) Head {
	for i := range entries {
		e := &entries[i]
		e.clean()
		e.Seq, e.Prev = head.Seq+1, head.Hash
		e.Hash = e.digest()
		head = Head{Seq: e.Seq, Hash: e.Hash}
	}
	return head
}

// Verify checks that entries, in order, follow head without a gap or a change.
func Verify(head Head, entries []Entry) (Head, error) {
	for i := range entries {
		e := &entries[i]
		switch {
		case e.Seq != head.Seq+1:
			return head, fmt.Errorf("entry %d follows entry %d: one is missing", e.Seq, head.Seq)
		case e.Prev != head.Hash:
			return head, fmt.Errorf("entry %d does not continue entry %d", e.Seq, head.Seq)
		case e.digest() != e.Hash:
			return head, fmt.Errorf("entry %d was altered", e.Seq)
		}
		head = Head{Seq: e.Seq, Hash: e.Hash}
	}
	return head, nil
}

// clean gives e the form it has after being stored as JSON and read again, so
// that its digest is the same then: UTC, and no bytes that are not UTF-8.
func (e *Entry) clean() {
	const instead = "\uFFFD"
	e.At = e.At.UTC().Round(0)
	for _, s := range []*string{&e.Subject, &e.Kind, &e.Actor, &e.Reason} {
		*s = strings.ToValidUTF8(*s, instead)
	}
	for i, r := range e.Refs {
		if !utf8.ValidString(r) {
			e.Refs = slices.Clone(e.Refs)
			e.Refs[i] = strings.ToValidUTF8(r, instead)
		}
	}
}

func (e *Entry) digest() string {
	c := *e
	c.Hash = ""
	raw, err := json.Marshal(c)
	if err != nil { // only an invalid RawMessage can do this; it must not chain as if it were fine
		raw = fmt.Appendf(nil, "unencodable %d %v", c.Seq, err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
