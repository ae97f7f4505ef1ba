package flow_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/api/tickets"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/blob"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/itsm/register"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const env = "production"

// world is what lives on when the process ends: the store, and what is outside.
type world struct {
	store *memory.Store
	blobs *blob.Dir
	mail  *carrier // the channel log
	sms   *carrier // the channel sms
	desk  *desk
	// catalog is what is in force; nil: the built-in one.
	catalog  *catalog.Catalog
	policy   *profiles.Policy // in force; nil: the built-in one
	observed atomic.Bool      // no team is live
	// only are the subjects whose partitions are owned; nil: all. Hours of virtual
	// time are quicker with few.
	only []string
	// youngFor is how long a tenant is young; 0: as always.
	youngFor time.Duration
	journal  string // the name of the process's journal
	follows  bool   // the policy in force is the store's
}

func newWorld(t *testing.T) *world {
	t.Helper()
	blobs, err := blob.Open(t.TempDir())
	require.NoError(t, err)
	return &world{store: memory.New(memory.Options{}), blobs: blobs, mail: &carrier{}, sms: &carrier{}, desk: &desk{}}
}

// carrier is the channel's port: it keeps what it carried.
type carrier struct {
	mu    sync.Mutex
	pages []channel.Page
	fault func(ctx context.Context) error // before a page is carried; nil: none
}

