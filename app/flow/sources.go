package flow

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Senders of samples are subjects of their own: each lives in a partition, hears every
// batch that comes by it, and knows which tenants it carries.

const (
	sourceRecords = "source" // sources.State by subject, behind the journal position it stands at
	sourceLook    = time.Second * 15
	lateAfter     = 10 * time.Minute
	unnamed       = "unnamed"
	mostSources   = 10_000 // of all; what is beyond is not followed
)

// sender is a source with where in the journal it stands.
type sender struct {
	s      *sources.Source
	at     journal.Position
	since  time.Time // of another process' journal: what was received by then is in the state
	looked time.Time
}

func sourceSubject(environment, name string) string {
	return "source/" + url.PathEscape(environment) + "/" + name
}

func cutSource(subject string) (environment, name string, ok bool) {
	parts := strings.SplitN(subject, "/", 3)
	if len(parts) != 3 {
		return "", "", false
	}
	environment, err := url.PathUnescape(parts[1])
	return environment, parts[2], err == nil
}

// SourceHeard is what a batch says of one source.
type SourceHeard struct {
	subject string
	heard   sources.Heard
}

// HeardBySource sums a batch up by its sources and their partitions; environment reads
// it from a series.
func HeardBySource(b *samples.Batch, environment func(samples.Series) string) map[store.Partition][]SourceHeard {
	type key struct{ environment, name string }
	heard := map[key]*sources.Heard{}
	places := map[key]map[tenant.ID]int{} // of a tenant among a source's parts
	var last key
	var h *sources.Heard
	var at map[tenant.ID]int
	edge := b.ReceivedAt.Add(-lateAfter).UnixMilli()
	for i := range b.Series {
		x := &b.Series[i]
		if x.Derived {
			continue
		}
		k := key{environment(*x), cmp.Or(x.Source, b.Sender, unnamed)}
		if h == nil || k != last {
			if h = heard[k]; h == nil {
				h = &sources.Heard{At: b.ReceivedAt}
				heard[k], places[k] = h, map[tenant.ID]int{}
			}
			last, at = k, places[k]
		}
		count(h, at, x, edge)
	}
	if h != nil {
		h.Refused = b.Refused // which of several sent them nobody can say
	}
	out := make(map[store.Partition][]SourceHeard, len(heard))
	for k, h := range heard {
		subject := sourceSubject(k.environment, k.name)
		p := store.PartitionOf(subject)
		out[p] = append(out[p], SourceHeard{subject, *h})
	}
	return out
}

func count(h *sources.Heard, places map[tenant.ID]int, x *samples.Series, edge int64) {
	n := len(x.Samples) + len(x.Histograms)
	h.Samples += n
	for _, v := range x.Samples {
		if v.T < edge {
			h.Late++
		}
	}
	if x.Unknown || x.Tenant == tenant.Product {
		return
	}
	i := len(h.Parts) - 1 // a tenant's series usually stand together
	if i < 0 || h.Parts[i].Tenant != x.Tenant {
		known := false
		if i, known = places[x.Tenant]; !known {
			i = len(h.Parts)
			places[x.Tenant] = i
			h.Parts = append(h.Parts, sources.Part{Tenant: x.Tenant})
		}
	}
	p := &h.Parts[i]
	p.Series, p.Samples = p.Series+1, p.Samples+n
}

// Hear tells the partition's sources that a batch came. It is called in the journal's
// order.
func (h *Handler) Hear(tx *partition.Tx, list []SourceHeard, at journal.Position) error {
	for _, x := range list {
		if err := h.heard(tx, x.subject, x.heard, at); err != nil {
			return err
		}
	}
	return nil
}

// heard takes what came by a source.
func (h *Handler) heard(tx *partition.Tx, subject string, x sources.Heard, at journal.Position) error {
	environment, name, ok := cutSource(subject)
	if !ok {
		return nil
	}
	v := h.senders[subject]
	if v != nil && (!v.at.Before(at) || !x.At.After(v.since)) {
		return nil // its state holds it already
	}
	fresh := v == nil
	if fresh {
		if !h.s.names.add(subject) {
			return nil
		}
		v = h.newSender(environment, name)
		h.senders[subject] = v
	}
	over := v.s.Hear(x)
	if over != nil {
		h.raiseAll(tx, []alert.Alert{*over})
		h.tellSource(tx, subject, "source.seeing", over.Reason)
	}
	v.at = at
	if fresh || over != nil { // known from now on, whatever happens
		return h.checkpointSource(tx, subject, v)
	}
	return nil
}

func (h *Handler) newSender(environment, name string) *sender {
	return &sender{s: sources.New(sources.Options{BlindAfter: h.s.Evaluate.BlindAfter}, environment, name)}
}

func (h *Handler) tellSource(tx *partition.Tx, subject, kind, reason string) {
	tx.Log(ledger.Entry{Subject: subject, Kind: kind, Actor: "tocsin", Reason: reason})
}

