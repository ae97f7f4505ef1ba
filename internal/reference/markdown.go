package reference

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/fault"
)

// Generated stands at the head of every document made here.
const Generated = "<!-- Made by make docs. Change the program's comments, not this file. -->\n\n"

// Configuration is the reference of all kinds of files: every key with its form
// and what its comment says, in the order of the types.
func (c *Comments) Configuration(kinds []Kind) (string, error) {
	var b strings.Builder
	b.WriteString(Generated + "# The files\n\nEvery key of every file that people write for tocsin. Unknown keys are refused, and\n" +
		"`tocsin check --config.file tocsin.yaml` says everything that is wrong at once, with file and\nline. `tocsin schema KIND` prints the JSON Schema that editors complete with; they are in\n" +
		"[schemas](schemas/). Durations are written like `90s`, `5m` or `36h`. Annotated examples are in\n[examples](examples/).\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "\n## %s\n\n", k.Title)
		t := k.Type
		if t.Kind() == reflect.Slice {
			t = t.Elem()
			b.WriteString("A list; each entry has these keys.\n\n")
		}
		said, err := c.Of(t, "")
		if err != nil {
			return "", err
		}
		if said != "" {
			b.WriteString(said + "\n\n")
		}
		b.WriteString("| key | form | |\n|---|---|---|\n")
		if err := c.rows(&b, t, "", nil); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func (c *Comments) rows(b *strings.Builder, t reflect.Type, prefix string, above []reflect.Type) error {
	for i := range t.NumField() {
		f := t.Field(i)
		key := ""
		for k, of := range fault.Keys(t) {
			if of.Name == f.Name {
				key = k
			}
		}
		if key == "" {
			continue
		}
		said, err := c.Of(t, f.Name)
		if err != nil {
			return err
		}
		of, form, path := f.Type, "", prefix+key
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
			switch of.Kind() {
			case reflect.Slice:
				form, path = form+"list of ", path+"[]"
			case reflect.Map:
				form, path = form+"name to ", path+".NAME"
			}
			of = of.Elem()
		}
		nested := of.Kind() == reflect.Struct && of != reflect.TypeFor[time.Time]() && !slices.Contains(above, of)
		if nested && said == "" {
			if said, err = c.Of(of, ""); err != nil {
				return err
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", path, form+word(of), strings.ReplaceAll(said, "|", `\|`))
		if nested {
			if err := c.rows(b, of, path+".", append(above, t)); err != nil {
				return err
			}
		}
	}
	return nil
}

func word(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[time.Time]():
		return "time"
	}
	switch t.Kind() {
	case reflect.Struct:
		return "keys"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.String:
		return "text"
	}
	return "whole number"
}
