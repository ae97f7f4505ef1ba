package rollout

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Status is where a rollout stands.
type Status string

// A rollout is under way in shadow or halted; the others are ends.
const (
	Shadow     Status = "shadow"      // the stage's tenants run the new policy beside theirs
	Halted     Status = "halted"      // somebody must decide: resume or roll back
	Done       Status = "done"        // every tenant has it
	RolledBack Status = "rolled_back" // no tenant has it
	Superseded Status = "superseded"  // another revision was put in force at once
)

// Settings are what a policy says of how its successor is rolled out.
type Settings struct {
	Stages   []float64     // percent of the tenants, growing, the last 100; empty: 1, 10, 100
	StageFor time.Duration // how long each stage is run in shadow; default 24 h
	// Teams are those that can be called, with how many more pages a week than the policy
	// in force the new one may bring them, over all tenants.
	Teams map[string]float64
	// Pooled is the part of those that is for what is judged over all tenants together.
	Pooled float64
}

func (s Settings) withDefaults() Settings {
	if len(s.Stages) == 0 {
		s.Stages = []float64{1, 10, 100}
	}
	if s.StageFor <= 0 {
		s.StageFor = defaultStageTime
	}
	return s
}

// Stage is a part of the tenants that gets the new policy together.
type Stage struct {
	Percent   float64    `json:"percent"` // of all tenants, with those of the stages before
	Tenants   int        `json:"tenants"` // that this stage adds, when it began
	StartedAt *time.Time `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"` // when its tenants got the policy
	Extra     int        `json:"extra"`    // pages that only the new policy would have made
	Allowed   int        `json:"allowed"`  // of those; more halt the rollout
	Agreed    int        `json:"agreed"`   // pages that both make
	Gone      int        `json:"gone"`     // pages that only the policy in force made
	Tickets   int        `json:"tickets"`  // that only the new policy would have opened, without a call
	Teams     []Tally    `json:"teams"`    // the same by team
}

// Rollout is one policy following another in stages.
type Rollout struct {
	Number       int         `json:"number"` // from 1
	From         int         `json:"from"`   // policy revisions
	To           int         `json:"to"`
	State        Status      `json:"state"`
	Why          string      `json:"why"` // of the state, for people
	Author       string      `json:"author"`
	Reason       string      `json:"reason"`
	StartedAt    time.Time   `json:"started_at"`
	EndedAt      *time.Time  `json:"ended_at"`
	Stages       []Stage     `json:"stages"`
	Stage        int         `json:"stage"`   // the index of the one under way
	NextAt       time.Time   `json:"next_at"` // when the stage's shadow is over; of one under way
	Held         string      `json:"held"`    // the calendar entry it waits for; empty: none
	StageFor     float64     `json:"stage_for_seconds"`
	PagesPerWeek float64     `json:"pages_per_week"` // of all teams
	Budgets      []Budget    `json:"budgets"`        // by team
	Pooled       float64     `json:"pooled"`         // the part of a budget that is for all tenants together, 0..1
	Last         []tenant.ID `json:"last"`           // the largest tenants: they come with the last stage
	Pages        []Page      `json:"pages"`          // of the stage under way, the oldest first, at most maxPages
	Untried      []string    `json:"untried"`        // what of the policy runs in no shadow, and why
	// Accepted are the extra pages that somebody has said are right.
	Accepted []Page `json:"accepted"`
}

// Open says whether the rollout is under way.
func (r Rollout) Open() bool { return r.State == Shadow || r.State == Halted }

func (r *Rollout) close(s Status, why string, now time.Time) {
	at := now.UTC()
	r.State, r.Why, r.EndedAt, r.NextAt, r.Held = s, why, &at, time.Time{}, ""
}

// Says tells how a stage stands.
func (r Rollout) Says(stage int) string {
	switch s := r.Stages[stage]; {
	case s.StartedAt != nil && s.Tenants == 0:
		return "no tenant falls in it"
	case s.EndedAt != nil && (r.Open() || r.State == Done):
		return "in force since " + clock(*s.EndedAt)
	case s.EndedAt != nil:
		return "over since " + clock(*s.EndedAt)
	case stage == r.Stage && r.Held != "":
		return "waits for the calendar entry " + r.Held
	case stage == r.Stage && r.State == Shadow:
		return "in shadow until " + clock(r.NextAt)
	case stage == r.Stage && r.State == Halted:
		return "halted"
	case stage > r.Stage && r.Open():
		return "waits"
	}
	return "did not come to its end"
}

// Place is which policy a tenant has while a rollout is under way.
type Place int

// The places.
const (
	Old    Place = iota // the policy that is in force
	Beside              // the same, and the new one in shadow
	New                 // the new policy
)

