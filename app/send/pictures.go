package send

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Counter reads counts from the history: of an SLI's slice for one tenant, or
// with tenant.Product for all of them.
type Counter func(ctx context.Context, environment string, t tenant.ID, spec sli.Spec, slice sli.Slice, from, to time.Time, step time.Duration) ([]dashboards.Point, error)

// Artist draws incidents from the history.
type Artist struct {
	Count Counter
	// Rule finds a rule by name.
	Rule func(name string) (rule.Rule, bool)
	// Catalog gives the zone of the owning team's schedule.
	Catalog func() *catalog.Catalog
	Now     func() time.Time
}

// Chart is the picture of an incident: the alert that says most, around the
// moment it fired.
func (a Artist) Chart(ctx context.Context, i incident.Incident) (dashboards.Chart, error) {
	lead, ok := Lead(i)
	if !ok {
		return dashboards.Chart{}, problem.New(problem.NotFound, "the incident has no alert to draw")
	}
	r, ok := a.Rule(lead.Rule)
	if !ok {
		return dashboards.Chart{}, problem.New(problem.NotFound, "rule %s is not in the policy any more", lead.Rule)
	}
	to := lead.StartsAt.Add(lately)
	if now := a.Now(); to.After(now) {
		to = now
	}
	points, err := a.sliding(ctx, lead.Environment, Whose(i), r.SLI, i.Slice, lead.OnsetAt.Add(-lately), to)
	if err != nil {
		return dashboards.Chart{}, err
	}
	c := dashboards.Chart{Points: points, Step: stride, From: lead.OnsetAt.Add(-lately), To: to}
	c.Title, c.Subtitle, _ = strings.Cut(i.Headline(), ": ")
	if _, _, usual, _, _ := i.Counts(); usual > 0 {
		c.Subtitle += fmt.Sprintf("; usually %.1f%%", 100*usual)
	}
	c.Usual, c.OnsetAt, c.FiredAt = lead.Evidence.Usual, lead.OnsetAt, lead.StartsAt
	if i.AcknowledgedAt != nil {
		c.AcknowledgedAt = *i.AcknowledgedAt
	}
	if i.ResolvedAt != nil {
		c.ResolvedAt = *i.ResolvedAt
	}
	c.Zone = a.zone(i)
	return c, nil
}

// How an incident's picture is cut: the last minute, looked at every 15 s, so
// that scrapes a minute apart fill it and 30 s of outage show; from a quarter of
// an hour before the onset.
const (
	stride = 15 * time.Second
	minute = time.Minute
	lately = 15 * time.Minute
)

// sliding counts overlapping minutes. Each point stands for the stride that ends
// its minute, with that stride's part of the counts.
func (a Artist) sliding(ctx context.Context, environment string, t tenant.ID, spec sli.Spec, slice sli.Slice, from, to time.Time) ([]dashboards.Point, error) {
	const parts = int(minute / stride)
	var all []dashboards.Point
	for n := range parts {
		shift := time.Duration(n) * stride
		end := to.Add(-shift)
		begin := end.Add(-end.Sub(from).Truncate(minute) - minute)
		points, err := a.Count(ctx, environment, t, spec, slice, begin, end, minute)
		if err != nil {
			return nil, err
		}
		for _, p := range points {
			all = append(all, dashboards.Point{T: p.T.Add(minute - stride), N: p.N / float64(parts), K: p.K / float64(parts)})
		}
	}
	slices.SortFunc(all, func(a, b dashboards.Point) int { return a.T.Compare(b.T) })
	return all, nil
}

// Whose counts an incident's picture shows: one tenant's, or everybody's.
func Whose(i incident.Incident) tenant.ID {
	if len(i.Tenants) == 1 {
		return i.Tenants[0].ID
	}
	return tenant.Product
}

// Span is the picture of a rule's SLI over a span of time.
func (a Artist) Span(ctx context.Context, r rule.Rule, environment string, s dashboards.Span) (dashboards.Chart, error) {
	step := max(s.Step(), 15*time.Second)
	points, err := a.Count(ctx, environment, s.Tenant, r.SLI, s.Slice, s.From, s.To, step)
	if err != nil {
		return dashboards.Chart{}, err
	}
	title := fmt.Sprintf("%s of %s", r.Name, s.Tenant)
	if s.Tenant == tenant.Product {
		title = r.Name + " of all tenants"
	}
	if k := s.Slice.Key(); k != "" {
		title += ", " + k
	}
	return dashboards.Chart{Title: title, Points: points, Step: step, From: s.From, To: s.To, Usual: r.Prior, FiredAt: s.At}, nil
}

// Draw implements Pictures.
func (a Artist) Draw(ctx context.Context, i incident.Incident) ([]byte, error) {
	c, err := a.Chart(ctx, i)
	if err != nil {
		return nil, err
	}
	return c.PNG()
}

func (a Artist) zone(i incident.Incident) *time.Location {
	c := a.Catalog()
	team, _ := c.Team(i.Team)
	s, _ := c.Schedule(team.Schedule)
	if zone, err := time.LoadLocation(s.TimeZone); err == nil {
		return zone
	}
	return time.UTC
}

// Lead is the alert that says most about an incident: one over all tenants in
// its slice before a tenant's, then the one with the most failures.
func Lead(i incident.Incident) (alert.Alert, bool) {
	var best alert.Alert
	found := false
	for _, a := range i.Alerts {
		if !found || rank(i, a) > rank(i, best) || rank(i, a) == rank(i, best) && a.Evidence.K > best.Evidence.K {
			best, found = a, true
		}
	}
	return best, found
}

func rank(i incident.Incident, a alert.Alert) (r int) {
	if a.Slice.Key() == i.Slice.Key() {
		r += 2
	}
	if a.Tenant == tenant.Product {
		r++
	}
	return r
}
