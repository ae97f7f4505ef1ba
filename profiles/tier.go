package profiles

import (
	"fmt"
	"slices"

	"github.com/tocsin-alerting/tocsin/rule"
)

// Tier is a class of tenants by their observed volume. Each tenant is in exactly one:
// the last whose from_tpm it reaches.
type Tier struct {
	Name  string `yaml:"name"`  // lower-case letters, digits and _; rules and pins name it
	Title string `yaml:"title"` // for people
	// FromTPM is the least volume, in transactions a minute, included. The first tier
	// begins at 0, each further one above the one before.
	FromTPM float64 `yaml:"from_tpm"`
	// Sensitivity of the rules that name none: quiet, balanced or early.
	Sensitivity string `yaml:"sensitivity"`
	// Slices is how many values of each label are judged at most, the largest first;
	// default 8. Small tenants see more in their total than in many small parts.
	Slices int `yaml:"slices"`
}

// MostSlices is how many slices of a tier there may be: values of a label that are
// judged, each of which costs memory and a share of the budget.
const MostSlices = 64

func (p *Policy) checkTiers() (faults []string) {
	seen := map[string]bool{}
	for i, t := range p.Tiers {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("tiers[%d] (%s): ", i, t.Name)+fmt.Sprintf(format, args...))
		}
		switch {
		case !namePattern.MatchString(t.Name):
			fault("name must be lower-case letters, digits and _")
		case seen[t.Name]:
			fault("name is used twice")
		}
		seen[t.Name] = true
		switch {
		case !(t.FromTPM >= 0 && t.FromTPM < 1e15):
			fault("from_tpm must be a number that is not negative")
		case i == 0 && t.FromTPM != 0:
			fault("from_tpm of the first tier must be 0: tenants with less would be in none")
		case i > 0 && t.FromTPM == p.Tiers[i-1].FromTPM:
			fault("from_tpm is that of the tier before, which no tenant would be in")
		case i > 0 && t.FromTPM < p.Tiers[i-1].FromTPM:
			fault("from_tpm is less than that of the tier before: list tiers from the smallest, each begins where the one before ends")
		}
		if !rule.Sensitivity(t.Sensitivity).Known() {
			fault("sensitivity must be quiet, balanced or early")
		}
		if t.Slices < 0 || t.Slices > MostSlices {
			fault("slices must be between 1 and %d", MostSlices)
		}
	}
	lost := p.Lost("tiers", "name")
	for i, r := range p.Rules {
		for _, name := range r.Tiers {
			if !lost && !seen[name] {
				faults = append(faults, fmt.Sprintf("rules[%d] (%s): tiers names one that is not under tiers; add it or correct the name", i, r.Name))
				break
			}
		}
	}
	return faults
}

// TierOf is the tier of a volume in transactions a minute; the zero Tier when the
// policy has none.
func (p *Policy) TierOf(tpm float64) Tier {
	for _, t := range slices.Backward(p.Tiers) {
		if tpm >= t.FromTPM {
			return t
		}
	}
	if len(p.Tiers) > 0 {
		return p.Tiers[0]
	}
	return Tier{}
}

// Tier finds a tier by its name.
func (p *Policy) Tier(name string) (Tier, bool) {
	i := slices.IndexFunc(p.Tiers, func(t Tier) bool { return t.Name == name })
	if i < 0 {
		return Tier{}, false
	}
	return p.Tiers[i], true
}
