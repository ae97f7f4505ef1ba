// Package exchange holds what tenants and the pools of their services tell each other:
// each tenant contributes what its steps say about a slice, and the pool of the service
// tells back what the tenants of a country have in common. They are judged by packages
// that do not know each other, in other partitions, on other replicas: what is here
// travels between them as JSON.
package exchange

import (
	"time"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Contribution is what one tenant's closed step says about one slice of a
// service: the input of the service's pool. Sending it again is harmless.
type Contribution struct {
	*Origin             // never nil; of many
	Slice   sli.Slice   `json:"slice"` // one dimension
	Step    detect.Step `json:"step"`
	Usual   float64     `json:"usual"`          // the failure ratio this tenant's slice usually has
	Over    float64     `json:"over,omitempty"` // seconds that a slow event takes longer than
	// Expected is, of traffic, how many events the slice usually brings in that time.
	Expected float64 `json:"expected,omitempty"`
	Live     bool    `json:"live"` // false for a replayed step, which raises nothing
}

// Origin is what all contributions have in common that a rule makes of one tenant. It is
// shared, and never changed.
type Origin struct {
	Environment string    `json:"environment"`
	Service     string    `json:"service"`
	Rule        string    `json:"rule"`
	Tenant      tenant.ID `json:"tenant"`
}

// Country is the label of the slices by which tenants share a factor.
const Country = "country"

// FactorLasts is how long a factor holds that is not renewed.
const FactorLasts = 2 * time.Hour

// Factor is how much of the expected volume of a country comes over all its tenants, from
// a moment on. 1 says that it is as expected.
type Factor struct {
	Environment string    `json:"environment"`
	Service     string    `json:"service"`
	Rule        string    `json:"rule"`
	Country     string    `json:"country"`
	From        time.Time `json:"from"`
	Value       float64   `json:"value"`
	Tenants     int       `json:"tenants"` // that it was measured over
}
