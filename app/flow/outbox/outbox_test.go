package outbox_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/delivery"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
)

const (
	mail     = "channel/mail"
	asker    = "incidents/production"
	attempts = "tocsin_flow_deliveries_total"
)

// attempt is one that the Sender was given and has not reported of yet.
type attempt struct {
	delivery.Delivery
	done func(delivery.Result)
}

// way is a destination with its box in one life of the process.
type way struct {
	*partitiontest.Home
	box      *outbox.Box
	metrics  *outbox.Metrics
	registry *prometheus.Registry
	mu       sync.Mutex
	attempts []attempt
}

// Send implements outbox.Sender: the test reports.
func (w *way) Send(d delivery.Delivery, done func(delivery.Result)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts = append(w.attempts, attempt{d, done})
}

// begun are the attempts that the Sender was given, in order.
func (w *way) begun() []attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.attempts)
}

// live begins a life. served is who serves the destination when an attempt reports.
func live(t *testing.T, s store.Store, served func() *way) *way {
	t.Helper()
	r := prometheus.NewRegistry()
	w := &way{metrics: outbox.NewMetrics(r, time.Now), registry: r}
	w.box = outbox.New(outbox.Options{Sender: w, Metrics: w.metrics, Post: func(_ store.Partition, f func(*partition.Tx, *outbox.Box) error) {
		to := served()
		to.Post(func(tx *partition.Tx) error { return f(tx, to.box) })
	}})
	w.Home = partitiontest.Open(t, s, store.DestinationSubject(mail), partitiontest.Decider{
		Input: func(tx *partition.Tx, in store.Input) error {
			d, err := partition.DecodeInput[delivery.Delivery](in)
			if err != nil {
				return err
			}
			return w.box.Accept(tx, d)
		},
		Timer: func(tx *partition.Tx, timer store.Timer) error { return w.box.Due(tx, timer.Subject) },
	})
	w.Do(t, w.box.Wake)
	return w
}

func alone(t *testing.T) (*memory.Store, *way) {
	t.Helper()
	s := memory.New(memory.Options{})
	var w *way
	w = live(t, s, func() *way { return w })
	return s, w
}

func (w *way) ask(t *testing.T, d delivery.Delivery) {
	t.Helper()
	w.Do(t, func(tx *partition.Tx) error { outbox.Ask(tx, mail, d); return nil })
}

// report ends the last attempt that began.
func (w *way) report(r delivery.Result) {
	all := w.begun()
	all[len(all)-1].done(r)
	synctest.Wait()
}

func outcomes(t *testing.T, s store.Store) (out []delivery.Outcome) {
	t.Helper()
	for _, in := range partitiontest.Arrived(t, s, asker) {
		require.Equal(t, outbox.InputOutcome, in.Kind)
		o, err := partition.DecodeInput[delivery.Outcome](in)
		require.NoError(t, err)
		out = append(out, o)
	}
	return out
}

func page(key string) delivery.Delivery {
	return delivery.Delivery{Key: key, Kind: delivery.Call, Verb: outbox.Page, Subject: asker, Ref: "pg_1", Payload: json.RawMessage(`{}`)}
}

// A page leaves once, however often it is asked for, and whoever asked is told once.
func TestACallLeavesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := alone(t)
		w.ask(t, page("k"))
		w.ask(t, page("k"))
		later := page("k")
		later.Version = 1 // another commit asks for the same call: the inbox does not know it
		w.ask(t, later)
		require.Len(t, w.begun(), 1)
		require.Len(t, partitiontest.Values[delivery.Delivery](t, w.Home, "delivery"), 1, "that it has begun is known before anything is sent")
		w.report(delivery.Result{OK: true, Data: json.RawMessage(`"250 ok"`)})
		w.report(delivery.Result{OK: true, Data: json.RawMessage(`"250 ok"`)}) // told twice
		partitiontest.Pass(time.Minute)
		require.Len(t, w.begun(), 1)
		said := outcomes(t, s)
		require.Len(t, said, 1)
		require.True(t, said[0].Final && said[0].OK)
		require.Equal(t, "pg_1", said[0].Ref)
		require.Empty(t, partitiontest.Values[delivery.Delivery](t, w.Home, "delivery"))
	})
}

