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
