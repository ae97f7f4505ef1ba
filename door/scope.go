// Package door is what every door of samples and spans has in common: whose the items
// are that a credential sends, and the words for what became of a request.
//
// It knows credentials only by what they cover, and nothing of what is sent.
package door

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Scope is what a credential may write, and which tenant the request's
// X-Scope-OrgID header names.
type Scope struct {
	Any     bool        `json:"any,omitempty"`     // every tenant: Tenants is not looked at
	Tenants []tenant.ID `json:"tenants,omitempty"` // exactly one: a tenant's own credential
	OrgID   string      `json:"org_id,omitempty"`  // empty when the header is absent
	Sender  string      `json:"sender,omitempty"`  // the credential's name
}

// Admission is a Scope made ready to be asked for every series.
type Admission struct {
	fallback tenant.ID // tenant of series that name none; empty: the product
	only     bool      // no other tenant than fallback
	any      bool
	list     []tenant.ID
	set      map[tenant.ID]struct{} // of a long list
}

// Open checks the scope as a whole. Its refusals concern the whole request:
// problem.Forbidden, or problem.Malformed for a header that names no tenant.
func (s Scope) Open() (Admission, error) {
	org := tenant.ID(s.OrgID)
	if org != "" {
		if _, err := tenant.ParseID(s.OrgID); err != nil {
			return Admission{}, problem.Wrap(err, problem.Malformed, "X-Scope-OrgID does not name one tenant").
				WithHint("several tenants joined by | can be read, not written: put the tenant into a label")
		}
	}
	switch {
	case s.Any && org == "":
		return Admission{any: true}, nil
	case s.Any:
		return Admission{fallback: org, only: true}, nil
	case len(s.Tenants) == 0:
		return Admission{}, problem.New(problem.Forbidden, "this token may not send for any tenant")
	case org != "" && !slices.Contains(s.Tenants, org):
		return Admission{}, problem.New(problem.Forbidden, "this token may not send for the tenant in X-Scope-OrgID").
			WithHint("leave the header out, or use a token that covers the tenant")
	case org != "":
		return Admission{fallback: org, only: true}, nil
	case len(s.Tenants) == 1:
		return Admission{fallback: s.Tenants[0], only: true}, nil
	}
	a := Admission{list: s.Tenants}
	if len(s.Tenants) > 8 {
		a.set = make(map[tenant.ID]struct{}, len(s.Tenants))
		for _, t := range s.Tenants {
			a.set[t] = struct{}{}
		}
	}
	return a, nil
}

// Admits says whether a series whose label names the tenant id (after the
// fallback) may come in.
func (a *Admission) Admits(id tenant.ID) bool {
	switch {
	case a.only:
		return id == a.fallback
	case a.any, id == tenant.Product:
		return true
	case a.set != nil:
		_, ok := a.set[id]
		return ok
	}
	return slices.Contains(a.list, id)
}

// Only is the one tenant whose items alone may come in; false: there may be others.
func (a *Admission) Only() (tenant.ID, bool) { return a.fallback, a.only }

// Fallback is the tenant of items that name none.
func (a *Admission) Fallback() tenant.ID {
	if a.fallback == "" {
		return tenant.Product
	}
	return a.fallback
}
