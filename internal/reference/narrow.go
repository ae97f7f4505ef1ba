package reference

import (
	"cmp"
	"reflect"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

const (
	namePattern  = `^[a-z][a-z0-9_]{0,62}$`
	nounPattern  = `^[a-z][a-z-]{0,19}( [a-z][a-z-]{0,19}){0,2}$`
	idPattern    = `^[0-9a-zA-Z!\-.*'()][0-9a-zA-Z!\-_.*'()]{0,149}$`
	clockPattern = `^([01][0-9]|2[0-3]):[0-5][0-9]$`
	endPattern   = `^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`
	dayPattern   = `([0-9]{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])`
)

var (
	name        = schema{Type: "string", Pattern: namePattern}
	id          = schema{Pattern: idPattern}
	some        = schema{MinLength: 1}
	positive    = schema{Minimum: new(0.0)}
	above       = schema{Above: new(0.0)}
	part        = schema{Above: new(0.0), Maximum: new(1.0)}
	lasting     = schema{Pattern: durationPattern[:1] + durationPattern[len("^-?"):]}
	severity    = schema{Enum: words(rule.Severities())}
	sensitivity = schema{Enum: words(rule.Sensitivities())}
)

// narrowed is what the reader of the policy refuses beyond what the types do, by type
// and key. It refuses nothing that the reader takes, save a null and an empty word.
var narrowed = map[reflect.Type]schema{
	reflect.TypeFor[profiles.Policy](): {
		Required: []string{"version", "environments", "volume", "slis"},
		Properties: keys{
			"version": {Enum: []any{1}}, "environments": {MinItems: 1}, "slis": {MinItems: 1},
		},
	},
	reflect.TypeFor[profiles.Volume](): {Required: []string{"sli"}, Properties: keys{"sli": name}},
	reflect.TypeFor[profiles.SLI](): {
		Required: []string{"name"}, AnyOf: needs("bad", "histogram"),
		Properties: keys{"name": name, "noun": {Type: "string", Pattern: nounPattern}, "source": {Enum: words(sli.Sources())}, "prior": {Above: new(0.0), Below: new(0.5)}},
	},
	reflect.TypeFor[profiles.Beside](): {
		Required: []string{"source", "bad"}, Properties: keys{"source": {Enum: words(sli.Sources())}},
	},
	reflect.TypeFor[profiles.RuleDoc](): {
		Required: []string{"name", "kind", "service", "severity", "summary", "runbook_url"},
		AllOf: []schema{
			when("kind", string(rule.PromQL), "expr", "sli"),
			when("kind", string(rule.BurnRate), "objective", ""),
		},
		Properties: keys{
			"name": name, "kind": {Enum: words(rule.Kinds())}, "service": some, "severity": severity, "sensitivity": sensitivity,
			"direction": {Enum: words(rule.Directions())}, "summary": some, "runbook_url": some,
			"objective": {Minimum: new(0.0), Below: new(1.0)}, "least_events": above, "for": lasting,
		},
	},
	reflect.TypeFor[profiles.Tier](): {
		Required: []string{"name"},
		Properties: keys{
			"name": name, "from_tpm": {Minimum: new(0.0), Below: new(1e15)}, "sensitivity": sensitivity,
			"slices": {Minimum: new(1.0), Maximum: new(float64(profiles.MostSlices))},
		},
	},
	reflect.TypeFor[profiles.Evolution](): {Properties: keys{
		"grow_after": lasting, "shrink_after": lasting, "shadow_for": lasting, "accept_after": lasting, "stage_for": lasting,
		"margin": {Minimum: new(0.0), Below: new(1.0)}, "promote": {Enum: words(profiles.Promoters())},
		"stages":                {Items: &schema{Above: new(0.0), Maximum: new(100.0)}},
		"shadow_pages_per_week": positive,
	}},
	reflect.TypeFor[profiles.Impact](): {Properties: keys{"least_weight": part, "grown": {Above: new(1.0)}}},
	reflect.TypeFor[profiles.Floor]():  {Properties: keys{"share": part, "loss_per_minute": above, "tenants": above}},
	reflect.TypeFor[profiles.Night](): {Properties: keys{
		"from": {Type: "string", Pattern: clockPattern}, "to": {Type: "string", Pattern: endPattern},
		"share": part, "loss_per_minute": above, "tenants": above,
	}},
	reflect.TypeFor[profiles.Override](): {
		Required: []string{"tenant", "until", "reason", "by"}, AnyOf: needs("severity", "sensitivity", "off"),
		Properties: keys{"tenant": id, "severity": severity, "sensitivity": sensitivity, "reason": some, "by": some},
	},
	reflect.TypeFor[profiles.Pin](): {
		Required: []string{"tenant", "reason", "by"}, AnyOf: needs("tier", "revision"),
		Properties: keys{"tenant": id, "revision": positive, "reason": some, "by": some},
	},
	reflect.TypeFor[calendar.Entry](): {
		Required: []string{"name", "effect", "why", "by"},
		AllOf:    []schema{when("effect", string(calendar.Widen), "factor", "")},
		AnyOf:    append(needs("weekly", "dates"), schema{Required: []string{"starts_at", "ends_at"}}),
		Properties: keys{
			"name": name, "effect": {Enum: words(calendar.Effects())}, "factor": {Minimum: new(0.0), Maximum: new(float64(calendar.MaxFactor))},
			"why": some, "by": some,
			"tenants": {Items: &some}, "countries": {Items: &some}, "services": {Items: &some}, "environments": {Items: &some},
		},
	},
	reflect.TypeFor[calendar.Weekly](): {Properties: keys{
		"days": {Items: &schema{Enum: words(catalog.Days())}},
		"from": {Type: "string", Pattern: endPattern}, "to": {Type: "string", Pattern: endPattern},
	}},
	reflect.TypeFor[calendar.Dates](): {
		Required: []string{"days"},
		Properties: keys{
			"days": {MinItems: 1, Items: &schema{Type: "string", Pattern: `^` + dayPattern + `(\.\.` + dayPattern + `)?$`}},
			"from": {Type: "string", Pattern: endPattern}, "to": {Type: "string", Pattern: endPattern},
		},
	},
}

type keys = map[string]schema

func words[T ~string](all []T) (out []any) {
	for _, w := range all {
		out = append(out, string(w))
	}
	return out
}

// needs wants one of the keys at least.
func needs(keys ...string) (out []schema) {
	for _, k := range keys {
		out = append(out, schema{Required: []string{k}})
	}
	return out
}

// when wants a key beside a word of another, and else a third one, if any.
func when(key, word, wants, otherwise string) schema {
	s := schema{
		If:   &schema{Properties: keys{key: {Enum: []any{word}}}, Required: []string{key}},
		Then: &schema{Required: []string{wants}},
	}
	if otherwise != "" {
		s.Else = &schema{Required: []string{otherwise}}
	}
	return s
}

// narrow gives s with what n says beyond it.
func (s schema) narrow(n schema) schema {
	if n.Type != nil {
		s.Type = n.Type
	}
	if n.Enum != nil {
		s.Enum, s.Type = n.Enum, nil // the values say it
	}
	s.Pattern, s.MinLength, s.MinItems = cmp.Or(n.Pattern, s.Pattern), n.MinLength, n.MinItems
	s.Minimum, s.Above, s.Maximum, s.Below = n.Minimum, n.Above, n.Maximum, n.Below
	if n.Items != nil {
		items := s.Items.narrow(*n.Items)
		s.Items = &items
	}
	return s
}
