package profiles

import "strings"

// What says in words what an override changes.
func (o Override) What() string {
	if o.Off {
		return "off"
	}
	var out []string
	if o.Severity != "" {
		out = append(out, "severity "+o.Severity)
	}
	if o.Sensitivity != "" {
		out = append(out, "sensitivity "+o.Sensitivity)
	}
	return strings.Join(out, ", ")
}
