package tenants

import (
	"net/http"
	"strings"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/hops"
	"github.com/tocsin-alerting/tocsin/web"
)

// traces finds traces of a tenant that are worth looking at, by environment,
// service, slice (label=value, several joined by commas) and since.
func (s *API) traces(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	v := r.URL.Query()
	q := hops.Question{Tenant: tenant.ID(r.PathValue("id")), Environment: v.Get("environment"), Service: v.Get("service")}
	if _, ok := s.Flow.Directory().Get(q.Tenant); !ok {
		return problem.New(problem.NotFound, "there is no such tenant")
	}
	for _, part := range strings.FieldsFunc(v.Get("slice"), func(c rune) bool { return c == ',' }) {
		label, value, ok := strings.Cut(part, "=")
		if !ok || label == "" {
			return problem.New(problem.Malformed, "slice is not label=value").WithHint("for example slice=acquirer=alpha")
		}
		q.Slice = append(q.Slice, sli.Dim{Label: label, Value: value})
	}
	var err error
	if q.Since, err = web.ParseTime(v.Get("since"), "since"); err != nil {
		return err
	}
	if at := s.Flow.Since(r.Context(), q.Tenant); !p.Any && at.After(q.Since) {
		q.Since = at
	}
	return web.WriteJSON(w, http.StatusOK, s.Flow.Traces(q))
}
