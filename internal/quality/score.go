package quality

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Alert is one thing a detector raised.
type Alert struct {
	Tenant   string // tenant.Product: over all tenants
	At, End  time.Time
	Critical bool
	Pages    bool
	Reason   string
}

// Result is a detector's score.
type Result struct {
	Name                 string
	Alerts, Pages        int
	FalseAlerts          int
	FalsePages           int
	FalsePerTenantMonth  float64 // alerts
	FalsePagesPerWeek    float64 // of the one team
	Wrong                []Alert
	ByCause              map[string]int
	Bands                map[string]float64 // false alerts per tenant-month by volume
	Detectable, Found    int
	Critical, CriticalOK int
	DelayP50             time.Duration // to the first alert
	CriticalP95          time.Duration
	SharedP95            time.Duration // to the first page, of faults that 20 and more tenants share
	PagesPerShared       float64
	LostPagedIn5         float64 // share of the lost transactions that are in faults paged within 5 min
	LostSeenIn60         float64
}

const (
	again       = 15 * time.Minute // re-firing within this is the same
	countsAfter = 10 * time.Minute
	month       = 30 * 24 * time.Hour
)

// merged makes one alert of those of one tenant that follow each other.
func merged(all []Alert) []Alert {
	slices.SortStableFunc(all, func(a, b Alert) int { return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), a.At.Compare(b.At)) })
	var out []Alert
	for _, a := range all {
		if n := len(out); n > 0 && out[n-1].Tenant == a.Tenant && a.At.Sub(out[n-1].End) <= again {
			out[n-1].Critical = out[n-1].Critical || a.Critical
			out[n-1].Pages = out[n-1].Pages || a.Pages
			if a.End.After(out[n-1].End) {
				out[n-1].End = a.End
			}
		} else {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b Alert) int { return a.At.Compare(b.At) })
	return out
}

// Judge scores alerts by the world's truth.
func (w *World) Judge(name string, all []Alert) Result {
	all = slices.DeleteFunc(slices.Clone(all), func(a Alert) bool { return a.At.Before(w.Scored()) })
	all = merged(all)
	r := Result{Name: name, Alerts: len(all), ByCause: map[string]int{}, Bands: map[string]float64{}}
	first := map[*Fault]time.Time{}
	paged := map[*Fault]time.Time{}
	calls := map[*Fault]int{}
	for _, a := range all {
		var about []*Fault
		for _, f := range w.Faults {
			if w.counts(a, f) {
				about = append(about, f)
			}
		}
		if a.Pages {
			r.Pages++
		}
		if len(about) == 0 {
			w.wrong(&r, a)
			continue
		}
		for _, f := range about {
			earliest(first, f, a.At)
			if a.Pages {
				earliest(paged, f, a.At)
				calls[f]++
			}
		}
	}
	months := float64(len(w.Customers)) * float64(w.Score) / float64(month)
	r.FalsePerTenantMonth = float64(r.FalseAlerts) / months
	r.FalsePagesPerWeek = float64(r.FalsePages) / (w.Score.Hours() / (24 * 7))
	for band, n := range w.bands() {
		if n > 0 {
			r.Bands[band] /= float64(n) * float64(w.Score) / float64(month)
		}
	}
	w.recall(&r, first, paged, calls)
	return r
}

func earliest(m map[*Fault]time.Time, f *Fault, at time.Time) {
	if old, ok := m[f]; !ok || at.Before(old) {
		m[f] = at
	}
}

// counts says whether an alert may be about a fault.
func (w *World) counts(a Alert, f *Fault) bool {
	if a.At.Before(f.From) || a.At.After(f.To.Add(countsAfter)) {
		return false
	}
	if a.Tenant == string(tenant.Product) {
		return true
	}
	_, touched := f.Evidence[a.Tenant]
	return touched
}

// wrong files a false alert under what was going on.
func (w *World) wrong(r *Result, a Alert) {
	r.FalseAlerts++
	r.Wrong = append(r.Wrong, a)
	if a.Pages {
		r.FalsePages++
	}
	cause := "nothing"
	for _, f := range w.Benign {
		if f.Tenant == a.Tenant && !a.At.Before(f.From) && !a.At.After(f.To.Add(countsAfter)) {
			cause = f.Name
		}
	}
	r.ByCause[cause]++
	for _, t := range w.Customers {
		if t.ID == a.Tenant {
			r.Bands[band(t)]++
		}
	}
}

func band(t *Tenant) string {
	switch {
	case t.TPS < 0.1:
		return "under 0.1 tps"
	case t.TPS < 10:
		return "0.1 to 10 tps"
	}
	return "over 10 tps"
}

func (w *World) bands() map[string]int {
	out := map[string]int{}
	for _, t := range w.Customers {
		out[band(t)]++
	}
	return out
}

func (w *World) recall(r *Result, first, paged map[*Fault]time.Time, calls map[*Fault]int) {
	var delays, critical, shared []time.Duration
	var lost, in5, in60 float64
	wide, rang := 0, 0
	for _, f := range w.Faults {
		if !f.Detectable() {
			continue
		}
		r.Detectable++
		lost += f.Transacts
		at, found := first[f]
		if found {
			r.Found++
			delays = append(delays, at.Sub(f.From))
			if at.Sub(f.From) <= time.Hour {
				in60 += f.Transacts
			}
		}
		call, called := paged[f]
		if called && call.Sub(f.From) <= 5*time.Minute {
			in5 += f.Transacts
		}
		if f.Critical() {
			r.Critical++
			if found {
				r.CriticalOK++
				critical = append(critical, at.Sub(f.From))
			}
		}
		if len(f.Evidence) >= 20 {
			wide++
			rang += calls[f]
			if called {
				shared = append(shared, call.Sub(f.From))
			}
		}
	}
	r.DelayP50, r.CriticalP95, r.SharedP95 = quantile(delays, 0.5), quantile(critical, 0.95), quantile(shared, 0.95)
	if lost > 0 {
		r.LostPagedIn5, r.LostSeenIn60 = in5/lost, in60/lost
	}
	if wide > 0 {
		r.PagesPerShared = float64(rang) / float64(wide)
	}
}

func quantile(ds []time.Duration, q float64) time.Duration {
	slices.Sort(ds)
	return backtest.Quantile(ds, q)
}
