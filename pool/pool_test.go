package pool

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var alpha = sli.Slice{{Label: "acquirer", Value: "alpha"}}

// tenantry is many small tenants that share an acquirer.
type tenantry struct {
	rng     *rand.Rand
	p       *Pool
	tps     []float64
	fail    func(i int) float64
	now     time.Time
	sending []bool
	alerts  []alert.Alert
	twice   bool
	late    bool // it is a backlog that comes
	sent    []exchange.Contribution
}

func newCrowd(seed uint64, tps ...float64) *tenantry {
	c := &tenantry{rng: rand.New(rand.NewPCG(seed, 4)), tps: tps, now: epoch, fail: func(int) float64 { return .01 }, sending: make([]bool, len(tps))}
	c.p = newPool()
	return c
}

func newPool() *Pool {
	p := New(Options{}, "production", "payments")
	p.SetRules([]rule.Rule{failing()})
	return p
}

func (c *tenantry) run(d time.Duration) *tenantry {
	for end := c.now.Add(d); c.now.Before(end); {
		start := c.now
		c.now = c.now.Add(15 * time.Second)
		for i, tps := range c.tps {
			k := poisson(c.rng, 15*tps*c.fail(i))
			n := k + poisson(c.rng, 15*tps*(1-c.fail(i)))
			if n == 0 && !c.sending[i] {
				continue
			}
			c.sending[i] = n > 0
			v := exchange.Contribution{Origin: &exchange.Origin{Environment: "production", Service: "payments", Rule: "PaymentsFailing", Tenant: tenant.ID(fmt.Sprintf("t%03d", i))}, Slice: alpha,
				Step: detect.Step{Start: start.UnixMilli(), End: c.now.UnixMilli(), N: n, K: k, Coverage: 1}, Usual: .01, Live: !c.late}
			c.alerts = append(c.alerts, c.p.Advance(c.now.Add(time.Duration(i)*time.Millisecond))...)
			c.p.Contribute(&v)
			c.sent = append(c.sent, v)
			if c.twice {
				c.p.Contribute(&v)
			}
		}
	}
	return c
}

func many(n int, tps float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = tps
	}
	return out
}

func TestPoolSeesWhatNoTenantCan(t *testing.T) {
	// Five points more at an acquirer that 300 tenants share, each with one payment in 100 s.
	c := newCrowd(1, many(300, .01)...).run(12 * time.Hour)
	require.Empty(t, c.alerts, "the usual")
	c.fail = func(int) float64 { return .06 }
	began := c.now
	c.run(15 * time.Minute)
	fired := firing(c.alerts)
	require.NotEmpty(t, fired)
	a := fired[0]
	t.Log(a.StartsAt.Sub(began), a.Reason)
	require.Less(t, a.StartsAt.Sub(began), 10*time.Minute)
	require.Equal(t, tenant.Product, a.Tenant)
	require.Equal(t, alpha, a.Slice)
	require.NotEmpty(t, a.Evidence.Tenants)
	require.LessOrEqual(t, len(a.Evidence.Tenants), 20)
	require.InDelta(t, 180, a.Evidence.RatePerMinute, 30)
	require.Equal(t, alert.Key{Environment: "production", Tenant: tenant.Product, Service: "payments", Rule: "PaymentsFailing", Slice: alpha}.ID(), a.ID)
	c.alerts, c.fail = nil, func(int) float64 { return .01 }
	c.run(time.Hour)
	require.Equal(t, alert.Resolved, c.alerts[len(c.alerts)-1].State)
	require.NotNil(t, c.alerts[len(c.alerts)-1].EndsAt)
}

