package router

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// mostOf is the part of the bad events in the incident's slice that another slice must
// have for the incident to be about that instead: what is broken has nearly all of them.
const mostOf = 0.5

// worse says whether so much more fails in the alert's slice than in the incident's that
// the incident is about that. All its tenants are counted in both: one that has a single
// acquirer, method and country fails in each of them alike, and says nothing of which.
func worse(c Candidate, a alert.Alert) bool {
	k, n := c.in(a.Slice, &a)
	failing, bad := c.Failing, c.Failing*c.Events
	if of, all := c.in(c.Slice, nil); all > 0 {
		failing, bad = of/all, of
	}
	return k/n > failing+muchWorse && k >= mostOf*bad
}

// diluted says whether an alarm over all tenants shows what fails in the incident's slice
// in another dimension, where far less of it does: it says no better what is broken.
func diluted(c Candidate, a alert.Alert) bool {
	k, n := a.Bad()
	return farWorse(c, k/n) && c.Failing*c.Events >= mostOf*k
}

// rangInOwn says whether what the incident is about has rung over all tenants.
func (c Candidate) rangInOwn() bool {
	return slices.ContainsFunc(c.Parts, func(p Part) bool { return p.Tenant == tenant.Product && p.Slice.Equal(c.Slice) })
}

// in sums what its tenants have in a slice, each once: by the alert that has most failures
// there. What rings over all tenants speaks for them. a, when not nil, is news of that slice.
func (c Candidate) in(s sli.Slice, a *alert.Alert) (k, n float64) {
	parts := make(map[tenant.ID]Part, len(c.Tenants)+1)
	pooled := c.pooled() || a != nil && a.Tenant == tenant.Product
	add := func(p Part) {
		if p.N > 0 && p.K >= parts[p.Tenant].K && pooled == (p.Tenant == tenant.Product) {
			parts[p.Tenant] = p
		}
	}
	for _, p := range c.Parts {
		if p.Slice.Equal(s) && (a == nil || p.Tenant != a.Tenant) {
			add(p)
		}
	}
	if a != nil {
		bad, of := a.Bad()
		add(Part{Tenant: a.Tenant, K: bad, N: of})
	}
	for _, p := range parts {
		k, n = k+p.K, n+p.N
	}
	return k, n
}
