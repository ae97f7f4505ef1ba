package tenant

import (
	"errors"
	"fmt"
	"io"
	"reflect"
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
	for _, f := range fault.Entry(l.name, n, reflect.TypeFor[Tenant]()) {
		l.fault(&yaml.Node{Line: f.Line}, t.ID, "", f.Message)
	}
	if err != nil && len(l.faults) == before {
		l.fault(n, t.ID, "", fault.Unquoted(strings.TrimPrefix(err.Error(), "yaml: ")))
	}
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
