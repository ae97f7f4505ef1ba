package evaluate

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/rule"
)

// hourRate is what a cell usually has at this hour of the week; 0 when that is not
// known.
func (ts *tenantState) hourRate(m *meter, ci int, now time.Time) float64 {
	if m.flow == nil || ts.youngFlow(m) {
		return 0
	}
	usual := m.flow.season.At(now.In(ts.zone))
	if ci > 0 {
		return usual.Expected * m.cells[ci].part(usual.Slot)
	}
	return usual.Expected
}

// Sees says in words which faults of a slice are seen, and after how long.
func (s SliceStatus) Sees() string {
	worse, all := "five points more failures", "a total failure"
	switch s.Kind {
	case rule.Traffic:
		switch {
		case s.OutageSeenSeconds == nil && s.Young:
			return "lost traffic: not while it is young"
		case s.OutageSeenSeconds == nil:
			return "lost traffic: not at this volume"
		}
		return "lost traffic: after " + Lasting(*s.OutageSeenSeconds)
	case rule.Absent:
		return s.absent()
	case rule.Declines:
		worse, all = "five points more declines", "all declined"
	case rule.Latency:
		worse, all = "five points more that are slow", "all slow"
	}
	if s.Noun != "" {
		worse += " of " + s.Noun
		if s.Kind == rule.Latency {
			worse = "five points more " + s.Noun + " that are slow"
		}
	}
	var out []string
	for _, v := range []struct {
		what  string
		after *float64
	}{{worse, s.FivePointsSeenSeconds}, {all, s.OutageSeenSeconds}} {
		switch {
		case v.after == nil && s.Young && v.what == worse:
			out = append(out, v.what+": not while it is young")
		case s.Kind == rule.BurnRate && v.after != nil && *v.after == 0:
			out = append(out, v.what+": at once, what usually fails spends the budget already")
		case v.after == nil && v.what == worse && cmp.Or(s.HourRate, s.RatePerMinute) > 0 && (s.Kind != rule.BurnRate || s.OutageSeenSeconds != nil):
			out = append(out, v.what+": at no volume"+s.more())
		case v.after == nil:
			out = append(out, v.what+": not at this volume")
		default:
			out = append(out, v.what+": after "+Lasting(*v.after))
		}
	}
	if s.HeldSince != nil {
		out = append(out, "held since "+s.HeldSince.UTC().Format("15:04 UTC")+": what fails looks like one customer's retries")
	}
	return strings.Join(out, "; ")
}

// absent says after how long a silence is an absence.
func (s SliceStatus) absent() string {
	what := "no samples"
	if s.Noun != "" {
		what += " of " + s.Noun
	}
	if s.OutageSeenSeconds == nil {
		return what + ": not known yet"
	}
	return what + ": after " + Lasting(*s.OutageSeenSeconds) + ", while others of its source come"
}

// Asks says in words after how long a rule of kind promql fires; empty for the others. What
// it asks knows no volume.
func Asks(r rule.Rule) string {
	switch {
	case r.Query == nil:
		return ""
	case r.Query.For <= 0:
		return "what its query gives, asked once a minute: at once"
	}
	return "what its query gives, asked once a minute: after " + Lasting(r.Query.For)
}

// more says which larger fault is seen soon, of a rule that looks for more than five points:
// for what is slow one bucket of the histogram further.
func (s SliceStatus) more() string {
	if s.SmallestFault == nil {
		return ", it looks for more than that"
	}
	return fmt.Sprintf(", it looks for more than that: %.0f points within ten minutes", 100**s.SmallestFault)
}

// Lasting says a time in seconds as people do.
func Lasting(seconds float64) string {
	unit, n := "second", seconds
	switch {
	case seconds >= 48*3600:
		unit, n = "day", seconds/86400
	case seconds >= 2*3600:
		unit, n = "hour", seconds/3600
	case seconds >= 60:
		unit, n = "minute", seconds/60
	}
	if n = math.Ceil(n); n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%.0f %ss", n, unit)
}
