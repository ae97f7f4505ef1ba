package sli

import (
	"fmt"
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
func (s Spec) PromQL(window time.Duration, sel Selection, slice Slice) (bad, total string) {
	return s.sum(window, sel, slice, true), s.sum(window, sel, slice, false)
}

// PromQLPlain is PromQL without anchored, for backends that do not know it.
func (s Spec) PromQLPlain(window time.Duration, sel Selection, slice Slice) (bad, total string) {
	strip := func(q string) string { return strings.ReplaceAll(q, " anchored", "") }
	b, t := s.PromQL(window, sel, slice)
	return strip(b), strip(t)
}

func (s Spec) sum(window time.Duration, sel Selection, slice Slice, bad bool) string {
	conds := matchers(s.Total)
	if bad {
		conds = append(conds, matchers(s.Bad)...)
	}
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
	return fmt.Sprintf("sum(increase(%s{%s}[%s] anchored))", s.Metric, strings.Join(conds, ","), promDuration(window))
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
