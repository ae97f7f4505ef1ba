package reference

import "github.com/tocsin-alerting/tocsin/fault"

// Unused are the narrowed keys that their types do not have.
func Unused() (out []string) {
	for t, s := range narrowed {
		there := fault.Keys(t)
		names := s.Required
		for k := range s.Properties {
			names = append(names, k)
		}
		for _, a := range s.AnyOf {
			names = append(names, a.Required...)
		}
		for _, k := range names {
			if _, ok := there[k]; !ok {
				out = append(out, t.String()+"."+k)
			}
		}
	}
	return out
}
