package quality

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/internal/quality/world"
)

// soon is how early somebody must be called for what is lost not to count as lost
// unheard.
const soon = 5 * time.Minute

// Why lost transactions were not paged within soon.
const (
	inTime    = "paged in time"
	unseen    = "not seen"
	seenLate  = "seen late"
	seenSmall = "seen in time, nobody called"
	pagedLate = "seen in time, paged late"
)

// Told is what a detector made of one detectable fault.
type Told struct {
	Fault       *world.Fault
	TPS         float64 // of the tenant that lost most
	Nats        float64 // the most that a perfect observer had of one tenant
	First       Alert   // the first alert about it; zero: none was
	Paged       time.Time
	Calls       []Alert // that called somebody for it
	Outcome     string  // one of the above
	Unobserved  bool    // a perfect observer had not enough within soon either
	LargestPart float64 // of what was lost: the tenant's that lost most
}

// told sums up what was said of a fault.
func (c *court) told(f *world.Fault, at *found) Told {
	t := Told{Fault: f, First: at.alert, Paged: at.paged, Calls: at.pages, Unobserved: f.Seen.Sub(f.From) > soon}
	most := 0.0
	for id, lost := range f.LostBy {
		if lost > most || lost == most && c.tenants[id].TPS > t.TPS {
			most, t.TPS = lost, c.tenants[id].TPS
		}
	}
	_, t.Nats = c.most(f)
	t.LargestPart = share(most, f.Transacts)
	switch {
	case !at.paged.IsZero() && at.paged.Sub(f.From) <= soon:
		t.Outcome = inTime
	case at.first.IsZero():
		t.Outcome = unseen
	case at.first.Sub(f.From) > soon:
		t.Outcome = seenLate
	case at.paged.IsZero():
		t.Outcome = seenSmall
	default:
		t.Outcome = pagedLate
	}
	return t
}

// Losses says of what was lost, by kind of fault and whether many or one had it, how much
// of it somebody was called for within soon, and why not for the rest. Below stand the
// faults in which nothing is lost: payments are only slow.
func Losses(r Result) string {
	type row struct {
		faults int
		lost   float64
		by     map[string]float64
		nobody float64 // lost in faults that no observer could have seen in time
	}
	rows, all := map[string]*row{}, 0.0
	lossless := map[string]int{}
	for _, t := range r.Told {
		if t.Fault.Transacts <= 0 {
			lossless[t.Fault.Name]++
			continue
		}
		name := t.Fault.Name + ", own"
		if t.Fault.Shared() {
			name = t.Fault.Name + ", shared"
		}
		x := rows[name]
		if x == nil {
			x = &row{by: map[string]float64{}}
			rows[name] = x
		}
		x.faults++
		x.lost += t.Fault.Transacts
		x.by[t.Outcome] += t.Fault.Transacts
		if t.Unobserved {
			x.nobody += t.Fault.Transacts
		}
		all += t.Fault.Transacts
	}
	var b strings.Builder
	b.WriteString("| lost in | faults | of all that was lost | " + strings.Join(outcomes, " | ") + " | no observer could in time |\n|---|---|---|" + strings.Repeat("---|", len(outcomes)+1) + "\n")
	for _, name := range slices.SortedFunc(maps.Keys(rows), func(x, y string) int { return cmp.Or(cmp.Compare(rows[y].lost, rows[x].lost), cmp.Compare(x, y)) }) {
		x := rows[name]
		fmt.Fprintf(&b, "| %s | %d | %.1f%% |", name, x.faults, 100*share(x.lost, all))
		for _, o := range outcomes {
			fmt.Fprintf(&b, " %s |", percent(share(x.by[o], x.lost)))
		}
		fmt.Fprintf(&b, " %s |\n", percent(share(x.nobody, x.lost)))
	}
	if len(lossless) > 0 {
		b.WriteString("\nNot in the table, because nothing is lost in them:")
		for _, name := range slices.Sorted(maps.Keys(lossless)) {
			fmt.Fprintf(&b, " %s %d;", name, lossless[name])
		}
		b.WriteString("\n")
	}
	return b.String()
}

var outcomes = []string{inTime, pagedLate, seenSmall, seenLate, unseen}

// toldList is the faults, what was lost most first, one a line, as tab-separated values;
// below each that many tenants share the calls that it brought.
func toldList(r Result) string {
	var b strings.Builder
	b.WriteString("fault\tfrom\tminutes\twhose\ttouched\ttps\tacquirer\tcountry\tlost\tof all\toracle\tfirst\tpaged\tcalls\toutcome\tfirst by\twhy\tunheard\tnats\n")
	all := slices.SortedFunc(slices.Values(r.Told), func(x, y Told) int { return cmp.Compare(y.Fault.Transacts, x.Fault.Transacts) })
	sum := 0.0
	for _, t := range all {
		sum += t.Fault.Transacts
	}
	for _, t := range all {
		f, whose := t.Fault, t.Fault.Tenant
		if f.Shared() {
			whose = "shared"
		}
		after := func(at time.Time) string {
			if at.IsZero() {
				return "-"
			}
			return minutes(at.Sub(f.From))
		}
		fmt.Fprintf(&b, "%s\t%s\t%.0f\t%s\t%d\t%.3f\t%s\t%s\t%.0f\t%.2f%%\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%.0f\n", f.Name, f.From.UTC().Format(time.RFC3339), f.To.Sub(f.From).Minutes(), whose, f.Touched(), t.TPS,
			f.Acquirer, f.Country, f.Transacts, 100*share(f.Transacts, sum), after(f.Seen), after(t.First.At), after(t.Paged), len(t.Calls), t.Outcome, by(t.First), t.First.Reason, t.First.Unheard, t.Nats)
		if !f.Shared() || f.Touched() < manyTenants {
			continue
		}
		for _, a := range t.Calls {
			fmt.Fprintf(&b, "\tcall\t%s\t%s\t#%d\t%s\n", after(a.Paged), by(a), a.Incident, a.Reason)
		}
	}
	return b.String()
}

// by names who raised an alert.
func by(a Alert) string {
	if a.At.IsZero() {
		return "-"
	}
	return strings.TrimRight(a.Tenant+" "+a.Rule+" "+key(a.Slice), " ")
}
