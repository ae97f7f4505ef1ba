package raise_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/raise"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/hops"
)

// faulty is a store of which some records cannot be read for a while.
type faulty struct {
	store.Store
	key string
}

func (f *faulty) Record(ctx context.Context, p store.Partition, collection, key string) (store.Record, bool, error) {
	if collection == raise.Records && key == f.key {
		return store.Record{}, false, errors.New("a disk fails")
	}
	return f.Store.Record(ctx, p, collection, key)
}

type room struct {
	*partitiontest.Home
	store   *faulty
	changes *prometheus.CounterVec
	queue   *raise.Queue
	found   hops.Answer
	asked   []hops.Question
}

func open(t *testing.T) *room {
	t.Helper()
	r := &room{store: &faulty{Store: memory.New(memory.Options{})}, changes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "changes"}, []string{"state"})}
	r.queue = raise.New(raise.Options{Changes: r.changes, Logger: slog.New(slog.DiscardHandler), Traces: func(q hops.Question) hops.Answer {
		r.asked = append(r.asked, q)
		return r.found
	}})
	r.Home = partitiontest.Open(t, r.store, tenant.ID("acme").Subject(), partitiontest.Decider{})
	return r
}

func (r *room) all(t *testing.T, as ...alert.Alert) {
	t.Helper()
	r.Do(t, func(tx *partition.Tx) error { r.queue.All(tx, as); return nil })
}

func (r *room) stored(t *testing.T) []alert.Alert {
	t.Helper()
	return partitiontest.Values[alert.Alert](t, r.Home, raise.Records)
}

// sent are the states that the incidents were told, in order.
func (r *room) sent(t *testing.T) (out []alert.State) {
	t.Helper()
	for _, in := range partitiontest.Arrived(t, r.store, response.Subject("production")) {
		a, err := partition.DecodeInput[alert.Alert](in)
		require.NoError(t, err)
		require.Equal(t, response.InputAlert, in.Kind)
		out = append(out, a.State)
	}
	return out
}

func (r *room) kinds(t *testing.T) (out []string) {
	t.Helper()
	for _, e := range r.Ledger(t) {
		out = append(out, e.Kind)
	}
	return out
}

func firing(name string) alert.Alert {
	now := time.Now().UTC()
	k := alert.Key{Environment: "production", Tenant: "acme", Service: "payments", Rule: name, Slice: sli.Slice{}}
	return alert.Alert{ID: k.ID(), Key: k, Severity: rule.Critical, State: alert.Firing, OnsetAt: now.Add(-time.Minute), StartsAt: now, AsOf: now, Reason: "90 of 100 failed"}
}

func over(a alert.Alert) alert.Alert {
	now := time.Now().UTC()
	a.State, a.EndsAt, a.AsOf = alert.Resolved, &now, now
	return a
}

// A state is stored, entered in the ledger and told once; a replay of it, or of an earlier
// one, changes nothing. New evidence is told, and is no entry.
func TestAStateIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		began := firing("payment_errors")
		r.all(t, began)
		r.all(t, began)
		partitiontest.Pass(time.Minute)
		grown := began
		grown.AsOf, grown.Reason = time.Now().UTC(), "190 of 200 failed"
		r.all(t, grown)
		ended := over(began)
		ended.AsOf = ended.AsOf.Add(time.Second)
		r.all(t, ended)
		r.all(t, began, grown, ended)
		require.Equal(t, []alert.State{alert.Firing, alert.Firing, alert.Resolved}, r.sent(t))
		require.Equal(t, []string{"alert.firing", "alert.resolved"}, r.kinds(t))
		require.Equal(t, ended, r.stored(t)[0])
		require.InDelta(t, 1, testutil.ToFloat64(r.changes.WithLabelValues("firing")), 0)
		require.InDelta(t, 1, testutil.ToFloat64(r.changes.WithLabelValues("resolved")), 0)
	})
}

// What the store cannot take now holds no other alert up and is not lost: the detectors
// have moved on and will not say it again.
func TestWhatCannotBeStoredNowIsStoredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		stuck, other := firing("payment_errors"), firing("payout_errors")
		r.store.key = string(stuck.ID)
		r.all(t, stuck, other)
		require.Equal(t, []alert.Alert{other}, r.stored(t))
		r.all(t)
		r.store.key = ""
		r.all(t)
		require.Len(t, r.stored(t), 2)
		require.Equal(t, []string{"alert.firing", "alert.firing"}, r.kinds(t))
		r.all(t)
		require.Len(t, r.sent(t), 2)
	})
}