// A page waits until it is due, is not sent a second early, and is tried again when the
// channel fails; the first failure is told, the second is not.
func TestACallWaitsAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := alone(t)
		d := page("k")
		d.NotBefore = time.Now().Add(10 * time.Second)
		w.ask(t, d)
		partitiontest.Pass(9 * time.Second)
		require.Empty(t, w.begun())
		partitiontest.Pass(2 * time.Second)
		require.Len(t, w.begun(), 1)
		for n := range 2 {
			w.report(delivery.Result{Retryable: true, Error: "down"})
			w.report(delivery.Result{Retryable: true, Error: "down"}) // told twice
			partitiontest.Pass(5 * time.Second)
			require.Len(t, w.begun(), n+2)
		}
		backlog, err := outbox.Backlogs(t.Context(), s)
		require.NoError(t, err)
		require.Equal(t, []outbox.Backlog{{Destination: mail, Waiting: 1, Oldest: w.begun()[0].CreatedAt, Failures: 2, LastError: "down"}}, backlog)
		said := outcomes(t, s)
		require.Len(t, said, 1)
		require.False(t, said[0].Final)
		w.report(delivery.Result{Error: "no such mailbox"})
		said = outcomes(t, s)
		require.Len(t, said, 2)
		require.True(t, said[1].Final)
		require.False(t, said[1].OK)
		backlog, err = outbox.Backlogs(t.Context(), s)
		require.NoError(t, err)
		require.Empty(t, backlog)
		require.NoError(t, testutil.GatherAndCompare(w.registry, strings.NewReader(`# HELP tocsin_flow_deliveries_total Attempts to deliver a ticket, picture or page.
# TYPE tocsin_flow_deliveries_total counter
tocsin_flow_deliveries_total{result="ok",verb="page"} 0
tocsin_flow_deliveries_total{result="ok",verb="picture"} 0
tocsin_flow_deliveries_total{result="ok",verb="ticket"} 0
tocsin_flow_deliveries_total{result="refused",verb="page"} 1
tocsin_flow_deliveries_total{result="refused",verb="picture"} 0
tocsin_flow_deliveries_total{result="refused",verb="ticket"} 0
tocsin_flow_deliveries_total{result="retry",verb="page"} 2
tocsin_flow_deliveries_total{result="retry",verb="picture"} 0
tocsin_flow_deliveries_total{result="retry",verb="ticket"} 0
tocsin_flow_deliveries_total{result="withdrawn",verb="page"} 0
tocsin_flow_deliveries_total{result="withdrawn",verb="picture"} 0
tocsin_flow_deliveries_total{result="withdrawn",verb="ticket"} 0
`), "tocsin_flow_deliveries_total"))
	})
}

// An attempt whose process ended is made again by the next, under the same key. What the
// old one reports then is not taken for the new one's.
func TestAnAttemptThatWasCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		var serves *way
		first := live(t, s, func() *way { return serves })
		serves = first
		first.ask(t, page("k"))
		first.End()
		first.box.Leave()
		require.Zero(t, waitingPages(t, first))

		second := live(t, s, func() *way { return serves })
		serves = second
		require.Len(t, second.begun(), 1)
		require.Equal(t, "k", second.begun()[0].Key)
		require.Equal(t, 2, second.begun()[0].Attempts)
		second.Do(t, second.box.Wake)
		require.Len(t, second.begun(), 1, "it is under way in this life")
		require.EqualValues(t, 1, waitingPages(t, second))

		first.report(delivery.Result{Error: "cut short"})
		require.Empty(t, outcomes(t, s))
		second.Do(t, second.box.Wake)
		require.Len(t, second.begun(), 1, "it is under way still")
		second.report(delivery.Result{OK: true})
		require.Zero(t, second.pages(t, attempts, "refused"), "of that attempt nobody knows how it ended")
		require.EqualValues(t, 1, second.pages(t, attempts, "ok"))
		said := outcomes(t, s)
		require.Len(t, said, 1)
		require.True(t, said[0].OK)
		require.Zero(t, waitingPages(t, second))
	})
}

func waitingPages(t *testing.T, w *way) float64 {
	t.Helper()
	return w.pages(t, "tocsin_flow_waiting_deliveries", "")
}

// pages is the value of a series of pages; result: of which attempts.
func (w *way) pages(t *testing.T, name, result string) float64 {
	t.Helper()
	list, err := w.registry.Gather()
	require.NoError(t, err)
	for _, f := range list {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == name && labels["verb"] == outbox.Page && labels["result"] == result {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatal("no such series")
	return 0
}

// Of a ticket only the newest document is written, after the one under way, and never an
// older one after a newer.
func TestAMirrorIsAtItsNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := alone(t)
		ticket := func(version uint64) {
			w.ask(t, delivery.Delivery{Key: "t", Kind: delivery.Mirror, Verb: outbox.Ticket, Subject: asker, Version: version, Payload: partition.Payload(version)})
		}
		ticket(1)
		ticket(3)
		ticket(2)
		require.Len(t, w.begun(), 1, "one at a time")
		w.report(delivery.Result{OK: true})
		require.Len(t, w.begun(), 2)
		require.JSONEq(t, "3", string(w.begun()[1].Payload))
		w.report(delivery.Result{OK: true})
		require.Len(t, w.begun(), 2)
		var versions []uint64
		for _, o := range outcomes(t, s) {
			versions = append(versions, o.Version)
		}
		require.Equal(t, []uint64{1, 3}, versions)
	})
}

// A destination that is down rests: what is asked for meanwhile waits for it, and is sent.
func TestWhatIsAskedForWhileADestinationRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, w := alone(t)
		w.ask(t, page("first"))
		for range 5 {
			w.report(delivery.Result{Retryable: true, Error: "down"})
			if len(w.begun()) < 5 {
				partitiontest.Pass(30 * time.Second)
			}
		}
		require.Len(t, w.begun(), 5)
		w.ask(t, page("second"))
		require.Len(t, w.begun(), 5, "it rests")
		partitiontest.Pass(time.Minute)
		require.Len(t, w.begun(), 7)
		require.ElementsMatch(t, []string{"first", "second"}, []string{w.begun()[5].Key, w.begun()[6].Key})
	})
}
