package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func (s *story) alerts(ctx context.Context) ([]alertDoc, error) {
	return all[alertDoc](ctx, s.api, "/api/v1/alerts", nil)
}

// alert waits for the first alert and checks that it is about what broke.
func (s *story) alert(ctx context.Context) error {
	var first alertDoc
	err := s.until(ctx, s.brokenAt.Add(s.AlertWithin), "an alert", func() error {
		alerts, err := s.alerts(ctx)
		if err != nil {
			return err
		}
		for _, a := range alerts {
			if a.State == "firing" {
				first = a
				return nil
			}
		}
		return errNotYet
	})
	if err != nil {
		return err
	}
	if first.Reason == "" || first.Tenant == "" || first.Rule == "" {
		return errors.New("the alert does not say of whom, by which rule and why")
	}
	if first.OnsetAt.Before(s.brokenAt.Add(-judgedStep)) {
		return fmt.Errorf("the alert says that it began at %s, but %s broke at %s", clock(first.OnsetAt), acquirer, clock(s.brokenAt))
	}
	s.print.step(StepAlert, "%s (%s) for %s, %s", first.Rule, first.Severity, s.who(first.Tenant), slice(first.Slice))
	s.print.more("why", first.Reason)
	s.print.more("delay", fmt.Sprintf("%.0f s after the acquirer broke", first.StartsAt.Sub(s.brokenAt).Seconds()))
	return nil
}

func (s *story) who(tenant string) string {
	if strings.HasPrefix(tenant, "_") {
		return "all tenants together"
	}
	return s.world.name(tenant)
}

// oneIncident gives the only one there is; a second one is an error.
func (s *story) oneIncident(ctx context.Context) (incidentDoc, error) {
	list, err := all[incidentDoc](ctx, s.api, "/api/v1/incidents", nil)
	switch {
	case err != nil:
		return incidentDoc{}, err
	case len(list) == 0:
		return incidentDoc{}, errNotYet
	case len(list) > 1:
		titles := make([]string, len(list))
		for i, in := range list {
			titles[i] = fmt.Sprintf("%d %q", in.Number, in.Title)
		}
		return incidentDoc{}, fmt.Errorf("one fault made %d incidents: %s", len(list), strings.Join(titles, ", "))
	}
	return s.read(ctx, list[0].ID)
}

func (s *story) read(ctx context.Context, id string) (incidentDoc, error) {
	var out incidentDoc
	err := s.api.do(ctx, http.MethodGet, "/api/v1/incidents/"+id, nil, http.StatusOK, &out)
	return out, err
}

func (s *story) incidentOpened(ctx context.Context) error {
	err := s.until(ctx, s.soon(), "the incident", func() (err error) {
		s.incident, err = s.oneIncident(ctx)
		return err
	})
	if err != nil {
		return err
	}
	in := s.incident
	if in.Number < 1 || in.Title == "" || in.State != "open" {
		return fmt.Errorf("the incident is not open with a number and a title: number %d, title %q, state %q", in.Number, in.Title, in.State)
	}
	s.print.step(StepIncident, "number %d: %s", in.Number, in.Title)
	s.print.more("owner", in.OwnerReason)
	return nil
}

func (s *story) ticketWritten(ctx context.Context) error {
	err := s.until(ctx, s.soon(), "the ticket's number", func() (err error) {
		s.incident, err = s.read(ctx, s.incident.ID)
		if err == nil && s.incident.Ticket.Ref.Number == "" {
			err = errNotYet
		}
		return err
	})
	if err != nil {
		if s.incident.Ticket.Error != "" {
			err = fmt.Errorf("%w: %s", err, s.incident.Ticket.Error)
		}
		return err
	}
	ref := s.incident.Ticket.Ref
	if _, err := url.ParseRequestURI(ref.URL); err != nil {
		return fmt.Errorf("ticket %s has no link", ref.Number)
	}
	s.print.step(StepTicket, "%s", ref.Number)
	s.print.more("link", ref.URL)
	return nil
}

func (s *story) ticket(ctx context.Context) (ticketDoc, error) {
	var out ticketDoc
	err := s.api.do(ctx, http.MethodGet, "/api/v1/tickets/"+url.PathEscape(s.incident.Ticket.Ref.Number), nil, http.StatusOK, &out)
	return out, err
}

// dashboard opens the link as anybody with it could, saves the picture, and
// finds both on the ticket.
func (s *story) dashboard(ctx context.Context) error {
	var picture []byte
	err := s.until(ctx, s.soon(), "the dashboard's picture on the ticket", func() error {
		ticket, err := s.ticket(ctx)
		if err != nil {
			return err
		}
		for _, n := range ticket.Notes {
			if n.Attachment != nil && n.Attachment.ContentType == "image/png" && ticket.Dashboard != "" {
				return nil
			}
		}
		return errNotYet
	})
	if err != nil {
		return err
	}
	if s.incident, err = s.read(ctx, s.incident.ID); err != nil {
		return err
	}
	if picture, _, err = s.api.raw(ctx, http.MethodGet, "/api/v1/incidents/"+s.incident.ID+"/picture", nil, http.StatusOK); err != nil {
		return err
	}
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return fmt.Errorf("the incident's picture is no PNG: %w", err)
	}
	if _, _, err := s.open(ctx, s.incident.Dashboard.URL); err != nil {
		return fmt.Errorf("the dashboard's link: %w", err)
	}
	file := filepath.Join(s.PictureDir, fmt.Sprintf("tocsin-incident-%d.png", s.incident.Number))
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		return err
	}
	s.print.step(StepDashboard, "attached to the ticket, at the time it fired")
	s.print.more("link", s.incident.Dashboard.URL)
	s.print.more("picture", fmt.Sprintf("%s (%d x %d)", file, img.Bounds().Dx(), img.Bounds().Dy()))
	return nil
}

