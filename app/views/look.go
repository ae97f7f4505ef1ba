package views

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/api/health"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// look is every tenant and open incident at one moment.
type look struct {
	at       time.Time
	standing []standing // in order of id
	open     []incident.Incident
	health   health.StatusAnswer
	sources  []sources.Status
}

// standing is how one tenant stands, and why.
type standing struct {
	tenant tenant.Tenant
	glance evaluate.Glance
	tone   view.Tone
	say    string
	pooled bool // say speaks of all tenants together
}

// seenBy leaves out what is said of other tenants.
func (s standing) seenBy(p web.Principal) standing {
	if s.pooled && !p.Any {
		s.say = "It fails together with others."
	}
	return s
}

// fresh is how old a look may be: several people watch the same page, and every
// look asks every partition.
const fresh = 3 * time.Second

// look reads all of it, or gives what was read a moment ago. What it returns is
// shared: nobody changes it.
func (v *Views) look(ctx context.Context) (look, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.api.Now()
	if age := now.Sub(v.looked.at); age >= 0 && age < fresh {
		return v.looked, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // others wait for it too
	defer cancel()
	glances, err := v.api.Flow.Glance(ctx)
	if err != nil {
		return look{}, err
	}
	l := look{at: now}
	if l.open, err = v.api.Health.Open(ctx); err != nil {
		return look{}, err
	}
	slices.SortFunc(l.open, func(a, b incident.Incident) int { return cmp.Compare(b.ID, a.ID) }) // the newest first
	if l.health, err = v.api.Health.Answer(ctx, glances, l.open); err != nil {
		return look{}, err
	}
	if l.sources, err = v.api.Flow.Sources(ctx, now); err != nil {
		return look{}, err
	}
	firing := firing(l.open)
	byID := make(map[tenant.ID]evaluate.Glance, len(glances))
	for _, g := range glances {
		byID[g.Tenant] = g
	}
	for _, t := range v.api.Flow.Directory().List() {
		s := standing{tenant: t, tone: view.Blind, say: "It is judged by nobody at this moment: the part of the store it is in changes hands."}
		if g, served := byID[t.ID]; served {
			s = judge(t, g, firing[t.ID])
		}
		l.standing = append(l.standing, s)
	}
	v.looked = l
	return l, nil
}

// firing lists what fires at each tenant, alone or together with others.
func firing(open []incident.Incident) map[tenant.ID][]alert.Alert {
	out := map[tenant.ID][]alert.Alert{}
	for _, i := range open {
		for _, a := range i.Alerts {
			switch {
			case a.State != alert.Firing:
			case a.Tenant != tenant.Product:
				out[a.Tenant] = append(out[a.Tenant], a)
			default:
				for _, t := range i.Tenants {
					if t.Firing {
						out[t.ID] = append(out[t.ID], a)
					}
				}
			}
		}
	}
	return out
}

// judge says how a tenant stands, with its reason; times in it are UTC.
func judge(t tenant.Tenant, g evaluate.Glance, firing []alert.Alert) standing {
	var worst alert.Alert
	for _, a := range firing {
		if a.Severity.Rank() > worst.Severity.Rank() {
			worst = a
		}
	}
	s := standing{tenant: t, glance: g, tone: view.Fine}
	switch {
	case !t.Watched():
		s.tone, s.say = view.Off, "It is "+string(t.State)+", so nothing of it is judged."
	case worst.Severity.Rank() >= rule.Warning.Rank():
		s.tone, s.pooled = view.Degraded, worst.Tenant == tenant.Product
		if worst.Severity == rule.Critical {
			s.tone = view.Broken
		}
		where := worst.Rule
		if k := worst.Slice.Key(); k != "" {
			where += ", " + k
		}
		s.say = where + ": " + worst.Reason
	case g.LastReceivedAt == nil:
		s.tone, s.say = view.Waiting, "It was onboarded on "+t.OnboardedAt.UTC().Format("2 January 2006")+", and nothing has arrived yet."
	case g.Blind:
		s.tone, s.say = view.Blind, "Nothing has arrived since "+g.LastReceivedAt.UTC().Format("2 Jan 15:04")+"; it is not watched meanwhile."
	case g.Young:
		s.tone, s.say = view.Learning, "Less than a day of it was seen: only hard faults are."
	}
	return s
}

// covered is the part of a look that the viewer may see.
func (l look) covered(p web.Principal) look {
	if p.Any {
		return l
	}
	out := look{at: l.at}
	for _, s := range l.standing {
		if p.Covers(s.tenant.ID) {
			out.standing = append(out.standing, s.seenBy(p))
		}
	}
	for _, i := range l.open {
		ids := make([]tenant.ID, 0, len(i.Tenants))
		for _, t := range i.Tenants {
			ids = append(ids, t.ID)
		}
		if p.Sees(string(i.ID), ids) {
			out.open = append(out.open, i)
		}
	}
	return out
}

// volume is a tenant's largest flow and what is counted in it.
func (s standing) volume() (perMinute float64, of string) {
	for _, f := range s.glance.Flows {
		if f.RatePerMinute >= perMinute {
			perMinute, of = f.RatePerMinute, f.SLI
		}
	}
	return perMinute, of
}

func number(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// list joins as people do: a, b and c.
func list(parts []string) string {
	if n := len(parts); n > 1 {
		return strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
	return strings.Join(parts, "")
}
