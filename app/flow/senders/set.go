// Package senders follows who sends samples. Each sender is a subject of its own: it lives in
// a partition, hears every batch that comes by it, and knows which tenants it carries.
//
// What of it is an alert is decided by sources.
package senders

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	records   = "source" // sources.State by subject, behind the journal position it stands at
	lookEvery = time.Second * 15
	most      = 10_000    // of all; what is beyond is not followed
	noService = "sources" // stands for the service of a source that the catalog does not name
)

// InputAlive is the kind of an Alive, at version 1, for a tenant.
const InputAlive = "alive"

// Options of a Set; all are needed.
type Options struct {
	Names      *Names
	Catalog    func() *catalog.Catalog
	Known      func(tenant.ID) bool // whether it was onboarded
	BlindAfter time.Duration        // evaluate's
	Journal    string               // the name of this process's journal
	Raise      func(tx *partition.Tx, a alert.Alert)
	Logger     *slog.Logger
}

// Set are the senders of one partition. To be used by its owner only.
type Set struct {
	o  Options
	of map[string]*sender // by subject
}

// New makes an empty set.
func New(o Options) *Set { return &Set{o: o, of: map[string]*sender{}} }

// sender is a source with where in the journal it stands.
type sender struct {
	s      *sources.Source
	at     journal.Position
	since  time.Time // of another process' journal: what was received by then is in the state
	looked time.Time
}

// Hear tells the partition's sources that a batch came. It is called in the journal's
// order.
func (s *Set) Hear(tx *partition.Tx, list []Heard, at journal.Position) error {
	for _, x := range list {
		if err := s.heard(tx, x.subject, x.heard, at); err != nil {
			return err
		}
	}
	return nil
}

// heard takes what came by a source.
func (s *Set) heard(tx *partition.Tx, subject string, x sources.Heard, at journal.Position) error {
	environment, name, ok := store.CutNamed(subject)
	if !ok {
		return nil
	}
	v := s.of[subject]
	if v != nil && (!v.at.Before(at) || !x.At.After(v.since)) {
		return nil // its state holds it already
	}
	fresh := v == nil
	if fresh {
		if !s.o.Names.add(subject) {
			return nil
		}
		v = s.begin(environment, name)
		s.of[subject] = v
	}
	over := v.s.Hear(x)
	if over != nil {
		s.o.Raise(tx, *over)
		tell(tx, subject, "source.seeing", over.Reason)
	}
	v.at = at
	if fresh || over != nil { // known from now on, whatever happens
		return s.put(tx, subject, v)
	}
	return nil
}

func (s *Set) begin(environment, name string) *sender {
	return &sender{s: sources.New(sources.Options{BlindAfter: s.o.BlindAfter}, environment, name)}
}

func tell(tx *partition.Tx, subject, kind, reason string) {
	tx.Log(ledger.Entry{Subject: subject, Kind: kind, Actor: "tocsin", Reason: reason})
}

// Look notices those that have fallen silent, and tells the tenants of whom
// nothing comes by a source that sends.
func (s *Set) Look(tx *partition.Tx) error {
	for _, subject := range slices.Sorted(maps.Keys(s.of)) {
		v := s.of[subject]
		if tx.Now().Sub(v.looked) < lookEvery {
			continue
		}
		v.looked = tx.Now()
		_, name, _ := store.CutNamed(subject)
		_, service, _ := s.o.Catalog().SourceOwner(name)
		dead, silent := v.s.Advance(tx.Now(), string(cmp.Or(service, catalog.ServiceID(noService))), s.o.Known)
		if dead != nil {
			s.o.Raise(tx, *dead)
			tell(tx, subject, "source.silent", dead.Reason)
			s.o.Logger.Warn("a source is silent", slog.String("source", name), slog.String("reason", dead.Reason))
			if err := s.put(tx, subject, v); err != nil {
				return err
			}
		}
		for _, x := range silent { // to wherever the tenant is served
			to := x.Tenant.Subject()
			tx.Send(store.Input{ID: fmt.Sprintf("%s/%s/%d", subject, x.Tenant, x.Heard.UnixMilli()), Kind: InputAlive, Version: 1, Subject: to,
				Payload: partition.Payload(Alive{Tenant: x.Tenant, Source: name, Since: x.Since, Heard: x.Heard})})
		}
	}
	return nil
}

// Alive tells a tenant that a source which carried it sends others.
type Alive struct {
	Tenant tenant.ID `json:"tenant"`
	Source string    `json:"source"`
	Since  time.Time `json:"since"`
	Heard  time.Time `json:"heard"`
}

// Checkpoint writes the state of all. at is where the journal stood when this was
// posted.
func (s *Set) Checkpoint(tx *partition.Tx, at journal.Position) error {
	for _, subject := range slices.Sorted(maps.Keys(s.of)) {
		v := s.of[subject]
		if v.at.Before(at) {
			v.at = at
		}
		if err := s.put(tx, subject, v); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) put(tx *partition.Tx, subject string, v *sender) error {
	state, err := v.s.Checkpoint()
	if err != nil {
		return err
	}
	m := journal.Mark{At: v.at, Journal: s.o.Journal, Time: v.s.Last()}
	tx.PutRaw(store.Record{Collection: records, Key: subject, Kind: "source", Version: 1, Value: append(append([]byte(partition.Payload(m)), '\n'), state...)})
	return nil
}

// Load takes over what was written before a start.
func (s *Set) Load(ctx context.Context, p store.Partition, from store.Store) error {
	list, err := partition.All(ctx, from, p, records)
	if err != nil {
		return err
	}
	for _, r := range list {
		v, m, err := s.read(r)
		if err != nil {
			return err
		}
		if v.at = m.At; m.Journal != s.o.Journal { // its position means nothing here: by time, from the journal's start
			v.at, v.since = journal.Position{}, m.Time
		}
		s.of[r.Key] = v
		s.o.Names.add(r.Key)
	}
	return nil
}

func (s *Set) read(r store.Record) (*sender, journal.Mark, error) {
	var m journal.Mark
	environment, name, ok := store.CutNamed(r.Key)
	text, state, cut := bytes.Cut(r.Value, []byte{'\n'})
	if !ok || !cut || r.Version != 1 {
		return nil, m, problem.New(problem.Internal, "a source's record cannot be read by this release")
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, m, problem.Wrap(err, problem.Internal, "a source's mark cannot be read")
	}
	v := s.begin(environment, name)
	return v, m, v.s.Restore(state)
}

// Oldest is the earliest journal position that one of them stands at; ok is false when
// there are none.
func (s *Set) Oldest() (at journal.Position, ok bool) {
	for _, v := range s.of {
		if !ok || v.at.Before(at) {
			at, ok = v.at, true
		}
	}
	return at, ok
}

// Status is what is known of one; ok is false when it is not here.
func (s *Set) Status(subject string, now time.Time) (st sources.Status, ok bool) {
	v := s.of[subject]
	if v == nil {
		return st, false
	}
	return v.s.Status(now), true
}

// Written is what was written down last of a partition's senders.
func Written(ctx context.Context, s store.Store, p store.Partition, blindAfter time.Duration, now time.Time) ([]sources.Status, error) {
	list, err := partition.All(ctx, s, p, records)
	if err != nil {
		return nil, err
	}
	out := make([]sources.Status, 0, len(list))
	for _, r := range list {
		v, _, err := New(Options{BlindAfter: blindAfter}).read(r)
		if err != nil {
			return nil, err
		}
		out = append(out, v.s.Status(now))
	}
	return out, nil
}
