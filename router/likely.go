package router

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// Fresh is how long after a call what another tenant has is likely the same fault: two
// large tenants ring some seconds before it rings over all of them.
const Fresh = time.Minute

// Likely finds what is likely the same fault as c, of another tenant at least, and called
// somebody just now, the latest first. c need not be among open.
func Likely(open []Candidate, c Candidate, now time.Time) (of Candidate, ok bool) {
	if c.Source || c.Absent || slices.Contains(c.Tenants, tenant.Product) {
		return of, false // what all have calls at once
	}
	for _, o := range open {
		since := now.Sub(o.CalledAt)
		switch {
		case o.Incident == c.Incident || !o.Open || !o.Called || o.Service != c.Service || o.Source || o.Absent:
		case since < 0 || since > Fresh || o.OnsetAt.Sub(c.OnsetAt).Abs() > Together:
		case !slices.ContainsFunc(o.Tenants, func(id tenant.ID) bool { return !slices.Contains(c.Tenants, id) }): // all its own
		case ok && !later(o, of):
		default:
			of, ok = o, true
		}
	}
	return of, ok
}

// later says which of two called later, the higher number of those that did at once.
func later(x, y Candidate) bool {
	if !x.CalledAt.Equal(y.CalledAt) {
		return x.CalledAt.After(y.CalledAt)
	}
	return x.Number > y.Number
}
