package health

import (
	"net/http"

	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/web"
)

// sources lists the senders of samples.
func (s *API) sources(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	list, err := s.Flow.Sources(r.Context(), s.Now())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, web.Cut(list, func(x sources.Status) string { return x.Environment + "/" + x.Name }, l))
}
