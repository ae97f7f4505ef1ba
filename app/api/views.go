package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

const sessionAge = 12 * time.Hour

func (s *Server) frame(p web.Principal) view.Frame {
	f := view.Frame{Environment: s.Environments()[0], Now: s.Now(), Zone: time.UTC, Anonymous: p.Role == web.Link || p.Name == ""}
	if p.Role != web.Link {
		f.Viewer = strings.TrimPrefix(p.Name, "token:")
	}
	if p.Session != "" {
		f.CSRF = s.Signer.FormToken(p.Session)
	}
	return f
}

// html starts an answer that is a page.
func html(w http.ResponseWriter, status int) http.ResponseWriter {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return w
}

// FailView prints an error of a view: to the sign-in, or as a page that says
// what to do.
func (s *Server) FailView(w http.ResponseWriter, r *http.Request, e *problem.Error) {
	if e.Kind == problem.Unauthenticated && r.Method == http.MethodGet {
		http.Redirect(w, r, "/login?"+url.Values{"next": {withoutCap(r.URL)}}.Encode(), http.StatusSeeOther)
		return
	}
	title := http.StatusText(e.Kind.Status())
	_ = s.Views.Message(html(w, e.Kind.Status()), view.MessagePage{Frame: s.frame(web.Principal{}), Status: e.Kind.Status(), Title: title,
		Text: sentence(e.Message), Hint: sentence(e.Hint), Links: []view.Link{{Name: "Sign in", URL: "/login"}}})
}

func withoutCap(u *url.URL) string {
	q := u.Query()
	q.Del("cap")
	return (&url.URL{Path: u.Path, RawQuery: q.Encode()}).String()
}

func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func (s *Server) start(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	http.Redirect(w, r, "/incidents", http.StatusSeeOther)
	return nil
}

func (s *Server) loginView(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	return s.Views.Login(html(w, http.StatusOK), view.LoginPage{Frame: s.frame(web.Principal{}), Path: "/login", Next: localPath(r.URL.Query().Get("next"))})
}

// localPath keeps a path of our own; anything else becomes the start page.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, "\\") {
		return "/"
	}
	return next
}

