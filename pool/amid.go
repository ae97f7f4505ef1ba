package pool

import (
	"cmp"
	"slices"
)

// amid is room for what is worked out of all that tenants brought to a step of a pool.
type amid struct {
	parts  []part
	ratios []ratio
	sorted []portion
}

// ratio is a share of n events.
type ratio struct{ share, n float64 }

// common is the share of the events that fails and usually does not, in the middle one
// of them: half of all events are of tenants with less.
func (a *amid) common(brought []portion) float64 {
	half, below := 0.0, 0.0
	for i := range brought {
		x := &brought[i].lately
		if half += x.n / 2; x.v <= 0 {
			below += x.n
		}
	}
	if below >= half { // nearly always
		return 0
	}
	a.ratios = a.ratios[:0]
	for i := range brought {
		if x := &brought[i].lately; x.v > 0 && x.n > 0 {
			a.ratios = append(a.ratios, ratio{x.v / x.n, x.n})
		}
	}
	slices.SortFunc(a.ratios, func(x, y ratio) int { return cmp.Compare(x.share, y.share) })
	for _, x := range a.ratios {
		if below += x.n; below >= half {
			return x.share
		}
	}
	return 0
}

// order sorts what tenants brought by tenant, one part each. It came in some runs that are
// sorted already, each of what was told at one time.
func (a *amid) order(b *bucket) {
	if b.sorted {
		return
	}
	for runs := 2; runs > 1; {
		from, into := b.parts, slices.Grow(a.sorted[:0], len(b.parts))
		for runs = 0; len(from) > 0; runs++ {
			first := run(from)
			second := run(from[len(first):])
			into, from = joined(into, first, second), from[len(first)+len(second):]
		}
		a.sorted, b.parts = b.parts[:0], into
	}
	b.unite()
}

// run is how far parts are sorted.
func run(parts []portion) []portion {
	n := min(1, len(parts))
	for n < len(parts) && parts[n-1].id <= parts[n].id {
		n++
	}
	return parts[:n]
}

// joined appends both in order; of the same tenant that comes first which was first.
func joined(into, first, second []portion) []portion {
	for len(first) > 0 && len(second) > 0 {
		if first[0].id <= second[0].id {
			into, first = append(into, first[0]), first[1:]
		} else {
			into, second = append(into, second[0]), second[1:]
		}
	}
	return append(append(into, first...), second...)
}
