package senders_test

import (
	"log/slog"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/senders"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const env = "production"

var subject = store.NamedSubject("source", env, "prom-eu")

// room is the home of one source in one life of the process.
type room struct {
	*partitiontest.Home
	store  *memory.Store
	set    *senders.Set
	names  *senders.Names
	end    int64 // of the journal
	mu     sync.Mutex
	raised []alert.Alert
}

func (r *room) begin(t *testing.T, name string) {
	t.Helper()
	r.names = &senders.Names{}
	r.set = senders.New(senders.Options{Names: r.names, Catalog: catalog.Default, Known: func(id tenant.ID) bool { return id != "gone" }, BlindAfter: 5 * time.Minute,
		Journal: name, Logger: slog.New(slog.DiscardHandler), Raise: func(_ *partition.Tx, a alert.Alert) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.raised = append(r.raised, a)
		}})
	r.Home = partitiontest.Open(t, r.store, subject, partitiontest.Decider{Load: r.set.Load})
}

func open(t *testing.T) *room {
	t.Helper()
	r := &room{store: memory.New(memory.Options{})}
	r.begin(t, "one")
	return r
}

func (r *room) states() (out []alert.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.raised {
		out = append(out, a.State)
	}
	return out
}

// batch has a late sample of each of some tenants.
func batch(of ...tenant.ID) *samples.Batch {
	now := time.Now()
	b := &samples.Batch{ReceivedAt: now}
	for _, id := range of {
		b.Series = append(b.Series, samples.Series{Tenant: id, Source: "prom-eu", Samples: []samples.Sample{{T: now.Add(-time.Hour).UnixMilli()}}})
	}
	return b
}

func (r *room) hear(t *testing.T, b *samples.Batch, at int64) {
	t.Helper()
	heard := senders.BySource(b, func(samples.Series) string { return env })
	r.Do(t, func(tx *partition.Tx) error {
		return r.set.Hear(tx, heard[tx.Partition()], journal.Position{Segment: 1, Offset: at})
	})
}

// sends lets the source send for a time, and looks at it.
func (r *room) sends(t *testing.T, d time.Duration, of ...tenant.ID) {
	t.Helper()
	for range int(d / (30 * time.Second)) {
		partitiontest.Pass(30 * time.Second)
		r.end++
		r.hear(t, batch(of...), r.end)
		r.look(t)
	}
}

func (r *room) look(t *testing.T) {
	t.Helper()
	r.Do(t, r.set.Look)
}

func (r *room) checkpoint(t *testing.T) {
	t.Helper()
	r.Do(t, func(tx *partition.Tx) error { return r.set.Checkpoint(tx, journal.Position{Segment: 1, Offset: r.end}) })
}

// counted is how many samples were heard, each of which is late.
func (r *room) counted(t *testing.T) (n int64) {
	t.Helper()
	r.Do(t, func(tx *partition.Tx) error {
		st, ok := r.set.Status(subject, tx.Now())
		require.True(t, ok)
		n = st.Late
		return nil
	})
	return n
}

// A source that falls silent raises one alert, which the next process knows to stand and
// ends when it hears the source again.
func TestASilentSourceAcrossAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.sends(t, 20*time.Minute, "acme", "bolt")
		r.checkpoint(t)
		for range 20 {
			partitiontest.Pass(30 * time.Second)
			r.look(t)
		}
		require.Equal(t, []alert.State{alert.Firing}, r.states())
		require.Equal(t, []tenant.ID{"acme", "bolt"}, r.raised[0].Evidence.Tenants)
		require.Equal(t, "sources", r.raised[0].Service, "the catalog names no service of it")

		r.End() // with no checkpoint since
		r.begin(t, "one")
		require.Equal(t, []string{subject}, r.names.List())
		partitiontest.Pass(10 * time.Minute)
		r.look(t)
		require.Len(t, r.states(), 1, "it is not said again")
		r.sends(t, time.Minute, "acme", "bolt")
		require.Equal(t, []alert.State{alert.Firing, alert.Resolved}, r.states())
		require.Equal(t, r.raised[0].ID, r.raised[1].ID)
		r.End() // the end is known at once too
		r.begin(t, "one")
		r.sends(t, time.Minute, "acme", "bolt")
		require.Len(t, r.states(), 2)
		var kinds []string
		for _, e := range r.Ledger(t) {
			require.Equal(t, subject, e.Subject)
			kinds = append(kinds, e.Kind)
		}
		require.Equal(t, []string{"source.silent", "source.seeing"}, kinds)
	})
}

// A replay of the journal is heard from where the state stands. Of another process's journal
// positions mean nothing: what was received by the state's time is in it.
func TestAReplayIsHeardOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.sends(t, 2*time.Minute, "acme")
		require.EqualValues(t, 4, r.counted(t))
		old := batch("acme")
		r.hear(t, old, 3)
		require.EqualValues(t, 4, r.counted(t))
		r.checkpoint(t)
		var at journal.Position
		r.Do(t, func(*partition.Tx) error { at, _ = r.set.Oldest(); return nil })
		require.EqualValues(t, 4, at.Offset)
		r.end += 3 // by others: what came of them is not replayed for this one
		r.checkpoint(t)
		r.Do(t, func(*partition.Tx) error { at, _ = r.set.Oldest(); return nil })
		require.EqualValues(t, 7, at.Offset)
		r.End()

		r.begin(t, "one")
		r.hear(t, old, 7)
		require.EqualValues(t, 4, r.counted(t))
		r.hear(t, old, 8)
		require.EqualValues(t, 5, r.counted(t), "what came after the checkpoint")
		r.End()

		r.begin(t, "another")
		r.hear(t, old, 1)
		require.EqualValues(t, 4, r.counted(t), "it is in the state")
		partitiontest.Pass(time.Second)
		r.hear(t, batch("acme"), 2)
		require.EqualValues(t, 5, r.counted(t))
	})
}

