package fault

import (
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// ReadParts is Read, but fills v with all that could be read when something else could
// not, so that a check of the rest can follow; Unread and Lost say then what is not to be
// believed. ok is false when v holds nothing: the text is no YAML.
func ReadParts(name string, text []byte, v any) (d *Document, faults List, ok bool) {
	d, w := scan(name, text, reflect.TypeOf(v).Elem())
	if d.root == nil {
		return d, w.faults, len(w.faults) == 0
	}
	d.mute(w)
	if err := d.root.Decode(v); err != nil {
		return d, append(w.faults, d.syntax(err)), false
	}
	return d, w.faults, true
}

// mute puts the zero value where one of another type stands, save numbers, of which the
// whole part is read, and takes out keys that stand twice. The place of everything stays.
func (d *Document) mute(w *walk) {
	d.broken, d.cut, d.loose = map[*yaml.Node]bool{}, map[*yaml.Node]bool{}, w.loose
	for n, t := range w.broken {
		d.broken[n] = true
		if d.cut[n] = !own(t) && cut(n, t); !d.cut[n] {
			blank(n, t)
		}
	}
	for n, keys := range w.again {
		var kept []*yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i]; !slices.Contains(keys, k) {
				kept = append(kept, k, n.Content[i+1])
			}
		}
		n.Content = kept
	}
}

// blank makes a node the zero value of a type. A null would do but in lists, whose
// entries would move up.
func blank(n *yaml.Node, t reflect.Type) {
	kind, tag, value := yaml.ScalarNode, "!!null", "null"
	switch {
	case t == durationType:
		tag, value = "!!str", "0s"
	case t == timeType:
		tag, value = "!!timestamp", "0001-01-01"
	case own(t):
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		kind, tag, value = yaml.MappingNode, "!!map", ""
	case t.Kind() == reflect.Slice:
		kind, tag, value = yaml.SequenceNode, "!!seq", ""
	case t.Kind() == reflect.String:
		tag, value = "!!str", ""
	case t.Kind() == reflect.Bool:
		tag, value = "!!bool", "false"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64:
		tag, value = "!!int", "0"
	}
	*n = yaml.Node{Kind: kind, Tag: tag, Value: value, Line: n.Line, Column: n.Column, Anchor: n.Anchor}
}

// Unread says whether what stands in a field, or anything in it, could not be read, so
// that what a check says of it may be wrong: it, something around it or in it is of
// another type, or it is missing where a key is unknown, which may be its name misspelt.
func (d *Document) Unread(field string) bool {
	if field == "" || len(d.broken)+len(d.loose) == 0 {
		return false
	}
	n := d.root
	for field != "" {
		if d.broken[n] {
			return true
		}
		_, next, rest := step(n, field)
		if next == nil {
			return d.loose[n]
		}
		n, field = resolve(next), rest
	}
	return d.within(n, map[*yaml.Node]bool{})
}

func (d *Document) within(n *yaml.Node, seen map[*yaml.Node]bool) bool {
	n = resolve(n)
	if seen[n] {
		return false
	}
	seen[n] = true
	return d.broken[n] || d.loose[n] || slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return d.within(c, seen) })
}

// Lost says whether a list or map may have an entry that could not be read, or of which
// one of these keys could not: what names such an entry may be right.
func (d *Document) Lost(field string, keys ...string) bool {
	if d.root == nil || len(d.broken)+len(d.loose) == 0 {
		return false
	}
	_, next, _ := step(d.root, field)
	if next == nil {
		return d.broken[d.root] || d.loose[d.root]
	}
	list := resolve(next)
	if d.broken[list] || list.Kind == yaml.MappingNode && d.loose[list] {
		return true
	}
	for i, c := range list.Content {
		if list.Kind == yaml.MappingNode && i%2 == 0 {
			continue
		}
		entry := resolve(c)
		if d.broken[entry] {
			return true
		}
		for _, k := range keys {
			_, v, _ := step(entry, k)
			if v == nil && d.loose[entry] || v != nil && d.within(v, map[*yaml.Node]bool{}) {
				return true
			}
		}
	}
	return false
}
