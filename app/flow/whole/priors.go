package whole

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

// Ratios are a tier's, by rule: the sum over tenants, each counting once.
type Ratios map[string]struct {
	tenants int
	sum     float64
}

// Priors are the sums of every partition. Safe for concurrent use.
type Priors struct {
	mu  sync.Mutex
	all [store.Partitions]map[string]Ratios // by tier
}

// Set replaces a partition's sums.
func (p *Priors) Set(at store.Partition, tiers map[string]Ratios) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[at] = tiers
}

// Of are the priors of a tier, to two digits; nil when nothing is known.
func (p *Priors) Of(tier string) (out map[string]float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	total := Ratios{}
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

// Learned sums up what the tenants of a partition have learned.
func Learned(e *evaluate.Engine, tier func(tenant.ID) string) map[string]Ratios {
	out := map[string]Ratios{}
	for _, id := range e.Tenants() {
		of := tier(id)
		for _, s := range e.Sums(id) {
			if s.Events < priorEvents {
				continue
			}
			if out[of] == nil {
				out[of] = Ratios{}
			}
			v := out[of][s.Rule]
			v.tenants, v.sum = v.tenants+1, v.sum+math.Min(s.Bad/s.Events, mostPrior)
			out[of][s.Rule] = v
		}
	}
	return out
}
