package webhook_test

import (
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/channel/webhook"
)

const schemaFile = "../../docs/webhook.schema.json"

// TestTheSchemaInTheDocsIsTheDocument holds docs/webhook.schema.json to the type,
// and what is posted to the schema. TOCSIN_WRITE=1 writes the file anew.
func TestTheSchemaInTheDocsIsTheDocument(t *testing.T) {
	reg := huma.NewMapRegistry("#/$defs/", huma.DefaultSchemaNamer)
	root := reg.Schema(reflect.TypeFor[webhook.Document](), true, "")
	want, err := json.MarshalIndent(map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A call for one person, version 1",
		"$ref": root.Ref, "$defs": reg.Map()}, "", "  ")
	require.NoError(t, err)
	if os.Getenv("TOCSIN_WRITE") != "" {
		require.NoError(t, os.WriteFile(schemaFile, append(want, '\n'), 0o644))
	}
	have, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(have))

	r := receive(t, status(http.StatusOK))
	for _, pictures := range []bool{true, false} {
		p := page()
		if !pictures {
			p.About.Incident, p.About.Drill, p.Links = "", true, nil
		}
		_, err = hook(t, webhook.Options{URL: r.URL, Pictures: pictures}).Send(t.Context(), p)
		require.NoError(t, err)
		_, _, body := r.got()
		var v any
		require.NoError(t, json.Unmarshal(body, &v))
		path, res := huma.NewPathBuffer(nil, 0), &huma.ValidateResult{}
		huma.Validate(reg, root, path, huma.ModeReadFromServer, v, res)
		require.Empty(t, res.Errors)
		v.(map[string]any)["kind"] = "ping"
		huma.Validate(reg, root, path, huma.ModeReadFromServer, v, res)
		require.NotEmpty(t, res.Errors, "the schema refuses something")
	}
}
