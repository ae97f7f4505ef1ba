package profiles

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Settings says how two policies differ besides what they count and their rules, one
// sentence each.
func Settings(before, after *Policy) []string {
	a, b := before.settings(), after.settings()
	keys := slices.Sorted(maps.Keys(a))
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	out := []string{}
	for _, k := range keys {
		was, has := a[k]
		is, stays := b[k]
		switch {
		case was == is:
		case has && !stays:
			out = append(out, k+" is taken out: "+was)
		case !has && stays:
			out = append(out, k+" is added: "+is)
		default:
			out = append(out, k+": "+is+", before: "+was)
		}
	}
	return out
}

// settings are in words, by what they are about.
func (p *Policy) settings() map[string]string {
	out := map[string]string{}
	add := func(key, words string) { // several of one key are told together
		if other, twice := out[key]; twice {
			words = other + "; and " + words
		}
		out[key] = words
	}
	for _, s := range []struct {
		key string
		of  any
	}{{"environments", p.Environments}, {"volume", p.Volume}, {"spans", p.Spans}, {"evolution", p.Evolution}, {"impact", p.Impact}} {
		each(s.key, reflect.ValueOf(s.of), add)
	}
	for name, f := range p.Features {
		add("feature "+name, fmt.Sprintf("called %s, judges the slice of %s, brings %s", cmp.Or(f.Title, "nothing else"), cmp.Or(f.Slice, "nothing"), list(f.Implies)))
	}
	for _, t := range p.Tiers {
		add("tier "+t.Name, fmt.Sprintf("%s, from %g a minute, sensitivity %s, values of each label judged at most: %s", cmp.Or(t.Title, t.Name), t.FromTPM, cmp.Or(t.Sensitivity, "as the team's"), atMost(t.Slices)))
	}
	for _, o := range p.Overrides {
		add("the override of tenant "+o.Tenant+", "+o.Which(), o.What()+ending(o.Until, o.By, o.Reason))
	}
	for _, n := range p.Pins {
		add("the pin of tenant "+n.Tenant, n.Where()+ending(n.Until, n.By, n.Reason))
	}
	for _, e := range p.Announced {
		add("the calendar entry "+e.Name, fmt.Sprintf("%s, for %s: %s; by %s: %s", e.When(time.UTC), e.Whom(), e.Follows(), e.By, e.Why))
	}
	return out
}

// each tells every key below a field of a policy.
func each(key string, v reflect.Value, add func(key, words string)) {
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			each(key+"."+v.Type().Field(i).Tag.Get("yaml"), v.Field(i), add)
		}
		return
	}
	unset := v.IsZero() && key != "evolution.margin"
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	words := strings.Trim(fmt.Sprint(v.Interface()), "[]")
	if v.Kind() == reflect.Map {
		words = strings.TrimPrefix(words, "map[")
	}
	if unset || words == "" {
		words = "not set"
	}
	add(key, words)
}

// ending is until when something holds, and whose it is.
func ending(until time.Time, by, reason string) string {
	end := ""
	if !until.IsZero() {
		end = " until " + until.UTC().Format(time.RFC3339)
	}
	return end + ", by " + by + ": " + reason
}

// Which says of which rules an override is.
func (o Override) Which() string {
	if o.Rule == "" {
		return "every rule"
	}
	return "rule " + o.Rule
}

// Where says where a pin keeps a profile.
func (n Pin) Where() string {
	if n.Tier != "" {
		return "tier " + n.Tier
	}
	return fmt.Sprintf("revision %d", n.Revision)
}
