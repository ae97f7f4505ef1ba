package fault

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Document is a YAML file that was read into a type, with the place of
// everything in it.
type Document struct {
	name string
	root *yaml.Node // nil: the file is empty
	of   reflect.Type

	broken map[*yaml.Node]bool // of another type, and muted unless cut
	cut    map[*yaml.Node]bool // numbers with decimals where a whole one is read
	loose  map[*yaml.Node]bool // with keys that are unknown or stand twice
}

var lineOf = regexp.MustCompile(`^line (\d+): (.*)$`)

// Read decodes text into v, a pointer, and refuses what the type does not have:
// unknown keys, keys that stand twice, values of another type. All of it is
// found at once. v is filled only when nothing is wrong; an empty file leaves it
// as it is. The document is never nil.
func Read(name string, text []byte, v any) (*Document, List) {
	d, w := scan(name, text, reflect.TypeOf(v).Elem())
	if d.root == nil || len(w.faults) > 0 {
		return d, w.faults
	}
	if err := d.root.Decode(v); err != nil {
		return d, List{d.syntax(err)}
	}
	return d, nil
}

// scan holds the text against a type; the root is nil when there is none.
func scan(name string, text []byte, t reflect.Type) (*Document, *walk) {
	d := &Document{name: name, of: t}
	w := newWalk(d)
	var doc, second yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			w.faults = List{d.syntax(err)}
		}
		return d, w
	}
	if err := dec.Decode(&second); err == nil {
		w.faults = List{{File: name, Line: second.Line, Level: Error, Message: "the file holds more than one YAML document; remove the --- lines or split it into files"}}
		return d, w
	} else if !errors.Is(err, io.EOF) {
		w.faults = List{d.syntax(err)}
		return d, w
	}
	d.root = resolve(doc.Content[0])
	w.value(d.root, d.of, "")
	return d, w
}

// Entry checks one entry of a list as Read checks a whole file.
func Entry(name string, n *yaml.Node, t reflect.Type) List {
	w := newWalk(&Document{name: name, of: t})
	w.value(n, t, "")
	return w.faults
}

// syntax words what the YAML reader says, without the values it quotes.
func (d *Document) syntax(err error) Fault {
	f := Fault{File: d.name, Level: Error}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var types *yaml.TypeError
	if errors.As(err, &types) && len(types.Errors) > 0 {
		text = types.Errors[0]
	}
	if m := lineOf.FindStringSubmatch(text); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	f.Message = Unquoted(text)
	return f
}

var quoted = regexp.MustCompile("[`\"'][^`\"']*[`\"']")

// Unquoted takes values out of YAML's own messages; a single sign, as the bracket
// that is missing, is YAML's own and stays.
func Unquoted(text string) string {
	return quoted.ReplaceAllStringFunc(text, func(s string) string {
		if len(s) == 3 && strings.ContainsAny(s[1:2], ",:-.!>[]{}") {
			return s
		}
		return "…"
	})
}

func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// Name is the file's.
func (d *Document) Name() string { return d.name }

// Root is what the file holds; nil when it is empty.
func (d *Document) Root() *yaml.Node { return d.root }

// Line is where a field stands, or the nearest thing around it that is written;
// 0 when that is the whole file.
func (d *Document) Line(field string) int {
	n, line := d.root, 0
	for field != "" && n != nil {
		key, next, rest := step(n, field)
		if next == nil {
			break
		}
		line = key.Line
		n, field = resolve(next), rest
	}
	return line
}

// Has says whether a field is written.
func (d *Document) Has(field string) bool {
	return d.at(field) != nil
}

// at is what stands in a field; nil: nothing.
func (d *Document) at(field string) *yaml.Node {
	n := d.root
	for field != "" && n != nil {
		_, next, rest := step(n, field)
		n, field = resolve(next), rest
	}
	return n
}

// Written says whether a field has a value that is no null.
func (d *Document) Written(field string) bool {
	n := d.at(field)
	return n != nil && n.Tag != "!!null"
}

// Blank says whether a field is a text of nothing but blanks.
func (d *Document) Blank(field string) bool {
	n := d.at(field)
	return n != nil && n.Kind == yaml.ScalarNode && n.Value != "" && strings.TrimSpace(n.Value) == ""
}

// Cut says whether a field is a number that was read without its decimals.
func (d *Document) Cut(field string) bool { return d.cut[d.at(field)] }

// step goes one step down a path such as slis[0].total.match; keys of a mapping
// may have dots themselves, and the longest that fits is taken.
func step(n *yaml.Node, field string) (key, value *yaml.Node, rest string) {
	if index, after, ok := strings.Cut(strings.TrimPrefix(field, "["), "]"); ok && field[0] == '[' {
		at, err := strconv.Atoi(index)
		if err != nil || n.Kind != yaml.SequenceNode || at < 0 || at >= len(n.Content) {
			return nil, nil, ""
		}
		return resolve(n.Content[at]), n.Content[at], strings.TrimPrefix(after, ".")
	}
	best := -1
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		k := n.Content[i].Value
		after, ok := strings.CutPrefix(field, k)
		if !ok || after != "" && after[0] != '.' && after[0] != '[' || len(k) <= best {
			continue
		}
		best, key, value, rest = len(k), n.Content[i], n.Content[i+1], strings.TrimPrefix(after, ".")
	}
	return key, value, rest
}

// At makes a fault of a field.
func (d *Document) At(level Level, field, message string) Fault {
	return Fault{File: d.name, Line: d.Line(field), Field: field, Level: level, Message: message}
}

var leading = regexp.MustCompile(`^([a-z_]+(?:\[\d+\])*(?:\.[a-z0-9_.*]+(?:\[\d+\])*)*)(?: \([^)]*\))?(:)? (.*)$`)

// Say makes an error of a sentence that begins with its field, as checks write
// them: "external_url must be an address", "rules[2] (name): kind must be one
// of". The field's line is looked up; a first word after the colon that is a key
// there narrows it. A sentence that names no field is about the whole file.
func (d *Document) Say(sentence string) Fault {
	m := leading.FindStringSubmatch(sentence)
	if m == nil {
		return Fault{File: d.name, Level: Error, Message: sentence}
	}
	field := m[1]
	of, ok := typeAt(d.of, field)
	if !ok {
		return Fault{File: d.name, Level: Error, Message: sentence}
	}
	if m[2] != "" {
		word, _, _ := strings.Cut(m[3], " ")
		word = strings.TrimRight(word, ",;:")
		if _, ok := typeAt(of, word); ok {
			field += "." + word
		}
	}
	return d.At(Error, field, sentence)
}

// SayAll makes faults of sentences.
func (d *Document) SayAll(sentences []string) List {
	var out List
	for _, s := range sentences {
		out = append(out, d.Say(s))
	}
	return out
}

// typeAt is the type of a field below another one.
func typeAt(t reflect.Type, field string) (reflect.Type, bool) {
	for field != "" {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Slice:
			_, after, ok := strings.Cut(field, "]")
			if !ok || field[0] != '[' {
				return nil, false
			}
			t, field = t.Elem(), strings.TrimPrefix(after, ".")
		case reflect.Map: // its keys may have dots
			return t.Elem(), true
		case reflect.Struct:
			end := strings.IndexAny(field, ".[")
			if end < 0 {
				end = len(field)
			}
			of, ok := Keys(t)[field[:end]]
			if !ok {
				return nil, false
			}
			t, field = of.Type, strings.TrimPrefix(field[end:], ".")
		default:
			return nil, false
		}
	}
	return t, true
}
