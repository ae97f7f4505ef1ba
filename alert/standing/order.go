package standing

import (
	"cmp"
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/alert"
)

// asMuch is the part of what fails most in a slice that must fail of everything for the
// total to be told first: then the slices show no more than it does.
const asMuch = 0.7

// Order puts alerts in the order of time. Of what fires at the same moment the
// slice of which most fails comes first: that is what the fault is about. Where as much
// fails of everything the total does, for it says what the slices have in common.
func Order(alerts []alert.Alert) []alert.Alert {
	if len(alerts) < 2 {
		return alerts
	}
	most := map[int64]float64{}
	for _, a := range alerts {
		most[a.AsOf.UnixMilli()] = math.Max(most[a.AsOf.UnixMilli()], badShare(a))
	}
	worth := func(a alert.Alert) float64 {
		x := badShare(a)
		if len(a.Slice) == 0 && x >= asMuch*most[a.AsOf.UnixMilli()] {
			return math.Inf(1)
		}
		return x
	}
	slices.SortStableFunc(alerts, func(a, b alert.Alert) int {
		return cmp.Or(a.AsOf.Compare(b.AsOf), cmp.Compare(worth(b), worth(a)), cmp.Compare(b.Evidence.Score, a.Evidence.Score),
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Service, b.Service),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Slice.Key(), b.Slice.Key()))
	})
	return alerts
}

// badShare is which part of an alert's events is bad.
func badShare(a alert.Alert) float64 {
	k, n := a.Bad()
	if !(n > 0) {
		return 0
	}
	return k / n
}
