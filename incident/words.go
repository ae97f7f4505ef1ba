package incident

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// tenants works out each tenant's part: of its alerts the one nearest to the
// incident's slice speaks, firing before ended, then the one with most
// failures. Tenants that only a pooled alert names have no counts. What ended before the
// opening speaks for those only of whom nothing came since.
func (i Incident) tenants() []Tenant {
	best, kind := map[tenant.ID]*alert.Alert{}, i.Kind()
	out, since := map[tenant.ID]Tenant{}, map[tenant.ID]bool{}
	for n := range i.Alerts {
		a := &i.Alerts[n]
		if a.Tenant == tenant.Product {
			for _, id := range a.Evidence.Tenants {
				t := out[id]
				out[id] = Tenant{ID: id, Firing: t.Firing || a.State == alert.Firing}
				since[id] = since[id] || i.OfOpening(*a)
			}
			continue
		}
		since[a.Tenant] = since[a.Tenant] || i.OfOpening(*a)
		b := best[a.Tenant]
		if b == nil || i.OfOpening(*a) && !i.OfOpening(*b) || i.OfOpening(*a) == i.OfOpening(*b) && nearer(kind, i.Slice, a, b) {
			best[a.Tenant] = a
		}
	}
	for n := range i.Alerts {
		a := &i.Alerts[n]
		if b := best[a.Tenant]; b != nil {
			t := out[a.Tenant]
			k, n := b.Bad()
			out[a.Tenant] = Tenant{ID: a.Tenant, K: k, N: n, Firing: t.Firing || a.State == alert.Firing}
		}
	}
	list := make([]Tenant, 0, len(out))
	for id, t := range out {
		t.Earlier = !since[id]
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b Tenant) int { return cmp.Or(cmp.Compare(b.K, a.K), cmp.Compare(a.ID, b.ID)) })
	return list
}

// nearer says whether a says more than b of an incident of that kind and slice.
func nearer(kind rule.Kind, slice sli.Slice, a, b *alert.Alert) bool {
	if x, y := kindOf(a) == kind, kindOf(b) == kind; x != y {
		return x
	}
	same := func(x *alert.Alert) bool { return x.Slice.Equal(slice) }
	if x, y := same(a), same(b); x != y {
		return x
	}
	if x, y := a.State == alert.Firing, b.State == alert.Firing; x != y {
		return x
	}
	x, _ := a.Bad()
	y, _ := b.Bad()
	return x > y
}

// Counts are the attempts, the failures and the failure ratio usually seen, for
// the incident's slice: the pooled alert's when there is one, else the sum over
// tenants (a tenant counts once), of the alerts of its leading kind. What counts as
// a failure is that kind's, see alert.Alert.Bad. Share is the part of the volume concerned, of
// the product when pooled, else of those tenants; 0 when not known.
func (i Incident) Counts() (n, k, usual, share float64, pooled bool) {
	best := i.speakers()
	if a := best[tenant.Product]; a != nil {
		if k, n := a.Bad(); n > 0 {
			return n, k, a.Evidence.Usual, a.Evidence.Share, true
		}
	}
	volume, known := 0.0, true
	for _, t := range i.Concerned() {
		a := best[t.ID]
		if a == nil || t.ID == tenant.Product {
			continue
		}
		bad, of := a.Bad()
		n, k, usual = n+of, k+bad, usual+a.Evidence.Usual*of
		if a.Evidence.Share > 0 {
			volume += of / a.Evidence.Share
		} else if of > 0 {
			known = false
		}
	}
	if n > 0 {
		usual /= n
	}
	if known && volume > 0 {
		share = n / volume
	}
	return n, k, usual, share, false
}

// speakers are the alerts that are counted, one of each tenant: those of the leading kind
// that are nearest to the incident's slice.
func (i Incident) speakers() map[tenant.ID]*alert.Alert {
	best, kind := map[tenant.ID]*alert.Alert{}, i.Kind()
	for x := range i.Alerts {
		a := &i.Alerts[x]
		if a.Tenant == tenant.Product && !a.Slice.Equal(i.Slice) || kindOf(a) != kind || !i.OfOpening(*a) {
			continue
		}
		if b := best[a.Tenant]; b == nil || nearer(kind, i.Slice, a, b) {
			best[a.Tenant] = a
		}
	}
	return best
}

// noun is what the events are called that are counted; empty where they are several
// things, or as their service is called.
func (i Incident) noun() string {
	best := i.speakers()
	if a := best[tenant.Product]; a != nil {
		return a.Noun
	}
	said, first := "", true
	for _, a := range best {
		if !first && a.Noun != said {
			return ""
		}
		said, first = a.Noun, false
	}
	return said
}

// Things names the events that the incident is about: refunds.
func (i Incident) Things() string { return alert.Things(i.Service, i.noun()) }

