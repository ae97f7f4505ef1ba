package quality

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Run lets a world pass before tocsin and its peers, and scores them. The first
// result is tocsin's.
func Run(c Config, policy *profiles.Policy, cat *catalog.Catalog) (*World, []Result, error) {
	w, err := NewWorld(c)
	if err != nil {
		return nil, nil, err
	}
	o := backtest.Options{Policy: policy, Catalog: cat}
	for _, t := range w.Customers {
		o.Tenants = append(o.Tenants, tenant.Tenant{ID: tenant.ID(t.ID), Timezone: t.zone.String(), Countries: []string{t.Country}, OnboardedAt: c.Start})
	}
	ours, err := backtest.New(o, c.Start)
	if err != nil {
		return nil, nil, err
	}
	s, others := newStreams(w), peers()
	for _, p := range others {
		p.start(w)
	}
	byTenant, byAcquirer := make([]minute, len(w.Customers)), make([]minute, len(acquirers))
	for w.Pass() {
		for _, x := range w.Cells {
			m := minute{float64(x.N), float64(x.Errors)}
			add(&byTenant[x.Tenant], m)
			add(&byAcquirer[slices.Index(acquirers, x.Acquirer)], m)
		}
		if err := s.deliver(ours); err != nil {
			return nil, nil, err
		}
		if w.Now.Unix()%60 != 0 {
			continue
		}
		for _, p := range others {
			if p.pooled {
				p.take(w.Now, byAcquirer)
			} else {
				p.take(w.Now, byTenant)
			}
		}
		clear(byTenant)
		clear(byAcquirer)
	}
	var alerts []Alert
	for _, l := range ours.Lines() {
		end := w.Now
		if l.EndsAt != nil {
			end = *l.EndsAt
		}
		alerts = append(alerts, Alert{Tenant: l.Tenant, At: l.StartsAt, End: end, Critical: l.Severity == "critical", Pages: l.Pages, Reason: l.Rule + ": " + l.Reason})
	}
	out := []Result{w.Judge("tocsin", alerts)}
	for _, p := range others {
		out = append(out, w.Judge(p.name, p.alerts))
	}
	return w, out, nil
}

func add(m *minute, x minute) { m.n, m.k = m.n+x.n, m.k+x.k }

// Table is the results for people, in Markdown.
func Table(rs []Result) string {
	out := "| detector | false alerts per tenant-month | false pages a week, one team | recall | critical | delay p50 | critical p95 | shared faults: page p95, pages each | lost in faults paged within 5 min, seen within 1 h |\n|---|---|---|---|---|---|---|---|---|\n"
	for _, r := range rs {
		out += fmt.Sprintf("| %s | %.2f | %.1f | %s | %s | %s | %s | %s, %.2f | %s, %s |\n", r.Name, r.FalsePerTenantMonth, r.FalsePagesPerWeek,
			share(r.Found, r.Detectable), share(r.CriticalOK, r.Critical), minutes(r.DelayP50), minutes(r.CriticalP95), minutes(r.SharedP95), r.PagesPerShared,
			percent(r.LostPagedIn5), percent(r.LostSeenIn60))
	}
	return out
}

func share(a, b int) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f%% of %d", 100*float64(a)/float64(b), b)
}

func percent(x float64) string { return fmt.Sprintf("%.0f%%", 100*x) }

func minutes(d time.Duration) string { return fmt.Sprintf("%.1f min", d.Minutes()) }