// TestPoolKnowsTheVolumeItCannotJudge: the other half of the volume goes through an
// acquirer that two tenants use, too few to be judged together.
func TestPoolKnowsTheVolumeItCannotJudge(t *testing.T) {
	c := newCrowd(5, many(20, 1)...)
	beta := func() {
		for _, id := range []tenant.ID{"big", "other"} {
			c.p.Contribute(&exchange.Contribution{Origin: &exchange.Origin{Environment: "production", Service: "payments", Rule: "PaymentsFailing", Tenant: id}, Slice: sli.Slice{{Label: "acquirer", Value: "beta"}},
				Step: detect.Step{Start: c.now.Add(-15 * time.Second).UnixMilli(), End: c.now.UnixMilli(), N: 150, K: 1, Coverage: 1}, Usual: .01, Live: true})
		}
	}
	for range 240 {
		c.run(15 * time.Second)
		beta()
	}
	c.fail = func(int) float64 { return 1 }
	for range 8 {
		c.run(15 * time.Second)
		beta()
	}
	fired := firing(c.alerts)
	require.NotEmpty(t, fired)
	require.Equal(t, alpha, fired[0].Slice)
	require.InDelta(t, .5, fired[0].Evidence.Share, .1)
}

// TestABurstKnowsTheVolumeOfAll: what was held up, a history for one, is closed at once. A
// slice that rings in it does not take what the others have not closed yet for nothing.
func TestABurstKnowsTheVolumeOfAll(t *testing.T) {
	c := newCrowd(5, many(20, 1)...)
	now, beta := c.now, sli.Slice{{Label: "acquirer", Value: "beta"}}
	for i := range int64(240) {
		for n := range 40 {
			v := exchange.Contribution{Origin: &exchange.Origin{Environment: "production", Service: "payments", Rule: "PaymentsFailing", Tenant: tenant.ID(fmt.Sprintf("t%03d", n))}, Slice: alpha, Usual: .01, Live: true,
				Step: detect.Step{Start: now.UnixMilli() + i*15_000, End: now.UnixMilli() + (i+1)*15_000, N: 15, Coverage: 1}}
			switch {
			case n >= 20:
				v.Slice = beta
			case i >= 230:
				v.Step.K = 15
			}
			c.p.Contribute(&v)
		}
	}
	fired := firing(c.p.Advance(now.Add(2 * time.Hour)))
	require.NotEmpty(t, fired)
	require.Equal(t, alpha, fired[0].Slice)
	require.InDelta(t, .5, fired[0].Evidence.Share, .1)
}

func TestPoolIsNotOneTenantsFault(t *testing.T) {
	for name, tps := range map[string][]float64{"one of many": many(20, .2), "a giant": append(many(20, .2), 50), "two tenants": {5, 5}, "one": {5}} {
		c := newCrowd(2, tps...)
		last := len(tps) - 1
		c.fail = func(i int) float64 {
			if i == last || len(tps) <= 2 {
				return 1
			}
			return .01
		}
		c.run(3 * time.Hour)
		require.Empty(t, c.alerts, name)
	}
	c := newCrowd(2, 5, 5, 5)
	c.fail = func(i int) float64 { return 1 }
	c.run(3 * time.Minute)
	require.NotEmpty(t, c.alerts, "three are enough")
	require.Len(t, c.alerts[0].Evidence.Tenants, 3)
	require.True(t, c.alerts[0].Evidence.Hard)
}

func TestPoolCountsTheLargestLikeAllOthers(t *testing.T) {
	s := newStream("PaymentsFailing", alpha)
	b := bucket{start: 0, end: 15_000, sorted: true}
	b.add(s.seat("giant"), part{1000, 10, 10})
	b.add(s.seat("c"), part{4, 0, .04})
	b.add(s.seat("b"), part{2, 0, .02})
	b.add(s.seat("b"), part{4, 0, .04}) // late
	got, thin := s.pooled(&b, 3)
	require.False(t, thin)
	require.InDelta(t, 20, got.N, 1e-9)
	require.InDelta(t, .1, got.K, 1e-9)
	require.InDelta(t, .2, b.expected, 1e-9)
	_, thin = s.pooled(&b, 4)
	require.True(t, thin)
}

