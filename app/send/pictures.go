package send

import (
	"context"
	"fmt"
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
	points, err := a.around(ctx, lead.Environment, Whose(i), r.SLI.At(lead.Evidence.Over), i.Slice, lead.OnsetAt, to)
	if err != nil {
		return dashboards.Chart{}, err
	}
	c := dashboards.Chart{Points: points, Step: stride, From: lead.OnsetAt.Add(-lately), To: to}
	c.Title, c.Subtitle, _ = strings.Cut(i.Headline(), ": ")
	if _, _, usual, _, _ := i.Counts(); usual > 0 && lead.Kind.Share() {
		c.Subtitle += fmt.Sprintf("; usually %.1f%%", 100*usual)
	}
	c = Mark(Show(c, r, lead.Evidence.Over), lead)
	if i.AcknowledgedAt != nil {
		c.AcknowledgedAt = *i.AcknowledgedAt
	}
	if i.ResolvedAt != nil {
		c.ResolvedAt = *i.ResolvedAt
	}
	c.Zone = a.zone(i)
	return c, nil
}

// How an incident's picture is cut: minutes that end and begin at the onset, so
// that no window mixes health and fault and 30 s of outage show as what they are;
// from a quarter of an hour before.
const (
	stride = 15 * time.Second
	minute = time.Minute
	lately = 15 * time.Minute
)

// around counts minutes up to the onset and from it on, the last one cut short.
// Each is given as points of a stride, with that stride's part of its counts.
func (a Artist) around(ctx context.Context, environment string, t tenant.ID, spec sli.Spec, slice sli.Slice, onset, to time.Time) ([]dashboards.Point, error) {
	var all []dashboards.Point
	add := func(from, to time.Time, window time.Duration) error {
		if window < stride || to.Sub(from) < window {
			return nil
		}
		points, err := a.Count(ctx, environment, t, spec, slice, from, to, window)
		for _, p := range points {
			parts := int(window / stride)
			for n := range parts {
				all = append(all, dashboards.Point{T: p.T.Add(time.Duration(n) * stride), N: p.N / float64(parts), K: p.K / float64(parts)})
			}
		}
		return err
	}
	whole := to.Sub(onset).Truncate(minute)
	rest := (to.Sub(onset) - whole).Truncate(stride)
	if err := add(onset.Add(-lately), onset, minute); err != nil {
		return nil, err
	}
	if err := add(onset, onset.Add(whole), minute); err != nil {
		return nil, err
	}
	return all, add(onset.Add(whole), onset.Add(whole+rest), rest)
}

// Whose counts an incident's picture shows: one tenant's, or everybody's.
func Whose(i incident.Incident) tenant.ID {
	if all := i.Concerned(); len(all) == 1 {
		return all[0].ID
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
	c := Show(dashboards.Chart{Title: title, Points: points, Step: step, From: s.From, To: s.To, FiredAt: s.At}, r, r.SLI.Edge)
	if !c.Volume {
		c.Usual = r.Prior
	}
	return c, nil
}

// Show has a chart of a rule's counts show what the rule is about: a share and what it
// is of, or, where there is none, the volume. over is what a slow event takes longer
// than, in seconds; 0: not known.
func Show(c dashboards.Chart, r rule.Rule, over float64) dashboards.Chart {
	switch {
	case r.Kind == rule.Declines:
		c.Caption, c.Bad = "share declined", "declined"
	case r.Kind == rule.Latency && over > 0:
		c.Caption, c.Bad = "share longer than "+seconds(over), "slow"
	case !r.Kind.Share():
		c.Volume, c.Caption = true, alert.Things(r.Service, r.SLI.Noun)+" a minute"
	}
	return c
}

func seconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%g ms", s*1000)
	}
	return fmt.Sprintf("%g s", s)
}

// Mark shows when an alert began and fired, and what it says is usual.
func Mark(c dashboards.Chart, a alert.Alert) dashboards.Chart {
	c.OnsetAt, c.FiredAt, c.Usual = a.OnsetAt, a.StartsAt, a.Evidence.Usual
	if c.Volume {
		c.Usual = a.Evidence.RatePerMinute
	}
	return c
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

// Lead is the alert that says most about an incident: of its opening and the kind it is about, one
// over all tenants in its slice before a tenant's, then the one with the most failures.
func Lead(i incident.Incident) (alert.Alert, bool) {
	var best alert.Alert
	found := false
	for _, a := range i.Alerts {
		if !found || rank(i, a) > rank(i, best) || rank(i, a) == rank(i, best) && worse(a, best) {
			best, found = a, true
		}
	}
	return best, found
}

func worse(a, b alert.Alert) bool {
	k, _ := a.Bad()
	other, _ := b.Bad()
	return k > other
}

func rank(i incident.Incident, a alert.Alert) (r int) {
	if i.Leads(a) {
		r += 4
	}
	if a.Slice.Equal(i.Slice) {
		r += 2
	}
	if a.Tenant == tenant.Product {
		r++
	}
	return r
}
