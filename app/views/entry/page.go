package entry

import (
	"crypto/hmac"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/links"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// bound opens a page's link: who it was for, and the incident.
func (s *Entry) bound(r *http.Request) (oncall.Page, incident.Incident, error) {
	subject, err := s.Signer.Open(links.PagePurpose, r.PathValue("token"), s.Now())
	if err != nil {
		return oncall.Page{}, incident.Incident{}, err
	}
	at := strings.LastIndexByte(subject, '/') // an environment may hold one, a page's id does not
	env, id := subject[:max(at, 0)], subject[at+1:]
	rec, ok, err := s.Store.Record(r.Context(), store.PartitionOf(response.Subject(env)), response.Pages, id)
	if err != nil {
		return oncall.Page{}, incident.Incident{}, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	if !ok {
		return oncall.Page{}, incident.Incident{}, problem.New(problem.NotFound, "there is no such page")
	}
	p, err := partition.Decode[oncall.Page](rec)
	if err != nil || p.Place.Drill != "" {
		return p, incident.Incident{Environment: env}, err
	}
	i, err := s.Incidents.One(r.Context(), p.Incident, web.Principal{Any: true})
	return p, i, err
}

// ackView is what the link of a page opens. Opening it changes nothing.
func (s *Entry) ackView(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	p, i, err := s.bound(r)
	if err != nil {
		return err
	}
	return s.writeAck(w, r, p, i)
}

func (s *Entry) writeAck(w http.ResponseWriter, r *http.Request, p oncall.Page, i incident.Incident) error {
	if p.Place.Drill != "" {
		return s.writeDrill(w, r, p, i.Environment)
	}
	lead, _ := send.Lead(i)
	n, k, usual, share, _ := i.Counts()
	f := s.Frame(web.Principal{})
	f.CSRF = s.Signer.FormToken(r.PathValue("token"))
	if zone, err := time.LoadLocation(p.TimeZone); err == nil {
		f.Zone = zone
	}
	page := view.AckPage{Frame: f, Person: p.PersonName, Number: strconv.Itoa(i.Number), Headline: i.Title, Severity: string(i.Severity), State: view.State(i.State),
		OnsetAt: i.OnsetAt, FiredAt: lead.StartsAt, Numbers: view.Numbers{What: i.Measure(), N: n, K: k, Usual: usual, Share: share, ShareOf: "the volume of " + i.Things()},
		Links: []view.Link{{Name: "Incident", URL: s.Links.Incident(string(i.ID))}, {Name: "Dashboard", URL: s.Links.Dashboard(i)}}}
	if t := TicketOf(i); t != nil {
		page.Links = append(page.Links, view.Link{Name: "Ticket " + t.Number, URL: t.URL})
	}
	if i.RunbookURL != "" {
		page.Links = append(page.Links, view.Link{Name: "Runbook", URL: i.RunbookURL})
	}
	if _, err := s.Blobs.Get(send.BlobID(i)); err == nil {
		c := url.Values{"cap": {s.Links.Cap(string(i.ID))}}
		page.Chart = &view.Picture{URL: "/api/v1/incidents/" + string(i.ID) + "/picture?" + c.Encode(), Alt: i.Title + ". " + lead.Reason}
	}
	switch {
	case i.State == incident.StateResolved && i.ResolvedAt != nil:
		page.ResolvedAt = *i.ResolvedAt
	case i.AcknowledgedAt != nil:
		page.TakenBy, page.TakenAt = i.AcknowledgedBy.String(), *i.AcknowledgedAt
		page.ByPerson = i.AcknowledgedBy.Person == p.Person
	default:
		page.Take = &view.Form{Path: r.URL.Path}
	}
	return s.Pages.Ack(web.HTML(w, http.StatusOK), page)
}

// ackPress is the button.
func (s *Entry) ackPress(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	p, i, err := s.bound(r)
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(r.FormValue("csrf")), []byte(s.Signer.FormToken(r.PathValue("token")))) {
		return problem.New(problem.Forbidden, "this is not the button of the page").WithHint("open the link and press the button")
	}
	err = s.Decide(r.Context(), response.Subject(i.Environment), func(tx *partition.Tx, _ *flow.Handler) error {
		_, err := s.Flow.Incidents().AcknowledgePage(tx, string(p.ID))
		return err
	})
	if err != nil {
		return err
	}
	if p, i, err = s.bound(r); err != nil {
		return err
	}
	return s.writeAck(w, r, p, i)
}

// writeDrill is what the link of a drill's page opens.
func (s *Entry) writeDrill(w http.ResponseWriter, r *http.Request, p oncall.Page, environment string) error {
	d, err := s.Duty.Drill(r.Context(), environment, p.Place.Drill)
	if err != nil {
		return err
	}
	f := s.Frame(web.Principal{})
	f.CSRF = s.Signer.FormToken(r.PathValue("token"))
	if zone, err := time.LoadLocation(p.TimeZone); err == nil {
		f.Zone = zone
	}
	page := view.AckPage{Frame: f, Drill: true, Person: p.PersonName, Number: "Drill", Headline: "A drill for team " + string(p.Team) + ": nothing is broken", State: view.Open}
	switch {
	case p.AcknowledgedAt != nil:
		page.State, page.TakenBy, page.TakenAt, page.ByPerson = view.Acknowledged, p.AcknowledgedBy, *p.AcknowledgedAt, p.By == p.Person
	case d.FinishedAt != nil:
		page.State, page.ResolvedAt = view.Resolved, *d.FinishedAt
	default:
		page.Take = &view.Form{Path: r.URL.Path}
	}
	return s.Pages.Ack(web.HTML(w, http.StatusOK), page)
}
