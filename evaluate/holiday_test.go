package evaluate

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/pool"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestAHolidayIsNotAThousandAlerts lets tenants and their pool work together: a day with
// little traffic in a whole country, then the loss of the rest.
func TestAHolidayIsNotAThousandAlerts(t *testing.T) {
	const tenants = 12
	run := func(pooled bool) (holiday, lost, shared []alert.Alert) {
		of := flowing()
		of.SLI.Slices = []string{exchange.Country}
		e, p := New(Options{}), pool.New(pool.Options{}, "production", "payments")
		p.SetRules([]rule.Rule{of})
		feeds, r := make([]*feed, tenants), &rig{t: t, e: e, now: epoch}
		share := 1.0
		day := epoch.Add(3*24*time.Hour + 6*time.Hour)
		for i := range feeds {
			e.SetTenant(tenant.Tenant{ID: tenant.ID(fmt.Sprintf("t%02d", i)), State: tenant.Live, OnboardedAt: epoch.Add(-time.Hour)}, []rule.Rule{of}, epoch)
			feeds[i] = newFeed(uint64(20 + i))
			feeds[i].every = time.Minute
			feeds[i].counter(func(time.Time) float64 { return share * (.5 + float64(i%4)) }, "acquirer", "alpha", "country", "DE", "result", "success")
		}
		pass := func(from, to time.Time) {
			for at := from; at.Before(to); at = at.Add(time.Minute) {
				for i, f := range feeds {
					f.send(r, tenant.ID(fmt.Sprintf("t%02d", i)), at, at.Add(time.Minute), time.Second)
				}
				for _, c := range r.out.Contributions {
					p.Contribute(&c)
				}
				r.out.Contributions = nil
				shared = append(shared, p.Advance(at.Add(5*time.Second))...)
				for _, x := range p.Factors() {
					if pooled {
						e.SetFactor(x)
					}
				}
			}
		}
		pass(epoch, day)
		for at := day; at.Before(day.Add(time.Hour)); at = at.Add(time.Minute) { // it comes slowly
			share = 1 - .85*at.Sub(day).Minutes()/60
			pass(at, at.Add(time.Minute))
		}
		pass(day.Add(time.Hour), day.Add(4*time.Hour))
		holiday, r.out.Alerts = firing(r.out.Alerts), nil
		share = 0
		pass(day.Add(4*time.Hour), day.Add(4*time.Hour+20*time.Minute))
		return holiday, firing(r.out.Alerts), firing(shared)
	}
	alone, _, _ := run(false)
	require.NotEmpty(t, alone, "without the factor they ring")
	holiday, lost, shared := run(true)
	require.Empty(t, holiday)
	require.NotEmpty(t, lost, "what is lost is still seen, by tenants")
	require.NotEmpty(t, shared, "and over all of them")
}
