package config_test

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const examples = "../docs/examples/"

func read(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(examples + name)
	require.NoError(t, err)
	return raw
}

func TestTheExamplesLoad(t *testing.T) {
	c, err := config.Load(examples + "tocsin.yaml")
	require.NoError(t, err)
	require.Equal(t, "https://tocsin.example.com", c.ExternalURL)
	p, err := profiles.Parse("policy.yaml", read(t, c.PolicyFiles[0]))
	require.NoError(t, err)
	cat, err := catalog.Parse(catalog.File{Name: "catalog.yaml", Text: read(t, c.CatalogFiles[0])})
	require.NoError(t, err)
	for _, r := range p.Rules {
		_, ok := cat.Service(catalog.ServiceID(r.Service))
		require.True(t, ok, "rule %s names a service of the catalog", r.Name)
	}
	for _, team := range c.LiveTeams {
		_, ok := cat.Team(catalog.TeamID(team))
		require.True(t, ok, "live team %s", team)
	}
	r, err := config.Load(examples + "replicas.yaml")
	require.NoError(t, err)
	require.Equal(t, config.Redis, r.Store.Kind)
	require.NotEmpty(t, r.Cluster.SecretFile)
	var tenants []tenant.Tenant
	dec := yaml.NewDecoder(bytes.NewReader(read(t, "tenants.yaml")))
	dec.KnownFields(true)
	require.NoError(t, dec.Decode(&tenants))
	require.NotEmpty(t, tenants)
}

// TestTheRotaOfThreeLoads keeps the catalog that docs/oncall.md speaks of usable.
func TestTheRotaOfThreeLoads(t *testing.T) {
	c, err := catalog.Parse(catalog.File{Name: "oncall.yaml", Text: read(t, "oncall.yaml")})
	require.NoError(t, err)
	require.Len(t, c.People, 3)
	require.Empty(t, c.ChannelFaults(map[string]string{"mail": "smtp", "log": "log"}))
	require.False(t, c.Teams[0].LastResort.Zero())
	require.NotEmpty(t, c.Schedules[0].Overrides)
}

// TestTheExamplesShowEveryKey keeps the annotated examples complete.
func TestTheExamplesShowEveryKey(t *testing.T) {
	for file, of := range map[string]any{"tocsin.yaml": config.Config{}, "catalog.yaml": catalog.Catalog{}, "policy.yaml": profiles.Policy{}, "tenants.yaml": tenant.Tenant{}} {
		text := string(read(t, file))
		for key := range keys(reflect.TypeOf(of)) {
			require.True(t, strings.Contains(text, key+":"), "%s does not show %s", file, key)
		}
	}
}

func keys(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	switch t.Kind() {
	case reflect.Slice, reflect.Pointer:
		return keys(t.Elem())
	case reflect.Struct:
		if t.PkgPath() == "time" {
			return out
		}
		for i := range t.NumField() {
			f := t.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if key == "" || key == "-" {
				continue
			}
			out[key] = true
			for k := range keys(f.Type) {
				out[k] = true
			}
		}
	}
	return out
}