func (s *story) pages(ctx context.Context) ([]pageDoc, error) {
	return all[pageDoc](ctx, s.api, "/api/v1/pages", url.Values{"incident": {s.incident.ID}})
}

// paged waits for the one page and checks that it came in time.
func (s *story) paged(ctx context.Context) error {
	err := s.until(ctx, s.Started.Add(s.PageWithin), fmt.Sprintf("the first page within %.0f s of the start", s.PageWithin.Seconds()), func() error {
		pages, err := s.pages(ctx)
		if err != nil {
			return err
		}
		if len(pages) > 1 {
			return fmt.Errorf("one fault called %d times", len(pages))
		}
		if len(pages) == 0 || pages[0].SentAt == nil {
			return errNotYet
		}
		s.page = pages[0]
		return nil
	})
	if err != nil {
		return err
	}
	p := s.page
	after := p.SentAt.Sub(s.Started)
	if after > s.PageWithin {
		return fmt.Errorf("the first page was sent %.0f s after the start", after.Seconds())
	}
	if p.State != "sent" || p.Person == "" || p.AckURL == "" {
		return fmt.Errorf("the page is %q, for person %q, with an acknowledging link: %t", p.State, p.Person, p.AckURL != "")
	}
	by := p.Channel
	if p.To != "" {
		by += " to " + p.To
	}
	s.print.step(StepPage, "%s called by %s, %.0f s after the daemon's start", or(p.PersonName, p.Person), by, after.Seconds())
	s.print.more("why", p.Why)
	return nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// acknowledge does what the person called would: open the link, press the button.
func (s *story) acknowledge(ctx context.Context) error {
	html, at, err := s.open(ctx, s.page.AckURL)
	if err != nil {
		return fmt.Errorf("the page's link: %w", err)
	}
	if in, err := s.read(ctx, s.incident.ID); err != nil {
		return err
	} else if in.State != "open" {
		return fmt.Errorf("only opening the page's link made the incident %q", in.State)
	}
	f, err := findForm(html, at)
	if err != nil {
		return err
	}
	if _, _, err := s.fetch(ctx, http.MethodPost, f.action, f.fields); err != nil {
		return fmt.Errorf("the button: %w", err)
	}
	err = s.until(ctx, s.soon(), "the incident to be acknowledged", func() (err error) {
		s.incident, err = s.read(ctx, s.incident.ID)
		if err == nil && s.incident.State == "open" {
			err = errNotYet
		}
		return err
	})
	if err != nil {
		return err
	}
	by := s.incident.AcknowledgedBy
	if s.incident.State != "acknowledged" || by.Person != s.page.Person {
		return fmt.Errorf("the incident is %q by %q, but %q pressed the button", s.incident.State, by.Person, s.page.Person)
	}
	s.print.step(StepAcknowledge, "%s has it (opening the link changed nothing, the button did)", or(by.Name, by.Person))
	return nil
}

// resolved waits until alerts, incident and ticket are closed, and checks that
// nothing else had happened: one incident, one page, the tenants that were hit.
func (s *story) resolved(ctx context.Context) error {
	var alerts []alertDoc
	if err := s.until(ctx, s.end(), "the alerts to resolve", func() (err error) {
		if alerts, err = s.alerts(ctx); err == nil && slices.ContainsFunc(alerts, func(a alertDoc) bool { return a.State != "resolved" }) {
			err = errNotYet
		}
		return err
	}); err != nil {
		return err
	}
	s.print.step(StepResolve, "%d alerts are over", len(alerts))
	if err := s.until(ctx, s.end(), "the incident to be resolved", func() (err error) {
		if s.incident, err = s.oneIncident(ctx); err == nil && s.incident.State != "resolved" {
			err = errNotYet
		}
		return err
	}); err != nil {
		return err
	}
	if err := s.until(ctx, s.end(), "the ticket to be resolved", func() error {
		t, err := s.ticket(ctx)
		if err == nil && t.State != "resolved" {
			err = errNotYet
		}
		return err
	}); err != nil {
		return err
	}
	pages, err := s.pages(ctx)
	if err != nil {
		return err
	}
	if len(pages) != 1 {
		return fmt.Errorf("%d pages at the end instead of one", len(pages))
	}
	if err := s.explained(alerts); err != nil {
		return err
	}
	if err := s.stillQuiet(ctx); err != nil {
		return err
	}
	if took := time.Since(s.Started); took > s.StoryWithin {
		return fmt.Errorf("the story took %.0f s", took.Seconds())
	}
	s.print.more("incident", fmt.Sprintf("%d is resolved: %s", s.incident.Number, s.incident.ResolutionReason))
	s.print.more("ticket", s.incident.Ticket.Ref.Number+" is resolved; one incident, one ticket, one page")
	return nil
}

// explained holds every alert against the truth: it belongs to the incident,
// and its tenant uses the acquirer that broke.
func (s *story) explained(alerts []alertDoc) error {
	touched := s.world.touched()
	for _, a := range alerts {
		if a.Incident != s.incident.ID {
			return fmt.Errorf("the alert of %s, %s belongs to no incident of this fault: %s", s.who(a.Tenant), slice(a.Slice), a.Reason)
		}
		if !strings.HasPrefix(a.Tenant, "_") && !slices.Contains(touched, a.Tenant) {
			return fmt.Errorf("an alert of %s, which does not use %s: %s", s.who(a.Tenant), acquirer, a.Reason)
		}
	}
	return nil
}