func (s *Server) login(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	next := localPath(r.FormValue("next"))
	p, err := s.Access.Token(r.Context(), strings.TrimSpace(r.FormValue("token")))
	if err == nil && p.Role != web.Admin {
		err = problem.New(problem.Forbidden, "a token of this role cannot sign in here")
	}
	if err != nil {
		return s.Views.Login(html(w, http.StatusUnauthorized), view.LoginPage{Frame: s.frame(web.Principal{}), Path: "/login", Next: next, Error: sentence(problem.From(err).Message)})
	}
	until := s.Now().Add(sessionAge)
	http.SetCookie(w, &http.Cookie{Name: web.SessionCookie, Value: s.Signer.Sign("session", p.TokenID, until), Path: "/", Expires: until,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.Links.Base.Scheme == "https"})
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	http.SetCookie(w, &http.Cookie{Name: web.SessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

func (s *Server) incidentsView(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	list, err := s.incidents(r.Context(), p)
	if err != nil {
		return err
	}
	everything := r.URL.Query().Get("all") != ""
	page := view.IncidentsPage{Frame: s.frame(p), OpenOnly: !everything, Other: "/incidents?all=1"}
	if everything {
		page.Other = "/incidents"
	}
	for _, i := range list {
		if !everything && i.State == incident.StateResolved {
			continue
		}
		if len(page.Rows) == 200 {
			break
		}
		row := view.IncidentRow{Number: strconv.Itoa(i.Number), URL: "/incidents/" + string(i.ID), Headline: i.Title, State: view.State(i.State), Severity: string(i.Severity),
			Service: i.Service, Owner: string(i.Team), Since: i.OnsetAt, Tenants: len(i.Tenants), Ticket: ticketOf(i)}
		if i.AcknowledgedAt != nil {
			row.AcknowledgedBy = i.AcknowledgedBy.String()
		}
		if i.ResolvedAt != nil {
			row.ResolvedAt = *i.ResolvedAt
		}
		page.Rows = append(page.Rows, row)
	}
	return s.Views.Incidents(html(w, http.StatusOK), page)
}

func ticketOf(i incident.Incident) *view.Ticket {
	if i.Mirror.Ref.ID == "" {
		return nil
	}
	return &view.Ticket{System: i.Mirror.System, Number: i.Mirror.Ref.Number, URL: i.Mirror.Ref.URL, State: string(i.Mirror.Observed)}
}

func dims(s sli.Slice) []view.Dim {
	out := make([]view.Dim, 0, len(s))
	for _, d := range s {
		out = append(out, view.Dim{Label: d.Label, Value: d.Value})
	}
	return out
}

func (s *Server) incidentView(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	i, err := s.find(r.Context(), r.PathValue("id"), p)
	if err != nil {
		return err
	}
	entries, err := s.entries(r.Context(), i.ID.Subject())
	if err != nil {
		return err
	}
	lead, _ := send.Lead(i)
	n, k, usual, share, _ := i.Counts()
	page := view.IncidentPage{Frame: s.frame(p), Number: strconv.Itoa(i.Number), Headline: i.Title, State: view.State(i.State), Severity: string(i.Severity),
		Service: i.Service, Owner: s.teamName(i.Team), OwnerReason: i.OwnerReason, Slice: dims(i.Slice), OnsetAt: i.OnsetAt, FiredAt: lead.StartsAt,
		Numbers: view.Numbers{N: n, K: k, Usual: usual, Score: lead.Evidence.Score, Needed: lead.Evidence.Needed, Share: share, ShareOf: "the volume of " + i.Service, PerMinute: lead.Evidence.RatePerMinute},
		Ticket:  ticketOf(i), Runbook: i.RunbookURL, Dashboard: s.Links.Dashboard(i), Timeline: s.timeline(entries), Why: why(i, lead.Reason)}
	if i.ResolvedAt != nil {
		page.ResolvedAt = *i.ResolvedAt
	}
	if i.AcknowledgedAt != nil {
		page.Acknowledged, page.AcknowledgedBy = *i.AcknowledgedAt, i.AcknowledgedBy.String()
	}
	page.Paged, page.PagedReason = s.paged(r, i)
	for _, t := range i.Tenants {
		doc, _ := s.Flow.Directory().Get(t.ID)
		page.Tenants = append(page.Tenants, view.TenantRow{ID: string(t.ID), Name: doc.Name, N: t.N, K: t.K, Over: !t.Firing, URL: s.tenantDashboard(r, i, t.ID)})
	}
	if _, err := s.Blobs.Get(send.BlobID(i)); err == nil {
		q := url.Values{}
		if c := r.URL.Query().Get("cap"); c != "" {
			q.Set("cap", c)
		}
		page.Chart = &view.Picture{URL: (&url.URL{Path: "/api/v1/incidents/" + string(i.ID) + "/picture", RawQuery: q.Encode()}).String(), Alt: i.Title + ". " + lead.Reason}
	}
	if p.Role == web.Admin && i.State == incident.StateOpen && p.Session != "" {
		page.Acknowledge = &view.Form{Path: "/incidents/" + string(i.ID) + "/acknowledge"}
	}
	return s.Views.Incident(html(w, http.StatusOK), page)
}

// tenantDashboard opens the dashboard for one tenant of the incident. A signed
// link covers the whole incident.
func (s *Server) tenantDashboard(r *http.Request, i incident.Incident, t tenant.ID) string {
	for _, a := range i.Alerts {
		if a.Tenant != t {
			continue
		}
		rl, ok := s.rule(a.Rule)
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

func (s *Server) teamName(id catalog.TeamID) string {
	if t, ok := s.Flow.Rules().Catalog.Team(id); ok && t.Name != "" {
		return t.Name
	}
	return string(id)
}

func (s *Server) paged(r *http.Request, i incident.Incident) (names, reason string) {
	var list []string
	for _, id := range i.Pages {
		rec, ok, err := s.Store.Record(r.Context(), store.PartitionOf(flow.IncidentsSubject(i.Environment)), flow.Pages, id)
		if err != nil || !ok {
			continue
		}
		if p, err := decodeRecord[oncall.Page](rec); err == nil {
			list = append(list, fmt.Sprintf("%s by %s (%s)", p.PersonName, p.Channel, p.State))
			reason = p.Why
		}
	}
	if len(list) == 0 {
		return "", i.NoPage
	}
	return strings.Join(list, ", "), reason
}

func (s *Server) timeline(entries []ledger.Entry) []view.Event {
	out := make([]view.Event, 0, len(entries))
	for _, e := range entries {
		_, what, _ := strings.Cut(e.Kind, ".")
		if strings.HasPrefix(e.Kind, "page.") {
			what = "page " + what
		}
		out = append(out, view.Event{At: e.At, What: sentence(strings.ReplaceAll(what, "_", " "))[:len(what)], Who: s.actorName(e.Actor), Reason: e.Reason})
	}
	return out
}

func (s *Server) actorName(actor string) string {
	if id, ok := strings.CutPrefix(actor, "person:"); ok {
		if p, ok := s.Flow.Rules().Catalog.Person(catalog.PersonID(id)); ok {
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
	for _, h := range i.History {
		if h.Name == "slice" || h.Name == "severity" {
			out = append(out, view.Reason{Question: "Why did its " + h.Name + " change?", Answer: h.Reason})
		}
	}
	return out
}

func (s *Server) acknowledgeView(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	i, err := s.find(r.Context(), r.PathValue("id"), p)
	if err != nil {
		return err
	}
	err = s.decide(r.Context(), flow.IncidentsSubject(i.Environment), func(tx *partition.Tx, h *flow.Handler) error {
		_, err := h.Acknowledge(tx, string(i.ID), incident.Actor{Name: strings.TrimPrefix(p.Name, "token:")}, "view")
		return err
	})
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/incidents/"+string(i.ID), http.StatusSeeOther)
	return nil
}
