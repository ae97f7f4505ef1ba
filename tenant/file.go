package tenant

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/problem"
)

// maxFaults are shown at once; a file of another kind has thousands.
const maxFaults = 50

// ParseList reads a YAML list of tenants. Unknown keys are errors, and all
// faults come at once, each with line and field; name stands in the messages.
// The documents come back as written: Normalise and Following fill them in.
func ParseList(name string, text []byte, now time.Time) ([]Tenant, error) {
	l := list{name: name, now: now, seen: map[ID]int{}}
	var doc yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return []Tenant{}, nil
	case err != nil:
		return nil, problem.New(problem.Malformed, "%s is not YAML: %s", name, fault.Unquoted(strings.TrimPrefix(err.Error(), "yaml: "))).WithHint(listHint)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		l.fault(&doc, "", "", "the file holds more than one document")
	}
	root := doc.Content[0]
	if root.Kind != yaml.SequenceNode {
		return nil, problem.New(problem.Invalid, "%s:%d: this is not a list of tenants", name, root.Line).WithHint(listHint)
	}
	out := make([]Tenant, 0, len(root.Content))
	for _, n := range root.Content {
		out = append(out, l.entry(n))
	}
	if len(l.faults) == 0 {
		return out, nil
	}
	if more := len(l.faults) - maxFaults; more > 0 {
		l.faults = append(l.faults[:maxFaults], fmt.Sprintf("and %d more", more))
	}
	return nil, problem.New(problem.Invalid, "%s", strings.Join(l.faults, "\n")).WithHint(listHint)
}

const listHint = "a list of tenants, each with at least id; nothing was applied"

// list collects what is wrong with a file.
type list struct {
	name   string
	now    time.Time
	seen   map[ID]int // line of each id
	faults []string
}

func (l *list) fault(n *yaml.Node, id ID, field, message string) {
	where := fmt.Sprintf("%s:%d:", l.name, n.Line)
	if _, err := ParseID(string(id)); err == nil {
		where += " " + string(id) + ":"
	}
	if field != "" && !strings.HasPrefix(message, field) {
		where += " " + field + ":"
	}
	l.faults = append(l.faults, where+" "+message)
}

// entry reads one tenant.
func (l *list) entry(n *yaml.Node) (t Tenant) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		l.fault(n, "", "", "this is not a tenant, which is a mapping with at least id")
		return t
	}
	err := n.Decode(&t)
	before := len(l.faults)
	var wrong *yaml.TypeError
	switch {
	case errors.As(err, &wrong):
		for _, text := range wrong.Errors {
			l.typeFault(n, t.ID, text)
		}
	case err != nil:
		l.fault(n, t.ID, "", fault.Unquoted(strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	l.keys(n, reflect.TypeFor[Tenant](), t.ID, "")
	if len(l.faults) > before { // what could not be read would only be found wrong again
		return t
	}
	if _, err := ParseID(string(t.ID)); err == nil {
		if line, twice := l.seen[t.ID]; twice {
			l.fault(n, t.ID, "id", fmt.Sprintf("the id stands on line %d already", line))
		}
		l.seen[t.ID] = n.Line
	}
	for _, f := range append(t.filled(l.now).check(), t.early(l.now)...) {
		if f.Hint != "" {
			f.Message += " (" + f.Hint + ")"
		}
		l.fault(l.at(n, f.Field), t.ID, f.Field, f.Message)
	}
	return t
}

var typeLine = regexp.MustCompile(`^line (\d+): cannot unmarshal (.*) into (\S+)$`)

// typeFault says which field has a value of another type; the value itself is
// not repeated.
func (l *list) typeFault(n *yaml.Node, id ID, text string) {
	m := typeLine.FindStringSubmatch(text)
	if m == nil { // a key that stands twice
		l.fault(n, id, "", fault.Unquoted(text))
		return
	}
	line, _ := strconv.Atoi(m[1])
	want := map[string]string{"float64": "a number", "bool": "true or false", "[]string": "a list of texts", "time.Time": "a time such as 2026-02-01T00:00:00Z",
		"map[string]string": "a mapping of text to text"}[m[3]]
	if want == "" {
		want = "of another type"
	}
	at, field := keyOn(n, line)
	l.fault(at, id, field, "the value must be "+want)
}

// keyOn finds the field whose value stands on a line.
func keyOn(n *yaml.Node, line int) (*yaml.Node, string) {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if v := n.Content[i+1]; v.Line == line || lastLine(v) >= line && v.Line <= line {
			return &yaml.Node{Line: line}, n.Content[i].Value
		}
	}
	return &yaml.Node{Line: line}, ""
}

func lastLine(n *yaml.Node) int {
	line := n.Line
	for _, c := range n.Content {
		line = max(line, lastLine(c))
	}
	return line
}

// keys finds keys that a type does not have.
func (l *list) keys(n *yaml.Node, t reflect.Type, id ID, path string) {
	switch {
	case n.Kind == yaml.AliasNode:
		l.keys(n.Alias, t, id, path)
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for i, c := range n.Content {
			l.keys(c, t.Elem(), id, fmt.Sprintf("%s[%d]", path, i))
		}
	case t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() && n.Kind == yaml.MappingNode:
		known := map[string]reflect.Type{}
		for i := range t.NumField() {
			if tag, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); tag != "" && tag != "-" {
				known[tag] = t.Field(i).Type
			}
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			of, ok := known[key.Value]
			switch {
			case key.Tag == "!!merge": // what is merged in was written elsewhere and is checked there
			case !ok:
				l.fault(key, id, "", "unknown key "+pathTo(path, key.Value)+"; known are "+strings.Join(sortedNames(known), ", "))
			default:
				l.keys(n.Content[i+1], of, id, pathTo(path, key.Value))
			}
		}
	}
}

func pathTo(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func sortedNames(m map[string]reflect.Type) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// at finds the node of a field, for its line; the entry itself where it is not
// written.
func (l *list) at(n *yaml.Node, field string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == field {
			return n.Content[i]
		}
	}
	return n
}
