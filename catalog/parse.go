package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-alerting/tocsin/problem"
)

// File is one catalog file: its name for messages, and its text.
type File struct {
	Name string
	Text []byte
}

// Defaults of a team's escalation.
const (
	DefaultUnreachable = 2 * time.Minute
	DefaultAfter       = 10 * time.Minute // of the last resort, and of a round, without steps
)

// DefaultFalsePages is a team's weekly budget of false pages when it names none.
const DefaultFalsePages = 2

// Default is what serve runs without a catalog: one service, its team, and a
// person reached by the log.
func Default() *Catalog {
	c := &Catalog{
		Teams:    []Team{{ID: "payments", Name: "Payments", Kind: "product", OnCall: []PersonID{"oncall"}, FalsePagesPerWeek: DefaultFalsePages}},
		Services: []Service{{ID: "payments", Team: "payments", Kind: "digital"}},
		People:   []Person{{ID: "oncall", Name: "On call", TimeZone: "UTC", Contacts: []Contact{{Channel: "log"}}}},
	}
	c.fill()
	return c
}

// Parse reads the files as one catalog: their lists are joined, and entries may
// refer to those of other files. It is strict, and names all faults at once,
// each with file, line and what to do. No value is repeated in a message.
func Parse(files ...File) (*Catalog, error) {
	all := &source{c: &Catalog{}}
	for _, f := range files {
		all.read(f)
	}
	if len(all.faults) == 0 { // what refers to an entry that could not be read would be a false fault
		all.c.fill()
		all.check()
	}
	if len(all.faults) > 0 {
		return nil, problem.New(problem.Invalid, "the catalog has %d fault(s): %s", len(all.faults), strings.Join(all.faults, "; ")).
			WithHint("correct them all and load it again; until then the catalog in use stays")
	}
	return all.c, nil
}

// source joins the files and remembers where each entry stands.
type source struct {
	c      *Catalog
	nodes  map[string][]place // list name to its entries, as joined
	faults []string
}

// place is an entry in a file.
type place struct {
	file string
	node *yaml.Node
}

func (p place) String() string {
	if p.node == nil {
		return p.file
	}
	return fmt.Sprintf("%s:%d", p.file, p.node.Line)
}

func (s *source) fault(p place, format string, args ...any) {
	s.faults = append(s.faults, p.String()+": "+fmt.Sprintf(format, args...))
}

