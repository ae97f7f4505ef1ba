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
	Enum        []any             `json:"enum,omitempty"`
	Pattern     string            `json:"pattern,omitempty"`
	MinLength   int               `json:"minLength,omitempty"`
	Minimum     *float64          `json:"minimum,omitempty"`
	Above       *float64          `json:"exclusiveMinimum,omitempty"`
	Maximum     *float64          `json:"maximum,omitempty"`
	Below       *float64          `json:"exclusiveMaximum,omitempty"`
	MinItems    int               `json:"minItems,omitempty"`
	Properties  map[string]schema `json:"properties,omitempty"`
	Required    []string          `json:"required,omitempty"`
	Items       *schema           `json:"items,omitempty"`
	Additional  any               `json:"additionalProperties,omitempty"`
	AllOf       []schema          `json:"allOf,omitempty"`
	AnyOf       []schema          `json:"anyOf,omitempty"`
	If          *schema           `json:"if,omitempty"`
	Then        *schema           `json:"then,omitempty"`
	Else        *schema           `json:"else,omitempty"`
}

// Durations are written as Go prints them.
const durationPattern = `^-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`

// Times are written as YAML has them: a date, or a date and a time of day.
const (
	datePattern = `[0-9]{4}-(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])`
	hourPattern = `([01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9](\.[0-9]+)?`
	timePattern = `^` + datePattern + `([Tt]` + hourPattern + `(Z|[+-][0-9]{2}:[0-9]{2})| ` + hourPattern + `)?$`
)

// Schema is the JSON Schema of a kind of file, indented. An editor that has it
// completes keys and shows unknown ones; what refers to other keys or files it
// cannot check, which tocsin check does.
func (c *Comments) Schema(k Kind) ([]byte, error) {
	s, err := c.schema(k.Type)
	if err != nil {
		return nil, err
	}
	if s.Type == "object" && len(s.Required)+len(s.AnyOf) == 0 {
		s.Type = []string{"object", "null"} // a file with nothing in it is read
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
		return schema{Type: "string", Pattern: timePattern}, nil
	case slices.ContainsFunc(own, func(i reflect.Type) bool { return reflect.PointerTo(t).Implements(i) }):
		return schema{}, nil // it reads itself, in forms of its own
	}
	switch t.Kind() {
	case reflect.Struct:
		return c.object(t)
	case reflect.Slice:
		items, err := c.schema(t.Elem())
		return schema{Type: "array", Items: &items}, err
	case reflect.Map:
		values, err := c.schema(t.Elem())
		return schema{Type: "object", Additional: values}, err
	case reflect.Bool:
		return schema{Type: "boolean"}, nil
	case reflect.Float32, reflect.Float64:
		return schema{Type: "number"}, nil
	case reflect.String:
		return schema{Type: []string{"string", "number", "boolean"}}, nil // YAML reads 0900 and true as such; the decoder takes them as text
	case reflect.Interface:
		return schema{}, nil
	}
	return schema{Type: "integer"}, nil
}

func (c *Comments) object(t reflect.Type) (schema, error) {
	out := schema{Type: "object", Properties: map[string]schema{}, Additional: false}
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
		if n, ok := narrowed[t].Properties[key]; ok {
			p = p.narrow(n)
		}
		out.Properties[key] = p
	}
	n := narrowed[t]
	out.Required, out.AllOf, out.AnyOf = n.Required, n.AllOf, n.AnyOf
	return out, nil
}
