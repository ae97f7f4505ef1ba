package views

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/tocsin-alerting/tocsin/app/api"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

func (v *Views) sources(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	page := view.SourcesPage{Frame: v.frame(r, p)}
	unknown := v.api.Door.Unknown()
	slices.SortFunc(unknown, func(a, b samples.UnknownTenant) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.ID, b.ID))
	})
	for _, u := range unknown {
		if !v.api.Flow.Directory().Known(u.ID) && p.Covers(u.ID) {
			page.Unknown = append(page.Unknown, view.UnknownRow{ID: string(u.ID), FirstAt: u.FirstSeen, LastAt: u.LastSeen, Series: float64(u.Series), Samples: float64(u.Samples)})
		}
	}
	return v.api.Views.Sources(api.HTML(w, http.StatusOK), page)
}
