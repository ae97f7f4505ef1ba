package flow

import (
	"maps"
	"math"
	"sync"

	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// What tenants of a tier usually show is what another one is thought to do before it
// has learned anything of its own. Each partition sums up its tenants once an hour;
// the sums are shared by all of the process.

const (
	priorTenants = 5    // of a tier, at least, that have learned a rule's ratio
	priorEvents  = 1000 // of a tenant, at least
	mostPrior    = 0.3  // of one tenant: what fails more is no example
)

// ratios are a tier's, by rule: the sum over tenants, each counting once.
type ratios map[string]struct {
	tenants int
	sum     float64
}

// priors are the sums of every partition. Safe for concurrent use.
type priors struct {
	mu  sync.Mutex
	all [store.Partitions]map[string]ratios // by tier
}

// set replaces a partition's sums.
func (p *priors) set(at store.Partition, tiers map[string]ratios) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[at] = tiers
}

// of are the priors of a tier, to two digits; nil when nothing is known.
func (p *priors) of(tier string) (out map[string]float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := ratios{}
	for _, tiers := range p.all {
		for name, v := range tiers[tier] {
			t := total[name]
			t.tenants, t.sum = t.tenants+v.tenants, t.sum+v.sum
			total[name] = t
		}
	}
	for name, v := range maps.All(total) {
		if v.tenants < priorTenants || v.sum <= 0 {
			continue
		}
		if out == nil {
			out = map[string]float64{}
		}
		mean := v.sum / float64(v.tenants)
		scale := math.Pow(10, math.Floor(math.Log10(mean))-1)
		out[name] = math.Max(math.Round(mean/scale)*scale, 1e-4)
	}
	return out
}

// learned sums up what the tenants of a partition have learned.
func learned(e *evaluate.Engine, tier func(tenant.ID) string) map[string]ratios {
	out := map[string]ratios{}
	for _, id := range e.Tenants() {
		of := tier(id)
		for _, s := range e.Sums(id) {
			if s.Events < priorEvents {
				continue
			}
			if out[of] == nil {
				out[of] = ratios{}
			}
			v := out[of][s.Rule]
			v.tenants, v.sum = v.tenants+1, v.sum+math.Min(s.Bad/s.Events, mostPrior)
			out[of][s.Rule] = v
		}
	}
	return out
}
