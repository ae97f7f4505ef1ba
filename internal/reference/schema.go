package reference

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-alerting/tocsin/fault"
)

// Kind is one kind of file that people write.
type Kind struct {
	Name  string // as tocsin schema takes it
	Title string
	Type  reflect.Type
}

type schema struct {
	Schema      string            `json:"$schema,omitempty"`
	ID          string            `json:"$id,omitempty"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Type        any               `json:"type,omitempty"`
	Pattern     string            `json:"pattern,omitempty"`
	Properties  map[string]schema `json:"properties,omitempty"`
	Items       *schema           `json:"items,omitempty"`
	Additional  any               `json:"additionalProperties,omitempty"`
}

// Durations are written as Go prints them.
const durationPattern = `^-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`

// Schema is the JSON Schema of a kind of file, indented. An editor that has it
// completes keys and shows unknown ones; what refers to other files it cannot
// check, which tocsin check does.
func (c *Comments) Schema(k Kind) ([]byte, error) {
	s, err := c.schema(k.Type)
	if err != nil {
		return nil, err
	}
	s.Schema, s.Title = "https://json-schema.org/draft/2020-12/schema", k.Title
	raw, err := json.MarshalIndent(s, "", "  ")
	return append(raw, '\n'), err
}

var own = []reflect.Type{reflect.TypeFor[yaml.Unmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()}

func (c *Comments) schema(t reflect.Type) (schema, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return schema{Type: "string", Pattern: durationPattern}, nil
	case t == reflect.TypeFor[time.Time]():
		return schema{Type: "string"}, nil
	case slices.ContainsFunc(own, func(i reflect.Type) bool { return reflect.PointerTo(t).Implements(i) }):
		return schema{}, nil // it reads itself, in forms of its own
	}
	switch t.Kind() {
	case reflect.Struct:
		return c.object(t)
	case reflect.Slice:
		items, err := c.schema(t.Elem())
		return schema{Type: []string{"array", "null"}, Items: &items}, err
	case reflect.Map:
		values, err := c.schema(t.Elem())
		return schema{Type: []string{"object", "null"}, Additional: values}, err
	case reflect.Bool:
		return schema{Type: "boolean"}, nil
	case reflect.Float32, reflect.Float64:
		return schema{Type: "number"}, nil
	case reflect.String:
		return schema{Type: []string{"string", "number", "boolean", "null"}}, nil // YAML reads 0900 and true as such; the decoder takes them as text
	case reflect.Interface:
		return schema{}, nil
	}
	return schema{Type: "integer"}, nil
}

func (c *Comments) object(t reflect.Type) (schema, error) {
	out := schema{Type: []string{"object", "null"}, Properties: map[string]schema{}, Additional: false}
	var err error
	if out.Description, err = c.Of(t, ""); err != nil {
		return out, err
	}
	for key, f := range fault.Keys(t) {
		p, err := c.schema(f.Type)
		if err != nil {
			return out, err
		}
		said, err := c.Of(t, f.Name)
		if err != nil {
			return out, err
		}
		if said != "" {
			p.Description = said
		}
		out.Properties[key] = p
	}
	return out, nil
}
