package evaluate

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/sli"
)

// till is a shop that says how many of its customers fail.
type till struct {
	r                     *rig
	ok, failed, customers float64
}

func newTill(t *testing.T) *till {
	f := failing()
	f.SLI.Customers = &sli.Customers{Metric: "payment_failing_customers_total"}
	return &till{r: newRig(t, grownUp(), f)}
}

// run lets steps of 15 s pass with so many payments, failures and newly failing
// customers each.
func (s *till) run(from time.Time, steps int, ok, failed, customers float64, tell bool) time.Time {
	for range steps {
		s.ok, s.failed, s.customers = s.ok+ok, s.failed+failed, s.customers+customers
		s.r.advance(from.Add(time.Second))
		at := float64(from.UnixMilli()-epoch.UnixMilli()) / 1000
		s.r.add(counter("acquirer", "alpha", "result", "success"), at, s.ok)
		s.r.add(counter("acquirer", "alpha", "result", "error"), at, s.failed)
		if tell {
			s.r.add(labels.FromStrings("__name__", "payment_failing_customers_total", "job", "gateway", "instance", "gw-1", "acquirer", "alpha"), at, s.customers)
		}
		s.r.advance(from.Add(2 * time.Second))
		from = from.Add(15 * time.Second)
	}
	return from
}

// One customer who fails a hundred times a minute, for twenty minutes, is no fault of a
// shop with one payment a second.
func TestOneCustomersRetriesDoNotRing(t *testing.T) {
	s := newTill(t)
	at := s.run(epoch, 1200, 15, .15, .1, true)
	at = s.run(at, 1, 15, 25, 1, true)
	at = s.run(at, 80, 15, 25, 0, true)
	s.run(at, 40, 15, .15, .1, true)
	require.Empty(t, s.r.out.Alerts)
}

// As many failures of as many customers ring, and say how many those are.
func TestManyCustomersRing(t *testing.T) {
	s := newTill(t)
	at := s.run(epoch, 1200, 15, .15, .1, true)
	s.run(at, 12, 5, 10, 8, true)
	fired := firing(s.r.out.Alerts)
	require.NotEmpty(t, fired)
	require.WithinDuration(t, at, fired[0].StartsAt, 75*time.Second)
	require.NotNil(t, fired[0].Evidence.Customers)
	require.InDelta(t, 24, *fired[0].Evidence.Customers, 17)
	require.Contains(t, fired[0].Reason, " customers")
}

// No more customers are said to fail than failures are: one of the step before the onset may
// be counted.
func TestNoMoreCustomersThanFailures(t *testing.T) {
	s := newTill(t)
	at := s.run(epoch, 1200, 15, .15, .1, true)
	at = s.run(at, 2, 15, 1, 1, true)
	s.run(at, 12, 5, 10, 10, true)
	fired := firing(s.r.out.Alerts)
	require.NotEmpty(t, fired)
	for _, a := range fired {
		require.LessOrEqual(t, *a.Evidence.Customers, a.Evidence.K, a.Reason)
	}
}

// A counter of customers that went away does not hide what fails after.
func TestCustomersThatAreNoLongerToldHideNothing(t *testing.T) {
	s := newTill(t)
	at := s.run(epoch, 1200, 15, .15, .1, true)
	at = s.run(at, 24, 15, .15, 0, false)
	s.run(at, 12, 5, 10, 0, false)
	fired := firing(s.r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Nil(t, fired[0].Evidence.Customers)
	require.Contains(t, fired[0].Reason, "no customer information")
}

// In the middle of somebody's retries a process takes over: it goes on where the first
// one was, and without its record no less carefully.
func TestRetriesAcrossARestart(t *testing.T) {
	s := newTill(t)
	at := s.run(epoch, 1200, 15, .15, .1, true)
	at = s.run(at, 1, 15, 25, 1, true)
	at = s.run(at, 20, 15, 25, 0, true)
	state, err := s.r.e.Checkpoint("shop")
	require.NoError(t, err)
	next := newTill(t)
	require.NoError(t, next.r.e.Restore("shop", state))
	next.ok, next.failed, next.customers = s.ok, s.failed, s.customers
	next.run(at, 60, 15, 25, 0, true)
	require.Empty(t, next.r.out.Alerts)
	require.Equal(t, s.r.tenant().meters[0].cells[0].people.total, next.r.tenant().meters[0].cells[0].people.total)
}

// A shop of four payments a minute that nobody says the customers of, and that is known
// for ten minutes only, loses all of them: what is missing is known by then.
func TestAnOutageSoonAfterTheBeginIsNotTakenForRetries(t *testing.T) {
	s := newTill(t)
	s.r = newRig(t, Options{})
	at := s.run(epoch, 40, 1, 0, 0, false)
	s.run(at, 30, 0, 1, 0, false)
	fired := firing(s.r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Less(t, fired[0].StartsAt.Sub(at), 3*time.Minute)
}

// A source that was silent for 25 minutes sends its counts, the customers' among them, all
// at once: what failed in each step of that time counts as if it had come in time.
func TestABacklogsFailuresAreTheirCustomers(t *testing.T) {
	s := newTill(t)
	at := s.run(epoch, 1200, 150, 4, 3.2, true)
	const missed = 100
	for i := range missed {
		s.r.advance(at.Add(time.Duration(i) * 15 * time.Second))
	}
	s.r.out.Contributions = nil
	for i := range missed { // nothing comes; then everything does, in the order of time
		s.ok, s.failed, s.customers = s.ok+150, s.failed+4, s.customers+3.2
		x := float64(at.Add(time.Duration(i)*15*time.Second).UnixMilli()-epoch.UnixMilli()) / 1000
		s.r.add(counter("acquirer", "alpha", "result", "success"), x, s.ok)
		s.r.add(counter("acquirer", "alpha", "result", "error"), x, s.failed)
		s.r.add(labels.FromStrings("__name__", "payment_failing_customers_total", "job", "gateway", "instance", "gw-1", "acquirer", "alpha"), x, s.customers)
	}
	s.run(at.Add(missed*15*time.Second), 20, 150, 4, 3.2, true)
	n, k := 0., 0.
	for _, c := range s.r.out.Contributions {
		if len(c.Slice) == 1 && c.Slice[0].Label == "acquirer" {
			n, k = n+c.Step.N, k+c.Step.K
		}
	}
	require.Greater(t, n, 150.*missed)
	require.InEpsilon(t, 4./154, k/n, 0.1)
}

// A counter of customers that stands still while everything fails hides nothing: nobody's
// retries keep others from paying.
func TestACounterThatStandsStillHidesNoOutage(t *testing.T) {
	s := newTill(t)
	at := s.run(epoch, 1200, 150, 4, 3.2, true)
	s.run(at, 40, 10, 140, 0, true)
	fired := firing(s.r.out.Alerts)
	require.NotEmpty(t, fired)
	require.WithinDuration(t, at, fired[0].StartsAt, 6*time.Minute)
	s.run(at.Add(10*time.Minute), 480, 10, 140, 0, true)
	require.True(t, s.r.meter().cells[0].busy(), "two hours later too")
}
