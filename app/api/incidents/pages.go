package incidents

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/web"
)

// PagesOf reads the pages of an incident, the oldest first; one that cannot be
// read is left out.
func (s *API) PagesOf(ctx context.Context, i incident.Incident) []oncall.Page {
	var out []oncall.Page
	for _, id := range i.Pages {
		rec, ok, err := s.Store.Record(ctx, store.PartitionOf(response.Subject(i.Environment)), response.Pages, id)
		if err != nil || !ok {
			continue
		}
		if p, err := partition.Decode[oncall.Page](rec); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// PageAnswer is a page; the link that acknowledges is for administrators only,
// who could acknowledge anyway.
type PageAnswer struct {
	oncall.Page
	AckURL string `json:"ack_url,omitempty"`
}

func (s *API) listPages(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	of := r.URL.Query().Get("incident")
	var out []PageAnswer
	for _, env := range s.Environments() {
		list, err := partition.AllOf[oncall.Page](r.Context(), s.Store, response.Subject(env), response.Pages)
		if err != nil {
			return err
		}
		for _, p := range list {
			if p.Environment == env && (of == "" || of == p.Incident) {
				out = append(out, PageAnswer{Page: p, AckURL: s.Links.Acknowledge(p)})
			}
		}
	}
	slices.SortFunc(out, func(a, b PageAnswer) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return web.WriteJSON(w, http.StatusOK, web.Cut(out, func(p PageAnswer) string { return string(p.ID) }, l))
}
