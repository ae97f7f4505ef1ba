package backtest

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/backtest/promrules"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// quietly lists severities with which alerts are not meant to call anybody.
var quietly = []string{"none", "info"}

// TheirPages are the calls that the alerts of a Prometheus come to: each firing series is
// one, and back within 15 minutes it is the same. Heartbeats, and what is for information
// only by its severity, call nobody.
func TheirPages(rings []promrules.Ring, tenantLabel string) (out []Page) {
	ended := map[string]time.Time{}
	for _, r := range rings {
		if r.Alert == "Watchdog" || slices.Contains(quietly, r.Labels["severity"]) {
			continue
		}
		key := r.Key()
		at, again := ended[key]
		ended[key] = r.To
		if again && r.From.Sub(at) <= samePage {
			continue
		}
		out = append(out, Page{At: r.From, Tenant: cmp.Or(r.Labels[tenantLabel], string(tenant.Product)), Service: r.Labels["service"], Rule: r.Alert, Reason: r.Summary})
	}
	return out
}
