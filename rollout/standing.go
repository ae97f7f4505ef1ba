// Package rollout decides how one revision of the policy follows another: at
// once, or in stages, each of which is run in shadow before it counts.
//
// It knows revisions by their number and tenants by their id. It does not know
// what a policy says, who runs the shadow or where anything is stored: a state, an
// input and the time come in, the state that follows goes out with its reasons.
package rollout

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Subject is where the policy's revisions, what is in force and its rollouts live.
const Subject = "policy"

// Collections of the Subject's partition, with the version of their records.
const (
	Revisions        = "policy"        // Revision by number, eight digits
	RevisionVersion  = 2               // 1: without Author, Reason and Origin
	Standings        = "policy_force"  // Standing, under Key
	Rollouts         = "rollout"       // Rollout by number, eight digits
	Files            = "policy_file"   // File by who read it
	Key              = "policy"        // of the one Standing
	StageTimer       = "rollout.stage" // a stage's shadow is over
	recordVersion    = 1               // of the other records
	StandingVersion  = recordVersion
	RolloutVersion   = recordVersion
	FileVersion      = recordVersion
	RevisionKind     = "policy"
	StandingKind     = "policy_force"
	RolloutKind      = "rollout"
	FileKind         = "policy_file"
	maxReason        = 500 // bytes
	defaultStageTime = 24 * time.Hour
)

// Origin is the way a revision came in.
type Origin string

// The ways.
const (
	FromFile Origin = "file"
	FromAPI  Origin = "api"
	BuiltIn  Origin = "built_in"
)

// Revision is one text of the policy. It never changes.
type Revision struct {
	Number int       `json:"number"` // from 1
	Sha    string    `json:"sha"`    // of the text
	Text   string    `json:"text,omitempty"`
	At     time.Time `json:"at"`
	Author string    `json:"author"`
	Reason string    `json:"reason"`
	Origin Origin    `json:"origin"`
}

// File is the policy that a process last read from its files: one that it reads
// again is no news, whatever has been put in force since.
type File struct {
	Sha string `json:"sha"`
}

// Standing is which revision is in force, and how that came to be.
type Standing struct {
	Version int       `json:"version"` // grows by one with every change of Standing or Rollout
	InForce int       `json:"in_force"`
	Before  int       `json:"before"` // what was in force before; 0: there is none to go back to
	Newest  int       `json:"newest"` // the highest number given
	Rollout int       `json:"rollout"`
	At      time.Time `json:"at"` // since when InForce is
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
}

// State is all that is decided on: what is in force, and the newest rollout,
// which may be over. The zero Rollout: there was none.
type State struct {
	Standing Standing
	Rollout  Rollout
	// Keeps are who follows no policy at the moment of a decision that puts one in force;
	// nil: that is not known. It is not stored.
	Keeps *Keeps
}

// Change is a state with what led to it. Revision is to be stored, nil: none.
// Timer is when Due is to be called; zero: not at all.
type Change struct {
	State
	Revision *Revision
	Ledger   []ledger.Entry
	Timer    time.Time
}

// Put puts a revision in force at once, for every tenant. A rollout under way is
// over. r needs no number.
func Put(s State, r Revision, now time.Time) Change {
	c := Change{State: s}
	c.store(r, now)
	c.supersede(fmt.Sprintf("policy revision %d is in force at once", c.Revision.Number), now)
	c.force(c.Revision.Number, r.Author, r.Reason, now)
	c.log("policy.changed", r.Author, "policy revision %d (%s) is in force at once for %s: %s", c.Revision.Number, r.Sha, c.whom(), r.Reason)
	c.told()
	return c.sealed()
}

// RollBack puts an earlier revision in force at once, for every tenant; to 0 is
// the one before. Of a rollout under way that is the one it began from. A rollback
// is not held by anything.
func RollBack(s State, to int, by, reason string, now time.Time) (Change, error) {
	if err := Said(reason); err != nil {
		return Change{}, err
	}
	c := Change{State: s}
	if to == 0 {
		if to = s.Standing.Before; s.Rollout.Open() {
			to = s.Rollout.From
		}
	}
	switch open := s.Rollout.Open(); {
	case to == 0:
		return c, problem.New(problem.Conflict, "there is no earlier policy to go back to").WithHint("name a revision; tocsin policy revisions lists them")
	case to < 0 || to > s.Standing.Newest:
		return c, problem.New(problem.NotFound, "there is no such policy revision").WithHint("tocsin policy revisions lists them")
	case to == s.Standing.InForce && !open:
		return c, problem.New(problem.Conflict, "policy revision %d is in force already", to).WithHint("name another; tocsin policy revisions lists them")
	case open:
		c.Rollout.close(RolledBack, fmt.Sprintf("%s went back to policy revision %d: %s", by, to, reason), now)
	}
	from := s.Standing.InForce
	if s.Rollout.Open() {
		from = s.Rollout.To
	}
	if to != s.Standing.InForce {
		c.force(to, by, reason, now)
		c.Standing.Before = 0 // back and forth is not back
	}
	c.log("policy.rolled_back", by, "policy revision %d is in force at once for %s, instead of revision %d: %s", to, c.whom(), from, reason)
	c.told()
	return c.sealed(), nil
}

// store numbers a new revision.
func (c *Change) store(r Revision, now time.Time) {
	c.Standing.Newest++
	r.Number, r.At = c.Standing.Newest, now.UTC()
	c.Revision = &r
}

func (c *Change) force(revision int, by, reason string, now time.Time) {
	c.Standing.Before, c.Standing.InForce = c.Standing.InForce, revision
	c.Standing.At, c.Standing.By, c.Standing.Reason = now.UTC(), by, reason
}

// supersede ends a rollout that is under way.
func (c *Change) supersede(why string, now time.Time) {
	if c.Rollout.Open() {
		c.Rollout.close(Superseded, why, now)
		c.log("policy.rollout_superseded", "", "the rollout of policy revision %d is over: %s", c.Rollout.To, why)
	}
}

func (c *Change) log(kind, by, format string, args ...any) {
	c.Ledger = append(c.Ledger, ledger.Entry{Subject: Subject, Kind: kind, Actor: by, Reason: fmt.Sprintf(format, args...)})
}

// told keeps with the newest entry who follows no policy.
func (c *Change) told() {
	if c.Keeps == nil || c.Keeps.Tenants == 0 {
		return
	}
	if raw, err := json.Marshal(c.Keeps); err == nil {
		c.Ledger[len(c.Ledger)-1].Data = raw
	}
}

// sealed counts the change and says when it is to be looked at again.
func (c Change) sealed() Change {
	c.Standing.Version++
	c.Timer = time.Time{}
	if c.Rollout.State == Shadow {
		c.Timer = c.Rollout.NextAt
	}
	return c
}

// Said refuses a change that nobody gives a reason for.
func Said(reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return problem.New(problem.Invalid, "a reason is missing: whoever reads the ledger wants to know why")
	case len(reason) > maxReason:
		return problem.New(problem.Invalid, "the reason is longer than %d bytes", maxReason).WithHint("shorten it")
	}
	return nil
}
