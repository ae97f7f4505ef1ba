package fault

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Keys are the fields of a struct by their names in YAML.
func Keys(t reflect.Type) map[string]reflect.StructField {
	out := map[string]reflect.StructField{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case slices.Contains(strings.Split(options, ","), "inline") && f.Type.Kind() == reflect.Struct:
			for k, v := range Keys(f.Type) {
				out[k] = v
			}
		case name != "":
			out[name] = f
		default:
			out[strings.ToLower(f.Name)] = f
		}
	}
	return out
}

// visit keeps aliases of aliases from being walked again and again.
type visit struct {
	n *yaml.Node
	t reflect.Type
}

type walk struct {
	doc    *Document
	seen   map[visit]bool
	faults List

	broken map[*yaml.Node]reflect.Type // of another type than this
	loose  map[*yaml.Node]bool         // has keys that are unknown
	again  map[*yaml.Node][]*yaml.Node // keys of a mapping that stand there already
}

func newWalk(d *Document) *walk {
	return &walk{doc: d, seen: map[visit]bool{}, broken: map[*yaml.Node]reflect.Type{}, loose: map[*yaml.Node]bool{}, again: map[*yaml.Node][]*yaml.Node{}}
}

// wrong says that a node is of another type.
func (w *walk) wrong(n *yaml.Node, t reflect.Type, field, must string) {
	w.broken[n] = t
	w.fault(n, field, "%sthe value must be %s", said(field), must)
}

func (w *walk) fault(n *yaml.Node, field, format string, args ...any) {
	w.faults = append(w.faults, Fault{File: w.doc.name, Line: n.Line, Field: field, Level: Error, Message: fmt.Sprintf(format, args...)})
}

var (
	durationType    = reflect.TypeFor[time.Duration]()
	timeType        = reflect.TypeFor[time.Time]()
	unmarshalerType = reflect.TypeFor[yaml.Unmarshaler]()
	textType        = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// own says whether a type reads its value by itself.
func own(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(unmarshalerType) || reflect.PointerTo(t).Implements(textType) || t == timeType
}

// value checks a node against the type it is decoded into.
func (w *walk) value(n *yaml.Node, t reflect.Type, field string) {
	n = resolve(n)
	if w.seen[visit{n, t}] || n.Tag == "!!null" {
		return
	}
	w.seen[visit{n, t}] = true
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	own := own(t)
	switch {
	case t.Kind() == reflect.Interface:
	case !own && t.Kind() == reflect.Struct:
		if n.Kind != yaml.MappingNode {
			w.wrong(n, t, field, "a set of keys: "+strings.Join(names(Keys(t)), ", "))
			return
		}
		w.object(n, t, field)
	case !own && t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		if n.Kind != yaml.SequenceNode {
			w.wrong(n, t, field, "a list")
			return
		}
		for i, c := range n.Content {
			w.value(c, t.Elem(), fmt.Sprintf("%s[%d]", field, i))
		}
	case !own && t.Kind() == reflect.Map:
		if n.Kind != yaml.MappingNode {
			w.wrong(n, t, field, "a set of keys")
			return
		}
		w.twice(n, field)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Tag != "!!merge" {
				w.value(n.Content[i+1], t.Elem(), join(field, n.Content[i].Value))
			}
		}
	default:
		if err := n.Decode(reflect.New(t).Interface()); err != nil || !own && cut(n, t) {
			w.wrong(n, t, field, wanted(t))
		}
	}
}

// cut says whether a number would lose its decimals.
func cut(n *yaml.Node, t reflect.Type) bool {
	if t == durationType || t.Kind() < reflect.Int || t.Kind() > reflect.Uint64 {
		return false
	}
	var f float64
	return n.Decode(&f) == nil && f != math.Trunc(f)
}

func (w *walk) object(n *yaml.Node, t reflect.Type, field string) {
	keys := Keys(t)
	w.twice(n, field)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		of, ok := keys[key.Value]
		switch {
		case key.Tag == "!!merge": // what is merged in has the keys of this type too
			if m := resolve(value); m.Kind == yaml.MappingNode && !w.seen[visit{m, t}] {
				w.seen[visit{m, t}] = true
				w.object(m, t, field)
			}
		case !ok:
			w.loose[n] = true
			w.fault(key, join(field, key.Value), "unknown key %s; %s", short(key.Value), Suggest(key.Value, names(keys)))
		default:
			w.value(value, of.Type, join(field, key.Value))
		}
	}
}

// twice finds keys that stand twice, of which one would silently lose.
func (w *walk) twice(n *yaml.Node, field string) {
	line := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if first, ok := line[k.Value]; ok {
			w.again[n] = append(w.again[n], k)
			w.fault(k, join(field, k.Value), "%sthe key stands on line %d already; remove one of them", said(join(field, k.Value)), first)
		}
		line[k.Value] = k.Line
	}
}

func wanted(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration like 5m"
	case t == timeType:
		return "a time like 2026-02-01T00:00:00Z"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32:
		return "a number"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "a whole number"
	case t.Kind() == reflect.String:
		return "a text"
	}
	return "of another kind"
}

func said(field string) string {
	if field == "" {
		return ""
	}
	return field + ": "
}

func join(field, key string) string {
	if field == "" {
		return short(key)
	}
	return field + "." + short(key)
}

// short keeps a key that is no key, such as a file of another kind, from
// filling the screen.
func short(key string) string {
	if len(key) > 60 {
		return key[:60] + "…"
	}
	return key
}

func names(keys map[string]reflect.StructField) []string {
	out := make([]string, 0, len(keys))
	for k := range keys {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Suggest names the key, or any other name, that was probably meant; else those there are.
func Suggest(key string, known []string) string {
	best, least := "", max(2, len(key)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(key), k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "known are " + strings.Join(known, ", ")
}

// distance is how many letters must be put in, taken out, changed or swapped
// with their neighbour.
func distance(a, b string) int {
	if len(a) > 60 {
		a = a[:60]
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
