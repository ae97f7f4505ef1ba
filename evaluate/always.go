package evaluate

import (
	"cmp"
	"strings"

	"github.com/tocsin-alerting/tocsin/sli"
)

// always says whether a rule of m wants the slice judged whatever its volume.
func (m *meter) always(d sli.Dim) bool {
	for _, r := range m.rules {
		for _, a := range r.Always {
			if a.Label == d.Label && strings.EqualFold(a.Value, d.Value) {
				return true
			}
		}
	}
	return false
}

// judgedAtMost is how many values of a label the rules in force allow: the most that
// one of them names, else what is usual.
func judgedAtMost(rules []placed, usual int) int {
	most := 0
	for _, r := range rules {
		if r.place != inShadow {
			most = max(most, r.Slices)
		}
	}
	return cmp.Or(most, usual)
}
