package evaluate

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/detect/crowd"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// stall is a shop whose spans say whose they are.
type stall struct {
	r    *rig
	now  time.Time
	next int // customers so far
}

func newStall(t *testing.T, rules ...rule.Rule) *stall {
	if rules == nil {
		rules = []rule.Rule{failingCalls()}
	}
	return &stall{r: newRig(t, grownUp(), rules...), now: epoch}
}

func (s *stall) fails(n float64, named float64, whose ...string) {
	c := &crowd.Crowd{}
	for _, w := range whose {
		c.Meet(crowd.Of(w))
	}
	t := s.now.UnixMilli() / 10_000 * 10_000
	s.r.e.AddEvents(s.r.now, "shop", "otel", called("acquirer", "alpha", "status", "error"), []Event{{T: t, N: n, Named: named, Customers: c}})
}

// run lets steps of 10 s pass with so many payments that succeed and failures of whom
// each step says.
func (s *stall) run(steps int, ok float64, failures func()) {
	for range steps {
		s.r.advance(s.now.Add(time.Second))
		s.r.e.Heard(s.r.now, "otel", []int64{s.now.UnixMilli() / 10_000 * 10_000})
		s.r.e.AddEvents(s.r.now, "shop", "otel", called("acquirer", "alpha", "status", "ok"), []Event{{T: s.now.UnixMilli() / 10_000 * 10_000, N: ok}})
		failures()
		s.now = s.now.Add(10 * time.Second)
	}
}

// usual is one failure a hundred, each of somebody else.
func (s *stall) usual(steps int) {
	step := 0
	s.run(steps, 10, func() {
		if step++; step%10 == 0 {
			s.fails(1, 1, s.stranger())
		}
	})
}

func (s *stall) stranger() string {
	s.next++
	return fmt.Sprint("customer ", s.next)
}

func (s *stall) people() *people { return s.r.meter().cells[0].people }

// One customer who fails a hundred times a minute, for twenty minutes, is no fault of a
// shop with one payment a second; twenty customers are, and the alert says how many.
func TestWhoseSpansFail(t *testing.T) {
	s := newStall(t)
	s.usual(2000)
	s.run(120, 10, func() { s.fails(17, 17, "jo") })
	s.usual(60)
	require.Empty(t, s.r.out.Alerts)

	who := s.r.e.Status("shop", s.r.now).SLIs[0].Customers
	require.Equal(t, CustomersStatus{By: "spans", ThisHour: who.ThisHour, NamedShare: 1}, *who)
	require.Positive(t, who.ThisHour)
	began := s.now
	s.run(12, 4, func() { s.fails(6, 6, s.stranger(), s.stranger(), s.stranger()) })
	fired := firing(s.r.out.Alerts)
	require.NotEmpty(t, fired)
	require.WithinDuration(t, began, fired[0].StartsAt, 75*time.Second)
	require.NotNil(t, fired[0].Evidence.Customers)
	require.InDelta(t, 15, *fired[0].Evidence.Customers, 10)
	require.Zero(t, fired[0].Evidence.Nameless)
	require.False(t, fired[0].Evidence.Estimated)
	require.Regexp(t, `; \d+ customers$`, fired[0].Reason)
}

// In the middle of somebody's retries a process takes over: nobody who failed before is
// new to it, also not by a record that holds none of them.
func TestWhoseSpansFailAcrossARestart(t *testing.T) {
	for _, version := range []byte{checkpoint.Version, peopleNamed - 1} {
		s := newStall(t)
		s.usual(2000)
		s.run(30, 10, func() { s.fails(17, 17, "jo") })
		c := &coder{checkpoint.Write(kindTenant, version)}
		c.tenant(s.r.tenant())
		data, err := c.Written()
		require.NoError(t, err)
		next := newStall(t)
		next.now, next.next = s.now, s.next
		require.NoError(t, next.r.e.Restore("shop", data))
		if version == checkpoint.Version {
			require.Equal(t, s.people().met, next.people().met)
			again, err := next.r.e.Checkpoint("shop")
			require.NoError(t, err)
			require.Equal(t, data, again)
		}
		before := next.people().total
		next.run(60, 10, func() { next.fails(17, 17, "jo") })
		require.Empty(t, next.r.out.Alerts, version)
		require.LessOrEqual(t, next.people().total-before, map[byte]float64{checkpoint.Version: 0, peopleNamed - 1: 1}[version])
		next.run(12, 4, func() { next.fails(6, 6, next.stranger(), next.stranger(), next.stranger()) })
		require.NotEmpty(t, firing(next.r.out.Alerts), version)
	}
}

