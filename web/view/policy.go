package view

import (
	"io"
	"time"
)

// PolicyPage is the policy in force, how one follows it, and those before.
type PolicyPage struct {
	Frame
	Number    int
	Sha       string
	Since     time.Time
	By        string
	Because   string
	Rollout   *Rollout // the newest; nil: there was none
	Revisions []PolicyRow
	Ledger    string // link to its decisions; empty: not for the viewer
}

// Rollout is one policy following another.
type Rollout struct {
	To          int
	State       string // in a word or two
	Tone        Tone
	Why         string
	By, Because string
	StartedAt   time.Time
	EndedAt     time.Time // zero: under way
	Untried     []string  // what of it runs in no shadow, and why
	Stages      []Stage
	Pages       []TrialPage
	// Commands are what can be done about it now.
	Commands []Watched
}

// Stage is a part of the tenants.
type Stage struct {
	Name                         string
	Tenants                      int
	Began                        bool
	Extra, Allowed, Agreed, Gone int
	Tickets                      int // that only the new one would open, and that call nobody
	Say                          string
	Teams                        []StageTeam // empty: there is one
}

// StageTeam is what a stage brought one team.
type StageTeam struct {
	Team                                  string
	Extra, Allowed, Agreed, Gone, Tickets int
}

// TrialPage is a page of either policy while a stage ran in shadow.
type TrialPage struct {
	Verdict           string
	At                time.Time
	Tenant, TenantURL string
	More              int // tenants besides
	Rule              string
	Slice             []Dim
	Reason            string
}

// PolicyRow is one revision.
type PolicyRow struct {
	Number      int
	At          time.Time
	From        string // the way it came in
	By, Because string
	Say         string   // in force, being rolled out; empty: neither
	Changed     []string // of the one before, one sentence each; empty: not known
	More        int      // sentences besides
}

// Policy writes the policy's page.
func (v *Views) Policy(w io.Writer, p PolicyPage) error { return v.write(w, "policy", p) }
