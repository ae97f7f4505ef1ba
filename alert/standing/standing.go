// Package standing holds what stands of a stream of steps: what its detector says, and
// the alert that follows from it. It knows when an alert is said again, how severe it has
// become, and in which words it is told. What judges keeps one [Stream] of each rule and
// slice, of one tenant or of all tenants together; how it judges is not known here.
//
// Times are unix milliseconds of steps; evidence is in nats.
package standing

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

const sayAgainAfter = 60_000 // ms between two alerts that differ in evidence only

// Stream is what a detector says of a stream, and what was said of that. The zero value
// is one of which nothing is known.
type Stream struct {
	Raised  *Alert // nil while nothing stands
	Firing  bool
	Onset   int64 // of what fires
	Cleared int64 // end of the step that ended it
	Score   float64
	Needed  float64
}

// Follow keeps what the detector said of a step that ended at end. began says that the
// stream fires since this step.
func (s *Stream) Follow(d *detect.Decision, end int64) (began bool) {
	if d.Changed {
		if s.Firing = d.Firing; d.Firing {
			s.Onset = d.Onset
		} else {
			s.Cleared = end
		}
	}
	s.Score, s.Needed = d.Score, d.Needed
	return d.Changed && d.Firing
}

// Over resolves the stream's alert, as it was said by then: a is it.
func (s *Stream) Over(a alert.Alert) alert.Alert {
	ends := at(max(s.Cleared, s.Raised.Starts))
	a.State, a.EndsAt = alert.Resolved, &ends
	a.Reason = fmt.Sprintf("over since %s; before, %s", alert.Clock(ends, ends), a.Reason)
	s.Raised = nil
	return a
}

// Dropped resolves an alert for a reason that no step gave.
func Dropped(a alert.Alert, when int64, why string) alert.Alert {
	ends := at(when)
	a.State, a.EndsAt, a.Reason, a.Dropped = alert.Resolved, &ends, "no longer evaluated: "+why, why
	return a
}

// Alert is an alert that stands.
type Alert struct {
	Onset, Starts, Said int64 // Said: when evidence was told last; 0 never
	Backlog             bool
	Evidence            alert.Evidence
	Severity            rule.Severity // the worst so far; empty: the rule's
	Why                 string        // it is not the rule's
}

// Renew takes newer evidence, and how severe it is, and says whether that is to be told.
// While it mends, what was said last stands: who reads of a fault that is over wants to
// know how bad it was, not how much went well until that was sure.
func (a *Alert) Renew(at int64, ev alert.Evidence, mending bool, severity rule.Severity, why string) bool {
	worse := severity.Rank() > a.Severity.Rank()
	if worse {
		a.Severity, a.Why = severity, why
	}
	if at-a.Said < sayAgainAfter && !worse {
		return false
	}
	if a.Said == 0 || !mending {
		a.Evidence = ev
	}
	a.Said = at
	return true
}

// Say is the alert as it is told at asOf, of a rule about an SLI.
func (a *Alert) Say(key alert.Key, id sli.ID, r *rule.Rule, asOf int64) alert.Alert {
	if key.Slice == nil {
		key.Slice = sli.Slice{}
	}
	severity := r.Severity
	if a.Severity != "" {
		severity = a.Severity
	}
	out := alert.Alert{
		Key: key, ID: key.ID(), Kind: r.Kind, SLI: id, Noun: r.SLI.Noun, Severity: severity, Summary: r.Summary, RunbookURL: r.RunbookURL,
		State: alert.Firing, OnsetAt: at(a.Onset), StartsAt: at(a.Starts), Evidence: a.Evidence,
		AsOf: at(asOf), Backlog: a.Backlog,
	}
	out.Reason = reason(out)
	switch {
	case r.Kind == rule.Absent:
		out.Reason = a.Why // nothing was counted
	case a.Why != "":
		out.Reason += "; " + a.Why
	}
	return out
}

// Test is what alerts call a detector's test.
func Test(test string) string {
	switch {
	case strings.HasPrefix(test, "window"):
		return "exact"
	case strings.HasPrefix(test, "burn"), test == alert.Change:
		return test
	}
	return "cusum"
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
