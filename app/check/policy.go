package check

import (
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/profiles"
)

// Policy reads a policy that came otherwise than by the files, and checks it
// against configuration and catalog as those are checked. name stands in the
// messages; the policy is nil when it cannot be used.
func Policy(name string, text []byte, c *config.Config, cat *catalog.Catalog) (*profiles.Policy, fault.List) {
	p, faults := profiles.Check(name, text)
	if p == nil {
		return nil, faults
	}
	named := *c
	named.PolicyFiles = []string{name}
	faults = ordered(append(faults, p.Believed(unruled(&named, p, cat, time.Now()))...))
	if faults.Errors() > 0 {
		return nil, faults
	}
	return p, faults
}