func TestPoolClosing(t *testing.T) {
	p := newPool()
	send := func(id tenant.ID, n float64, end int) {
		p.Contribute(&exchange.Contribution{Origin: &exchange.Origin{Environment: "production", Service: "payments", Rule: "PaymentsFailing", Tenant: id}, Slice: alpha, Live: true, Usual: .01,
			Step: detect.Step{Start: epoch.UnixMilli() + int64(end-15)*1000, End: epoch.UnixMilli() + int64(end)*1000, N: n, K: 0, Coverage: 1}})
	}
	at := func(s float64) int64 {
		p.Advance(epoch.Add(time.Duration(s * float64(time.Second))))
		if len(p.streams) == 0 || p.streams[0].closed == 0 {
			return 0
		}
		return (p.streams[0].closed - epoch.UnixMilli()) / 1000
	}
	at(16)
	send("a", 5, 15)
	send("b", 5, 15)
	send("c", 5, 15)
	require.Zero(t, at(45.9), "nobody is known yet: it waits its time")
	require.EqualValues(t, 15, at(46))
	send("a", 5, 30)
	send("b", 5, 30)
	require.EqualValues(t, 15, at(47))
	send("c", 0, 30)
	require.EqualValues(t, 30, at(47.1), "all have spoken")
	send("a", 5, 45)
	require.EqualValues(t, 30, at(48))
	send("b", 5, 45)
	require.EqualValues(t, 45, at(48.1), "c had nothing to say and is not waited for")
	send("c", 4, 45)
	require.EqualValues(t, 60, p.streams[0].open[0].end/1000-epoch.Unix(), "what comes late joins the open step")
	send("c", 4, 45)
	require.Len(t, p.streams[0].open[0].parts, 1)
	require.Equal(t, portion{p.streams[0].seats["c"], part{n: 4, expected: p.streams[0].open[0].parts[0].expected}}, p.streams[0].open[0].parts[0], "once")
	p.Contribute(&exchange.Contribution{Origin: &exchange.Origin{Environment: "staging", Service: "payments", Rule: "PaymentsFailing", Tenant: "x"}, Slice: alpha, Step: detect.Step{End: 1, N: 1}})
	require.Len(t, p.streams[0].open, 1)
}

// TestAPoolDoesNotWaitForTheLast: a tenant that is scraped once a minute holds nobody up.
func TestAPoolDoesNotWaitForTheLast(t *testing.T) {
	p := newPool()
	tenants := many(20, 0)
	send := func(end int, from, to int) {
		for i := range tenants[from:to] {
			p.Contribute(&exchange.Contribution{Origin: &exchange.Origin{Environment: "production", Service: "payments", Rule: "PaymentsFailing", Tenant: tenant.ID(fmt.Sprint("t", from+i))}, Slice: alpha, Live: true, Usual: .01,
				Step: detect.Step{Start: epoch.UnixMilli() + int64(end-15)*1000, End: epoch.UnixMilli() + int64(end)*1000, N: 5, K: 0, Coverage: 1}})
		}
	}
	closed := func(s float64) int64 {
		p.Advance(epoch.Add(time.Duration(s * float64(time.Second))))
		return p.streams[0].closed/1000 - epoch.Unix()
	}
	p.Advance(epoch.Add(16 * time.Second))
	send(15, 0, 20)
	require.EqualValues(t, 15, closed(46))
	send(30, 0, 17)
	require.EqualValues(t, 15, closed(75.9), "three of twenty are missed")
	require.EqualValues(t, 30, closed(76))
	send(45, 0, 20)
	require.EqualValues(t, 45, closed(77))
	send(60, 0, 18)
	require.EqualValues(t, 45, closed(86.9))
	require.EqualValues(t, 60, closed(87), "two are not")
	send(60, 18, 20)
	send(75, 0, 20)
	n := 0.0
	for _, v := range p.streams[0].open[0].list() {
		n += v.n
	}
	require.Equal(t, 110.0, n, "what comes late joins the open step")
	require.EqualValues(t, 75, closed(87.1))
}

