package catalog

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-alerting/tocsin/fault"
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
	c, faults := Check(files...)
	if err := faults.Problem("the catalog", "correct them all and load it again; until then the catalog in use stays"); err != nil {
		return nil, err
	}
	return c, nil
}

// Check is Parse with the faults one by one. The catalog is nil when a file
// could not be read into its type.
func Check(files ...File) (*Catalog, fault.List) {
	all := &source{c: &Catalog{}}
	for _, f := range files {
		all.read(f)
	}
	if len(all.faults) > 0 { // what refers to an entry that could not be read would be a false fault
		return nil, all.faults
	}
	all.c.fill()
	all.check()
	all.c.places = all.nodes
	return all.c, all.faults
}

// Fault makes a fault of an entry of a list, or of what path leads to in it: keys
// and indices. A catalog that comes from no file has no places.
func (c *Catalog) Fault(level fault.Level, list string, index int, message string, path ...any) fault.Fault {
	p := (&source{nodes: c.places}).at(list, index, path...)
	f := fault.Fault{Field: p.field, Level: level, Message: message}
	if p.node != nil {
		f.File, f.Line = p.file, p.node.Line
	}
	return f
}

// source joins the files and remembers where each entry stands.
type source struct {
	c      *Catalog
	nodes  map[string][]place // list name to its entries, as joined
	faults fault.List
}

// place is an entry in a file.
type place struct {
	file  string
	node  *yaml.Node
	field string // teams[0].escalation[1].person, counted in the file
}

func (p place) String() string {
	if p.node == nil {
		return p.file
	}
	return fmt.Sprintf("%s:%d", p.file, p.node.Line)
}

func (s *source) fault(p place, format string, args ...any) {
	f := fault.Fault{File: p.file, Field: p.field, Level: fault.Error, Message: fmt.Sprintf(format, args...)}
	if p.node != nil {
		f.Line = p.node.Line
	}
	s.faults = append(s.faults, f)
}

func (s *source) read(f File) {
	var one Catalog
	doc, faults := fault.Read(f.Name, f.Text, &one)
	s.faults = append(s.faults, faults...)
	if len(faults) > 0 || doc.Root() == nil {
		return
	}
	if s.nodes == nil {
		s.nodes = map[string][]place{}
	}
	s.entries(f.Name, doc.Root())
	s.c.Teams = append(s.c.Teams, one.Teams...)
	s.c.Services = append(s.c.Services, one.Services...)
	s.c.Sources = append(s.c.Sources, one.Sources...)
	s.c.Integrations = append(s.c.Integrations, one.Integrations...)
	s.c.People = append(s.c.People, one.People...)
	s.c.Schedules = append(s.c.Schedules, one.Schedules...)
}

// entries notes where each entry of the file's lists stands.
func (s *source) entries(file string, root *yaml.Node) {
	for n := 0; n+1 < len(root.Content); n += 2 {
		list := root.Content[n].Value
		for i, entry := range resolve(root.Content[n+1]).Content {
			s.nodes[list] = append(s.nodes[list], place{file, resolve(entry), fmt.Sprintf("%s[%d]", list, i)})
		}
	}
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
		if key, ok := step.(string); ok {
			p.field += "." + key
		} else {
			p.field += fmt.Sprintf("[%d]", step)
		}
	}
	return p
}

// child is the value under a key, or the element at an index; nil: none.
func child(n *yaml.Node, step any) *yaml.Node {
	if n = resolve(n); n == nil {
		return nil
	}
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
	c.Sources = list(c.Sources)
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
