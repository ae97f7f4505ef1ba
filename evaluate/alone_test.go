package evaluate

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// bazaar is a random but reproducible life of some tenants: thin, usual and large ones with
// combinations, hours, leaks, outages, one customer's retries, restarts, missed scrapes,
// silences, split records, other rules, and people who say what it was. Of every other one a
// counter says who fails.
type bazaar struct {
	rng   *rand.Rand
	shops []*merchant
	now   time.Time
}

const failingCustomers = "payment_failing_customers_total"

type merchant struct {
	id     tenant.ID
	tps    float64
	series []labels.Labels
	counts []float64
	joint  []int // by series: its combination
	bad    []bool
	share  []float64 // by series: how many of its events it counts
	weight []float64 // by combination
	usual  []float64
	worse  []float64
	until  time.Time
	hushed time.Time
}

func newBazaar(seed uint64, tps ...float64) *bazaar {
	m := &bazaar{rng: rand.New(rand.NewPCG(seed, 31)), now: epoch}
	for i, v := range tps {
		s := &merchant{id: tenant.ID(fmt.Sprint("shop-", i)), tps: v}
		joints := []int{1, 6, 12, 40}[m.rng.IntN(4)]
		for j := range joints {
			s.weight, s.usual, s.worse = append(s.weight, m.rng.ExpFloat64()/float64(joints)), append(s.usual, .002+.03*m.rng.Float64()), append(s.worse, 0)
			for _, result := range []string{"success", "error"} {
				s.series = append(s.series, counter("result", result, "method", fmt.Sprint("m", j%3), "acquirer", fmt.Sprint("a", j%4), "country", fmt.Sprint("c", j%11), "instance", fmt.Sprint("i", i)))
				s.counts, s.joint, s.bad, s.share = append(s.counts, 0), append(s.joint, j), append(s.bad, result == "error"), append(s.share, 1)
			}
			if i%2 == 1 { // who fails is told as well
				ls := labels.NewBuilder(s.series[len(s.series)-1]).Set("__name__", failingCustomers).Del("result").Labels()
				s.series, s.counts, s.joint, s.bad, s.share = append(s.series, ls), append(s.counts, 0), append(s.joint, j), append(s.bad, true), append(s.share, .35)
			}
		}
		m.shops = append(m.shops, s)
	}
	return m
}

// trouble changes what fails in a shop.
func (m *bazaar) trouble(s *merchant) {
	clear(s.worse)
	s.until = m.now.Add(time.Duration(5+m.rng.IntN(180)) * time.Minute)
	more := []float64{.01, .03, .1, .5, 1}[m.rng.IntN(5)]
	of, at := m.rng.IntN(4), m.rng.IntN(12)
	for j := range s.worse {
		if of == 0 || of == 1 && j%4 == at%4 || of == 2 && j%3 == at%3 || of == 3 && j == at%len(s.worse) {
			s.worse[j] = more
		}
	}
}

// step is what 15 seconds send, as calls of an engine.
func (m *bazaar) step() []func(e *Engine) Output {
	m.now = m.now.Add(15 * time.Second)
	swing := 1 + .6*math.Sin(float64(m.now.Hour()*60+m.now.Minute())*math.Pi/720)
	var calls []func(e *Engine) Output
	for _, s := range m.shops {
		if m.rng.Float64() < 1./1200 {
			m.trouble(s)
		}
		if m.now.After(s.until) {
			clear(s.worse)
		}
		for i := range s.series {
			j := s.joint[i]
			fails := math.Min(1, s.usual[j]+s.worse[j])
			if !s.bad[i] {
				fails = 1 - fails
			}
			s.counts[i] += poisson(m.rng, s.tps*s.weight[j]*swing*fails*15*s.share[i])
		}
		switch m.rng.IntN(2000) {
		case 0:
			clear(s.counts)
		case 1:
			s.hushed = m.now.Add(time.Duration(m.rng.IntN(20)) * time.Minute)
		}
		if m.now.Before(s.hushed) || m.rng.IntN(100) == 0 {
			continue
		}
		split := len(s.series)
		if m.rng.IntN(20) == 0 {
			split = m.rng.IntN(split)
		}
		received, values := m.now.Add(time.Duration(m.rng.IntN(3000))*time.Millisecond), append([]float64(nil), s.counts...)
		for _, part := range [][2]int{{0, split}, {split, len(s.series)}} {
			at := m.now
			calls = append(calls, func(e *Engine) Output {
				out := e.Advance(received)
				for i := part[0]; i < part[1]; i++ {
					e.Add(received, s.id, s.series[i], []Sample{{T: at.UnixMilli() - 2000, V: values[i]}})
				}
				return out
			})
		}
	}
	return calls
}

// sold are rules of several kinds about the same events.
func sold(more bool) []rule.Rule {
	r := failing()
	r.SLI.Slices, r.SLI.Customers = []string{"acquirer", "country", "method"}, &sli.Customers{Metric: failingCustomers}
	declined, lost, burnt := r, r, r
	declined.Name, declined.Kind, declined.Severity, declined.Prior = "declines", rule.Declines, rule.Warning, .05
	lost.Name, lost.Kind = "traffic", rule.Traffic
	burnt.Name, burnt.Kind, burnt.Burn = "burning", rule.BurnRate, &rule.Burn{Objective: .99, LeastEvents: 30}
	if !more {
		return []rule.Rule{r, declined}
	}
	return []rule.Rule{r, declined, lost, burnt}
}

