package rule

import "slices"

// Kind says which question a rule asks.
type Kind string

// The kinds.
const (
	// Errors: do more events fail than this tenant usually sees?
	Errors Kind = "errors"
	// Declines: are more events turned down than this tenant usually sees? That is no
	// failure of the event, so it warns; it is critical when approvals fall below half
	// of the usual.
	Declines Kind = "declines"
	// Latency: do more events take longer than this tenant usually sees?
	Latency Kind = "latency"
	// Traffic: are there fewer events than this tenant usually has at this hour, or more?
	Traffic Kind = "traffic"
	// Absent: do the tenant's series no longer arrive, although their source sends others?
	Absent Kind = "absent"
	// BurnRate: is the error budget of an objective spent too fast? It learns nothing.
	BurnRate Kind = "burn_rate"
	// PromQL: does a query over the metrics history give something for a tenant? Nothing
	// is counted.
	PromQL Kind = "promql"
	// Source is no rule of a policy: everything that one sender carries stopped arriving.
	Source Kind = "source"
)

// Kinds lists those that a policy may use.
func Kinds() []Kind { return []Kind{Errors, Declines, Latency, Traffic, Absent, BurnRate, PromQL} }

// Ratio says whether the rule judges the share of bad events, against what that
// share usually is.
func (k Kind) Ratio() bool { return k == Errors || k == Declines || k == Latency || k == "" }

// Share says whether the rule is about the share of bad events, and a picture of it
// shows that.
func (k Kind) Share() bool { return k.Ratio() || k == BurnRate }

// Budgeted says whether chance is in the rule, so that it has a share of its team's
// budget of false pages: of the others nobody knows how often they are wrong.
func (k Kind) Budgeted() bool { return k.Ratio() || k == Traffic }

// LooksBack says whether what the rule judges is held against its own last hour as well.
func (k Kind) LooksBack() bool { return k == Errors || k == "" }

// Direction is which changes of traffic a rule watches.
type Direction string

// The directions. Too much is never critical.
const (
	Less Direction = "less"
	More Direction = "more"
	Both Direction = "both"
)

// Directions lists them.
func Directions() []Direction { return []Direction{Less, More, Both} }

// Known says whether d is one of the three, or nothing.
func (d Direction) Known() bool { return d == "" || slices.Contains(Directions(), d) }

// Sensitivity is how much a person wants to hear, without a number to set.
type Sensitivity string

// The sensitivities. Balanced keeps the team's budget; Quiet needs a quarter more
// evidence, and false alarms become a matter of years; Early needs a fifth less and
// spends several times the budget.
const (
	Quiet    Sensitivity = "quiet"
	Balanced Sensitivity = "balanced"
	Early    Sensitivity = "early"
)

// Factor is what the needed evidence is multiplied by.
func (s Sensitivity) Factor() float64 {
	switch s {
	case Quiet:
		return 1.25
	case Early:
		return 0.8
	}
	return 1
}

// Sensitivities lists them, the one that needs most evidence first.
func Sensitivities() []Sensitivity { return []Sensitivity{Quiet, Balanced, Early} }

// Known says whether s is one of the three, or nothing.
func (s Sensitivity) Known() bool {
	return s == "" || slices.Contains(Sensitivities(), s)
}
