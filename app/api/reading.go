package api

import (
	"context"
	"net/http"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// What the views read and do as the API does, so that both show and allow the
// same.

// Incidents lists all that the caller may see, the newest first.
func (s *Server) Incidents(ctx context.Context, p web.Principal) ([]incident.Incident, error) {
	return s.incidents(ctx, p)
}

// Incident finds one by id or number; problem.Forbidden and problem.NotFound as
// the API says them.
func (s *Server) Incident(ctx context.Context, id string, p web.Principal) (incident.Incident, error) {
	return s.find(ctx, id, p)
}

// PagesOf reads the pages of an incident, the oldest first; one that cannot be
// read is left out.
func (s *Server) PagesOf(ctx context.Context, i incident.Incident) []oncall.Page {
	var out []oncall.Page
	for _, id := range i.Pages {
		rec, ok, err := s.Store.Record(ctx, store.PartitionOf(flow.IncidentsSubject(i.Environment)), flow.Pages, id)
		if err != nil || !ok {
			continue
		}
		if p, err := decodeRecord[oncall.Page](rec); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// Entries lists the decisions about a subject, the oldest first.
func (s *Server) Entries(ctx context.Context, subject string) ([]ledger.Entry, error) {
	return s.entries(ctx, subject)
}

// Decide runs f in the owner of a subject's partition.
func (s *Server) Decide(ctx context.Context, subject string, f func(tx *partition.Tx, h *flow.Handler) error) error {
	return s.decide(ctx, subject, f)
}

// Rule finds a rule of the policy in force.
func (s *Server) Rule(name string) (rule.Rule, bool) { return s.rule(name) }

// Frame is what every page carries for a viewer.
func (s *Server) Frame(p web.Principal) view.Frame { return s.frame(p) }

// TeamName is what people call a team.
func (s *Server) TeamName(id catalog.TeamID) string {
	if t, ok := s.Flow.Rules().Catalog.Team(id); ok && t.Name != "" {
		return t.Name
	}
	return string(id)
}

// HTML starts an answer that is a page.
func HTML(w http.ResponseWriter, status int) http.ResponseWriter { return html(w, status) }

// Sentence makes one of a message: a capital letter and a full stop.
func Sentence(s string) string { return sentence(s) }

// TicketOf is an incident's ticket as pages show it; nil: there is none.
func TicketOf(i incident.Incident) *view.Ticket { return ticketOf(i) }

// WritePNG answers with a picture.
func WritePNG(w http.ResponseWriter, png []byte) error { return writePNG(w, png) }
