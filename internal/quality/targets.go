package quality

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Target is one row of what must be reached.
type Target struct {
	What         string
	Want         string
	Have, Beside string // tocsin's, and that of burn-rate rules tuned per tenant
	Perfect      string // a perfect observer's of the same faults; empty: says nothing here
	Met          bool
}

// Targets holds results against what must be reached. many is tocsin's with a budget
// shared among 10,000 tenants; nil: it was not run.
func Targets(ours, beside Result, many *Result) []Target {
	var out []Target
	row := func(what, want string, met bool, have, theirs string) {
		out = append(out, Target{What: what, Want: want, Have: have, Beside: theirs, Met: met})
	}
	perfectly := func(have string) { out[len(out)-1].Perfect = have }
	number := func(x float64) string { return fmt.Sprintf("%.2f", x) }
	atMost := func(what string, most, x, theirs float64) {
		row(what, "<= "+fmt.Sprint(most), x <= most, number(x), number(theirs))
	}
	atLeast := func(what string, least, x, theirs float64) {
		row(what, ">= "+percent(least), x >= least, fmt.Sprintf("%.1f%%", 100*x), fmt.Sprintf("%.1f%%", 100*theirs))
	}
	within := func(what string, most, x, theirs, perfect time.Duration) {
		row(what, "<= "+minutes(most)+" min", x <= most, minutes(x)+" min", minutes(theirs)+" min")
		perfectly(minutes(perfect) + " min")
	}
	perfect := ours.Perfect
	atMost("false alerts per tenant-month, with customer information", 0.3, ours.Informed, beside.Informed)
	for _, b := range slices.Sorted(maps.Keys(ours.Bands)) {
		atMost("the same "+b+", all tenants", 0.5, ours.Bands[b], beside.Bands[b])
	}
	atMost("the same without customer information", 1, ours.Uninformed, beside.Uninformed)
	atMost("false pages per team-week, 300 tenants", 3, ours.FalsePages, beside.FalsePages)
	if many != nil {
		atMost("false pages per team-week, 10,000 tenants", 10, many.FalsePages, beside.FalsePages*10_000/300)
	}
	atLeast("recall of detectable faults", 0.94, ours.Faults.Share(), beside.Faults.Share())
	atLeast("recall of critical ones", 0.97, ours.Critical.Share(), beside.Critical.Share())
	atLeast("lost transactions in faults paged within 5 min", 0.90, ours.LostPagedIn5, beside.LostPagedIn5)
	perfectly(fmt.Sprintf("%.1f%%", 100*perfect.LostIn5))
	atLeast("lost transactions in faults ticketed within an hour", 0.98, ours.LostSeenIn60, beside.LostSeenIn60)
	perfectly(fmt.Sprintf("%.1f%%", 100*perfect.LostIn60))
	within("delay p50", 2*time.Minute, ours.DelayP50, beside.DelayP50, perfect.DelayP50)
	within("delay p95 of critical ones", 15*time.Minute, ours.CriticalP95, beside.CriticalP95, perfect.CriticalP95)
	if ours.Shared.All > 0 {
		within("faults shared by 20 and more tenants: page p95", 4*time.Minute, ours.SharedP95, beside.SharedP95, perfect.SharedP95)
		atMost("pages for each of them", 1.03, ours.PagesPerShared, beside.PagesPerShared)
		atLeast("of them paged", 1, ours.Shared.Share(), beside.Shared.Share())
	}
	worlds := float64(max(ours.worlds, 1))
	row("a dead source and its backlog", "one incident, no page of a tenant", ours.SourcePages == ours.worlds && ours.DeadPages == 0,
		fmt.Sprintf("%.0f, %d", float64(ours.SourcePages)/worlds, ours.DeadPages), fmt.Sprintf("0, %d", beside.DeadPages))
	return out
}

// TargetTable is the rows for people, in Markdown.
func TargetTable(ts []Target) string {
	var b strings.Builder
	b.WriteString("| | to reach | tocsin | | a perfect observer | burn rate, tuned per tenant |\n|---|---|---|---|---|---|\n")
	for _, t := range ts {
		met := "not met"
		if t.Met {
			met = "met"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", t.What, t.Want, t.Have, met, t.Perfect, t.Beside)
	}
	return b.String()
}

// Figures adds a result to a flat object of numbers; every name begins with what stands for the world.
func Figures(world string, r Result, to map[string]float64) {
	name := world + "_" + strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, strings.ToLower(r.Name)) + "_"
	for k, v := range map[string]float64{
		"false_alerts_per_tenant_month": r.FalseAlerts, "false_alerts_per_tenant_month_informed": r.Informed, "false_alerts_per_tenant_month_uninformed": r.Uninformed,
		"false_pages_per_week": r.FalsePages, "precision": r.Precision, "recall": r.Faults.Share(), "recall_critical": r.Critical.Share(), "recall_by_lost_transactions": r.Weighted,
		"delay_p50_seconds": r.DelayP50.Seconds(), "delay_p95_seconds": r.DelayP95.Seconds(), "delay_over_oracle_p50_seconds": r.OverP50.Seconds(),
		"delay_over_oracle_p95_seconds": r.OverP95.Seconds(), "critical_p95_seconds": r.CriticalP95.Seconds(), "shared_page_p95_seconds": r.SharedP95.Seconds(),
		"shared_paged": r.Shared.Share(), "pages_per_shared_fault": r.PagesPerShared, "pages_per_incident": r.PagesPerIncident, "lost_paged_in_5_min": r.LostPagedIn5,
		"lost_seen_in_60_min": r.LostSeenIn60, "dead_source_alerts": float64(r.DeadAlerts), "dead_source_pages": float64(r.DeadPages), "dead_source_incidents": float64(r.SourcePages),
		"detectable_faults": float64(r.Faults.All),
	} {
		to[name+k] = v
	}
}

// Figures adds them to a flat object of numbers, as those of a result.
func (p Perfect) Figures(world string, to map[string]float64) {
	for k, v := range map[string]float64{
		"delay_p50_seconds": p.DelayP50.Seconds(), "critical_p95_seconds": p.CriticalP95.Seconds(), "shared_page_p95_seconds": p.SharedP95.Seconds(),
		"lost_paged_in_5_min": p.LostIn5, "lost_seen_in_60_min": p.LostIn60,
	} {
		to[world+"_perfect_"+k] = v
	}
}
