package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// scraped is one series of a source with everything that happens to a scraped counter.
type scraped struct {
	ls    labels.Labels
	ref   *Ref
	v, by float64
	mean  float64 // of what it grows by
	t     int64
	off   int      // scrapes that it does not answer
	below *scraped // the bucket before: what is counted there counts here too
	rival bool     // another process writes it too
}

// next is its sample at a scrape, with a mishap now and then.
func (s *scraped) next(rng *rand.Rand, t int64, often int) (at int64, v float64, ok bool) {
	by := poisson(rng, s.mean)
	if s.below != nil {
		by += s.below.by
	}
	s.by, s.v = by, s.v+by
	if s.off--; s.off > 0 {
		return 0, 0, false
	}
	at, v = t, s.v
	switch rng.IntN(often) {
	case 0:
		s.off = 1 + rng.IntN(4)
		return 0, 0, false
	case 1:
		s.off = rng.IntN(60)
		return 0, 0, false
	case 2: // it restarted
		s.v = poisson(rng, s.mean)
		v = s.v
	case 3:
		v = stale
	case 4:
		v = math.NaN()
	case 5: // once more, or an older one
		at = s.t - rng.Int64N(2)*700
	case 6:
		at += time.Hour.Milliseconds()
	case 7:
		at += rng.Int64N(4000)
	case 8:
		v = -1
	case 9:
		v = math.Inf(1)
	case 10:
		s.rival = !s.rival
	}
	if s.rival && rng.IntN(2) == 0 {
		v *= .4
	}
	s.t = at
	return at, v, true
}

// TestABlockCountsAsItsSamplesDo: what is counted for many series at once is to the last
// bit what is counted one sample after the other, whatever happens to them.
func TestABlockCountsAsItsSamplesDo(t *testing.T) {
	apart := failing()
	apart.SLI.Customers = &sli.Customers{Match: nil, Metric: "payment_failing_customers_total"}
	named := failing()
	named.SLI.Customers = &sli.Customers{Label: "customer"}
	declines, traffic := declining(), flowing()
	declines.SLI.Slices = []string{"acquirer"}
	for _, c := range []struct {
		name   string
		scrape time.Duration
		often  int
		rules  []rule.Rule
	}{
		{"calm", 15 * time.Second, 1 << 30, []rule.Rule{apart, declines, slowing(), traffic}},
		{"every mishap", 15 * time.Second, 400, []rule.Rule{apart, declines, slowing(), traffic}},
		{"mishaps all the time", 15 * time.Second, 40, []rule.Rule{failing(), declines, slowing(), traffic}},
		{"each minute", time.Minute, 400, []rule.Rule{named, slowing()}},
		{"each second", time.Second, 2000, []rule.Rule{failing(), slowing()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{YoungFor: 5 * time.Minute, LiveFor: 2 * time.Minute, Remember: 30 * time.Minute, MaxSeries: 60}
			engines := []*Engine{New(o), New(o)}
			for _, e := range engines {
				e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, OnboardedAt: epoch.Add(-time.Hour)}, c.rules, epoch)
			}
			all := everySeries(engines[0], c.scrape.Seconds())
			rng, blocks := rand.New(rand.NewPCG(5, 77)), [2]*Block{{}, {}}
			outputs := 0
			for i := range 800 {
				lag := time.Duration(rng.IntN(3)) * time.Millisecond
				for instance := range 2 {
					at := epoch.Add(time.Duration(i)*c.scrape + time.Duration(instance)*c.scrape/3 + lag)
					now := at.Add(time.Duration(rng.IntN(900)) * time.Millisecond)
					a, b := engines[0].Advance(now), engines[1].Advance(now)
					require.Equal(t, b, a, "step %d", i)
					outputs += len(a.Alerts) + len(a.Contributions)
					scrapeBoth(engines, blocks[instance], all[instance], rng, now, at.UnixMilli(), c.often)
				}
				if i == 500 { // as after a start: nothing is known of what was found
					for _, e := range engines {
						raw, err := e.Checkpoint("shop")
						require.NoError(t, err)
						require.NoError(t, e.Restore("shop", raw))
					}
				}
				if i%40 == 0 {
					now := epoch.Add(time.Duration(i) * c.scrape)
					require.Equal(t, engines[1].Status("shop", now), engines[0].Status("shop", now))
				}
			}
			require.Greater(t, outputs, 100)
			for i := range engines[0].tenants["shop"].series {
				one, other := engines[0].tenants["shop"].series[i], engines[1].tenants["shop"].series[i]
				require.Equal(t, []any{other.t, other.v, other.weight, other.interval, other.long, other.gaps, other.missedFrom, other.rivalry},
					[]any{one.t, one.v, one.weight, one.interval, one.long, one.gaps, one.missedFrom, one.rivalry})
			}
		})
	}
}

