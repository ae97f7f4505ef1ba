package evaluate

import (
	"fmt"

	"github.com/tocsin-alerting/tocsin/alert"
)

// Events may stand for more than themselves. Tests use what was received; weights give
// volume, and tell when sampling keeps failures more often than the rest.

const (
	keptFades  = 3_600_000 // ms after which what sampling kept counts 1/e
	nowFades   = 60_000    // the same for the rate of the last steps
	keptFrom   = 30        // events of each outcome from which sampling can be compared
	keptUneven = 1.25      // how much more often one outcome may be kept than the other
)

// kept is what sampling kept: events, and how many they stood for.
type kept struct {
	good, goodWeight, bad, badWeight fading // over the last hour or so
	now, nowWeight                   fading // over as long as recentSteps
}

func (k *kept) add(bad bool, ev Event) {
	n, w := &k.good, &k.goodWeight
	if bad {
		n, w = &k.bad, &k.badWeight
	}
	n.fade(ev.T, keptFades)
	w.fade(ev.T, keptFades)
	k.now.fade(ev.T, nowFades)
	k.nowWeight.fade(ev.T, nowFades)
	n.v, w.v = n.v+ev.N, w.v+ev.Weight
	k.now.v, k.nowWeight.v = k.now.v+ev.N, k.nowWeight.v+ev.Weight
}

// standFor is how many events one that was kept stands for; 1 where all are.
func (m *meter) standFor() float64 {
	n, w := m.kept.good.v+m.kept.bad.v, m.kept.goodWeight.v+m.kept.badWeight.v
	if !ofEvents(m.spec) || n <= 0 {
		return 1
	}
	return w / n
}

// standForNow is the same over the last steps.
func (m *meter) standForNow() float64 {
	if n := m.kept.now.v; ofEvents(m.spec) && n > 0 {
		return m.kept.nowWeight.v / n
	}
	return 1
}

// cannotJudge says why a ratio of m's counts is no evidence; empty when it is.
func (ts *tenantState) cannotJudge(m *meter) string {
	k := &m.kept
	if k.good.v < keptFrom || k.bad.v < keptFrom {
		return ""
	}
	good, bad := k.goodWeight.v/k.good.v, k.badWeight.v/k.bad.v
	if good <= keptUneven*bad && bad <= keptUneven*good {
		return ""
	}
	return fmt.Sprintf("sampling keeps one of %s calls that failed and one of %s others: their ratio is not the product's; count this SLI from metrics", alert.Count(bad), alert.Count(good))
}
