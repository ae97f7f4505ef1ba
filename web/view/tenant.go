package view

import "time"

// TenantPage is one tenant: how it stands, what is watched and why, and how
// that came to be.
type TenantPage struct {
	Frame
	ID, Name string
	Tone     Tone
	Say      string // how it stands, in a sentence
	Facts    []Fact
	Open     []IncidentRow
	Signals  []Signal
	Asked    []SignalRow // rules that ask the metrics history; Rule, Sees and Firing count
	// Silent are SLIs of the profile of which no series came.
	Silent  []string
	Watches []Watched
	// Standing says what the profile follows, in sentences: tier, proposal, pin.
	Standing  []string
	Revisions []Revision // the newest first
	Past      []IncidentRow
	Ledger    string // link to its decisions; empty: not for the viewer
}

// Fact is a name and a value.
type Fact struct{ Name, Value string }

// Signal is one SLI in one environment.
type Signal struct {
	ID                string // of the part of the page
	Name, Environment string
	PerMinute         float64
	Chart             *Picture
	// Rows are the totals and what fires; More the other slices.
	Rows, More []SignalRow
}

// SignalRow is how one rule sees one slice.
type SignalRow struct {
	Rule      string
	Slice     []Dim // empty: the total
	URL       string
	PerMinute float64
	Usual     string
	// Sees says which faults are seen at this hour, and after how long.
	Sees     []string
	Firing   bool
	Learning bool
}

// Watched is a rule of the profile and why the tenant has it.
type Watched struct{ What, Why string }

// Revision is one step of the profile's life.
type Revision struct {
	Number        int
	At            time.Time
	Author, Cause string
	Changes       []string
}