// everySeries are the series of two instances: counters, buckets, customers that fail, and
// what no rule counts.
func everySeries(e *Engine, seconds float64) (out [2][]*scraped) {
	for instance := range out {
		add := func(mean float64, name string, kv ...string) {
			ls := labels.FromStrings(append([]string{"__name__", name, "job", "gateway", "instance", fmt.Sprint("gw-", instance)}, kv...)...)
			out[instance] = append(out[instance], &scraped{ls: ls, ref: e.Resolve("shop", ls), mean: mean * seconds})
		}
		for i, acquirer := range []string{"alpha", "beta", "gamma"} {
			for k, result := range []string{"success", "error", "declined"} {
				add([]float64{2, .02, .1}[k]/float64(i+1), "payment_transactions_total", "acquirer", acquirer, "result", result)
			}
			add(.01, "payment_transactions_total", "acquirer", acquirer, "result", "error", "customer", fmt.Sprint("c", i))
			add(.01, "payment_failing_customers_total", "acquirer", acquirer)
			for b, le := range []string{"0.1", "0.5", "1", "+Inf"} {
				add([]float64{.5, 1.2, .25, .05}[b]/float64(i+1), "payment_duration_seconds_bucket", "acquirer", acquirer, "le", le)
				if n := len(out[instance]); b > 0 {
					out[instance][n-1].below = out[instance][n-2]
				}
			}
		}
		add(1, "another_total")
	}
	return out
}

// scrapeBoth sends one scrape to both engines, to the first in blocks, as a rule in the one
// that the scrape before was in.
func scrapeBoth(engines []*Engine, block *Block, all []*scraped, rng *rand.Rand, now time.Time, t int64, often int) {
	values, rest := []float64{}, []func(){}
	block.Refs = block.Refs[:0]
	for _, s := range all {
		at, v, ok := s.next(rng, t, often)
		if !ok {
			continue
		}
		if at != t { // of another block
			rest = append(rest, func() {
				engines[0].AppendBlock(now, &Block{Refs: []*Ref{s.ref}}, at, []float64{v})
				engines[1].Add(now, "shop", s.ls, []Sample{{T: at, V: v}})
			})
			continue
		}
		block.Refs, values = append(block.Refs, s.ref), append(values, v)
	}
	engines[0].AppendBlock(now, block, t, values)
	for i, r := range block.Refs {
		engines[1].Append(now, engines[1].Resolve("shop", r.ls), []Sample{{T: t, V: values[i]}})
	}
	for _, send := range rest {
		send()
	}
}

// TestABlockFindsItsSeriesAgain: what its references stand for is looked up when it may be
// another, and not for each sample.
func TestABlockFindsItsSeriesAgain(t *testing.T) {
	e := New(Options{})
	shop := tenant.Tenant{ID: "shop", State: tenant.Live}
	e.SetTenant(shop, []rule.Rule{failing()}, epoch)
	b, now, all := &Block{}, epoch, []*Ref{}
	for _, s := range everySeries(e, 15)[0] {
		all = append(all, s.ref)
	}
	values := make([]float64, len(all))
	known := func() (n int) { // of the next scrape but one
		for range 2 {
			now = now.Add(15 * time.Second)
			e.Advance(now)
			e.AppendBlock(now, b, now.UnixMilli(), values[:len(b.Refs)])
		}
		for j, r := range b.Refs {
			if c := b.counted[j]; c.s != nil {
				require.Same(t, r.s, c.s)
				n++
			}
		}
		return n
	}
	b.Refs = all[3:]
	require.Equal(t, 9, known(), "counters")
	b.Refs = all
	require.Equal(t, 12, known(), "three are new")
	e.SetTenant(shop, []rule.Rule{failing(), slowing()}, now)
	require.Equal(t, 24, known(), "buckets are counted as well")
	raw, err := e.Checkpoint("shop")
	require.NoError(t, err)
	require.NoError(t, e.Restore("shop", raw))
	require.Equal(t, 24, known())
	b.Refs = all[3:]
	require.Equal(t, 21, known())
}
