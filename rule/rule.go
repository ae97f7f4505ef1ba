// Package rule holds what is watched: an SLI, a kind of detector, a severity,
// and the words a person reads when it fires. Rules are values made by
// profiles and read by evaluate; neither knows the other.
package rule

import (
	"math"
	"reflect"
	"slices"

	"github.com/tocsin-alerting/tocsin/sli"
)

// Severity says who may be disturbed and when.
type Severity string

// Critical pages at any hour and opens a ticket; warning opens a ticket and
// pages in working hours only; info is recorded and shown.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// Severities lists them, the worst first.
func Severities() []Severity { return []Severity{Critical, Warning, Info} }

// Rank orders severities, the worst highest.
func (s Severity) Rank() int {
	if i := slices.Index(Severities(), s); i >= 0 {
		return len(Severities()) - i
	}
	return 0
}

// Rule is one entry of a profile. It is immutable once made.
type Rule struct {
	Name       string   `json:"name"`
	Kind       Kind     `json:"kind"`
	SLI        sli.Spec `json:"sli"`
	Service    string   `json:"service"`
	Severity   Severity `json:"severity"`
	Summary    string   `json:"summary"`
	RunbookURL string   `json:"runbook_url"`
	// DashboardURL is a dashboard of the team's own; empty: its service's.
	DashboardURL string `json:"dashboard_url,omitempty"`
	// Prior is the failure ratio assumed before anything was learned.
	Prior float64 `json:"prior"`
	// Direction says which changes of traffic are watched; empty is Less.
	Direction Direction `json:"direction,omitempty"`
	// Sensitivity scales the evidence that is needed; empty is Balanced.
	Sensitivity Sensitivity `json:"sensitivity"`
	// FalseAlarms is the budget B of this rule for one tenant: expected false
	// alarms a month (30 days) over all its slices. It is the only source of
	// thresholds.
	FalseAlarms float64 `json:"false_alarms_per_month"`
	// FalsePages is how many of those may call somebody for the tenant alone. Where it
	// is less, an alert needs more evidence for a call than to fire.
	FalsePages float64 `json:"false_pages_per_month"`
	// Always are slices that are judged whatever their volume; values are compared
	// without regard to case.
	Always []sli.Dim `json:"always,omitempty"`
	// Burn is what kind burn_rate is held to; nil for the others.
	Burn *Burn `json:"burn_rate,omitempty"`
	// Query is what kind promql asks; nil for the others. Their SLI is only shown beside.
	Query *Query `json:"promql,omitempty"`
	// AcceptAfter is how many seconds a change must fire until it is the usual; 0: seven
	// days.
	AcceptAfter float64 `json:"accept_after_seconds,omitempty"`
	// Slices is how many values of each label are judged at most, the largest first;
	// 0: as many as the engine's default. The most of a tenant's rules counts.
	Slices int `json:"slices_at_most,omitempty"`
}

// Query is a question to the metrics history.
type Query struct {
	Expr string  `json:"expr"`
	For  float64 `json:"for_seconds"` // how long it must give something
}

// Cuts says whether the rule judges a slice: all events, and single dimensions of its SLI.
func (r Rule) Cuts(s sli.Slice) bool {
	return r.Kind != Absent && (len(s) == 0 || len(s) == 1 && slices.Contains(r.SLI.Slices, s[0].Label))
}

// SameTest says whether two rules of one SLI ask the same of it, so that one's
// detector can go on as the other's: only how much evidence is needed, and what
// follows from it, may differ.
func (r Rule) SameTest(o Rule) bool {
	o.Severity, o.Summary, o.RunbookURL, o.DashboardURL, o.Prior = r.Severity, r.Summary, r.RunbookURL, r.DashboardURL, r.Prior
	o.DashboardURL, o.Burn, o.AcceptAfter = r.DashboardURL, r.Burn, r.AcceptAfter
	o.FalsePages = r.FalsePages
	o.Sensitivity, o.FalseAlarms, o.Slices, o.Always, o.SLI = r.Sensitivity, r.FalseAlarms, r.Slices, r.Always, r.SLI
	return reflect.DeepEqual(r, o)
}

// ToPage is how much evidence an alert needs before it may call somebody for its
// tenant alone, in nats, when needed is what makes it fire; 0: what fires is enough.
func (r Rule) ToPage(needed float64) float64 {
	if r.FalsePages <= 0 || r.FalsePages >= r.FalseAlarms {
		return 0
	}
	return needed + math.Log(r.FalseAlarms/r.FalsePages)
}