// What was put in a Tx that is thrown away is raised with the next one, in its order; what
// is committed is not raised again.
func TestWhatIsThrownAwayIsRaisedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		began := firing("payment_errors")
		require.Error(t, r.Try(t, func(tx *partition.Tx) error {
			r.queue.All(tx, []alert.Alert{began})
			r.queue.All(tx, []alert.Alert{firing("payout_errors")})
			return errors.New("what else is decided with it fails")
		}))
		require.Empty(t, r.stored(t))
		require.Zero(t, testutil.ToFloat64(r.changes.WithLabelValues("firing")))
		partitiontest.Pass(time.Second)
		r.all(t, over(began))
		require.Len(t, r.stored(t), 2)
		require.Equal(t, []string{"alert.firing", "alert.firing", "alert.resolved"}, r.kinds(t))
		require.Equal(t, []alert.State{alert.Firing, alert.Firing, alert.Resolved}, r.sent(t))
		require.InDelta(t, 2, testutil.ToFloat64(r.changes.WithLabelValues("firing")), 0)
		r.Do(t, func(tx *partition.Tx) error { tx.Delete(raise.Records, string(began.ID)); return nil })
		r.all(t)
		require.Len(t, r.stored(t), 1)
	})
}

// What began and ended while it could not be stored is stored as it is at last.
func TestWhatWaitsIsSupersededByItsOwnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		stuck := firing("payment_errors")
		r.store.key = string(stuck.ID)
		r.all(t, stuck)
		partitiontest.Pass(time.Minute)
		ended := over(stuck)
		r.all(t, ended)
		r.store.key = ""
		r.all(t)
		require.Equal(t, []alert.Alert{ended}, r.stored(t))
		require.Equal(t, []alert.State{alert.Resolved}, r.sent(t))
		require.Equal(t, []string{"alert.resolved"}, r.kinds(t))
	})
}

// Traces are looked for until a hop is known, which stays for as long as the alert fires.
func TestAHopStaysOnceItIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		next := func(a alert.Alert) alert.Alert {
			partitiontest.Pass(15 * time.Second)
			a.AsOf = time.Now().UTC()
			r.all(t, a)
			return r.stored(t)[0]
		}
		a := firing("payment_errors")
		require.Nil(t, next(a).Hop)
		require.Equal(t, a.OnsetAt.Add(-2*time.Minute), r.asked[0].Since)
		require.Equal(t, tenant.ID("acme"), r.asked[0].Tenant)

		r.found = hops.Answer{Traces: []hops.Example{{TraceID: "t1"}}, Hop: &hops.Hop{Service: "ledger", Kind: "service", Share: .8}}
		got := next(a)
		require.Equal(t, &alert.Hop{Service: "ledger", Kind: "service", Share: .8}, got.Hop)
		require.Equal(t, "90 of 100 failed; 80% of the failing traces fail at service ledger", got.Reason)
		require.Equal(t, "t1", got.Traces[0].ID)

		r.found.Hop, r.found.Traces = &hops.Hop{Service: "other", Kind: "service", Share: 1}, []hops.Example{{TraceID: "t2"}}
		got = next(a)
		require.Equal(t, "ledger", got.Hop.Service)
		require.Equal(t, "t1", got.Traces[0].ID)
		require.Equal(t, "90 of 100 failed; 80% of the failing traces fail at service ledger", got.Reason, "said once")

		got = next(over(a))
		require.Equal(t, "ledger", got.Hop.Service, "what it was is kept with its end")
		partitiontest.Pass(time.Hour)
		got = next(firing("payment_errors"))
		require.Equal(t, "other", got.Hop.Service, "it fires anew")

		r.found.Hop = &hops.Hop{Service: "third", Kind: "service", Share: 1}
		got = next(firing("payment_errors"))
		require.Equal(t, "third", got.Hop.Service, "it fires anew, and its end was never seen")
	})
}

// Of an alert over all tenants the traces of those that it names are looked at, five at most.
func TestTracesOfWhatAllShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		a := firing("payment_errors")
		a.Tenant = tenant.Product
		a.Evidence.Tenants = []tenant.ID{"a", "b", "c", "d", "e", "f"}
		r.all(t, a)
		var whose []tenant.ID
		for _, q := range r.asked {
			whose = append(whose, q.Tenant)
		}
		require.Equal(t, []tenant.ID{"a", "b", "c", "d", "e"}, whose)
		partitiontest.Pass(time.Minute)
		r.all(t, over(a))
		require.Len(t, r.asked, 5, "what is over is not looked for")
	})
}
