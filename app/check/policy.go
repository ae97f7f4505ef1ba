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
// messages; the policy is nil when it could not be read into its type.
func Policy(name string, text []byte, c *config.Config, cat *catalog.Catalog) (*profiles.Policy, fault.List) {
	p, faults := profiles.Check(name, text)
	if p == nil || faults.Errors() > 0 {
		return nil, faults
	}
	named := *c
	named.PolicyFiles = []string{name}
	return p, ordered(append(faults, unruled(&named, p, cat, time.Now())...))
}
