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
	fmt.Fprintf(&b, "\nPages per incident that called: %.2f. A dead source and its backlog, one in each of %s: %s of the source; %s, %s of its tenants.\n", r.PagesPerIncident,
		counted(r.worlds, "world"), counted(r.SourcePages, "incident"), counted(r.DeadAlerts, "alert"), counted(r.DeadPages, "page"))
	fmt.Fprintf(&b, "Faults that 20 and more tenants share: paged within %s min of when a perfect observer had enough (p95 of %d).\n", minutes(r.SharedOverP95), len(r.sharedOver))
	b.WriteString("\n" + Losses(r))
	return b.String()
}

// List is the false alerts, the missed faults and what was made of each fault, one a line,
// as tab-separated values.
func List(r Result) string {
	var b strings.Builder
	b.WriteString("cause\tat\tminutes\ttenant\ttps\trule\tslice\tcritical\tpaged\twhy\n")
	for _, w := range r.Wrong {
		fmt.Fprintf(&b, "%s\t%s\t%.0f\t%s\t%.3f\t%s\t%s\t%v\t%v\t%s\n", w.Cause, w.At.UTC().Format(time.RFC3339), w.End.Sub(w.At).Minutes(), w.Tenant, w.TPS, w.Rule, key(w.Slice),
			w.Critical, !w.Paged.IsZero(), w.Reason)
	}
	b.WriteString("missed\tfrom\tminutes\ttenant\ttps\tacquirer\tcountry\tnats\trang already\n")
	for _, m := range r.Missed {
		f := m.Fault
		fmt.Fprintf(&b, "%s\t%s\t%.0f\t%s\t%.3f\t%s\t%s\t%.0f\t%v\n", f.Name, f.From.UTC().Format(time.RFC3339), f.To.Sub(f.From).Minutes(), f.Tenant, m.TPS, f.Acquirer, f.Country, m.Nats, m.Rang)
	}
	b.WriteString(toldList(r))
	return b.String()
}

func told(h Hits) string {
	if h.All == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f%% of %d", 100*h.Share(), h.All)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func percent(x float64) string { return fmt.Sprintf("%.0f%%", 100*x) }

func minutes(d time.Duration) string { return fmt.Sprintf("%.1f", d.Minutes()) }
