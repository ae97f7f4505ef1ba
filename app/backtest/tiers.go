package backtest

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/revision"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Record is how one tenant's profile was over time, by a daemon's record.
type Record struct {
	Tenant tenant.ID `json:"tenant"`
	Turns  []Turn    `json:"turns"` // the oldest first
}

// Turn is what a profile depended on from a time on, besides document and policy.
type Turn struct {
	At   time.Time `json:"at"`
	Tier string    `json:"tier"` // as it was pinned or promoted
	// Overrides are those that were made by API.
	Overrides []profiles.Override `json:"overrides"`
}

// ReadRecords reads what tocsin profile export writes: a JSON document a line.
func ReadRecords(in io.Reader) ([]Record, error) {
	out, seen := []Record{}, map[tenant.ID]bool{}
	s := bufio.NewScanner(in)
	s.Buffer(nil, 16<<20)
	for line := 1; s.Scan(); line++ {
		if len(s.Bytes()) == 0 {
			continue
		}
		var r Record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil || r.Tenant == "" {
			return nil, problem.New(problem.Invalid, "line %d of the profiles' record is none of a tenant's profile", line).WithHint("tocsin profile export writes it")
		}
		if seen[r.Tenant] {
			return nil, problem.New(problem.Invalid, "line %d of the profiles' record names a tenant once more", line).WithHint("tocsin profile export writes one line for each")
		}
		seen[r.Tenant] = true
		slices.SortStableFunc(r.Turns, func(a, b Turn) int { return a.At.Compare(b.At) })
		out = append(out, r)
	}
	if err := s.Err(); err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the profiles' record cannot be read").WithHint("tocsin profile export writes it")
	}
	return out, nil
}

// standing is where a tenant's profile stands in a replay.
type standing struct {
	course.Course
	turns []Turn // recorded; nil: the tier follows from the volume, as live
}

// turn is when what a profile depends on changes: what was recorded of it, a pin or an
// override of the policy that ends.
type turn struct {
	at time.Time
	of tenant.ID
}

// standings begins them. A tier that the policy does not have is that of the volume.
func (r *Replay) standings(records []Record) {
	r.standing = map[tenant.ID]*standing{}
	for _, x := range records {
		r.standing[x.Tenant] = &standing{turns: x.Turns}
		for _, t := range x.Turns {
			r.turns = append(r.turns, turn{t.At, x.Tenant})
			for _, o := range t.Overrides {
				r.turns = append(r.turns, turn{o.Until, x.Tenant})
			}
		}
	}
	for _, v := range r.o.Policy.Overrides {
		r.turns = append(r.turns, turn{v.Until, tenant.ID(v.Tenant)})
	}
	for _, n := range r.o.Policy.Pins {
		if !n.Until.IsZero() {
			r.turns = append(r.turns, turn{n.Until, tenant.ID(n.Tenant)})
		}
	}
	slices.SortFunc(r.turns, func(a, b turn) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.of, b.of)) })
}

// turned marks the tenants whose turn has come by now.
func (r *Replay) turned(now time.Time, changed map[tenant.ID]bool) {
	for len(r.turns) > 0 && !r.turns[0].at.After(now) {
		if id := r.turns[0].of; r.known(id) {
			changed[id] = true
		}
		r.turns = r.turns[1:]
	}
}

func (r *Replay) standingOf(id tenant.ID) *standing {
	s := r.standing[id]
	if s == nil {
		s = &standing{}
		r.standing[id] = s
	}
	return s
}

// follow looks at a tenant's volume as is done live, once an hour; it says whether the
// tier changed. What a proposal would page is not compared: one is promoted when its time
// in shadow is over.
func (r *Replay) follow(t tenant.Tenant, tpm float64, known bool, now time.Time) bool {
	s := r.standingOf(t.ID)
	if s.turns != nil {
		return false
	}
	in := evolution.Input{Settings: revision.Evolution(r.o.Policy), TPM: tpm, Known: known && t.Watched(), Promised: t.ExpectedTPM,
		Held: course.HeldTier(t, s.Course, r.o.Policy, r.o.Environment, now)}
	was := s.Tier
	s.State = evolution.Look(s.State, in, now).State
	return s.Tier != was
}

// stands fills in what a profile depends on of its tenant at a time.
func (r *Replay) stands(o profiles.Observation, t tenant.Tenant, now time.Time) profiles.Observation {
	o.Weight, o.Overrides = r.weights[t.ID], r.o.Policy.InForce(t.ID, now)
	if !r.o.Follow {
		return o
	}
	s := r.standingOf(t.ID)
	if s.turns == nil {
		if s.Tier == "" {
			r.follow(t, 0, false, now)
		}
		o.Tier, o.TPM = s.Tier, s.TPM
	} else {
		i := 0
		for i+1 < len(s.turns) && !s.turns[i+1].At.After(now) {
			i++
		}
		if len(s.turns) > 0 { // before the first it was as it became
			o.Tier = s.turns[i].Tier
			o.Overrides = slices.Concat(o.Overrides, course.InForce(s.turns[i].Overrides, now))
		}
		if _, has := r.o.Policy.Tier(o.Tier); !has {
			o.Tier = ""
		}
	}
	if pin, ok := course.PinOf(s.Course, r.o.Policy, t.ID, now); ok && pin.Tier != "" {
		o.Tier = pin.Tier
	}
	return o
}
