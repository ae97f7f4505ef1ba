package evaluate

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// BenchmarkStep is one scrape of every tenant: 24 series each, added and
// evaluated in steps of 15 s, all in one engine.
func BenchmarkStep(b *testing.B) {
	for _, tenants := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("tenants=%d", tenants), func(b *testing.B) {
			e := New(Options{YoungFor: time.Minute})
			ids := make([]tenant.ID, tenants)
			all := make([][]labels.Labels, tenants)
			for i := range ids {
				ids[i] = tenant.ID(fmt.Sprintf("tenant-%05d", i))
				e.SetTenant(tenant.Tenant{ID: ids[i], State: tenant.Live}, []rule.Rule{failing()}, epoch)
				for s := range 24 {
					all[i] = append(all[i], counter("tenant", string(ids[i]), "acquirer", []string{"alpha", "beta", "gamma", "delta", "eps", "zeta"}[s%6],
						"result", []string{"success", "error", "declined", "abandoned"}[s/6]))
				}
			}
			now := epoch
			scrape := func(step int) {
				now = now.Add(15 * time.Second)
				e.Advance(now)
				sm := []Sample{{T: now.UnixMilli()}}
				for i, id := range ids {
					for s, ls := range all[i] {
						sm[0].V = float64(step * 3)
						if s/6 == 1 {
							sm[0].V = float64(step / 20)
						}
						e.Add(now, id, ls, sm)
					}
				}
			}
			for step := range 12 {
				scrape(step)
			}
			b.ReportAllocs()
			step := 12
			for b.Loop() {
				scrape(step)
				step++
			}
			perTenant := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(tenants)
			b.ReportMetric(perTenant, "ns/tenant-step")
			b.ReportMetric(perTenant/24, "ns/sample")
		})
	}
}

// BenchmarkAllRules is one scrape of every tenant with a rule of each kind: 24
// counters and 40 buckets each. It tells apart what taking the samples costs and
// what judging the steps does, which is what the rules add.
func BenchmarkAllRules(b *testing.B) {
	for _, tenants := range []int{1, 100, 2_000} {
		b.Run(fmt.Sprintf("tenants=%d", tenants), func(b *testing.B) {
			e := New(Options{YoungFor: time.Minute})
			declines, traffic := declining(), flowing()
			declines.SLI.Slices = []string{"acquirer"}
			rules := []rule.Rule{failing(), declines, slowing(), traffic, arriving()}
			acquirers := []string{"alpha", "beta", "gamma", "delta", "eps", "zeta"}
			type counted struct {
				ls   labels.Labels
				grow float64 // each step
			}
			ids, all := make([]tenant.ID, tenants), make([][]counted, tenants)
			for i := range ids {
				ids[i] = tenant.ID(fmt.Sprintf("tenant-%05d", i))
				e.SetTenant(tenant.Tenant{ID: ids[i], State: tenant.Live}, rules, epoch)
				for s := range 24 {
					all[i] = append(all[i], counted{counter("tenant", string(ids[i]), "acquirer", acquirers[s%6],
						"result", []string{"success", "error", "declined", "abandoned"}[s/6]), []float64{30, .1, 2, 1}[s/6]})
				}
				for s := range 40 {
					le := []string{"0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"}[s%8]
					all[i] = append(all[i], counted{labels.FromStrings("__name__", "payment_duration_seconds_bucket", "job", "gw", "instance", "gw-1",
						"tenant", string(ids[i]), "acquirer", acquirers[s/8], "le", le), []float64{1, 5, 20, 29, 30, 30, 30, 30}[s%8]})
				}
			}
			now, judging := epoch, time.Duration(0)
			scrape := func(step int) {
				now = now.Add(15 * time.Second)
				began := time.Now()
				e.Advance(now)
				judging += time.Since(began)
				sm := []Sample{{T: now.UnixMilli()}}
				for i, id := range ids {
					for _, c := range all[i] {
						sm[0].V = float64(step) * c.grow
						e.Add(now, id, c.ls, sm)
					}
				}
			}
			for step := range 60 {
				scrape(step)
			}
			judging = 0
			b.ReportAllocs()
			step := 60
			for b.Loop() {
				scrape(step)
				step++
			}
			streams := 0
			for _, x := range e.Status(ids[0], now).SLIs {
				streams += len(x.Slices)
			}
			per := float64(b.N) * float64(tenants)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/per, "ns/tenant-step")
			b.ReportMetric(float64(judging.Nanoseconds())/per, "ns-judging/tenant-step")
			b.ReportMetric(float64(judging.Nanoseconds())/per/float64(streams), "ns-judging/stream-step")
			b.ReportMetric(float64(streams), "streams")
		})
	}
}
