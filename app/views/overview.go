package views

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// cardIncidents is how many incidents a service's card names.
const cardIncidents = 5

// shownSources is how many senders the start page names.
const shownSources = 8

// wallLength is how many tenants are drawn; the worst come first.
const wallLength = 1000

func (v *Views) overview(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	l, err := v.look(r.Context())
	if err != nil {
		return err
	}
	l = l.covered(p)
	page := view.OverviewPage{Frame: v.frame(r, p), Begin: len(l.standing) == 0, Wall: v.wall(l, p)}
	if !page.Begin {
		page.Services = v.services(l, p)
	}
	if p.Any {
		page.PerSecond, page.Troubles = l.health.SamplesPerSecond, l.health.Troubles
		page.Sources, page.SourcesURL = sourceRows(l), v.to(p, "/sources", "/sources", nil)
		page.Sources = page.Sources[:min(len(page.Sources), shownSources)]
	}
	page.Tone, page.Verdict, page.Detail = verdict(page.Services, page.Wall)
	return v.entry.Pages.Overview(web.HTML(w, http.StatusOK), page)
}

// verdict is the whole in one sentence.
func verdict(services []view.ServiceCard, wall view.Wall) (tone view.Tone, say, detail string) {
	n := map[view.Tone]int{}
	for _, c := range wall.Counts {
		n[c.Tone] = c.N
	}
	var broken, degraded []string
	for _, s := range services {
		switch s.Tone {
		case view.Broken:
			broken = append(broken, s.Service)
		case view.Degraded:
			degraded = append(degraded, s.Service)
		}
	}
	is := func(names []string, what string) string {
		slices.Sort(names)
		names = slices.Compact(names)
		if len(names) > 3 {
			return fmt.Sprintf("%d services are %s", len(names), what)
		}
		if len(names) == 1 {
			return names[0] + " is " + what
		}
		return list(names) + " are " + what
	}
	var parts []string
	tone = view.Fine
	if len(degraded) > 0 {
		tone, parts = view.Degraded, append(parts, is(degraded, "degraded"))
	}
	if len(broken) > 0 {
		tone, parts = view.Broken, slices.Insert(parts, 0, is(broken, "broken"))
	}
	if n[view.Blind] > 0 {
		parts = append(parts, number(n[view.Blind], "tenant is", "tenants are")+" blind")
		if tone == view.Fine {
			tone, parts = view.Blind, slices.Insert(parts, 0, "nothing is broken that is seen")
		}
	}
	watched := wall.Total - n[view.Off]
	switch {
	case wall.Total == 0:
		return view.Waiting, "Nothing is watched yet", ""
	case len(parts) > 0:
	case watched == 0:
		return view.Off, "No tenant is watched", "All of them are paused or retired."
	case n[view.Waiting] == watched:
		return view.Waiting, "Nothing has arrived yet", "Let a Prometheus send: docs/connect.md shows how."
	case n[view.Learning]+n[view.Waiting] == watched:
		tone, parts = view.Learning, []string{"nothing is broken; only hard faults are seen yet"}
	default:
		parts = []string{"nothing is broken, and what is watched is seen"}
	}
	say = strings.Join(parts, ", ")
	detail = number(watched, "tenant is watched", "tenants are watched")
	var more []string
	if c := n[view.Learning]; c > 0 {
		more = append(more, fmt.Sprintf("%d of them learning", c))
	}
	if c := n[view.Waiting]; c > 0 {
		more = append(more, fmt.Sprintf("%d without a sample yet", c))
	}
	if len(more) > 0 {
		detail += ", " + list(more)
	}
	return tone, strings.ToUpper(say[:1]) + say[1:], detail + "."
}

func (v *Views) wall(l look, p web.Principal) view.Wall {
	wall := view.Wall{Total: len(l.standing)}
	by := map[view.Tone][]standing{}
	for _, s := range l.standing {
		by[s.tone] = append(by[s.tone], s)
	}
	for _, tone := range view.Tones() {
		if len(by[tone]) == 0 {
			continue
		}
		wall.Counts = append(wall.Counts, view.ToneCount{Tone: tone, N: len(by[tone]), URL: v.to(p, "/tenants", "/tenants", url.Values{"state": {string(tone)}})})
		for _, s := range by[tone] {
			if len(wall.Fields) == wallLength {
				break
			}
			wall.Fields = append(wall.Fields, view.Field{Name: s.tenant.Name, URL: v.tenantURL(p, string(s.tenant.ID)), Tone: tone})
		}
	}
	wall.Rest = wall.Total - len(wall.Fields)
	return wall
}

