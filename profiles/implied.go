package profiles

import (
	"fmt"
	"slices"
	"strings"
)

// featureOf is what the policy says of a feature, by its name or by its family.
func (p *Policy) featureOf(name string) (Feature, bool) {
	f, ok := p.Features[p.key(name)]
	return f, ok
}

// withImplied is what the tenant opted in to with what follows from it, sorted; via
// has, for what follows, the feature it follows from.
func (p *Policy) withImplied(features []string) (all []string, via map[string]string) {
	via = map[string]string{}
	all = slices.Clone(features)
	for i := 0; i < len(all); i++ {
		f, _ := p.featureOf(all[i])
		for _, next := range f.Implies {
			if !slices.Contains(all, next) {
				all = append(all, next)
				via[next] = all[i]
			}
		}
	}
	slices.Sort(all)
	return all, via
}

// checkImplied finds features that nothing knows and those that imply themselves.
func (p *Policy) checkImplied() (faults []string) {
	lost := p.Lost("features") || p.Lost("rules", "features")
	for _, name := range featureNames(p.Features) {
		for _, next := range p.Features[name].Implies {
			if _, ok := p.featureOf(next); !ok && !lost && !p.listed(next) {
				faults = append(faults, fmt.Sprintf("features.%s: implies names a feature that is neither under features nor under a rule; add it or correct the name", name))
			}
		}
	}
	done := map[string]bool{}
	for _, name := range featureNames(p.Features) {
		if circle := p.circle(name, nil, done); circle != nil {
			faults = append(faults, fmt.Sprintf("features.%s: implies goes in a circle: %s", circle[0], strings.Join(circle, ", then ")))
		}
	}
	return faults
}

// circle follows what is implied from a feature and gives the first way that comes
// back to where it was.
func (p *Policy) circle(name string, way []string, done map[string]bool) []string {
	key := p.key(name)
	if at := slices.IndexFunc(way, func(w string) bool { return p.key(w) == key }); at >= 0 {
		return append(slices.Clone(way[at:]), name)
	}
	if done[key] {
		return nil
	}
	for _, next := range p.Features[key].Implies {
		if c := p.circle(next, append(way, name), done); c != nil {
			done[key] = true // one circle is told once
			return c
		}
	}
	done[key] = true
	return nil
}

// key is the entry under features that a name stands for: its own, or the longest
// family NAME.* that it belongs to; else the name.
func (p *Policy) key(name string) string {
	if _, ok := p.Features[name]; ok {
		return name
	}
	best := name
	found := 0
	for family := range p.Features {
		stem, is := strings.CutSuffix(family, "*")
		if is && strings.HasPrefix(name, stem) && name != stem && len(family) > found {
			best, found = family, len(family)
		}
	}
	return best
}

// listed says whether a rule is for those who opted in to the feature.
func (p *Policy) listed(name string) bool {
	return slices.ContainsFunc(p.Rules, func(r RuleDoc) bool { return slices.Contains(r.Features, name) })
}
