package evaluate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/sli"
)

const (
	namesFollowed = 64 // metric names that match no SLI, of one tenant
	namesShown    = 20
)

// Unmatched is a metric that arrives for a tenant and that no SLI counts.
type Unmatched struct {
	Metric  string `json:"metric"`
	Samples int64  `json:"samples"` // since the process started; at most so many once there are more names than are followed
}

// unmatched follows the metric names that bring the most samples. When there are
// too many, the smallest makes room and leaves its count: what is often seen stays.
type unmatched map[string]int64

func (u *unmatched) saw(name string, samples int) {
	if *u == nil {
		*u = unmatched{}
	}
	n, known := (*u)[name]
	if !known {
		if len(*u) >= namesFollowed {
			least := ""
			for k, v := range *u {
				if least == "" || v < (*u)[least] || v == (*u)[least] && k > least {
					least = k
				}
			}
			n = (*u)[least]
			delete(*u, least)
		}
		name = strings.Clone(name) // not the labels it stands in
	}
	(*u)[name] = n + int64(samples)
}

func (u unmatched) list() []Unmatched {
	out := make([]Unmatched, 0, len(u))
	for name, n := range u {
		out = append(out, Unmatched{name, n})
	}
	slices.SortFunc(out, func(a, b Unmatched) int {
		return cmp.Or(cmp.Compare(b.Samples, a.Samples), cmp.Compare(a.Metric, b.Metric))
	})
	return out[:min(len(out), namesShown)]
}

// unseenSLIs names the SLIs of the rules that no series of the tenant counts in, by
// neither source.
func (ts *tenantState) unseenSLIs() []string {
	out := []string{}
	for _, spec := range ts.specs {
		ids := []sli.ID{spec.ID()}
		for _, o := range ts.specs {
			if o.Beside != nil && o.Beside.ID() == spec.ID() {
				ids = append(ids, o.ID())
			}
		}
		if spec.Beside != nil {
			ids = append(ids, spec.Beside.ID())
		}
		if !slices.ContainsFunc(ts.meters, func(m *meter) bool { return slices.Contains(ids, m.id) && len(m.series) > 0 }) && !slices.Contains(out, spec.Name) {
			out = append(out, spec.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out) // one name may be counted in two ways
}
