package views

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// sources shows who covers every tenant what sends; a sender carries many
// tenants, and its name and volume are not one tenant's business.
func (v *Views) sources(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	page := view.SourcesPage{Frame: v.frame(r, p)}
	if p.Any {
		l, err := v.look(r.Context())
		if err != nil {
			return err
		}
		page.Rows = sourceRows(l)
	}
	unknown := v.api.Door.Unknown()
	slices.SortFunc(unknown, func(a, b samples.UnknownTenant) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.ID, b.ID))
	})
	for _, u := range unknown {
		if !v.api.Flow.Directory().Known(u.ID) && p.Covers(u.ID) {
			page.Unknown = append(page.Unknown, view.UnknownRow{ID: string(u.ID), FirstAt: u.FirstSeen, LastAt: u.LastSeen, Series: float64(u.Series), Samples: float64(u.Samples)})
		}
	}
	return v.entry.Pages.Sources(web.HTML(w, http.StatusOK), page)
}

// sourceRows lists senders, those that fell silent first.
func sourceRows(l look) []view.SourceRow {
	out := make([]view.SourceRow, 0, len(l.sources))
	for _, x := range l.sources {
		row := view.SourceRow{Name: x.Name, Environment: x.Environment, Tone: view.Fine, LastAt: x.LastReceivedAt, PerSecond: x.SamplesPerSecond, Series: x.Series, Tenants: x.Tenants,
			Late: float64(x.Late), Refused: float64(x.Refused), Service: x.Service}
		if x.DeadSince != nil {
			row.Tone, row.PerSecond = view.Blind, 0
			row.Say = "Silent since " + x.DeadSince.UTC().Format("2 Jan 15:04") + " UTC: what it carries is not seen. " + view.Sentence(cmp.Or(x.OwnerReason, "nobody is named for it")) + incidentOf(l, x)
		}
		out = append(out, row)
	}
	slices.SortStableFunc(out, func(a, b view.SourceRow) int {
		return cmp.Or(worse(a.Tone, b.Tone), cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// incidentOf names the open incident of a silent source.
func incidentOf(l look, x sources.Status) string {
	for _, i := range l.open {
		if i.Environment == x.Environment && i.Slice.Map()["source"] == x.Name {
			return fmt.Sprintf(" Incident %d is open for it.", i.Number)
		}
	}
	return ""
}
