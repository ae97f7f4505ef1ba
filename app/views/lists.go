package views

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/views/entry"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// row is an incident as lists show it. Who covers some of its tenants only sees
// that it is, and not what people and programs wrote: that may name anybody.
func (v *Views) row(i incident.Incident, p web.Principal) view.IncidentRow {
	row := view.IncidentRow{Number: strconv.Itoa(i.Number), URL: "/incidents/" + string(i.ID), Headline: i.Title, State: view.State(i.State), Severity: string(i.Severity),
		Service: i.Service, Owner: string(i.Team), Since: i.OnsetAt, Tenants: len(i.Concerned()), Ticket: entry.TicketOf(i)}
	if i.AcknowledgedAt != nil {
		row.AcknowledgedBy = i.AcknowledgedBy.String()
	}
	if i.ResolvedAt != nil {
		row.ResolvedAt = *i.ResolvedAt
	}
	if !p.Any {
		row.Headline, row.Owner, row.AcknowledgedBy, row.Tenants, row.Ticket = narrowed(i), "", "", 0, nil
	}
	return row
}

// narrowed is an incident's headline for who covers some of its tenants.
func narrowed(i incident.Incident) string {
	if k := i.Slice.Key(); k != "" {
		return "Fault of " + i.Service + ", " + k
	}
	return "Fault of " + i.Service
}

const everyState = "all"

func severities(chosen string) []view.Choice {
	return choices(chosen, "", "every severity", "critical", "critical", "warning", "warning", "info", "info")
}

func (v *Views) incidents(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	list, err := v.api.Incidents.All(r.Context(), p)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	state, severity, team, cursor := q.Get("state"), q.Get("severity"), q.Get("team"), q.Get("cursor")
	page := view.IncidentsPage{Frame: v.frame(r, p), Query: search(r, "q"), OpenOnly: state == "", Other: with(r, "state", everyState), Severities: severities(severity)}
	if state != "" {
		page.Other = with(r, "state", "")
	}
	page.Filter = page.Query != "" || severity != "" || team != "" || state != "" && state != everyState
	page.States = choices(state, "", "open", everyState, "every state", string(incident.StateAcknowledged), "in hand", string(incident.StateResolved), "over")
	teams := []string{"", "every team"}
	for _, t := range v.api.Flow.Rules().Catalog.Teams {
		teams = append(teams, string(t.ID), cmp.Or(t.Name, string(t.ID)))
	}
	page.Teams = choices(team, teams...)
	for _, i := range list {
		switch {
		case cursor != "" && string(i.ID) >= cursor,
			state == "" && i.State == incident.StateResolved,
			state != "" && state != everyState && string(i.State) != state,
			severity != "" && string(i.Severity) != severity,
			team != "" && string(i.Team) != team,
			page.Query != "" && !matches(page.Query, words(i, p)...):
			continue
		}
		if len(page.Rows) == listLength {
			page.Next = with(r, "cursor", strings.TrimPrefix(page.Rows[listLength-1].URL, "/incidents/"))
			break
		}
		page.Rows = append(page.Rows, v.row(i, p))
	}
	return v.entry.Pages.Incidents(web.HTML(w, http.StatusOK), page)
}

// words are what an incident is found by.
func words(i incident.Incident, p web.Principal) []string {
	out := []string{i.Service, i.Slice.Key(), strconv.Itoa(i.Number)}
	if p.Any {
		return append(append(out, i.Title, i.Mirror.Ref.Number), names(i)...)
	}
	for _, t := range i.Tenants {
		if p.Covers(t.ID) {
			out = append(out, string(t.ID))
		}
	}
	return out
}

func names(i incident.Incident) []string {
	out := make([]string, 0, len(i.Tenants))
	for _, t := range i.Tenants {
		out = append(out, string(t.ID))
	}
	return out
}

// held is an alert with the incident that holds it.
type held struct {
	alert.Alert
	in incident.Incident
}

// before orders alerts: the one that fired last comes first.
func (h held) before(o held) int {
	return cmp.Or(o.StartsAt.Compare(h.StartsAt), cmp.Compare(h.ID, o.ID))
}

// held lists the newest of each alert that the viewer may see.
func (v *Views) held(list []incident.Incident, p web.Principal) []held {
	by := map[alert.ID]held{}
	for _, i := range list {
		for _, a := range i.Alerts {
			if old, ok := by[a.ID]; (!ok || a.AsOf.After(old.AsOf)) && p.Covers(a.Tenant) {
				by[a.ID] = held{a, i}
			}
		}
	}
	out := make([]held, 0, len(by))
	for _, h := range by {
		out = append(out, h)
	}
	slices.SortFunc(out, held.before)
	return out
}

func (v *Views) alerts(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	incidents, err := v.api.Incidents.All(r.Context(), p)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	state, severity, cursor := q.Get("state"), q.Get("severity"), alert.ID(q.Get("cursor"))
	page := view.AlertsPage{Frame: v.frame(r, p), Query: search(r, "q"), Severities: severities(severity),
		States: choices(state, "", "firing", everyState, "every state", string(alert.Resolved), "over")}
	page.Filter = page.Query != "" || severity != "" || state != ""
	all := v.held(incidents, p)
	if n := slices.IndexFunc(all, func(h held) bool { return h.ID == cursor }); n >= 0 {
		all = all[n+1:]
	}
	last := alert.ID("")
	for _, h := range all {
		switch {
		case state == "" && h.State != alert.Firing,
			state != "" && state != everyState && string(h.State) != state,
			severity != "" && string(h.Severity) != severity,
			!matches(page.Query, string(h.Tenant), h.Rule, h.Slice.Key(), h.Service):
			continue
		}
		if len(page.Rows) == listLength {
			page.Next = with(r, "cursor", string(last))
			break
		}
		page.Rows, last = append(page.Rows, v.alertRow(h, p)), h.ID
	}
	return v.entry.Pages.Alerts(web.HTML(w, http.StatusOK), page)
}

func (v *Views) alertRow(h held, p web.Principal) view.AlertRow {
	row := view.AlertRow{Rule: h.Rule, Slice: dims(h.Slice), Severity: string(h.Severity), Firing: h.State == alert.Firing, OnsetAt: h.OnsetAt, FiredAt: h.StartsAt, Reason: h.Reason,
		Incident: strconv.Itoa(h.in.Number), IncidentURL: v.to(p, "/incidents/{id}", "/incidents/"+string(h.in.ID), nil)}
	if h.Tenant != tenant.Product {
		row.Tenant, row.TenantURL = string(h.Tenant), v.tenantURL(p, string(h.Tenant))
	}
	if h.EndsAt != nil {
		row.EndedAt = *h.EndsAt
	}
	if rl, ok := v.api.Rule(h.Rule); ok && v.may(p, http.MethodGet, "/dashboards/{rule}") {
		row.Dashboard = dashboards.ForRule(rl, h.Environment).Path(h.Tenant, h.Slice, h.OnsetAt, h.StartsAt) + "&environment=" + h.Environment
	}
	return row
}
