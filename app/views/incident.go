package views

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/app/views/entry"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

func dims(s sli.Slice) []view.Dim {
	out := make([]view.Dim, 0, len(s))
	for _, d := range s {
		out = append(out, view.Dim{Label: d.Label, Value: d.Value})
	}
	return out
}

func (v *Views) incidentView(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	i, err := v.api.Incidents.One(r.Context(), r.PathValue("id"), p)
	if err != nil {
		return err
	}
	entries, err := v.api.Records.Entries(r.Context(), i.ID.Subject())
	if err != nil {
		return err
	}
	lead, _ := send.Lead(i)
	n, k, usual, share, _ := i.Counts()
	page := view.IncidentPage{Frame: v.frame(r, p), Number: strconv.Itoa(i.Number), Headline: i.Title, State: view.State(i.State), Severity: string(i.Severity),
		Service: i.Service, Owner: v.api.TeamName(i.Team), OwnerReason: i.OwnerReason, Slice: dims(i.Slice), OnsetAt: i.OnsetAt, FiredAt: lead.StartsAt,
		Numbers: view.Numbers{What: i.Measure(), N: n, K: k, Usual: usual, Score: lead.Evidence.Score, Needed: lead.Evidence.Needed, Share: share, ShareOf: "the volume of " + i.Things(), PerMinute: lead.Evidence.RatePerMinute},
		Ticket:  entry.TicketOf(i), Runbook: i.RunbookURL, Dashboard: v.api.Links.Dashboard(i), Timeline: v.timeline(entries), Why: why(i, lead.Reason)}
	if i.ResolvedAt != nil {
		page.ResolvedAt = *i.ResolvedAt
	}
	if i.AcknowledgedAt != nil {
		page.Acknowledged, page.AcknowledgedBy = *i.AcknowledgedAt, i.AcknowledgedBy.String()
	}
	if x := i.Verdict; x != nil {
		page.Verdict, page.VerdictBy, page.VerdictReason, page.VerdictAt = string(x.Verdict), x.By.String(), x.Reason, x.At
	}
	page.Paged, page.PagedReason = v.paged(r, i)
	former := v.api.Incidents.Former(i)
	for _, t := range i.Tenants {
		row := view.TenantRow{ID: string(t.ID), N: t.N, K: t.K, Over: !t.Firing, Former: slices.Contains(former, t.ID), URL: v.tenantDashboard(r, i, t.ID)}
		if doc, ok := v.api.Flow.Directory().Get(t.ID); ok && !row.Former {
			row.Name = doc.Name
		}
		page.Tenants = append(page.Tenants, row)
	}
	if _, err := v.api.Blobs.Get(send.BlobID(i)); err == nil {
		q := url.Values{}
		if c := r.URL.Query().Get("cap"); c != "" {
			q.Set("cap", c)
		}
		page.Chart = &view.Picture{URL: (&url.URL{Path: "/api/v1/incidents/" + string(i.ID) + "/picture", RawQuery: q.Encode()}).String(), Alt: i.Title + ". " + lead.Reason}
	}
	v.offer(&page, i, p)
	if !p.Any && p.Role != web.Link {
		narrow(&page, i, p)
	}
	return v.entry.Pages.Incident(web.HTML(w, http.StatusOK), page)
}

// narrow leaves of an incident what the viewer's tenants have of it, as the API
// does: words, counts and the picture speak of all of them, and the dashboard's
// link opens the whole.
func narrow(page *view.IncidentPage, i incident.Incident, p web.Principal) {
	all := page.Tenants
	page.Tenants = nil
	for _, t := range all {
		if p.Covers(tenant.ID(t.ID)) {
			t.URL = ""
			page.Tenants = append(page.Tenants, t)
		}
	}
	page.TenantsHidden = len(all) - len(page.Tenants)
	page.Headline, page.Numbers, page.Chart, page.Timeline, page.Why = narrowed(i), view.Numbers{}, nil, nil, nil
	page.Owner, page.OwnerReason, page.Paged, page.PagedReason, page.AcknowledgedBy = "", "", "", "", "Somebody"
	page.Ticket, page.Dashboard, page.Acknowledge, page.Note, page.Resolve, page.Judge = nil, "", nil, nil, nil, nil
	page.VerdictBy, page.VerdictReason = "", ""
}

// tenantDashboard opens the dashboard for one tenant of the incident. A signed
// link covers the whole incident.
func (v *Views) tenantDashboard(r *http.Request, i incident.Incident, t tenant.ID) string {
	for _, a := range i.Alerts {
		if a.Tenant != t {
			continue
		}
		rl, ok := v.api.Rule(a.Rule)
		if !ok {
			continue
		}
		u, err := url.Parse(dashboards.ForRule(rl, a.Environment).Path(t, i.Slice, a.OnsetAt, a.StartsAt))
		if err != nil {
			return ""
		}
		q := u.Query()
		q.Set("incident", string(i.ID))
		q.Set("environment", i.Environment)
		if c := r.URL.Query().Get("cap"); c != "" {
			q.Set("cap", c)
		}
		u.RawQuery = q.Encode()
		return u.String()
	}
	return ""
}