func TestPoolRestore(t *testing.T) {
	bad := func(i int) float64 { return .08 + float64(i%3)/20 }
	whole := newCrowd(5, many(60, .05)...).run(time.Hour)
	whole.fail = bad
	whole.run(30 * time.Minute)
	require.NotEmpty(t, whole.alerts)

	cut := newCrowd(5, many(60, .05)...)
	cut.twice = true
	rng := rand.New(rand.NewPCG(8, 8))
	for i := range 90 {
		if i == 60 {
			cut.fail = bad
		}
		cut.run(time.Minute)
		if rng.Float64() < .5 {
			data, err := cut.p.Checkpoint()
			require.NoError(t, err)
			fresh := newPool()
			require.NoError(t, fresh.Restore(data))
			for _, v := range cut.sent[max(0, len(cut.sent)-200):] { // tenants send again after a restart
				fresh.Contribute(&v)
			}
			cut.p = fresh
		}
	}
	require.Equal(t, whole.alerts, cut.alerts)

	data, err := cut.p.Checkpoint()
	require.NoError(t, err)
	for n := range len(data) - 1 {
		if n%7 == 0 {
			require.Error(t, newPool().Restore(data[:n]))
		}
	}
	newer := append([]byte{}, data...)
	newer[1] = checkpoint.Version + 1
	require.True(t, problem.Is(newPool().Restore(newer), problem.Invalid))
	cut.p.SetRules(nil)
	out := cut.p.Advance(cut.now)
	require.Len(t, out, 1)
	require.Equal(t, alert.Resolved, out[0].State)
}

func TestCheckpointsOfTheVersionBeforeAreRead(t *testing.T) {
	raw, err := os.ReadFile("testdata/pool-v1.bin")
	require.NoError(t, err)
	p := newPool()
	require.NoError(t, p.Restore(raw))
	require.NotEmpty(t, p.streams)
}

// What only tenants' records have is none of a pool's: a record that says otherwise is damaged.
func TestAPoolHasNoBurnRates(t *testing.T) {
	p := newCrowd(3, many(4, 1)...).run(2 * time.Minute).p
	c := &coder{checkpoint.Write(kind, checkpoint.Version)}
	c.says(p.streams[0])
	said, err := c.Written()
	require.NoError(t, err)
	read := func(data []byte) error {
		in, err := checkpoint.Read(data, kind)
		require.NoError(t, err)
		c := &coder{in}
		c.says(newStream("", nil))
		return c.End()
	}
	require.NoError(t, read(said))
	for i := 1; i <= 3; i++ {
		damaged := append([]byte{}, said...)
		require.Zero(t, damaged[len(damaged)-i])
		damaged[len(damaged)-i] = 2 // a varint's one
		require.Error(t, read(damaged))
	}
}

func TestAPoolBesideGoesOnFromWhereThisOneStands(t *testing.T) {
	c := newCrowd(3, many(60, .02)...).run(time.Hour)
	c.fail = func(int) float64 { return .4 }
	c.run(10 * time.Minute)
	require.NotEmpty(t, firing(c.alerts))
	onset := c.alerts[0].OnsetAt
	before, err := c.p.Checkpoint()
	require.NoError(t, err)

	other := failing()
	other.Severity = rule.Warning
	b, err := c.p.Beside([]rule.Rule{other})
	require.NoError(t, err)
	after, err := c.p.Checkpoint()
	require.NoError(t, err)
	require.Equal(t, before, after, "this one stays as it is")
	require.NotNil(t, c.p.streams[0].says.Raised)

	in := c.p
	c.p, c.alerts = b, nil
	c.run(time.Minute)
	require.NotEmpty(t, c.alerts, "it has raised nothing yet")
	require.Equal(t, rule.Warning, c.alerts[0].Severity)
	require.Equal(t, onset, c.alerts[0].OnsetAt, "and knows since when")
	again, err := in.Checkpoint()
	require.NoError(t, err)
	require.Equal(t, before, again)
}