func (c *carrier) Send(ctx context.Context, p channel.Page) (channel.Receipt, error) {
	c.mu.Lock()
	fault := c.fault
	c.mu.Unlock()
	if fault != nil {
		if err := fault(ctx); err != nil {
			return channel.Receipt{}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages = append(c.pages, p)
	return channel.Receipt{Detail: "250 ok"}, nil
}

func (c *carrier) breaks(fault func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = fault
}

func (c *carrier) carried() []channel.Page {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pages)
}

// desk is the built-in register behind a door that can be shut.
type desk struct {
	itsm.System
	mu    sync.Mutex
	fault error
	syncs int
}

func (d *desk) Sync(ctx context.Context, want itsm.Ticket, known itsm.Ref) (itsm.Result, error) {
	d.mu.Lock()
	d.syncs++
	err := d.fault
	d.mu.Unlock()
	if err != nil {
		return itsm.Result{}, err
	}
	return d.System.Sync(ctx, want, known)
}

func (d *desk) breaks(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = err
}

type links struct{}

func (links) Incident(id string) string { return "https://tocsin.test/incidents/" + id }
func (links) Dashboard(incident.Incident) string {
	return "https://tocsin.test/dashboards/payment_errors"
}
func (links) Acknowledge(p oncall.Page) string { return "https://tocsin.test/p/" + string(p.ID) }
func (links) Draw(context.Context, incident.Incident) ([]byte, error) {
	return []byte("a picture"), nil
}

// life is one life of the process: every partition is owned.
type life struct {
	*world
	shared *flow.Shared
	sender *send.Sender
	ticket *register.Register
	stop   context.CancelFunc
	done   sync.WaitGroup
}

func (w *world) begin(t *testing.T) *life {
	t.Helper()
	l := &life{world: w, shared: flow.New(w.store)}
	inForce, err := profiles.Default()
	require.NoError(t, err)
	if w.policy != nil {
		inForce = w.policy
	}
	s := l.shared
	if w.catalog == nil {
		w.catalog = catalog.Default()
	}
	s.SetRules(policy.Rules{Policy: inForce, Revision: 1, Catalog: w.catalog})
	l.ticket, err = register.New(t.Context(), register.Options{Records: tickets.Records{Store: w.store, Owner: s.Owner}, Now: time.Now,
		Blob: func(_ context.Context, id string) ([]byte, error) { return w.blobs.Get(id) }})
	require.NoError(t, err)
	w.desk.System = l.ticket
	log := slog.New(slog.DiscardHandler)
	l.sender = send.New(send.Options{Store: w.store, Blobs: w.blobs, Systems: map[string]itsm.System{"register": w.desk}, Channels: map[string]channel.Channel{"log": w.mail, "sms": w.sms},
		Links: links{}, Pictures: links{}, Live: func(catalog.TeamID) bool { return !w.observed.Load() }, Now: time.Now, Logger: log})
	s.Logger, s.Sender, s.Metrics = log, l.sender, flow.NewMetrics(prometheus.NewRegistry(), time.Now)
	s.Journal = w.journal
	s.Evaluate = evaluate.Options{Environment: env, YoungFor: w.youngFor}
	s.JournalEnd = func() (at journal.Position) { return at }
	s.Settings = flow.Settings{Environment: env, Channels: func() []string { return []string{"log", "sms"} }, Live: func(catalog.TeamID) bool { return !w.observed.Load() },
		Ticket:      func(catalog.Team) (string, string, bool) { return "register", "", true },
		IncidentURL: links{}.Incident}
	require.NoError(t, s.LoadDirectory(t.Context()))
	if w.follows {
		l.follow(t)
	}
	owners := make([]*partition.Owner, store.Partitions)
	for p := range store.Partitions {
		h := flow.NewHandler(s)
		owners[p] = partition.New(partition.Options{Store: w.store, Partition: store.Partition(p), Handler: h, Now: time.Now, Logger: log})
		s.Bind(store.Partition(p), owners[p], h)
	}
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	owned := map[store.Partition]bool{}
	for _, s := range w.only {
		owned[store.PartitionOf(s)] = true
	}
	for p, o := range owners {
		if w.only != nil && !owned[store.Partition(p)] {
			continue
		}
		require.NoError(t, o.Acquire(t.Context()))
		l.done.Go(func() { _ = o.Run(ctx) })
	}
	synctest.Wait()
	return l
}

// end ends the life. Attempts under way are cut short: their outcome is not
// known, as after a kill.
func (l *life) end() {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.sender.Stop(over)
	l.stop()
	l.done.Wait()
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (l *life) offer(t *testing.T, id string, a alert.Alert) {
	t.Helper()
	require.NoError(t, l.store.Offer(t.Context(), store.PartitionOf(response.Subject(env)), response.Alert(id, a)))
	synctest.Wait()
}

// fault is a hard fault of acquirer alpha at a tenant, that fires now.
func fault(id tenant.ID) alert.Alert {
	now := time.Now().UTC()
	k := alert.Key{Environment: env, Tenant: id, Service: "payments", Rule: "payment_errors", Slice: sli.Slice{{Label: "acquirer", Value: "alpha"}}}
	return alert.Alert{ID: k.ID(), Key: k, Severity: rule.Critical, State: alert.Firing, OnsetAt: now.Add(-30 * time.Second), StartsAt: now, AsOf: now,
		Evidence: alert.Evidence{N: 100, K: 90, Usual: .01, Score: 40, Needed: 12, Share: .5, RatePerMinute: 100, Test: "cusum", Hard: true}, Reason: "90 of 100 failed"}
}

// over is the end of an alert, now.
func over(a alert.Alert) alert.Alert {
	now := time.Now().UTC()
	a.State, a.EndsAt, a.AsOf = alert.Resolved, &now, now
	return a
}

func read[T any](t *testing.T, s store.Store, collection string) []T {
	t.Helper()
	return readAt[T](t, s, store.PartitionOf(response.Subject(env)), collection)
}

func readAt[T any](t *testing.T, s store.Store, p store.Partition, collection string) []T {
	t.Helper()
	records, err := partition.All(t.Context(), s, p, collection)
	require.NoError(t, err)
	var out []T
	for _, r := range records {
		var v T
		require.NoError(t, json.Unmarshal(r.Value, &v))
		out = append(out, v)
	}
	return out
}

func (l *life) incidents(t *testing.T) []incident.Incident {
	t.Helper()
	return read[incident.Incident](t, l.store, response.Incidents)
}

func (l *life) pages(t *testing.T) []oncall.Page {
	t.Helper()
	return read[oncall.Page](t, l.store, response.Pages)
}

// kinds counts the entries of the whole ledger by kind.
func (l *life) kinds(t *testing.T) map[string]int {
	t.Helper()
	return partitiontest.Kinds(t, l.store)
}

func (l *life) tickets(t *testing.T) []register.Entry {
	t.Helper()
	list, _, err := l.ticket.List(t.Context(), register.Filter{Limit: 10})
	require.NoError(t, err)
	return list
}