// A tenant of whom nothing comes by a source that sends others is told so, at its home; one
// that is not known any more is not.
func TestATenantThatASourceNoLongerCarries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.sends(t, 20*time.Minute, "acme", "bolt", "gone")
		require.Empty(t, partitiontest.Arrived(t, r.store, tenant.ID("bolt").Subject()))
		r.sends(t, 15*time.Minute, "acme")
		in := partitiontest.Arrived(t, r.store, tenant.ID("bolt").Subject())
		require.Len(t, in, 6, "each minute from the tenth on")
		require.Equal(t, senders.InputAlive, in[0].Kind)
		alive, err := partition.DecodeInput[senders.Alive](in[0])
		require.NoError(t, err)
		require.Equal(t, tenant.ID("bolt"), alive.Tenant)
		require.Equal(t, "prom-eu", alive.Source)
		require.Empty(t, partitiontest.Arrived(t, r.store, tenant.ID("acme").Subject()))
		require.Empty(t, partitiontest.Arrived(t, r.store, tenant.ID("gone").Subject()))
		require.Empty(t, r.states())
	})
}

// What was written of a source is told without its owner; a record that cannot be read says so.
func TestWhatIsWrittenOfASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.sends(t, time.Minute, "acme")
		r.checkpoint(t)
		list, err := senders.Written(t.Context(), r.store, r.At, 0, time.Now())
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, "prom-eu", list[0].Name)
		require.Equal(t, env, list[0].Environment)
		require.EqualValues(t, 2, list[0].Late)
		for name, bad := range map[string]store.Record{
			"version": {Version: 2, Value: []byte("{}\n{}")},
			"mark":    {Version: 1, Value: []byte("{}")},
			"json":    {Version: 1, Value: []byte("x\n{}")},
		} {
			bad.Collection, bad.Key, bad.Kind = "source", subject, "source"
			r.Do(t, func(tx *partition.Tx) error { tx.PutRaw(bad); return nil })
			_, err = senders.Written(t.Context(), r.store, r.At, 0, time.Now())
			require.True(t, problem.Is(err, problem.Internal), name)
		}
	})
}

// A batch is summed up by source and environment, whatever the order of its series: how much
// came, how much of it late, and whose. Derived counters are nobody's samples, and whoever
// is not onboarded is nobody's tenant.
func TestABatchBySource(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	series := func(id tenant.ID, source string, ages ...time.Duration) samples.Series {
		s := samples.Series{Tenant: id, Source: source}
		for _, a := range ages {
			s.Samples = append(s.Samples, samples.Sample{T: now.Add(-a).UnixMilli()})
		}
		return s
	}
	unknown, derived := series("who", "a", 0), series("acme", "a", 0)
	unknown.Unknown, derived.Derived = true, true
	b := &samples.Batch{ReceivedAt: now, Sender: "token-x", Refused: 2, Series: []samples.Series{
		series("acme", "a", 0, 0), series("bolt", "a", time.Hour), series("acme", "b", 0), series("acme", "a", 10*time.Minute),
		unknown, derived, series(tenant.Product, "a", 0), series("coop", "", 0)}}
	got := senders.BySource(b, func(samples.Series) string { return env })
	for _, name := range []string{"a", "b", "token-x"} {
		subject := store.NamedSubject("source", env, name)
		synctest.Test(t, func(t *testing.T) {
			set := senders.New(senders.Options{Names: &senders.Names{}, Catalog: catalog.Default, Known: func(tenant.ID) bool { return true }, Logger: slog.New(slog.DiscardHandler),
				Raise: func(*partition.Tx, alert.Alert) {}})
			h := partitiontest.Open(t, memory.New(memory.Options{}), subject, partitiontest.Decider{})
			h.Do(t, func(tx *partition.Tx) error {
				return set.Hear(tx, got[tx.Partition()], journal.Position{Segment: 1, Offset: 1})
			})
			h.Do(t, func(tx *partition.Tx) error {
				st, ok := set.Status(subject, now)
				require.True(t, ok)
				want := map[string][5]int64{"a": {6, 1, 0, 2, 3}, "b": {1, 0, 0, 1, 1}, "token-x": {1, 0, 2, 1, 1}}[name]
				came := int64(math.Round(60 * st.SamplesPerSecond))
				require.Equal(t, want, [5]int64{came, st.Late, st.Refused, int64(st.Tenants), int64(st.Series)}, name)
				return nil
			})
		})
	}
	require.Empty(t, senders.BySource(&samples.Batch{ReceivedAt: now, Series: []samples.Series{derived}}, func(samples.Series) string { return env }))
}
