package backtest

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// Heard says whose series were read, of the metrics that the policy counts.
type Heard struct {
	Listed    []string // tenants that are watched, sorted; so are the others
	Silent    []string // those of them of whom there was nothing
	Strangers []string // tenants that are not watched, and were there
	Nameless  bool     // there was something of no tenant
}

// Heard is known once Run is over.
func (r *Replay) Heard() (h Heard) {
	for _, t := range r.o.Tenants {
		h.Listed = append(h.Listed, string(t.ID))
		if !r.met[t.ID] {
			h.Silent = append(h.Silent, string(t.ID))
		}
	}
	slices.Sort(h.Listed)
	for id := range r.met {
		switch {
		case id == "":
			h.Nameless = true
		case !h.watches(string(id)):
			h.Strangers = append(h.Strangers, string(id))
		}
	}
	slices.Sort(h.Silent)
	slices.Sort(h.Strangers)
	return h
}

// seen notes whose runs a stretch has.
func (r *Replay) seen(owners []*owner) {
	if r.met == nil {
		r.met = map[tenant.ID]bool{}
	}
	for _, o := range owners {
		r.met[o.id] = true
	}
}

// Of keeps the pages that concern tenants that are watched, or all, and says how many did not.
func (h Heard) Of(pages []Page) (of []Page, others int) {
	of = slices.DeleteFunc(slices.Clone(pages), func(p Page) bool { return p.Tenant != string(tenant.Product) && !h.watches(p.Tenant) })
	return of, len(pages) - len(of)
}

// Unknown lists the tenants of incidents that are not watched.
func (h Heard) Unknown(incidents []Incident) (out []string) {
	for _, in := range incidents {
		if in.Tenant != "" && in.Tenant != string(tenant.Product) && !h.watches(in.Tenant) && !slices.Contains(out, in.Tenant) {
			out = append(out, in.Tenant)
		}
	}
	return out
}

func (h Heard) watches(id string) bool {
	_, ok := slices.BinarySearch(h.Listed, id)
	return ok
}