// Place says where a tenant stands. It depends on the tenant's id and the
// revision only, so that it is the same everywhere and after a restart, also for a
// tenant onboarded meanwhile, and another for the next revision. What is judged over all
// tenants together runs in shadow in every stage.
func (r Rollout) Place(id tenant.ID) Place {
	if !r.Open() {
		return Old
	}
	if id == tenant.Product {
		if r.State == Shadow {
			return Beside
		}
		return Old
	}
	switch s := r.stageOf(id); {
	case s < r.Stage:
		return New
	case s == r.Stage && r.State == Shadow:
		return Beside
	}
	return Old
}

// stageOf is the index of the stage that a tenant comes with.
func (r Rollout) stageOf(id tenant.ID) int {
	if slices.Contains(r.Last, id) {
		return len(r.Stages) - 1
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%s", r.To, id))
	at := float64(binary.BigEndian.Uint64(sum[:8])) / math.MaxUint64 * 100
	for i, s := range r.Stages {
		if at < s.Percent {
			return i
		}
	}
	return len(r.Stages) - 1
}

// Adds is how many of the tenants each stage adds.
func (r Rollout) Adds(tenants []tenant.ID) []int {
	out := make([]int, len(r.Stages))
	for _, id := range tenants {
		out[r.stageOf(id)]++
	}
	return out
}

// Beginning is what a rollout starts from.
type Beginning struct {
	Revision Revision // needs no number
	Settings Settings
	Tenants  []tenant.ID // all of them
	Last     []tenant.ID // the largest of them
	Untried  []string    // what of the policy cannot run in shadow, and why
}

// Draft is the rollout that the next revision would have, before anything has begun.
func Draft(s State, set Settings, last []tenant.ID) Rollout {
	set = set.withDefaults()
	r := Rollout{Number: s.Standing.Rollout + 1, From: s.Standing.InForce, To: s.Standing.Newest + 1, State: Shadow,
		StageFor: set.StageFor.Seconds(), Budgets: budgetsOf(set.Teams), Pooled: set.Pooled, Last: append([]tenant.ID{}, last...), Pages: []Page{}, Accepted: []Page{}, Untried: []string{}}
	for _, b := range r.Budgets {
		r.PagesPerWeek += b.PerWeek
	}
	for _, p := range set.Stages {
		r.Stages = append(r.Stages, Stage{Percent: p, Teams: []Tally{}})
	}
	return r
}

// Begin starts a rollout of a new revision.
func Begin(s State, b Beginning, now time.Time) (Change, error) {
	if err := Said(b.Revision.Reason); err != nil {
		return Change{}, err
	}
	if s.Rollout.Open() {
		return Change{}, Busy(s.Rollout)
	}
	c := Change{State: s}
	c.store(b.Revision, now)
	r := Draft(s, b.Settings, b.Last)
	r.Untried = append([]string{}, b.Untried...)
	r.Author, r.Reason, r.StartedAt = b.Revision.Author, b.Revision.Reason, now.UTC()
	c.Standing.Rollout, c.Rollout = r.Number, r
	c.log("policy.rollout_began", r.Author, "policy revision %d (%s) follows revision %d in %d stage(s), each in shadow for %s first: %s", r.To, c.Revision.Sha, r.From, len(r.Stages), Plainly(r.stageFor()), r.Reason)
	for _, what := range r.Untried {
		c.log("policy.untried", "", "policy revision %d: not tried in shadow: %s", r.To, what)
	}
	c.enter(0, b.Tenants, now)
	return c.sealed(), nil
}

// Busy says what to do when a rollout is under way.
func Busy(r Rollout) error {
	return problem.New(problem.Conflict, "policy revision %d is being rolled out: %s", r.To, r.Why).
		WithHint("wait for its end (tocsin policy status), take it back (tocsin policy rollback), or put yours in force at once (--now)")
}

// enter begins the first stage from i on that has tenants.
func (c *Change) enter(i int, tenants []tenant.ID, now time.Time) {
	r := &c.Rollout
	r.Stages = slices.Clone(r.Stages)
	at := now.UTC()
	adds := r.Adds(tenants)
	for ; i < len(r.Stages); i++ {
		r.Stage = i
		s := &r.Stages[i]
		s.Tenants, s.StartedAt = adds[i], &at
		if adds[i] > 0 {
			break
		}
		s.EndedAt = &at
	}
	if i == len(r.Stages) {
		c.finish(now)
		return
	}
	r.State, r.Held, r.NextAt = Shadow, "", at.Add(r.stageFor()+r.KnownAfter())
	s := &r.Stages[i]
	s.Extra, s.Agreed, s.Gone, s.Tickets, s.Teams, r.Pages = 0, 0, 0, 0, []Tally{}, []Page{}
	r.allow(s, now)
	r.Why = fmt.Sprintf("%d tenant(s), up to %g%% of all, run it in shadow until %s; %s", s.Tenants, s.Percent, clock(r.NextAt), s.demand(r.From))
	c.log("policy.stage_began", "", "policy revision %d, stage %d of %d: %s", r.To, i+1, len(r.Stages), r.Why)
}

func (c *Change) finish(now time.Time) {
	r := &c.Rollout
	r.close(Done, fmt.Sprintf("%s has policy revision %d", c.whom(), r.To), now)
	c.force(r.To, r.Author, r.Reason, now)
	c.log("policy.rollout_done", "", "policy revision %d is in force for %s, after %d stage(s); %s began it: %s", r.To, c.whom(), len(r.Stages), r.Author, r.Reason)
	c.told()
}

// Hold is a calendar entry that lets no profile change.
type Hold struct {
	Name  string
	Until time.Time // zero: nobody knows
}

// lookAgain is when a hold is looked at again: the calendar may change.
const lookAgain = time.Minute

// Due looks at a stage whose time may be over: its tenants get the policy, and the
// next stage begins; a hold makes it wait.
func Due(s State, hold *Hold, tenants []tenant.ID, now time.Time) Change {
	c := Change{State: s}
	r := &c.Rollout
	switch {
	case r.State != Shadow:
		return c
	case now.Before(r.NextAt):
		c.Timer = r.NextAt
		return c
	case hold != nil:
		r.NextAt = now.UTC().Add(lookAgain)
		if r.Held == hold.Name {
			c.Timer = r.NextAt
			return c
		}
		r.Held, r.Why = hold.Name, "the calendar entry "+hold.Name+" holds revisions"
		if !hold.Until.IsZero() {
			r.Why += " until " + clock(hold.Until)
		}
		c.log("policy.rollout_held", "", "policy revision %d, stage %d of %d waits: %s", r.To, r.Stage+1, len(r.Stages), r.Why)
		return c.sealed()
	}
	at := now.UTC()
	r.Stages = slices.Clone(r.Stages)
	stage := &r.Stages[r.Stage]
	stage.EndedAt = &at
	c.log("policy.stage_promoted", "", "policy revision %d is in force for %d tenant(s) more, up to %g%% of all: in shadow it made %d page(s) beyond those of revision %d, of %d allowed, and %d ticket(s) that call nobody; %d page(s) were the same, %d were only the old one's",
		r.To, stage.Tenants, stage.Percent, stage.Extra, r.From, stage.Allowed, stage.Tickets, stage.Agreed, stage.Gone)
	c.enter(r.Stage+1, tenants, now)
	return c.sealed()
}

// Resume begins the stage of a halted rollout again, because somebody says that
// its pages are right.
func Resume(s State, by, reason string, tenants []tenant.ID, now time.Time) (Change, error) {
	if err := Said(reason); err != nil {
		return Change{}, err
	}
	if s.Rollout.State != Halted {
		return Change{}, problem.New(problem.Conflict, "no rollout is halted").WithHint("tocsin policy status says what is under way")
	}
	c := Change{State: s}
	c.log("policy.rollout_resumed", by, "the rollout of policy revision %d goes on with stage %d of %d: %s", s.Rollout.To, s.Rollout.Stage+1, len(s.Rollout.Stages), reason)
	c.Rollout.Accepted = append(slices.Clone(s.Rollout.Accepted), extras(s.Rollout.Pages)...)
	c.Rollout.Accepted = c.Rollout.Accepted[max(0, len(c.Rollout.Accepted)-maxPages):]
	c.enter(s.Rollout.Stage, tenants, now)
	return c.sealed(), nil
}

// Hurry gives every tenant the policy that is being rolled out, at once.
func Hurry(s State, by, reason string, now time.Time) (Change, error) {
	if err := Said(reason); err != nil {
		return Change{}, err
	}
	if !s.Rollout.Open() {
		return Change{}, problem.New(problem.Conflict, "no rollout is under way").WithHint("tocsin policy status says what is in force")
	}
	c := Change{State: s}
	c.log("policy.rollout_hurried", by, "the rollout of policy revision %d does not wait for its stages: %s", s.Rollout.To, reason)
	c.finish(now)
	return c.sealed(), nil
}

// KnownAfter is how much later than a page it is known what the other policy made of the
// fault. A stage lasts so much longer than its shadow, so that its last pages count.
func (r Rollout) KnownAfter() time.Duration { return min(together, r.stageFor()/4) }

func (r Rollout) stageFor() time.Duration { return time.Duration(r.StageFor * float64(time.Second)) }

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Plainly writes a duration without the parts that are nothing.
func Plainly(d time.Duration) string {
	s := d.String()
	for _, nothing := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, nothing) {
			s = s[:len(s)-2]
		}
	}
	return s
}
