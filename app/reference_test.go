package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type apiSchema struct {
	Ref         string `json:"$ref"`
	Type        any
	Format      string
	Description string
	Properties  map[string]apiSchema
	Items       *apiSchema
}

type apiBody struct {
	Content map[string]struct{ Schema apiSchema }
}

// TestTheAPIReferenceIsCurrent holds docs/api.md to the OpenAPI document that is
// served; make docs writes it.
func TestTheAPIReferenceIsCurrent(t *testing.T) {
	r := start(t, t.TempDir())
	var doc struct {
		Info  struct{ Description string }
		Paths map[string]map[string]struct {
			Summary, Description string
			RequestBody          *apiBody
			Responses            map[string]apiBody
		}
		Components struct{ Schemas map[string]apiSchema }
	}
	r.want(t, http.StatusOK, http.MethodGet, "/api/openapi.json", "").into(t, &doc)
	var b strings.Builder
	b.WriteString("<!-- Made by make docs from /api/openapi.json. -->\n\n# API\n\n" + doc.Info.Description + "\nThe token goes in `Authorization: Bearer`; [roles](roles.md) says who may do what. The document is served at\n`/api/openapi.json`.\n")
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			op := doc.Paths[path][method]
			fmt.Fprintf(&b, "\n## %s %s\n\n%s. %s\n", strings.ToUpper(method), path, op.Summary, op.Description)
			if op.RequestBody != nil {
				fmt.Fprintf(&b, "\nBody: %s\n", link(op.RequestBody.Content["application/json"].Schema))
			}
			for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
				if status == "default" {
					continue
				}
				answer := "no body"
				if c, ok := op.Responses[status].Content["application/json"]; ok {
					answer = link(c.Schema)
				}
				fmt.Fprintf(&b, "\n%s: %s\n", status, answer)
			}
		}
	}
	b.WriteString("\n# Documents\n")
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		fmt.Fprintf(&b, "\n## %s\n\n| field | form |\n|---|---|\n", name)
		s := doc.Components.Schemas[name]
		for _, f := range slices.Sorted(maps.Keys(s.Properties)) {
			fmt.Fprintf(&b, "| `%s` | %s |\n", f, link(s.Properties[f]))
		}
	}
	const file = "../docs/api.md"
	if os.Getenv("TOCSIN_UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, b.String() == string(got), "docs/api.md is not what the document says: make docs")
}

// link words a form, with a link to the document it is.
func link(s apiSchema) string {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return "[" + name + "](#" + strings.ToLower(name) + ")"
	}
	if s.Items != nil {
		return "list of " + link(*s.Items)
	}
	form := ""
	switch v := s.Type.(type) {
	case string:
		form = v
	case []any:
		raw, _ := json.Marshal(v)
		form = strings.NewReplacer("[", "", "]", "", "\"", "", ",", " or ").Replace(string(raw))
	}
	if form == "" {
		form = "any"
	}
	if s.Format != "" {
		form += " (" + s.Format + ")"
	}
	return form
}
