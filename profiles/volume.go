package profiles

import "github.com/tocsin-alerting/tocsin/sli"

// VolumeSLI is what is counted as a tenant's traffic; false when the policy names
// none that it declares.
func (p *Policy) VolumeSLI() (sli.Spec, bool) {
	for _, s := range p.SLIs {
		if s.Name == p.Volume.SLI {
			return s.spec(), true
		}
	}
	return sli.Spec{}, false
}
