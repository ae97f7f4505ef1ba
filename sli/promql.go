package sli

import (
	"fmt"
	"math"
	"regexp"
	"sort"
	"strings"
	"time"
)

// Selection narrows the PromQL form to labels with given values, for example
// tenant and environment; an empty value is a condition too.
type Selection map[string]string

// PromQL is the twin of the counters: the number of bad and of all events of a
// slice in the window that ends at the evaluation time. It uses the anchored
// modifier, which needs the engine option EnableExtendedRangeSelectors: increase
// extrapolates and loses the first events of a new series.
//
// Bad events of a histogram are all less those up to Edge. Series of a sender that
// does not have this edge are missing in the second sum: there the twin is too high,
// where the counters interpolate.
func (s Spec) PromQL(window time.Duration, sel Selection, slice Slice) (bad, total string) {
	return s.pair(window, " anchored", "", sel, slice)
}

// PromQLPlain is PromQL without anchored, for backends that do not know it.
func (s Spec) PromQLPlain(window time.Duration, sel Selection, slice Slice) (bad, total string) {
	return s.pair(window, "", "", sel, slice)
}

// PromQLBy is PromQLPlain with one line for each value of a label.
func (s Spec) PromQLBy(label string, window time.Duration, sel Selection, slice Slice) (bad, total string) {
	return s.pair(window, "", " by ("+label+") ", sel, slice)
}

func (s Spec) pair(window time.Duration, modifier, by string, sel Selection, slice Slice) (bad, total string) {
	if s.Histogram == "" {
		return s.sum(window, modifier, by, sel, slice, matchers(s.Bad)...), s.sum(window, modifier, by, sel, slice)
	}
	total = s.sum(window, modifier, by, sel, slice, edgeMatcher(math.Inf(1)))
	return "(" + total + " - " + s.sum(window, modifier, by, sel, slice, edgeMatcher(s.Edge)) + ")", total
}

func (s Spec) sum(window time.Duration, modifier, by string, sel Selection, slice Slice, more ...string) string {
	conds := append(matchers(s.Total), more...)
	for l, v := range sel {
		conds = append(conds, fmt.Sprintf("%s=%q", l, v))
	}
	for _, d := range slice {
		conds = append(conds, fmt.Sprintf("%s=%q", d.Label, d.Value))
	}
	if s.Source == Spans {
		conds = append(conds, fmt.Sprintf("collector=%q", Collector))
	}
	sort.Strings(conds)
	return fmt.Sprintf("sum%s(increase(%s{%s}[%s]%s))", by, s.Metric, strings.Join(conds, ","), promDuration(window), modifier)
}

func matchers(ms []Match) []string {
	out := make([]string, 0, len(ms))
	for _, m := range ms {
		quoted := make([]string, len(m.Values))
		for i, v := range m.Values {
			quoted[i] = regexp.QuoteMeta(v)
		}
		op := "=~"
		if m.Not {
			op = "!~"
		}
		if len(m.Values) == 1 {
			op = op[:1] + "="
			if !m.Not {
				op = "="
			}
			out = append(out, fmt.Sprintf("%s%s%q", m.Label, op, m.Values[0]))
			continue
		}
		out = append(out, fmt.Sprintf("%s%s%q", m.Label, op, strings.Join(quoted, "|")))
	}
	return out
}

func promDuration(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%ds", int64(d/time.Second))
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}