func (s *source) read(f File) {
	var one Catalog
	dec := yaml.NewDecoder(bytes.NewReader(f.Text))
	dec.KnownFields(true)
	err := dec.Decode(&one)
	if errors.Is(err, io.EOF) {
		return // an empty file lists nothing
	}
	if err != nil {
		s.syntax(f.Name, err)
		return
	}
	if err := dec.Decode(&Catalog{}); !errors.Is(err, io.EOF) {
		s.faults = append(s.faults, f.Name+": it holds more than one YAML document; remove the --- lines or split it into files")
		return
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(f.Text, &doc); err != nil || len(doc.Content) == 0 {
		return
	}
	if s.nodes == nil {
		s.nodes = map[string][]place{}
	}
	root := doc.Content[0]
	for n := 0; n+1 < len(root.Content); n += 2 {
		list := resolve(root.Content[n+1])
		for _, entry := range list.Content {
			s.nodes[root.Content[n].Value] = append(s.nodes[root.Content[n].Value], place{f.Name, resolve(entry)})
		}
	}
	s.c.Teams = append(s.c.Teams, one.Teams...)
	s.c.Services = append(s.c.Services, one.Services...)
	s.c.Integrations = append(s.c.Integrations, one.Integrations...)
	s.c.People = append(s.c.People, one.People...)
	s.c.Schedules = append(s.c.Schedules, one.Schedules...)
}

var (
	lineOf       = regexp.MustCompile(`^line (\d+): (.*)$`)
	unknownField = regexp.MustCompile(`^field (\S+) not found in type catalog\.(\w+)$`)
	quotedValue  = regexp.MustCompile("`[^`]*`")
	goType       = regexp.MustCompile(`into (\S+)$`)
)

// syntax words what the YAML reader found; it finds all type faults at once.
func (s *source) syntax(file string, err error) {
	var types *yaml.TypeError
	if !errors.As(err, &types) {
		m := strings.TrimPrefix(err.Error(), "yaml: ")
		if at := lineOf.FindStringSubmatch(m); at != nil {
			s.faults = append(s.faults, file+":"+at[1]+": "+quotedValue.ReplaceAllString(at[2], "a value"))
			return
		}
		s.faults = append(s.faults, file+": "+quotedValue.ReplaceAllString(m, "a value"))
		return
	}
	for _, m := range types.Errors {
		at, text := file, m
		if parts := lineOf.FindStringSubmatch(m); parts != nil {
			at, text = file+":"+parts[1], parts[2]
		}
		if field := unknownField.FindStringSubmatch(text); field != nil {
			text = fmt.Sprintf("unknown key %s in a %s; correct its spelling or remove it", field[1], strings.ToLower(field[2]))
		} else {
			text = quotedValue.ReplaceAllString(text, "a value")
			text = strings.Replace(text, "cannot unmarshal ", "wrong kind of value: ", 1)
			text = goType.ReplaceAllStringFunc(text, func(m string) string { return "where " + wanted(strings.TrimPrefix(m, "into ")) + " is expected" })
		}
		s.faults = append(s.faults, at+": "+text)
	}
}

func wanted(goType string) string {
	switch {
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case goType == "int", goType == "float64":
		return "a number"
	case goType == "time.Duration":
		return "a duration like 5m"
	case goType == "string", strings.HasSuffix(goType, "ID"):
		return "a text"
	}
	return "a set of keys"
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// at is the place of the entry of a list; key narrows it to a field when the
// entry has it, further keys and indices go deeper.
func (s *source) at(list string, index int, path ...any) place {
	entries := s.nodes[list]
	if index >= len(entries) {
		return place{file: list}
	}
	p := entries[index]
	for _, step := range path {
		next := child(p.node, step)
		if next == nil {
			return p
		}
		p.node = next
	}
	return p
}

// child is the value under a key, or the element at an index; nil: none.
func child(n *yaml.Node, step any) *yaml.Node {
	n = resolve(n)
	switch step := step.(type) {
	case string:
		for k := 0; n.Kind == yaml.MappingNode && k+1 < len(n.Content); k += 2 {
			if n.Content[k].Value == step {
				return resolve(n.Content[k+1])
			}
		}
	case int:
		if n.Kind == yaml.SequenceNode && step < len(n.Content) {
			return resolve(n.Content[step])
		}
	}
	return nil
}

// has says whether the entry names the key.
func (s *source) has(list string, index int, key string) bool {
	entries := s.nodes[list]
	return index < len(entries) && child(entries[index].node, key) != nil
}

// fill sets defaults and makes lists that are never nil.
func (c *Catalog) fill() {
	c.Teams, c.Services, c.Integrations = list(c.Teams), list(c.Services), list(c.Integrations)
	c.People, c.Schedules = list(c.People), list(c.Schedules)
	for i := range c.Teams {
		t := &c.Teams[i]
		t.Escalation, t.OnCall = list(t.Escalation), list(t.OnCall)
		def(&t.Name, string(t.ID))
		def(&t.Kind, "product")
		t.escalate()
		t.WorkingHours.Hours = hoursList(t.WorkingHours.Hours)
		def(&t.WorkingHours.TimeZone, "UTC")
		if t.FalsePagesPerWeek == 0 {
			t.FalsePagesPerWeek = DefaultFalsePages
		}
	}
	for i := range c.Services {
		c.Services[i].Calls = list(c.Services[i].Calls)
		def(&c.Services[i].Kind, "digital")
	}
	for i := range c.People {
		p := &c.People[i]
		p.Contacts = list(p.Contacts)
		def(&p.Name, string(p.ID))
		def(&p.TimeZone, "UTC")
	}
	for i := range c.Schedules {
		s := &c.Schedules[i]
		s.Layers, s.Overrides = list(s.Layers), list(s.Overrides)
		def(&s.TimeZone, "UTC")
		for n := range s.Layers {
			s.Layers[n].Members = list(s.Layers[n].Members)
			s.Layers[n].Hours = hoursList(s.Layers[n].Hours)
		}
	}
}

// escalate sets the defaults of the escalation.
func (t *Team) escalate() {
	if t.EscalationRounds == 0 {
		t.EscalationRounds = 1
	}
	if t.UnreachableAfter == 0 {
		t.UnreachableAfter = DefaultUnreachable
	}
	if t.LastResort.After == 0 {
		t.LastResort.After = DefaultAfter
		if n := len(t.Escalation); n > 0 {
			t.LastResort.After = t.Escalation[n-1].After
		}
	}
}

func hoursList(in []Hours) []Hours {
	out := list(in)
	for n := range out {
		out[n].Days = list(out[n].Days)
	}
	return out
}

func list[T any](in []T) []T { return append([]T{}, slices.Clip(in)...) }

func def(s *string, v string) {
	if *s == "" {
		*s = v
	}
}
