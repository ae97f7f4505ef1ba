package quality

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/internal/quality/world"
)

// Hits is how many of all were found.
type Hits struct{ Found, All int }

// Share of them; 1 of none.
func (h Hits) Share() float64 {
	if h.All == 0 {
		return 1
	}
	return float64(h.Found) / float64(h.All)
}

func (h *Hits) count(found bool) {
	h.All++
	if found {
		h.Found++
	}
}

// Result is a detector's score. Rates of false alerts are by tenant and month,
// false pages by week for one team.
type Result struct {
	Name          string
	Alerts, Pages int
	Wrong         []Wrong // false alerts
	FalseAlerts   float64
	Informed      float64            // of tenants that count failing customers
	Uninformed    float64            // of those that do not
	Bands         map[string]float64 // by volume, of all tenants
	ByCause       map[string]int
	FalsePages    float64 // of a team with Config.Team tenants
	Precision     float64
	DeadAlerts    int // of tenants whose source fell silent, from then until its backlog is in
	DeadPages     int

	Faults, Critical   Hits // detectable ones
	Kinds              map[string]Hits
	Weighted           float64       // recall by lost transactions
	DelayP50, DelayP95 time.Duration // to the first alert
	OverP50, OverP95   time.Duration // the same, from when a perfect observer had enough
	CriticalP95        time.Duration
	Shared             Hits          // that 20 and more tenants share: paged
	SharedP95          time.Duration // to the first page
	PagesPerShared     float64
	PagesPerIncident   float64 // 0: knows no incidents
	LostPagedIn5       float64 // share of the lost transactions that are in faults paged within 5 min
	LostSeenIn60       float64
}

// found is what a detector said of one fault.
type found struct {
	first, paged time.Time
	calls        int
}

// judge scores alerts by the world's truth, for a team that has so many tenants.
func (c *court) judge(name string, all []Alert, team int) Result {
	all = slices.DeleteFunc(slices.Clone(all), func(a Alert) bool { return a.At.Before(c.w.Scored()) })
	r := Result{Name: name, ByCause: map[string]int{}, Bands: map[string]float64{}, Kinds: map[string]Hits{}}
	r.PagesPerIncident = perIncident(all)
	all = merged(all)
	r.Alerts = len(all)
	said := map[*world.Fault]*found{}
	for _, f := range c.w.Faults {
		said[f] = &found{}
	}
	for _, a := range all {
		if !a.Paged.IsZero() {
			r.Pages++
		}
		about := c.about(a)
		if len(about) == 0 {
			w := Wrong{Alert: a, Cause: c.cause(a)}
			if t := c.tenants[a.Tenant]; t != nil {
				w.TPS = t.TPS
			}
			r.Wrong = append(r.Wrong, w)
			continue
		}
		for _, f := range about {
			said[f].first = earlier(said[f].first, a.At)
		}
		if f := said[about[0]]; !a.Paged.IsZero() { // a page is about the tenant's own fault, if it has one
			f.paged = earlier(f.paged, a.Paged)
			f.calls++
		}
	}
	if r.Precision = 1; len(all) > 0 {
		r.Precision = 1 - float64(len(r.Wrong))/float64(len(all))
	}
	c.wrong(&r, team)
	c.recall(&r, said)
	return r
}

func earlier(old, at time.Time) time.Time {
	if old.IsZero() || at.Before(old) {
		return at
	}
	return old
}

// perIncident counts the calls of those incidents that called.
func perIncident(all []Alert) float64 {
	calls, n := map[int]bool{}, 0
	for _, a := range all {
		if a.Incident > 0 && !a.Paged.IsZero() {
			calls[a.Incident] = true
			n++
		}
	}
	return share(float64(n), float64(len(calls)))
}

// wrong counts the false ones. Pages of single tenants grow with their number, those
// over all tenants do not.
func (c *court) wrong(r *Result, team int) {
	months := float64(c.w.Score) / float64(month)
	var informed, uninformed float64
	count, bands := map[bool]float64{}, map[string]float64{}
	for _, t := range c.w.Tenants {
		count[t.Informed]++
		bands[band(t.TPS)]++
	}
	pages := 0.0
	for _, w := range r.Wrong {
		r.ByCause[w.Cause]++
		weight := 1.0
		if t := c.tenants[w.Tenant]; t != nil {
			weight = float64(team) / float64(len(c.w.Tenants))
			r.Bands[band(t.TPS)]++
			if t.Informed {
				informed++
			} else {
				uninformed++
			}
		}
		if !w.Paged.IsZero() {
			pages += weight
		}
	}
	for b, n := range bands {
		r.Bands[b] /= n * months
	}
	r.FalseAlerts = share(float64(len(r.Wrong)), float64(len(c.w.Tenants))*months)
	r.Informed, r.Uninformed = share(informed, count[true]*months), share(uninformed, count[false]*months)
	r.FalsePages = share(pages, c.w.Score.Hours()/(7*24))
	for _, w := range r.Wrong {
		if w.Cause == "dead_source" {
			r.DeadAlerts++
			if !w.Paged.IsZero() {
				r.DeadPages++
			}
		}
	}
}

func (c *court) recall(r *Result, said map[*world.Fault]*found) {
	var delays, over, critical, shared []time.Duration
	var lost, seen, in5, in60 float64
	calls := 0
	for _, f := range c.w.Faults {
		if !f.Detectable() {
			continue
		}
		at := said[f]
		is, delay := !at.first.IsZero(), at.first.Sub(f.From)
		lost += f.Transacts
		r.Faults.count(is)
		kind := r.Kinds[f.Name]
		kind.count(is)
		r.Kinds[f.Name] = kind
		if is {
			seen += f.Transacts
			delays, over = append(delays, delay), append(over, at.first.Sub(f.Seen))
			if delay <= time.Hour {
				in60 += f.Transacts
			}
		}
		call := at.paged.Sub(f.From)
		if !at.paged.IsZero() && call <= 5*time.Minute {
			in5 += f.Transacts
		}
		if f.Critical() {
			r.Critical.count(is)
			if is {
				critical = append(critical, delay)
			}
		}
		if f.Touched() >= 20 {
			r.Shared.count(!at.paged.IsZero())
			calls += at.calls
			if !at.paged.IsZero() {
				shared = append(shared, call)
			}
		}
	}
	r.DelayP50, r.DelayP95 = quantile(delays, 0.5), quantile(delays, 0.95)
	r.OverP50, r.OverP95 = quantile(over, 0.5), quantile(over, 0.95)
	r.CriticalP95, r.SharedP95 = quantile(critical, 0.95), quantile(shared, 0.95)
	r.Weighted, r.LostPagedIn5, r.LostSeenIn60 = share(seen, lost), share(in5, lost), share(in60, lost)
	r.PagesPerShared = share(float64(calls), float64(r.Shared.Found))
}

func quantile(ds []time.Duration, q float64) time.Duration {
	slices.Sort(ds)
	return backtest.Quantile(ds, q)
}
