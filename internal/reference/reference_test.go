package reference_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/docs/schemas"
	"github.com/tocsin-alerting/tocsin/internal/reference"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const root = "../.."

func kinds() []reference.Kind {
	return []reference.Kind{
		{Name: "config", Title: "tocsin.yaml", Type: reflect.TypeFor[config.Config]()},
		{Name: "catalog", Title: "Catalog", Type: reflect.TypeFor[catalog.Catalog]()},
		{Name: "policy", Title: "Policy", Type: reflect.TypeFor[profiles.Policy]()},
		{Name: "tenants", Title: "Tenants", Type: reflect.TypeFor[[]tenant.Tenant]()},
	}
}

// current holds a file below docs to what was made; make docs writes it.
func current(t *testing.T, name string, want []byte) {
	t.Helper()
	path := filepath.Join(root, "docs", name)
	if os.Getenv("TOCSIN_UPDATE") != "" {
		require.NoError(t, os.WriteFile(path, want, 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "docs/%s is not what the program says now: make docs", name)
}

func TestTheSchemasAreCurrent(t *testing.T) {
	c := &reference.Comments{Root: root}
	for i, k := range kinds() {
		raw, err := c.Schema(k)
		require.NoError(t, err)
		current(t, "schemas/"+k.Name+".json", raw)
		require.Equal(t, k.Name, schemas.Kinds()[i])
		if os.Getenv("TOCSIN_UPDATE") == "" { // a new one is embedded by the next build
			_, err = schemas.Files.ReadFile(k.Name + ".json")
			require.NoError(t, err)
		}
	}
}

func TestTheConfigurationReferenceIsCurrent(t *testing.T) {
	text, err := (&reference.Comments{Root: root}).Configuration(kinds())
	require.NoError(t, err)
	current(t, "configuration.md", []byte(text))
}

// TestTheSchemasTakeTheExamplesAndRefuseOthers checks with a validator that is
// not ours.
func TestTheSchemasTakeTheExamplesAndRefuseOthers(t *testing.T) {
	for kind, example := range map[string]string{"config": "tocsin.yaml", "catalog": "catalog.yaml", "policy": "policy.yaml", "tenants": "tenants.yaml"} {
		s := compile(t, kind)
		raw, err := os.ReadFile(filepath.Join(root, "docs/examples", example))
		require.NoError(t, err)
		require.NoError(t, s.Validate(document(t, raw)), kind)
	}
	s := compile(t, "config")
	require.NoError(t, s.Validate(document(t, nil)))
	for _, bad := range []string{"live_temas: []", "retention: {samples: soon}", "channels: {name: x}", "limits: {query: {samples: many}}"} {
		require.Error(t, s.Validate(document(t, []byte(bad))), bad)
	}
}

// document is YAML as a validator of JSON sees it, with times as they are written.
func document(t *testing.T, raw []byte) any {
	t.Helper()
	var n yaml.Node
	require.NoError(t, yaml.Unmarshal(raw, &n))
	written(&n)
	var v any
	require.NoError(t, n.Decode(&v))
	asJSON, err := json.Marshal(v)
	require.NoError(t, err)
	var out any
	require.NoError(t, json.Unmarshal(asJSON, &out))
	return out
}

func written(n *yaml.Node) {
	if n.ShortTag() == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, c := range n.Content {
		written(c)
	}
}

func compile(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	raw, err := schemas.Files.ReadFile(kind + ".json")
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource(kind, doc))
	s, err := c.Compile(kind)
	require.NoError(t, err)
	return s
}
