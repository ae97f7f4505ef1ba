package quality

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Table is the results for people, in Markdown.
func Table(rs []Result) string {
	var b strings.Builder
	b.WriteString("| detector | false alerts per tenant-month: all, with, without customer information | false pages a week | precision | recall: all, critical, by lost transactions | delay p50, p95 | over the oracle's | critical p95 | shared faults: paged, p95, pages each | lost in faults paged within 5 min, seen within 1 h |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rs {
		fmt.Fprintf(&b, "| %s | %.2f, %.2f, %.2f | %.1f | %s | %s, %s, %s | %s, %s min | %s, %s min | %s min | %s, %s min, %.2f | %s, %s |\n", r.Name,
			r.FalseAlerts, r.Informed, r.Uninformed, r.FalsePages, percent(r.Precision), told(r.Faults), told(r.Critical), percent(r.Weighted),
			minutes(r.DelayP50), minutes(r.DelayP95), minutes(r.OverP50), minutes(r.OverP95), minutes(r.CriticalP95),
			told(r.Shared), minutes(r.SharedP95), r.PagesPerShared, percent(r.LostPagedIn5), percent(r.LostSeenIn60))
	}
	return b.String()
}

// Breakdown says of one result which faults were found and what the false alerts are.
func Breakdown(r Result) string {
	var b strings.Builder
	b.WriteString("Found by kind:")
	for _, k := range slices.Sorted(maps.Keys(r.Kinds)) {
		fmt.Fprintf(&b, " %s %s;", k, told(r.Kinds[k]))
	}
	b.WriteString("\nFalse alerts by cause:")
	for _, k := range slices.Sorted(maps.Keys(r.ByCause)) {
		fmt.Fprintf(&b, " %s %d;", k, r.ByCause[k])
	}
	byRule := map[string]int{}
	for _, w := range r.Wrong {
		byRule[w.Rule]++
	}
	b.WriteString("\nFalse alerts by rule:")
	for _, k := range slices.Sorted(maps.Keys(byRule)) {
		fmt.Fprintf(&b, " %s %d;", k, byRule[k])
	}
	b.WriteString("\nFalse alerts per tenant-month by volume:")
	for _, k := range slices.Sorted(maps.Keys(r.Bands)) {
		fmt.Fprintf(&b, " %s %.2f;", k, r.Bands[k])
	}
	fmt.Fprintf(&b, "\nPages per incident that called: %.2f. A dead source and its backlog: %d alerts, %d pages of its tenants.\n", r.PagesPerIncident, r.DeadAlerts, r.DeadPages)
	return b.String()
}

// List is the false alerts, one a line, as tab-separated values.
func List(r Result) string {
	var b strings.Builder
	b.WriteString("cause\tat\tminutes\ttenant\ttps\trule\tslice\tcritical\tpaged\twhy\n")
	for _, w := range r.Wrong {
		fmt.Fprintf(&b, "%s\t%s\t%.0f\t%s\t%.3f\t%s\t%s\t%v\t%v\t%s\n", w.Cause, w.At.UTC().Format(time.RFC3339), w.End.Sub(w.At).Minutes(), w.Tenant, w.TPS, w.Rule, key(w.Slice),
			w.Critical, !w.Paged.IsZero(), w.Reason)
	}
	return b.String()
}

func told(h Hits) string {
	if h.All == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f%% of %d", 100*h.Share(), h.All)
}

func percent(x float64) string { return fmt.Sprintf("%.0f%%", 100*x) }

func minutes(d time.Duration) string { return fmt.Sprintf("%.1f", d.Minutes()) }

// Figures adds a result to a flat object of numbers.
func Figures(r Result, to map[string]float64) {
	name := "world_" + strings.Map(func(c rune) rune {
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
		"shared_paged": r.Shared.Share(), "pages_per_shared_fault": r.PagesPerShared, "lost_paged_in_5_min": r.LostPagedIn5, "lost_seen_in_60_min": r.LostSeenIn60,
		"dead_source_alerts": float64(r.DeadAlerts), "dead_source_pages": float64(r.DeadPages),
	} {
		to[name+k] = v
	}
}
