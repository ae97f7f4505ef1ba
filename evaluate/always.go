package evaluate

import (
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