// rounded is what a value says up to a billionth: sums are made in another order.
func rounded(t testing.TB, v any) string {
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	var x any
	require.NoError(t, json.Unmarshal(raw, &x))
	var round func(x any) any
	round = func(x any) any {
		switch v := x.(type) {
		case map[string]any:
			for k := range v {
				v[k] = round(v[k])
			}
		case []any:
			for i := range v {
				v[i] = round(v[i])
			}
		case float64:
			return fmt.Sprintf("%.6g", v)
		}
		return x
	}
	raw, err = json.Marshal(round(x))
	require.NoError(t, err)
	return string(raw)
}

// alike demands that every detector of both engines has as much evidence.
func alike(t testing.TB, all, some *Engine) {
	for id, ts := range all.tenants {
		for i, m := range ts.meters {
			for ci, c := range m.cells {
				for ri, w := range c.watches {
					if w == nil {
						continue
					}
					o := some.tenants[id].meters[i]
					score := o.cells[ci].watches[ri].Score
					for _, v := range o.rules[ri].views {
						if v.w == o.cells[ci].watches[ri] && v.idle.On() {
							score = v.idle.Score()
						}
					}
					if math.Abs(w.Score-score) > 1e-6 {
						require.FailNow(t, "other evidence", "%s %s %v: %v and %v", id, o.rules[ri].Name, c.slice, w.Score, score)
					}
				}
			}
		}
	}
}

// That cells are left alone while nothing comes of their steps changes nothing: what is
// raised, told to the pools and shown is what it is where every step is every cell's, also
// when the engine is cut off and restored in between. Only the last digits may differ, for
// sums are made in another order.
func TestLeavingCellsAloneChangesNothing(t *testing.T) {
	hours, worlds := 16, uint64(2)
	if testing.Short() {
		hours, worlds = 8, 1
	}
	for seed := range worlds {
		m := newBazaar(seed, .01, .1, .5, 4, 30)
		install := func(thorough bool) *Engine {
			e := New(Options{YoungFor: 2 * time.Hour, MaxSlices: 5, thorough: thorough})
			for i, s := range m.shops {
				e.SetTenant(tenant.Tenant{ID: s.id, State: tenant.Live}, sold(i%2 == 0), epoch)
			}
			return e
		}
		all, some := install(true), install(false)
		rng, alerts, told := rand.New(rand.NewPCG(seed, 5)), 0, 0
		var last []alert.Alert
		for range hours * 240 {
			for _, call := range m.step() {
				a, b := call(all), call(some)
				alerts, told = alerts+len(a.Alerts), told+len(a.Contributions)
				last = append(last, a.Alerts...)
				require.Equal(t, rounded(t, a.Alerts), rounded(t, b.Alerts), "%s", m.now)
				require.Equal(t, len(a.Contributions), len(b.Contributions), "%s", m.now)
				for i, x := range a.Contributions {
					y := b.Contributions[i]
					require.InEpsilon(t, 1+x.Usual, 1+y.Usual, 1e-9, "%s %+v", m.now, x)
					require.InDelta(t, x.Step.N, y.Step.N, 1e-9)
					require.InDelta(t, x.Step.K, y.Step.K, 1e-9)
					require.Equal(t, x.Slice, y.Slice)
				}
			}
			alike(t, all, some)
			if len(last) > 0 && rng.IntN(200) == 0 { // somebody says what it was
				v := last[rng.IntN(len(last))]
				word := []alert.Verdict{alert.VerdictFalse, alert.VerdictReal}[rng.IntN(2)]
				takes := rng.IntN(2) == 0
				for _, e := range []*Engine{all, some} {
					e.Learn(Lesson{Alert: v.Key, Word: word, From: v.OnsetAt, To: v.AsOf, N: v.Evidence.N, K: v.Evidence.K, Usual: v.Evidence.Usual, At: e.LessonFrom(v.Key, m.now), By: "ann"})
					if takes {
						e.Accept(Acceptance{Alert: v.Key, At: m.now, By: "ann"})
					}
				}
			}
			for i, s := range m.shops {
				switch rng.IntN(1500) {
				case 0:
					for _, e := range []*Engine{all, some} {
						e.SetTenant(tenant.Tenant{ID: s.id, State: tenant.Live}, sold((i+m.now.Hour())%2 == 0), m.now)
					}
				case 1:
					a, b := all.Status(s.id, m.now), some.Status(s.id, m.now)
					require.Equal(t, rounded(t, a), rounded(t, b))
				case 2, 3:
					data, err := some.Checkpoint(s.id)
					require.NoError(t, err)
					again, err := some.Checkpoint(s.id)
					require.NoError(t, err)
					require.Equal(t, data, again)
				}
			}
		}
		require.Greater(t, alerts, 20)
		require.Greater(t, told, 10_000)
	}
}
