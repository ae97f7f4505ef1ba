package api

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheDocumentNamesEveryRoute(t *testing.T) {
	routes := (&Server{}).documents()
	raw, err := Document(routes)
	require.NoError(t, err)
	var doc struct {
		OpenAPI string                               `json:"openapi"`
		Paths   map[string]map[string]map[string]any `json:"paths"`
		Parts   struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	require.NoError(t, json.Unmarshal(raw, &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	for _, r := range routes {
		op := doc.Paths[r.Path][strings.ToLower(r.Method)]
		require.NotEmpty(t, op["summary"], "%s %s", r.Method, r.Path)
		require.NotEmpty(t, op["responses"], "%s %s", r.Method, r.Path)
	}
	for _, name := range []string{"ListRegisterEntry", "ListLedgerEntry", "TenantRequest", "IncidentAnswer"} {
		require.Contains(t, doc.Parts.Schemas, name)
	}
}