// A damaged record is refused, whatever it says of customers.
func TestADamagedCrowdIsRefused(t *testing.T) {
	h := hour{number: 7}
	h.crowd.Meet(crowd.Of("jo"))
	c := &coder{checkpoint.Write(kindTenant, checkpoint.Version)}
	c.hour(&h)
	whole, err := c.Written()
	require.NoError(t, err)
	read := func(data []byte) error {
		in, err := checkpoint.Read(data, kindTenant)
		require.NoError(t, err)
		c := &coder{in}
		c.hour(&hour{})
		return c.Err()
	}
	const head = 2 // kind and version
	for i := head; i < len(whole); i++ {
		for _, b := range []byte{0x7f, 0xff} {
			damaged := append([]byte{}, whole...)
			damaged[i] ^= b
			_ = read(damaged) // an error or another crowd: no panic
		}
	}
	require.Error(t, read(append(whole[:head:head], 14, 2, 2, 1)), "level 1, a mark that it does not keep")
}

// Spans that come twice, or later than their step, make nobody new: what counts in no
// step leaves no room for others' retries.
func TestSpansThatComeTwiceOrLate(t *testing.T) {
	s := newStall(t)
	s.usual(400)
	s.run(1, 10, func() {
		s.fails(2, 2, "jo", "mo")
		s.fails(2, 2, "mo", "jo")
	})
	s.run(5, 10, func() {})
	before, credit := s.people().total, s.people().credit.v
	require.Equal(t, 42., before, "40 usual ones, and two")
	s.now = s.now.Add(-2 * time.Minute)
	s.fails(5, 5, "lo", "ho", "bo")
	s.now = s.now.Add(2 * time.Minute)
	require.Equal(t, before, s.people().total)
	require.Equal(t, credit, s.people().credit.v)
	require.Equal(t, 5., s.r.e.Status("shop", s.r.now).LateEvents)
	s.run(1, 10, func() { s.fails(3, 3, "lo", "ho", "bo") })
	s.run(5, 10, func() {})
	require.Equal(t, before, s.people().total, "they were met")
	s.run(360, 10, func() {})
	s.run(1, 10, func() { s.fails(2, 2, "jo", "xo") })
	s.run(5, 10, func() {})
	require.Equal(t, before+2, s.people().total, "the next hour everybody is new once more")
	s.now = s.now.Add(-3 * time.Hour)
	s.fails(1, 1, "zo")
	require.Equal(t, before+2, s.people().total, "nobody knows any more who failed then")
}

