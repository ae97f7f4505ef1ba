package api

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/promapi"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// queries is Prometheus' query API, as Grafana's data source and promtool call it.
func (s *Server) queries() []web.Route {
	const base = "/prometheus/api/v1/"
	form := []string{http.MethodGet, http.MethodPost}
	get := form[:1]
	to := promapi.API{Now: s.Now, Logger: s.Logger, Version: s.Version}
	var out []web.Route
	for _, e := range []struct {
		path, summary string
		methods       []string
		answer        promapi.Handler
	}{
		{"query", "PromQL at an instant", form, to.Instant},
		{"query_range", "PromQL over a range", form, to.Range},
		{"query_exemplars", "Exemplars: what leads from a chart to traces", form, to.Exemplars},
		{"series", "Series that exist", form, to.Series},
		{"labels", "Names of labels", form, to.Labels},
		{"label/{name}/values", "Values of a label", get, to.LabelValues},
		{"metadata", "What senders say of their metrics", get, to.Describe},
		{"status/buildinfo", "Whose query language is spoken", get, to.BuildInfo},
	} {
		for _, m := range e.methods {
			out = append(out, web.Route{Method: m, Path: base + e.path, Summary: e.summary, Kind: web.Raw, Roles: web.Readers, Fail: promapi.Fail, Handle: s.query(e.answer)})
		}
	}
	return out
}

func (s *Server) query(answer promapi.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
		fence, err := fenceOf(r.Header.Get("X-Scope-OrgID"), p)
		if err != nil {
			return err
		}
		q := s.Query()
		if q == nil {
			return problem.New(problem.Unavailable, "the history is still opening").WithRetryAfter(5 * time.Second)
		}
		if !p.Any {
			fence.Since = s.Since(r.Context(), fence.Tenants)
		}
		answer(q, w, r, fence)
		return nil
	}
}

// fenceOf is what a credential may query: with X-Scope-OrgID those tenants only,
// several joined by |.
func fenceOf(org string, p web.Principal) (query.Fence, error) {
	if org == "" {
		return query.Fence{Any: p.Any, Tenants: p.Tenants}, nil
	}
	var f query.Fence
	for _, name := range strings.Split(org, "|") {
		id := tenant.ID(name)
		if id != tenant.Product {
			if _, err := tenant.ParseID(name); err != nil {
				return query.Fence{}, problem.Wrap(err, problem.Malformed, "X-Scope-OrgID does not name tenants").WithHint("one id, or several joined by |")
			}
		}
		if !p.Covers(id) {
			return query.Fence{}, problem.New(problem.Forbidden, "the credential does not cover a tenant in X-Scope-OrgID")
		}
		if !slices.Contains(f.Tenants, id) {
			f.Tenants = append(f.Tenants, id)
		}
	}
	return f, nil
}