// lookAtSources notices those that have fallen silent, and tells the tenants of whom
// nothing comes by a source that sends.
func (h *Handler) lookAtSources(tx *partition.Tx) error {
	for _, subject := range slices.Sorted(keysOf(h.senders)) {
		v := h.senders[subject]
		if tx.Now().Sub(v.looked) < sourceLook {
			continue
		}
		v.looked = tx.Now()
		_, name, _ := cutSource(subject)
		_, service, _ := h.s.Rules().Catalog.SourceOwner(name)
		dead, silent := v.s.Advance(tx.Now(), string(cmp.Or(service, catalog.ServiceID(sourcesService))), h.s.directory.Known)
		if dead != nil {
			h.raiseAll(tx, []alert.Alert{*dead})
			h.tellSource(tx, subject, "source.silent", dead.Reason)
			h.s.Logger.Warn("a source is silent", slog.String("source", name), slog.String("reason", dead.Reason))
			if err := h.checkpointSource(tx, subject, v); err != nil {
				return err
			}
		}
		for _, x := range silent { // to wherever the tenant is served
			to := x.Tenant.Subject()
			tx.Send(store.Input{ID: fmt.Sprintf("%s/%s/%d", subject, x.Tenant, x.Heard.UnixMilli()), Kind: inputAlive, Version: 1, Subject: to,
				Payload: partition.Payload(sourceAlive{Tenant: x.Tenant, Source: name, Since: x.Since, Heard: x.Heard})})
		}
	}
	return nil
}

// sourceAlive tells a tenant that a source which carried it sends others.
type sourceAlive struct {
	Tenant tenant.ID `json:"tenant"`
	Source string    `json:"source"`
	Since  time.Time `json:"since"`
	Heard  time.Time `json:"heard"`
}

func (h *Handler) sourceAlive(in store.Input) error {
	x, err := partition.DecodeInput[sourceAlive](in)
	if err != nil {
		return err
	}
	h.engine.SourceAlive(x.Tenant, x.Source, x.Since, x.Heard)
	return nil
}

// sourcesService stands for the service of a source that the catalog does not name.
const sourcesService = "sources"

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (h *Handler) checkpointSources(tx *partition.Tx, at journal.Position) error {
	for _, subject := range slices.Sorted(keysOf(h.senders)) {
		v := h.senders[subject]
		if v.at.Before(at) {
			v.at = at
		}
		if err := h.checkpointSource(tx, subject, v); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) checkpointSource(tx *partition.Tx, subject string, v *sender) error {
	state, err := v.s.Checkpoint()
	if err != nil {
		return err
	}
	m := mark{At: v.at, Journal: h.s.Journal, Time: v.s.Last()}
	tx.PutRaw(store.Record{Collection: sourceRecords, Key: subject, Kind: "source", Version: 1, Value: append(append([]byte(partition.Payload(m)), '\n'), state...)})
	return nil
}

func (h *Handler) loadSources(ctx context.Context, p store.Partition, s store.Store) error {
	records, err := partition.All(ctx, s, p, sourceRecords)
	if err != nil {
		return err
	}
	for _, r := range records {
		v, m, err := h.readSource(r)
		if err != nil {
			return err
		}
		if v.at = m.At; m.Journal != h.s.Journal { // its position means nothing here: by time, from the journal's start
			v.at, v.since = journal.Position{}, m.Time
		}
		h.senders[r.Key] = v
		h.s.names.add(r.Key)
	}
	return nil
}

func (h *Handler) readSource(r store.Record) (*sender, mark, error) {
	var m mark
	environment, name, ok := cutSource(r.Key)
	text, state, cut := bytes.Cut(r.Value, []byte{'\n'})
	if !ok || !cut || r.Version != 1 {
		return nil, m, problem.New(problem.Internal, "a source's record cannot be read by this release")
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, m, problem.Wrap(err, problem.Internal, "a source's mark cannot be read")
	}
	v := h.newSender(environment, name)
	return v, m, v.s.Restore(state)
}

// Sources lists the senders with what is known of each, by environment and name. Of
// those that another process serves it tells what was written down last.
func (s *Shared) Sources(ctx context.Context, now time.Time) ([]sources.Status, error) {
	out := []sources.Status{}
	tell := func(v *sender) {
		st := v.s.Status(now)
		team, service, why := s.Rules().Catalog.SourceOwner(st.Name)
		st.Service, st.Team, st.OwnerReason = string(service), string(team.ID), why
		out = append(out, st)
	}
	for _, subject := range s.names.list() {
		if _, here := s.SeatOf(subject); !here {
			continue
		}
		if err := s.Decide(ctx, subject, func(_ *partition.Tx, h *Handler) error {
			if v := h.senders[subject]; v != nil {
				tell(v)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	for p := range store.Partitions {
		if _, here := s.Seat(store.Partition(p)); here {
			continue
		}
		records, err := partition.All(ctx, s.Store, store.Partition(p), sourceRecords)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			v, _, err := (&Handler{s: s}).readSource(r)
			if err != nil {
				return nil, err
			}
			tell(v)
		}
	}
	slices.SortFunc(out, func(a, b sources.Status) int {
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}
