// Package question judges what the queries of rules of kind promql give: which series are
// there, since when, and what follows for an alert, as Prometheus' alerting rules have it.
// Nothing is counted and nothing learned, so that no budget bounds how often it is wrong.
//
// It does not know how a query is answered, where what stands is stored, or what time it
// is: answers and the time of a look come in, what stands and what was said go out.
package question

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Found is one series that the query of a rule of kind promql gave.
type Found struct {
	Environment string
	Tenant      tenant.ID
	Slice       sli.Slice // its other labels, sorted
	Value       float64
}

// FoundIn reads whose a series of an answer is by its labels; ok is false when it
// names no tenant. environment is that of a series that names none.
func FoundIn(ls labels.Labels, tenantLabel, environmentLabel, environment string) (f Found, ok bool) {
	f.Environment = environment
	ls.Range(func(l labels.Label) { // sorted
		switch l.Name {
		case tenantLabel:
			f.Tenant = tenant.ID(l.Value)
		case environmentLabel:
			f.Environment = l.Value
		case model.MetricNameLabel, "service":
		default:
			f.Slice = append(f.Slice, sli.Dim{Label: l.Name, Value: l.Value})
		}
	})
	return f, f.Tenant != ""
}

// Asked is what stands of one rule of kind promql for one tenant. It is stored, so
// that a restart ends no alert and begins no waiting anew.
type Asked struct {
	At     time.Time `json:"at"` // of the newest look
	Series []Series  `json:"series"`
}

// Series is one series that the rule's query gives.
type Series struct {
	Environment string      `json:"environment"`
	Slice       sli.Slice   `json:"slice"`
	Since       time.Time   `json:"since"`
	Firing      *time.Time  `json:"firing,omitempty"` // since when; nil: pending
	Alert       alert.Alert `json:"alert,omitzero"`   // what was said last, of one that fires
}

// unasked is how long nobody may look before the time counts as not waited: a fault
// must have been seen for all of a rule's `for`.
const unasked = 5 * time.Minute

// Look compares what the rule's query gave at a time with what stands, as Prometheus'
// alerting rules do: a series pends when it appears, fires when it was there for so
// long as the rule says, and has ended when it is gone. It says what stands then, and
// what began or ended.
func (a Asked) Look(r rule.Rule, id tenant.ID, found []Found, at time.Time) (Asked, []alert.Alert) {
	out := Asked{At: at}
	var said []alert.Alert
	gap := time.Duration(0)
	if !a.At.IsZero() && at.Sub(a.At) > unasked {
		gap = at.Sub(a.At)
	}
	wait := time.Duration(r.Query.For * float64(time.Second))
	for _, f := range found {
		same := func(s Series) bool { return s.is(f.Environment, f.Slice) }
		if slices.ContainsFunc(out.Series, same) {
			continue // they differ in the metric's name only
		}
		s := Series{Environment: f.Environment, Slice: f.Slice, Since: at}
		if i := slices.IndexFunc(a.Series, same); i >= 0 {
			if s = a.Series[i]; s.Firing == nil {
				s.Since = s.Since.Add(gap)
			}
		}
		if s.Firing == nil && at.Sub(s.Since) >= wait {
			s.Firing = &at
			s.Alert = s.alert(r, id, f.Value, at)
			said = append(said, s.Alert)
		}
		out.Series = append(out.Series, s)
	}
	for _, s := range a.Series {
		gone := !slices.ContainsFunc(out.Series, func(o Series) bool { return o.is(s.Environment, s.Slice) })
		if gone && s.Firing != nil {
			said = append(said, s.over(at, "its query gives it no more"))
		}
	}
	return out, said
}

// Unsaid is what stands without having been said: a rule that comes in force has waited
// in shadow, and raises its alerts now.
func (a Asked) Unsaid() Asked {
	a.Series = slices.Clone(a.Series)
	for i := range a.Series {
		a.Series[i].Firing, a.Series[i].Alert = nil, alert.Alert{}
	}
	return a
}

// End ends all that fires, for a reason that no query gave.
func (a Asked) End(at time.Time, why string) (said []alert.Alert) {
	for _, s := range a.Series {
		if s.Firing != nil {
			over := s.over(at, "no longer evaluated: "+why)
			over.Dropped = why
			said = append(said, over)
		}
	}
	return said
}

// Equal says whether nothing changed that must be stored: of what pends, that it was
// looked at.
func (a Asked) Equal(b Asked) bool {
	return slices.EqualFunc(a.Series, b.Series, func(x, y Series) bool {
		return x.is(y.Environment, y.Slice) && x.Since.Equal(y.Since) && (x.Firing == nil) == (y.Firing == nil)
	}) && !slices.ContainsFunc(b.Series, func(s Series) bool { return s.Firing == nil })
}

func (s Series) is(environment string, slice sli.Slice) bool {
	return s.Environment == environment && s.Slice.Equal(slice)
}

func (s Series) alert(r rule.Rule, id tenant.ID, value float64, at time.Time) alert.Alert {
	key := alert.Key{Environment: s.Environment, Tenant: id, Service: r.Service, Rule: r.Name, Slice: s.Slice}
	if key.Slice == nil {
		key.Slice = sli.Slice{}
	}
	why := "its query gave " + number(value)
	if r.Query.For > 0 {
		why += fmt.Sprintf(", and has given something for %s", alert.Lasting(at.Sub(s.Since)))
	}
	return alert.Alert{Key: key, ID: key.ID(), Kind: r.Kind, SLI: r.SLI.ID(), Noun: r.SLI.Noun, Severity: r.Severity, Summary: r.Summary, RunbookURL: r.RunbookURL,
		State: alert.Firing, OnsetAt: s.Since, StartsAt: at, AsOf: at, Evidence: alert.Evidence{Share: 1, Test: "promql"},
		Reason: fmt.Sprintf("%s%s, since %s: %s; nothing was counted, so that no budget bounds how often it is wrong", r.Name, where(s.Slice), alert.Clock(s.Since, at), why)}
}

func (s Series) over(at time.Time, why string) alert.Alert {
	a := s.Alert
	if !at.After(a.AsOf) {
		at = a.AsOf.Add(time.Millisecond)
	}
	a.State, a.EndsAt, a.AsOf = alert.Resolved, &at, at
	a.Reason = why + "; before, " + a.Reason
	return a
}

func where(s sli.Slice) string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.Label + " " + d.Value
	}
	if len(parts) == 0 {
		return ""
	}
	return " of " + strings.Join(parts, ", ")
}

func number(v float64) string {
	if math.Abs(v) >= 10_000 && !math.IsInf(v, 0) {
		return alert.Count(v)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
