package backtest

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	// samePage is how far apart two calls about one thing may be to be one page.
	samePage = 15 * time.Minute
	// countsAfter is how long after the end of an incident a page still counts for it.
	countsAfter = 10 * time.Minute
)

// Page is one call: what somebody would have been woken for.
type Page struct {
	At       time.Time
	Tenant   string // tenant.Product: several or all
	Service  string // empty: not known
	Rule     string
	Incident int // 0: not known
	Reason   string
}

// Pages lists the calls of a run, by time.
func Pages(lines []Line) []Page {
	var out []Page
	for _, l := range lines {
		if l.Pages {
			out = append(out, Page{At: l.PagedAt, Tenant: l.Tenant, Service: l.Service, Rule: l.Rule, Incident: l.Incident, Reason: l.Reason})
		}
	}
	return out
}

// concerns says whether a page about tenant a and service s may be about b and u
// as well: what is not named, and the product, agrees with everything.
func concerns(a, s, b, u string) bool {
	product := string(tenant.Product)
	return (a == b || a == product || b == product || a == "" || b == "") && (s == u || s == "" || u == "")
}

// Difference is what another set of rules would have paged.
type Difference struct {
	Both  int
	Added []Page // only ours
	Gone  []Page // only theirs
}

// Compare sets the pages of two sets of rules beside each other: one of ours and
// one of theirs that concern the same and lie within 15 minutes are the same.
func Compare(ours, theirs []Page) (d Difference) {
	used := make([]bool, len(theirs))
	for _, p := range ours {
		found := false
		for i, q := range theirs {
			if distance(p.At, q.At) <= samePage && concerns(p.Tenant, p.Service, q.Tenant, q.Service) {
				used[i], found = true, true
			}
		}
		if found {
			d.Both++
		} else {
			d.Added = append(d.Added, p)
		}
	}
	for i, q := range theirs {
		if !used[i] {
			d.Gone = append(d.Gone, q)
		}
	}
	return d
}

func distance(a, b time.Time) time.Duration { return a.Sub(b).Abs() }

// Incident is a fault that is known to have happened.
type Incident struct {
	Name     string
	From, To time.Time
	Tenant   string // empty: all
	Service  string // empty: all
}

// Within keeps the incidents that a page between from and to may be about: of what
// happened before or after nothing can be found.
func Within(incidents []Incident, from, to time.Time) []Incident {
	return slices.DeleteFunc(slices.Clone(incidents), func(in Incident) bool {
		return in.From.After(to) || in.To.Add(countsAfter).Before(from)
	})
}

// Score is how pages fared against what really happened.
type Score struct {
	Pages, Found int
	False        []Page          // about nothing that is known to have happened
	Missed       []Incident      // nobody was paged
	Delays       []time.Duration // of the incidents found, sorted: from the beginning to the first page
}

// Judge holds pages against incidents. A page counts for an incident from its
// beginning until ten minutes after its end.
func Judge(pages []Page, incidents []Incident) (s Score) {
	s.Pages = len(pages)
	first := make([]time.Time, len(incidents))
	for _, p := range pages {
		counted := false
		for i, in := range incidents {
			if p.At.Before(in.From) || p.At.After(in.To.Add(countsAfter)) || !concerns(p.Tenant, p.Service, in.Tenant, in.Service) {
				continue
			}
			counted = true
			if first[i].IsZero() || p.At.Before(first[i]) {
				first[i] = p.At
			}
		}
		if !counted {
			s.False = append(s.False, p)
		}
	}
	for i, in := range incidents {
		if first[i].IsZero() {
			s.Missed = append(s.Missed, in)
			continue
		}
		s.Found++
		s.Delays = append(s.Delays, first[i].Sub(in.From))
	}
	slices.Sort(s.Delays)
	return s
}

// Quantile of sorted durations; 0 of none.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// ReadIncidents reads a CSV with a header that names at least start and end
// (RFC 3339), and may name name, tenant and service. All faults come at once.
func ReadIncidents(r io.Reader) ([]Incident, error) {
	c := csv.NewReader(r)
	c.TrimLeadingSpace = true
	head, err := c.Read()
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the incidents' file has no header").WithHint("the first line: start,end,name,tenant,service")
	}
	column := map[string]int{}
	var faults []string
	for i, h := range head {
		h = strings.ToLower(strings.TrimSpace(h))
		if !slices.Contains([]string{"start", "end", "name", "tenant", "service"}, h) {
			faults = append(faults, fmt.Sprintf("line 1: column %d is none of start, end, name, tenant, service", i+1))
		}
		column[h] = i
	}
	for _, needed := range []string{"start", "end"} {
		if _, ok := column[needed]; !ok {
			faults = append(faults, "line 1: the column "+needed+" is missing")
		}
	}
	var out []Incident
	for len(faults) == 0 || len(out) > 0 {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		line, _ := c.FieldPos(0)
		if err != nil {
			faults = append(faults, err.Error())
			break
		}
		in, fault := incidentOf(row, column)
		if fault != "" {
			faults = append(faults, fmt.Sprintf("line %d: %s", line, fault))
		}
		out = append(out, in)
	}
	if len(faults) > 0 {
		return nil, problem.New(problem.Invalid, "the incidents' file: %s", strings.Join(faults, "; "))
	}
	slices.SortStableFunc(out, func(a, b Incident) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Name, b.Name)) })
	return out, nil
}

func incidentOf(row []string, column map[string]int) (in Incident, fault string) {
	get := func(name string) string {
		if i, ok := column[name]; ok && i < len(row) {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	in = Incident{Name: get("name"), Tenant: get("tenant"), Service: get("service")}
	var err error
	if in.From, err = time.Parse(time.RFC3339, get("start")); err != nil {
		return in, "start is no RFC 3339 time, for example 2026-03-04T09:30:00Z"
	}
	if in.To, err = time.Parse(time.RFC3339, get("end")); err != nil {
		return in, "end is no RFC 3339 time, for example 2026-03-04T09:30:00Z"
	}
	if in.To.Before(in.From) {
		return in, "end lies before start"
	}
	return in, ""
}
