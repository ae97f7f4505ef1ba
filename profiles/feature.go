package profiles

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Feature is what a tenant can opt in to.
type Feature struct {
	Title string `yaml:"title"` // for people
	// Slice is, for a feature NAME.*, the label whose value follows the dot: a
	// tenant that opted in to country.de has the slice country=de judged by every
	// rule that is cut by country, whatever its volume.
	Slice string `yaml:"slice"`
	// Implies lists features that a tenant has with this one.
	Implies []string `yaml:"implies"`
}

func (p *Policy) checkFeatures() (faults []string) {
	sliced, listed, known := p.Lost("slis", "slices"), p.Lost("rules", "features"), p.Lost("features")
	for _, name := range featureNames(p.Features) {
		f, where := p.Features[name], fmt.Sprintf("features.%s", name)
		stem, family := strings.CutSuffix(name, ".*")
		if !featureName(stem) {
			faults = append(faults, where+": a feature is lower-case letters, digits, _ and ., for example refunds or country.*")
		}
		switch {
		case f.Slice != "" && !family:
			faults = append(faults, where+": slice needs a name that ends in .*, whose rest is the label's value")
		case f.Slice != "" && !sliced && !slices.ContainsFunc(p.SLIs, func(s SLI) bool { return slices.Contains(s.Slices, f.Slice) }):
			faults = append(faults, where+": slice is no slice of any SLI")
		case f.Slice == "" && family:
			faults = append(faults, where+": slice is missing: say which label the rest of the name is a value of")
		case f.Slice == "" && len(f.Implies) == 0 && !listed && !p.listed(name):
			faults = append(faults, where+": no rule lists it under features, so that opting in would bring nothing")
		}
	}
	for i, r := range p.Rules {
		for _, f := range r.Features {
			if !featureName(f) {
				faults = append(faults, fmt.Sprintf("rules[%d] (%s): a feature is lower-case letters, digits, _ and .", i, r.Name))
			} else if _, ok := p.featureOf(f); len(p.Features) > 0 && !ok && !known {
				faults = append(faults, fmt.Sprintf("rules[%d] (%s): features names one that is not under features; add it or correct the name", i, r.Name))
			}
		}
	}
	return append(faults, p.checkImplied()...)
}

func featureName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_.") == ""
}

func featureNames(m map[string]Feature) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// alwaysJudged lists the slices of the SLI that the tenant's features name.
func alwaysJudged(p *Policy, t tenant.Tenant, kind rule.Kind, spec sli.Spec) (out []sli.Dim) {
	if kind == rule.Absent || kind == rule.PromQL { // it is about series, not about slices
		return nil
	}
	features, _ := p.withImplied(t.Features)
	for _, f := range features {
		for _, name := range featureNames(p.Features) {
			stem, family := strings.CutSuffix(name, "*")
			value, is := strings.CutPrefix(f, stem)
			if label := p.Features[name].Slice; family && is && value != "" && slices.Contains(spec.Slices, label) {
				out = append(out, sli.Dim{Label: label, Value: value})
			}
		}
	}
	return out
}

// alsoJudged says so in the rule's reason.
func alsoJudged(dims []sli.Dim) string {
	if len(dims) == 0 {
		return ""
	}
	names := make([]string, len(dims))
	for i, d := range dims {
		names[i] = d.Label + "=" + d.Value
	}
	return "; " + strings.Join(names, ", ") + " judged whatever the volume, because the tenant opted in"
}

// soften is the severity a rule has for the tenant: while it is being onboarded
// nobody is woken for it.
func soften(s rule.Severity, t tenant.Tenant) (rule.Severity, string) {
	if t.State == tenant.Onboarding && s == rule.Critical {
		return rule.Warning, "; warning instead of critical while the tenant is onboarding"
	}
	return s, ""
}

// Unruled lists the tenant's features that bring nothing under the policy.
func Unruled(p *Policy, t tenant.Tenant) (out []string) {
	for _, f := range t.Features {
		if !p.Knows(f) {
			out = append(out, f)
		}
	}
	return out
}

// Knows says whether opting in to a feature brings anything.
func (p *Policy) Knows(feature string) bool {
	of, _ := p.featureOf(feature)
	return of.Slice != "" || len(of.Implies) > 0 || p.listed(feature)
}

// Like says which feature was probably meant by one that the policy does not know.
func (p *Policy) Like(feature string) string {
	_, rest, _ := strings.Cut(feature, ".")
	known := features(p)
	for _, name := range featureNames(p.Features) {
		stem, family := strings.CutSuffix(name, "*")
		if family && rest != "" {
			name = stem + rest
		}
		known = append(known, name)
	}
	if len(known) == 0 {
		return "it knows none"
	}
	slices.Sort(known)
	return fault.Suggest(feature, slices.Compact(known))
}

// Unknown says of the names in a tenant's document that neither the policy nor the catalog
// has, one sentence each. They are no error: a tenant may be onboarded before the policy
// that watches it for more is put in force.
func Unknown(p *Policy, services []string, t tenant.Tenant) (out []string) {
	for _, f := range Unruled(p, t) {
		out = append(out, "no rule follows from the feature "+f+": the policy does not know it; "+p.Like(f))
	}
	known := slices.Clone(services)
	for _, r := range p.Rules {
		known = append(known, r.Service)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for _, s := range t.Services {
		if _, ok := slices.BinarySearch(known, s); !ok {
			out = append(out, "nothing of the service "+s+" is watched: neither policy nor catalog knows it; "+fault.Suggest(s, known))
		}
	}
	for _, c := range t.Countries {
		if len(c) != 2 {
			out = append(out, "the country "+c+" is not named by two letters, as in DE: what is announced or expected of a country does not reach the tenant by it")
		}
	}
	return out
}