// Where most failures are nobody's, nobody knows who fails: they count as they come. A
// few that are nobody's count each.
func TestFailuresThatNameNobody(t *testing.T) {
	s := newStall(t)
	s.usual(2000)
	s.run(9, 4, func() { s.fails(6, 1, "jo") })
	fired := firing(s.r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Nil(t, fired[0].Evidence.Customers)
	require.Contains(t, fired[0].Reason, "no customer information")

	s = newStall(t)
	s.usual(2000)
	s.run(12, 4, func() { s.fails(6, 4, s.stranger(), s.stranger()) })
	fired = firing(s.r.out.Alerts)
	require.NotEmpty(t, fired)
	last := fired[len(fired)-1]
	require.NotNil(t, last.Evidence.Customers)
	require.Positive(t, last.Evidence.Nameless)
	require.Regexp(t, `; \d+ customers, and \d+ failures that name nobody$`, last.Reason)
}

// More customers than are told apart are estimated, in bounded room, and the alert and
// the output say so.
func TestMoreCustomersThanAreToldApart(t *testing.T) {
	s := newStall(t)
	s.usual(2000)
	require.Zero(t, s.r.out.Thinned)
	met := s.next
	s.run(30, 400, func() {
		whose := make([]string, 200)
		for i := range whose {
			whose[i] = s.stranger()
		}
		s.fails(600, 600, whose...)
	})
	require.Equal(t, 2, s.r.out.Thinned, "the total and its one slice, once this hour")
	who := s.r.e.Status("shop", s.r.now).SLIs[0].Customers
	require.True(t, who.Estimated)
	require.InEpsilon(t, s.next-met, who.ThisHour, .3)
	fired := firing(s.r.out.Alerts)
	require.NotEmpty(t, fired)
	last := fired[len(fired)-1]
	require.True(t, last.Evidence.Estimated)
	require.Contains(t, last.Reason, "; about ")
	require.InEpsilon(t, s.next-met, *last.Evidence.Customers, .3)
	require.LessOrEqual(t, len(s.people().met[0].crowd.Marks()), crowd.Room)
}

// A spec's own counter is heard alone, and a policy may name a label of the series that
// says whose they are.
func TestALabelSaysWhoseFailuresTheyAre(t *testing.T) {
	f := failing()
	f.SLI.Customers = &sli.Customers{Label: "account"}
	r := newRig(t, grownUp(), f)
	at := 0.0
	counts := map[string]float64{}
	tick := func(ok float64, failed map[string]float64) {
		r.at(at + 1)
		counts[""] += ok
		r.add(counter("acquirer", "alpha", "result", "success"), at, counts[""])
		for who, n := range failed {
			counts[who] += n
		}
		for _, who := range slices.Sorted(maps.Keys(counts)) {
			if who != "" {
				r.add(counter("acquirer", "alpha", "result", "error", "account", who), at, counts[who])
			}
		}
		at += 15
	}
	for i := range 1200 {
		tick(15, map[string]float64{fmt.Sprint("usual", i%5): .15})
	}
	for range 80 {
		tick(15, map[string]float64{"usual0": .15, "jo": 25})
	}
	require.Empty(t, r.out.Alerts)
	for i := range 12 {
		tick(5, map[string]float64{"usual0": .15, fmt.Sprint("a", i): 3, fmt.Sprint("b", i): 3, fmt.Sprint("c", i): 4})
	}
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Regexp(t, `; \d+ customers`, fired[0].Reason)
}

func TestACounterOfCustomersIsHeardAlone(t *testing.T) {
	f := failingCalls()
	f.SLI.Customers = &sli.Customers{Metric: "payment_failing_customers_total"}
	s := newStall(t, f)
	s.usual(100)
	require.Nil(t, s.people())
	require.Equal(t, &CustomersStatus{By: "counter"}, s.r.e.Status("shop", s.r.now).SLIs[0].Customers)
}

// A span that sampling has stand for a hundred calls is of one customer; where failures
// are kept more often than the rest nothing is judged, whoever they are of.
func TestSampledSpansAreOfOneCustomerEach(t *testing.T) {
	for each, judged := range map[float64]bool{100: true, 1: false} {
		s := newStall(t)
		sampled := func(steps int, ok, failed float64) {
			s.run(steps, 0, func() {
				at := s.now.UnixMilli() / 10_000 * 10_000
				c := &crowd.Crowd{}
				for range int(failed) {
					c.Meet(crowd.Of(s.stranger()))
				}
				s.r.e.AddEvents(s.r.now, "shop", "otel", called("acquirer", "alpha", "status", "ok"), []Event{{T: at, N: ok, Weight: 100 * ok}})
				s.r.e.AddEvents(s.r.now, "shop", "otel", called("acquirer", "alpha", "status", "error"), []Event{{T: at, N: failed, Weight: each * failed, Named: failed, Customers: c}})
			})
		}
		for range 70 {
			sampled(9, 10, 0)
			sampled(1, 10, 1)
		}
		sampled(5, 10, 0)
		before := s.people().total
		require.Equal(t, 70., before)
		sampled(30, 4, 6)
		sampled(5, 10, 0)
		require.Equal(t, 180., s.people().total-before)
		if judged {
			require.NotEmpty(t, firing(s.r.out.Alerts))
			continue
		}
		require.Contains(t, s.r.e.Status("shop", s.r.now).SLIs[0].CannotJudge, "sampling keeps")
		require.Empty(t, firing(s.r.out.Alerts))
	}
}

// An attribute that names everybody by one name hides no outage once usual failures have
// shown it, also not on the next day; one who fails all day long beside others changes nothing.
func TestOneNameForAllHidesNothing(t *testing.T) {
	s := newStall(t)
	step := 0
	s.run(9*360, 10, func() { // from midnight to nine
		if step++; step%10 == 0 {
			s.fails(1, 1, "the merchant")
		}
	})
	who := s.r.e.Status("shop", s.r.now).SLIs[0].Customers
	require.True(t, who.Few)
	require.Contains(t, who.Words(), "name the end customer")
	state, err := s.r.e.Checkpoint("shop")
	require.NoError(t, err)
	next := newStall(t)
	next.now = s.now
	require.NoError(t, next.r.e.Restore("shop", state))
	began := next.now
	next.run(15, 0, func() { next.fails(10, 10, "the merchant") })
	fired := firing(next.r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Less(t, fired[0].StartsAt.Sub(began), 3*time.Minute)
	require.Nil(t, fired[0].Evidence.Customers)

	d := daily{}
	one, two, three := &crowd.Crowd{}, &crowd.Crowd{}, &crowd.Crowd{}
	one.Meet(crowd.Of("jo"))
	two.Meet(crowd.Of("mo"))
	three.Meet(crowd.Of("bo"))
	for h := range int64(5) {
		d.add(240+h, one)
		d.add(240+h, one)
	}
	require.False(t, d.few(), "too few hours to tell")
	d.add(245, two)
	require.True(t, d.few())
	d.add(264, one)
	require.True(t, d.few(), "as the day before")
	d.add(263, three)
	require.True(t, d.few(), "late")
	d.add(264, two)
	d.add(264, three)
	require.False(t, d.few())
	d.add(288, one)
	require.False(t, d.few())
}

// Steps that wait to be judged and never are take no more room.
func TestWhatWaitsIsBounded(t *testing.T) {
	x := &people{}
	for i := range int64(3 * mostComing) {
		x.comes(i*10_000, 1, 2)
	}
	require.Len(t, x.coming, mostComing)
	x.came(1 << 60)
	require.Equal(t, 3.*mostComing, x.total)
	require.Equal(t, 6.*mostComing, x.anonymous)
	require.Empty(t, x.coming)
}