// place is a service in an environment.
type place struct{ service, environment string }

// services makes a card for every service of the policy in every environment
// that may page or has traffic.
func (v *Views) services(l look, p web.Principal) []view.ServiceCard {
	rules := v.api.Flow.Rules()
	cards := map[place]*view.ServiceCard{}
	var order []place
	card := func(at place) *view.ServiceCard {
		if c := cards[at]; c != nil {
			return c
		}
		c := &view.ServiceCard{Service: at.service, Environment: at.environment}
		cards[at], order = c, append(order, at)
		return c
	}
	for _, d := range rules.Policy.Rules {
		for _, env := range rules.Policy.Environments {
			card(place{d.Service, env})
		}
	}
	volumes := map[place]map[string]float64{}
	for _, s := range l.standing {
		seen := map[place]bool{}
		for _, f := range s.glance.Flows {
			at := place{f.Service, f.Environment}
			if volumes[at] == nil {
				volumes[at] = map[string]float64{}
			}
			volumes[at][f.SLI] += f.RatePerMinute
			if !seen[at] && s.tone != view.Off {
				seen[at] = true
				count(card(at), s)
			}
		}
	}
	for _, i := range l.open {
		c := card(place{i.Service, i.Environment})
		c.Incidents = append(c.Incidents, v.row(i, p))
	}
	out := make([]view.ServiceCard, 0, len(order))
	for _, at := range order {
		c := cards[at]
		for sli, rate := range volumes[at] {
			if rate > c.PerMinute || rate == c.PerMinute && sli < c.PerMinuteOf {
				c.PerMinute, c.PerMinuteOf = rate, sli
			}
		}
		v.complete(c, p)
		out = append(out, *c)
	}
	slices.SortStableFunc(out, func(a, b view.ServiceCard) int { return worse(a.Tone, b.Tone) })
	return out
}

func count(c *view.ServiceCard, s standing) {
	c.Watched++
	switch s.tone {
	case view.Blind:
		c.Blind++
	case view.Learning:
		c.Learning++
	}
}

func worse(a, b view.Tone) int {
	return slices.Index(view.Tones(), a) - slices.Index(view.Tones(), b)
}

// complete says how a service stands, and who is called for it.
func (v *Views) complete(c *view.ServiceCard, p web.Principal) {
	c.Tone = view.Fine
	switch {
	case c.Watched == 0:
		c.Tone = view.Waiting
	case c.Blind > 0:
		c.Tone = view.Blind
	case c.Learning == c.Watched:
		c.Tone = view.Learning
	}
	for _, i := range c.Incidents {
		t := view.Degraded
		if i.Severity == string(rule.Critical) {
			t = view.Broken
		}
		if i.Severity != string(rule.Info) && worse(t, c.Tone) < 0 {
			c.Tone = t
		}
	}
	c.Say = sayCard(*c)
	if len(c.Incidents) > cardIncidents {
		c.Incidents, c.More = c.Incidents[:cardIncidents], len(c.Incidents)-cardIncidents
	}
	if !p.Any {
		return // who is called is the product's own business
	}
	team, reason := v.api.Flow.Rules().Catalog.Owner(catalog.ServiceID(c.Service))
	if team.ID == "" {
		c.Problem = reason
		return
	}
	duty := v.api.Duty.OnCall(team, v.api.Now())
	c.Team, c.Observed, c.Problem = v.api.TeamName(team.ID), !duty.Live, duty.Problem
	if duty.Now != nil {
		c.OnCall = duty.Now.PersonName
		if duty.Now.Until != nil {
			c.Until = *duty.Now.Until
		}
	}
}

func sayCard(c view.ServiceCard) string {
	var parts []string
	if n := len(c.Incidents); n > 0 {
		parts = append(parts, number(n, "open incident", "open incidents"))
	}
	switch {
	case c.Watched == 0:
		parts = append(parts, "nothing of it has arrived")
	case c.Blind == c.Watched:
		parts = append(parts, "none of its tenants is seen")
	case c.Blind > 0:
		parts = append(parts, number(c.Blind, "tenant is", "tenants are")+" not seen")
	case len(parts) == 0 && c.Learning == c.Watched:
		parts = append(parts, "nothing is broken; only hard faults are seen yet")
	case len(parts) == 0:
		parts = append(parts, "nothing is broken, and all of it is seen")
	}
	return view.Sentence(strings.Join(parts, "; "))
}