// through names a slice in a sentence.
func through(s sli.Slice) string {
	parts := make([]string, len(s))
	for n, d := range s {
		switch d.Label {
		case "acquirer", "issuer", "peer", "peer_service":
			parts[n] = "through " + d.Label + " " + d.Value
		case "country":
			parts[n] = "in " + d.Value
		case "method":
			parts[n] = "by " + d.Value
		default:
			parts[n] = "with " + d.Label + " " + d.Value
		}
	}
	return strings.Join(parts, " ")
}

func sliceName(s sli.Slice) string {
	if len(s) == 0 {
		return "all traffic"
	}
	return through(s)
}

// of names what of the service's events an incident is about.
func (i Incident) of(s sli.Slice) string {
	if len(s) == 0 {
		return "all " + i.Things()
	}
	return cmp.Or(i.noun(), i.Service) + " " + through(s)
}

func who(a alert.Alert) string {
	if a.Tenant == tenant.Product {
		return "all tenants together"
	}
	return "tenant " + string(a.Tenant)
}

// percent never rounds something to nothing, nor nearly all to all.
func percent(r float64) string {
	p := r * 100
	switch {
	case p <= 0:
		return "0%"
	case p < 0.1:
		return "under 0.1%"
	case p < 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", p), ".0") + "%"
	case p > 99 && p < 100:
		return "over 99%"
	}
	return fmt.Sprintf("%.0f%%", math.Min(p, 100))
}

func count(v float64) string { return fmt.Sprintf("%.0f", v) }

// Facts are what a page tells. Plain fields, so that on-call's own type of the
// same shape converts from it.
type Facts struct {
	Incident    string
	Number      int
	Headline    string
	Summary     string // what the policy says that the rule's alert means
	Severity    string
	Since       time.Time
	Said        string   // why it fired, where nothing is counted
	Counted     string   // "412 of 420 attempts failed"; empty: nothing was
	Usual       string   // "1.2%"
	Tenants     []string // the five with most failures: "acme 120 of 122"
	TenantCount int
	Owner       string // the team and why
	Runbook     string
}

// Facts gathers them.
func (i Incident) Facts() Facts {
	counted, usual := i.counted()
	lead, said := i.lead(), ""
	if counted == "" {
		said = lead.Reason
	}
	return Facts{Incident: string(i.ID), Number: i.Number, Headline: i.Headline(), Summary: lead.Summary, Severity: string(i.Severity), Since: i.OnsetAt,
		Said: said, Counted: counted, Usual: usual, Tenants: i.top(5), TenantCount: len(i.Concerned()), Owner: i.OwnerReason, Runbook: i.RunbookURL}
}

func (i Incident) top(limit int) []string {
	out := []string{}
	for _, t := range i.Concerned() {
		if len(out) == limit {
			break
		}
		s := string(t.ID)
		if t.N > 0 {
			s += " " + count(t.K) + " of " + count(t.N)
		}
		if !t.Firing {
			s += " (over)"
		}
		out = append(out, s)
	}
	return out
}

// told are the alerts of this opening.
func (i Incident) told() []alert.Alert {
	return slices.DeleteFunc(slices.Clone(i.Alerts), func(a alert.Alert) bool { return !i.OfOpening(a) })
}

// traces are the ids of failing traces that its alerts name, five at most.
func (i Incident) traces() (ids []string) {
	for _, a := range i.told() {
		for _, t := range a.Traces {
			if t.Why == "failing" && len(ids) < 5 && !slices.Contains(ids, t.ID) {
				ids = append(ids, t.ID)
			}
		}
	}
	return ids
}

// Body is the incident in short lines: since when (in zone, and UTC), counts,
// the usual, tenants, owner and why, runbook.
func (i Incident) Body(zone *time.Location) string {
	f := i.Facts()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", f.Headline)
	if f.Summary != "" {
		line("%s", f.Summary)
	}
	line("")
	since := f.Since.UTC().Format("Mon 2 Jan 2006 15:04:05 UTC")
	if local := f.Since.In(zone); zone != time.UTC && local.Format("-0700") != "+0000" {
		since = local.Format("Mon 2 Jan 2006 15:04 MST") + " (" + f.Since.UTC().Format("15:04 UTC") + ")"
	}
	line("Since: %s", since)
	if f.Counted != "" {
		line("Counted: %s; usual: %s", f.Counted, f.Usual)
	}
	if f.TenantCount > 0 {
		line("Tenants (%d): %s", f.TenantCount, strings.Join(f.Tenants, ", "))
	}
	line("Severity: %s", f.Severity)
	if nobody := i.Unheard(); nobody != "" {
		line("Nobody is called: %s", nobody)
	}
	line("Owner: %s", f.Owner)
	alerts := i.told()
	for n, a := range alerts {
		if n == 5 {
			line("and %d more alerts", len(alerts)-n)
			break
		}
		line("Why: %s", describe(a))
	}
	if ids := i.traces(); len(ids) > 0 {
		line("Traces to look at: %s", strings.Join(ids, ", "))
	}
	if f.Runbook != "" {
		line("Runbook: %s", f.Runbook)
	}
	return strings.TrimRight(b.String(), "\n")
}
