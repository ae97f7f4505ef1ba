package evaluate

import (
	"cmp"
	"slices"

	"github.com/tocsin-alerting/tocsin/sli"
)

// mergedSpecs lists each SLI once, with the slices of all rules that count it.
func mergedSpecs(rules []placed) []sli.Spec {
	var out []sli.Spec
	for _, r := range rules {
		i := slices.IndexFunc(out, func(s sli.Spec) bool { return s.ID() == r.SLI.ID() })
		if i < 0 {
			spec := r.SLI
			spec.Slices = slices.Clone(spec.Slices)
			out, i = append(out, spec), len(out)
		} else {
			out[i].Slices = append(out[i].Slices, r.SLI.Slices...)
		}
		slices.Sort(out[i].Slices)
		out[i].Slices = slices.Compact(out[i].Slices)
	}
	slices.SortFunc(out, func(a, b sli.Spec) int { return cmp.Compare(a.ID(), b.ID()) })
	return out
}
