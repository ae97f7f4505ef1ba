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
	Missed        []Miss
	Told          []Told // of every detectable fault
	FalseAlerts   float64
	Informed      float64            // of tenants that count failing customers
	Uninformed    float64            // of those that do not
	Bands         map[string]float64 // by volume, of all tenants
	ByCause       map[string]int
	FalsePages    float64 // of a team with Config.Team tenants
	Precision     float64
	DeadAlerts    int // false ones of tenants whose source fell silent, from then until its backlog is in
	DeadPages     int
	SourcePages   int // that say that the source is silent

	Faults, Critical   Hits // detectable ones
	Kinds              map[string]Hits
	Weighted           float64       // recall by lost transactions
	DelayP50, DelayP95 time.Duration // to the first alert
	OverP50, OverP95   time.Duration // the same, from when a perfect observer had enough
	CriticalP95        time.Duration
	Shared             Hits          // that 20 and more tenants share: paged
	SharedP95          time.Duration // to the first page
	SharedOverP95      time.Duration // the same, from when a perfect observer had enough
	PagesPerShared     float64
	PagesPerIncident   float64 // 0: knows no incidents
	LostPagedIn5       float64 // share of the lost transactions that are in faults paged within 5 min
	LostSeenIn60       float64
	Perfect            Perfect

	raw
}

// Perfect is what a perfect observer of the same faults would have had: one who knows every
// usual ratio, and whose pages take no time.
type Perfect struct {
	DelayP50, CriticalP95, SharedP95 time.Duration
	LostIn5, LostIn60                float64 // share of what was lost in all
}

// Miss is a detectable fault that no alert was about.
type Miss struct {
	Fault     *world.Fault
	TPS, Nats float64 // of the tenant with most evidence
	Rang      bool    // an alert of the tenant was ringing when it began: it may have been seen so
}

// raw is what a Result is computed from; those of several worlds add up.
type raw struct {
	worlds                       int
	weeks                        float64 // scored
	months, informed, uninformed float64 // tenant-months
	bandMonths                   map[string]float64
	bandWrong                    map[string]int
	wrongInformed, wrongOthers   int
	falsePages                   float64
	delays, over                 []time.Duration
	critical, shared, sharedOver []time.Duration
	lost, seen, in5, in60        float64
	perfect                      observed
	calls                        int // for shared faults
	incidents, incidentCalls     int
}

// observed is when a perfect observer had enough of each fault, and what was lost in those
// where that was soon.
type observed struct {
	delays, critical, shared []time.Duration
	in5, in60                float64
}

func (o *observed) add(x observed) {
	o.delays, o.critical, o.shared = append(o.delays, x.delays...), append(o.critical, x.critical...), append(o.shared, x.shared...)
	o.in5, o.in60 = o.in5+x.in5, o.in60+x.in60
}

// settle computes what people read.
func (r *Result) settle() {
	r.FalseAlerts, r.FalsePages = share(float64(len(r.Wrong)), r.months), share(r.falsePages, r.weeks)
	r.Informed, r.Uninformed = share(float64(r.wrongInformed), r.informed), share(float64(r.wrongOthers), r.uninformed)
	for b, months := range r.bandMonths {
		r.Bands[b] = share(float64(r.bandWrong[b]), months)
	}
	if r.Precision = 1; r.Alerts > 0 {
		r.Precision = 1 - float64(len(r.Wrong))/float64(r.Alerts)
	}
	r.DelayP50, r.DelayP95 = quantile(r.delays, 0.5), quantile(r.delays, 0.95)
	r.OverP50, r.OverP95 = quantile(r.over, 0.5), quantile(r.over, 0.95)
	r.CriticalP95, r.SharedP95, r.SharedOverP95 = quantile(r.critical, 0.95), quantile(r.shared, 0.95), quantile(r.sharedOver, 0.95)
	r.Weighted, r.LostPagedIn5, r.LostSeenIn60 = share(r.seen, r.lost), share(r.in5, r.lost), share(r.in60, r.lost)
	r.Perfect = Perfect{quantile(r.perfect.delays, 0.5), quantile(r.perfect.critical, 0.95), quantile(r.perfect.shared, 0.95),
		share(r.perfect.in5, r.lost), share(r.perfect.in60, r.lost)}
	r.PagesPerShared = share(float64(r.calls), float64(r.Shared.Found))
	r.PagesPerIncident = share(float64(r.incidentCalls), float64(r.incidents))
}

// Sum is one detector's result over several worlds.
func Sum(rs []Result) Result {
	out := newResult(rs[0].Name)
	for _, r := range rs {
		out.Alerts, out.Pages, out.Wrong = out.Alerts+r.Alerts, out.Pages+r.Pages, append(out.Wrong, r.Wrong...)
		out.Missed, out.Told = append(out.Missed, r.Missed...), append(out.Told, r.Told...)
		out.DeadAlerts, out.DeadPages, out.SourcePages = out.DeadAlerts+r.DeadAlerts, out.DeadPages+r.DeadPages, out.SourcePages+r.SourcePages
		out.Faults, out.Critical, out.Shared = out.Faults.plus(r.Faults), out.Critical.plus(r.Critical), out.Shared.plus(r.Shared)
		for k, n := range r.ByCause {
			out.ByCause[k] += n
		}
		for k, h := range r.Kinds {
			out.Kinds[k] = out.Kinds[k].plus(h)
		}
		out.add(r.raw)
	}
	out.settle()
	return out
}

func (h Hits) plus(x Hits) Hits { return Hits{h.Found + x.Found, h.All + x.All} }

func (r *raw) add(x raw) {
	r.worlds += x.worlds
	r.weeks, r.months, r.informed, r.uninformed = r.weeks+x.weeks, r.months+x.months, r.informed+x.informed, r.uninformed+x.uninformed
	for b, v := range x.bandMonths {
		r.bandMonths[b] += v
		r.bandWrong[b] += x.bandWrong[b]
	}
	r.wrongInformed, r.wrongOthers, r.falsePages = r.wrongInformed+x.wrongInformed, r.wrongOthers+x.wrongOthers, r.falsePages+x.falsePages
	r.delays, r.over = append(r.delays, x.delays...), append(r.over, x.over...)
	r.critical, r.shared, r.sharedOver = append(r.critical, x.critical...), append(r.shared, x.shared...), append(r.sharedOver, x.sharedOver...)
	r.lost, r.seen, r.in5, r.in60 = r.lost+x.lost, r.seen+x.seen, r.in5+x.in5, r.in60+x.in60
	r.perfect.add(x.perfect)
	r.calls, r.incidents, r.incidentCalls = r.calls+x.calls, r.incidents+x.incidents, r.incidentCalls+x.incidentCalls
}

func newResult(name string) Result {
	return Result{Name: name, ByCause: map[string]int{}, Bands: map[string]float64{}, Kinds: map[string]Hits{},
		raw: raw{bandMonths: map[string]float64{}, bandWrong: map[string]int{}}}
}

func quantile(ds []time.Duration, q float64) time.Duration {
	slices.Sort(ds)
	return backtest.Quantile(ds, q)
}
