// Package trial compares what runs in shadow with what is in force. A tenant in a rollout's
// stage runs the new policy in shadow, and one whose volume changed the profile that is
// proposed. What either of the two would page is noted, and compared a while later: by
// then the other one has seen the same fault, or has not.
package trial

import (
	"iter"
	"log/slog"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const records = "trial" // trial by tenant/side/alert

// Timer is the kind of the timer by which a trial is to be compared; its subject is the
// trial's key.
const Timer = "rollout.trial"

// Wait is how much later the one policy may page a fault than the other and
// still be said to agree.
const Wait = 15 * time.Minute

// Attempt is what a tenant tries in shadow: a revision of the policy, or a proposal of
// its own. The zero Attempt is nothing.
type Attempt struct{ Policy, Proposal int }

// Of says what a tenant is to try by the rules in force; still: its profile is kept as it is.
func Of(r policy.Rules, t tenant.Tenant, c course.Course, still bool) (a Attempt) {
	if !t.Watched() || still {
		return a
	}
	if _, number, ok := r.Beside(t.ID); ok {
		a.Policy = number
	} else if c.Proposal != nil && c.Pin == nil {
		a.Proposal = c.Proposal.Number
	}
	return a
}

// shadow is an attempt with its rules.
type shadow struct {
	Attempt
	rules []rule.Rule
}

// Options of a Bench; all are needed.
type Options struct {
	Rules     func() policy.Rules
	Directory *directory.Directory
	Scale     *whole.Scale
	Logger    *slog.Logger
}

// Bench has what the tenants of one partition try. To be used by its owner only.
type Bench struct {
	o      Options
	trying map[tenant.ID]shadow
	left   []sided // what could not be noted when it came
	noted  partition.Held[sided]
}

// New makes an empty bench.
func New(o Options) *Bench { return &Bench{o: o, trying: map[tenant.ID]shadow{}} }

// Set says what a tenant tries from now on, with the rules that run in shadow.
func (b *Bench) Set(id tenant.ID, a Attempt, rules []rule.Rule) { b.trying[id] = shadow{a, rules} }

// Drop ends what a tenant tries.
func (b *Bench) Drop(id tenant.ID) { delete(b.trying, id) }

// Tries is what a tenant tries.
func (b *Bench) Tries(id tenant.ID) Attempt { return b.trying[id].Attempt }

// Shadow are the rules that run in shadow for a tenant.
func (b *Bench) Shadow(id tenant.ID) []rule.Rule { return b.trying[id].rules }

// Shadows are those of every tenant.
func (b *Bench) Shadows() iter.Seq2[tenant.ID, []rule.Rule] {
	return func(yield func(tenant.ID, []rule.Rule) bool) {
		for id, v := range b.trying {
			if !yield(id, v.rules) {
				return
			}
		}
	}
}

// Forget drops what was noted of a tenant: its id may become another's. It says how many
// records there were.
func Forget(tx *partition.Tx, id tenant.ID) (n int, err error) {
	return tx.DeletePrefix(records, string(id)+"/")
}
