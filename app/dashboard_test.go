package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A rule's page leads on to the dashboard that its team has besides.
func TestARulesPageLeadsToTheTeamsOwnDashboard(t *testing.T) {
	r, write := reloadRig(t)
	page := func() string {
		return r.do(t, call{Method: http.MethodGet, Path: "/dashboards/payment_errors", Token: r.admin, Header: map[string]string{"Accept": "text/html"}}).Body
	}
	require.Contains(t, page(), `<a href="https://grafana.example.com/d/service">`)
	write("catalog.yaml", strings.Replace(reloadCatalog, ", dashboard: 'https://grafana.example.com/d/service'", "", 1))
	r.reload(t, http.StatusOK)
	require.NotContains(t, page(), "own dashboard")
	write("policy.yaml", strings.Replace(reloadPolicy, "runbook_url: https://r", "runbook_url: r, dashboard_url: 'https://grafana.example.com/d/rule'", 1))
	r.reload(t, http.StatusOK)
	require.Contains(t, page(), `<a href="https://grafana.example.com/d/rule">`)
}
