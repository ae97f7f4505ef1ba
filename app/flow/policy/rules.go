// Package policy is which policy is in force and which is being rolled out beside it: its
// records at its home, the partition of rollout.Subject, what is decided about it there,
// and in memory what every decision of this process goes by.
//
// rollout decides; what a policy makes of a tenant is asked elsewhere.
package policy

import (
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Rules is the policy and catalog in force, with the policy's revision.
type Rules struct {
	Policy   *profiles.Policy
	Revision int
	Catalog  *catalog.Catalog
	// Next is the policy that is being rolled out beside it; nil: none is.
	Next *Next
	// Version is that of the rollout.Standing it was made of.
	Version int
}

// Next is the policy that is being rolled out.
type Next struct {
	Policy   *profiles.Policy
	Revision int
	Rollout  rollout.Rollout
}

// Of is the policy that a tenant has, with its revision.
func (r Rules) Of(id tenant.ID) (*profiles.Policy, int) {
	if r.Next != nil && r.Next.Rollout.Place(id) == rollout.New {
		return r.Next.Policy, r.Next.Revision
	}
	return r.Policy, r.Revision
}

// Beside is the policy that a tenant runs in shadow; ok is false when it runs none.
func (r Rules) Beside(id tenant.ID) (p *profiles.Policy, revision int, ok bool) {
	if r.Next == nil || r.Next.Rollout.Place(id) != rollout.Beside {
		return nil, 0, false
	}
	return r.Next.Policy, r.Next.Revision, true
}

// Policies lists those that any tenant has, the one in force first.
func (r Rules) Policies() []*profiles.Policy {
	out := []*profiles.Policy{r.Policy}
	if r.Next != nil {
		out = append(out, r.Next.Policy)
	}
	return out
}

// Mending is what this release would refuse of a policy that is in use.
type Mending struct {
	Revision int
	Faults   fault.List
}

// Mend lists it.
func (r Rules) Mend() (out []Mending) {
	if m := r.Policy.Mend(); len(m) > 0 {
		out = append(out, Mending{r.Revision, m})
	}
	if r.Next != nil && len(r.Next.Policy.Mend()) > 0 {
		out = append(out, Mending{r.Next.Revision, r.Next.Policy.Mend()})
	}
	return out
}

// samePlaces says whether every tenant has the policies that it had.
func samePlaces(a, b Rules) bool {
	if a.Revision != b.Revision || (a.Next == nil) != (b.Next == nil) {
		return false
	}
	if a.Next == nil {
		return true
	}
	x, y := a.Next.Rollout, b.Next.Rollout
	return x.Number == y.Number && x.Stage == y.Stage && x.State == y.State
}