func (v *Views) paged(r *http.Request, i incident.Incident) (names, reason string) {
	var list []string
	for _, p := range v.api.Incidents.PagesOf(r.Context(), i) {
		list = append(list, fmt.Sprintf("%s by %s (%s)", p.PersonName, p.Channel, p.State))
		reason = p.Why
	}
	if len(list) == 0 {
		return "", cmp.Or(i.NoPage, i.Unheard())
	}
	return strings.Join(list, ", "), reason
}

func (v *Views) timeline(entries []ledger.Entry) []view.Event {
	out := make([]view.Event, 0, len(entries))
	for _, e := range entries {
		_, what, _ := strings.Cut(e.Kind, ".")
		if strings.HasPrefix(e.Kind, "page.") {
			what = "page " + what
		}
		out = append(out, view.Event{At: e.At, What: view.Sentence(strings.ReplaceAll(what, "_", " "))[:len(what)], Who: v.actorName(e.Actor), Reason: e.Reason})
	}
	return out
}

func (v *Views) actorName(actor string) string {
	if id, ok := strings.CutPrefix(actor, "person:"); ok {
		if p, ok := v.api.Flow.Rules().Catalog.Person(catalog.PersonID(id)); ok {
			return p.Name
		}
		return id
	}
	return strings.TrimPrefix(strings.TrimPrefix(actor, "token:"), "itsm:")
}

func why(i incident.Incident, lead string) []view.Reason {
	out := []view.Reason{{Question: "Why did it fire?", Answer: lead}, {Question: "Why this team?", Answer: i.OwnerReason}}
	if i.NoPage != "" {
		out = append(out, view.Reason{Question: "Why is nobody paged?", Answer: i.NoPage})
	}
	if s := i.Stakes; s != nil && i.NoPage == "" {
		q := "Is it enough to call somebody?"
		if i.Unheard() != "" {
			q = "Why is nobody called?"
		}
		out = append(out, view.Reason{Question: q, Answer: s.Reason})
	}
	for _, h := range i.History {
		if h.Name == "slice" || h.Name == "severity" {
			out = append(out, view.Reason{Question: "Why did its " + h.Name + " change?", Answer: h.Reason})
		}
	}
	return out
}

// offer adds the buttons that the viewer may press.
func (v *Views) offer(page *view.IncidentPage, i incident.Incident, p web.Principal) {
	if p.Session == "" || p.Acts(string(i.Team)) != nil {
		return
	}
	form := func(action string) *view.Form {
		if !v.may(p, http.MethodPost, "/incidents/{id}/"+action) {
			return nil
		}
		return &view.Form{Path: "/incidents/" + string(i.ID) + "/" + action}
	}
	if page.Judge = form("verdict"); i.State == incident.StateResolved {
		return
	}
	if i.State == incident.StateOpen {
		page.Acknowledge = form("acknowledge")
	}
	page.Note, page.Resolve = form("notes"), form("resolve")
}

// act lets a person decide on an incident and shows it again.
func (v *Views) act(do func(tx *partition.Tx, k *response.Desk, id string, by incident.Actor, note string) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
		i, err := v.api.Incidents.One(r.Context(), r.PathValue("id"), p)
		if err != nil {
			return err
		}
		if err := p.Acts(string(i.Team)); err != nil {
			return err
		}
		by, note := v.actor(p), strings.TrimSpace(r.PostFormValue("note"))
		err = v.api.Decide(r.Context(), response.Subject(i.Environment), func(tx *partition.Tx, _ *flow.Handler) error {
			return do(tx, v.api.Flow.Incidents(), string(i.ID), by, note)
		})
		if err != nil {
			return err
		}
		http.Redirect(w, r, "/incidents/"+string(i.ID), http.StatusSeeOther)
		return nil
	}
}

// verdict takes what a person says the incident was.
func (v *Views) verdict(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	i, err := v.api.Incidents.One(r.Context(), r.PathValue("id"), p)
	if err != nil {
		return err
	}
	if err := p.Acts(string(i.Team)); err != nil {
		return err
	}
	if err := v.api.Incidents.Judge(r.Context(), i, v.actor(p), "view", r.PostFormValue("verdict"), r.PostFormValue("reason")); err != nil {
		return err
	}
	http.Redirect(w, r, "/incidents/"+string(i.ID), http.StatusSeeOther)
	return nil
}

func acknowledge(tx *partition.Tx, k *response.Desk, id string, by incident.Actor, _ string) error {
	_, err := k.Acknowledge(tx, id, by, "view")
	return err
}

func note(tx *partition.Tx, k *response.Desk, id string, by incident.Actor, text string) error {
	if text == "" {
		return problem.New(problem.Invalid, "the note is empty").WithHint("go back and write something, or leave")
	}
	return k.Note(tx, id, by, fmt.Sprintf("view-%d", tx.Now().UnixNano()), text)
}

func resolve(tx *partition.Tx, k *response.Desk, id string, by incident.Actor, text string) error {
	return k.Resolve(tx, id, by, "view", text)
}

// actor is who presses, as incidents remember people.
func (v *Views) actor(p web.Principal) incident.Actor {
	if id, ok := strings.CutPrefix(p.Name, "person:"); ok {
		if c, ok := v.api.Flow.Rules().Catalog.Person(catalog.PersonID(id)); ok {
			return incident.Actor{Person: c.ID, Name: c.Name, ITSMUser: c.ITSMUser}
		}
	}
	return incident.Actor{Name: strings.TrimPrefix(p.Name, "token:")}
}
