package evaluate

import (
	"cmp"
	"slices"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// An SLI has one source. The other one's counts of the same events are compared with
// it and never added; they count for tenants that send nothing by the first.

// BesideStatus is what the other source says of the same events.
type BesideStatus struct {
	Source        sli.Source `json:"source"`
	SLI           sli.ID     `json:"sli"`
	RatePerMinute float64    `json:"rate_per_minute"`
	FailureRatio  float64    `json:"failure_ratio"`
	// Difference is this rate less the other's, as a share of this one; negative
	// when this source saw fewer events.
	Difference float64 `json:"difference"`
	Counts     bool    `json:"counts"` // the rules are judged by it: this source sends nothing of the tenant
}

// withBeside adds each rule once more for its SLI's other source.
func withBeside(rules []rule.Rule) []rule.Rule {
	out := slices.Clone(rules)
	for _, r := range rules {
		if b := r.SLI.Beside; b != nil && b.ID() != r.SLI.ID() {
			second := r
			second.SLI = *b
			second.SLI.Beside = nil
			if second.SLI.Name == "" {
				second.SLI.Name = r.SLI.Name
			}
			if second.SLI.Slices == nil {
				second.SLI.Slices = r.SLI.Slices
			}
			out = append(out, second)
		}
	}
	return out
}

// held says whether a rule of m is not judged now: its SLI's first source counts,
// or the ratio is no evidence. What stood is ended.
func (ts *tenantState) held(m *meter, ri int) bool {
	why := ts.unjudged(m, m.rules[ri])
	if why == "" {
		return false
	}
	for _, c := range m.cells {
		if c.judged && c.watches[ri] != nil && c.watches[ri].Raised != nil {
			ts.end(m, spot{m.rules[ri], c, c.watches[ri]}, m.lastClose, why)
		}
	}
	return true
}

// unjudged says why a rule is not judged by m now; empty when it is.
func (ts *tenantState) unjudged(m *meter, r *ruleState) string {
	if first := ts.firstSource(m, r); first != nil && first.newest > m.newest-ts.o.Remember.Milliseconds() {
		return "the SLI is counted by its first source, " + string(cmp.Or(first.spec.Source, sli.Metrics))
	}
	if !r.Kind.Ratio() {
		return ""
	}
	return ts.cannotJudge(m)
}

// firstSource is the meter that a rule is judged by where m counts its SLI's
// other source; nil when m is the rule's own, or nothing came by the first yet.
func (ts *tenantState) firstSource(m *meter, r *ruleState) *meter {
	for _, o := range ts.meters {
		if o.beside == m.id && o.env == m.env && o.id != m.id && indexRule(o.rules, r) >= 0 {
			return o
		}
	}
	return nil
}

// compare fills in what the other source says of each SLI.
func (ts *tenantState) compare(list []SLIStatus) {
	for _, m := range ts.meters {
		if m.spec.Beside == nil {
			continue
		}
		first := slices.IndexFunc(list, func(s SLIStatus) bool { return s.Environment == m.env && s.SLI == m.id })
		second := slices.IndexFunc(list, func(s SLIStatus) bool { return s.Environment == m.env && s.SLI == m.spec.Beside.ID() })
		if first < 0 || second < 0 {
			continue
		}
		a, b := &list[first], &list[second]
		counts := false
		for _, o := range ts.meters {
			if o.env == m.env && o.id == b.SLI {
				counts = m.newest <= o.newest-ts.o.Remember.Milliseconds()
			}
		}
		a.Beside, b.Beside = a.beside(b, counts), b.beside(a, !counts)
	}
}

func (s *SLIStatus) beside(o *SLIStatus, counts bool) *BesideStatus {
	b := &BesideStatus{Source: o.Source, SLI: o.SLI, RatePerMinute: o.RatePerMinute, FailureRatio: o.FailureRatio, Counts: counts}
	if s.RatePerMinute > 0 {
		b.Difference = (s.RatePerMinute - o.RatePerMinute) / s.RatePerMinute
	}
	return b
}
