package fault_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/problem"
)

type inner struct {
	Mode  string        `yaml:"mode"`
	Every time.Duration `yaml:"every"`
	Tags  []string      `yaml:"tags"`
}

type outer struct {
	Name   string           `yaml:"name"`
	Count  int              `yaml:"count"`
	Share  float64          `yaml:"share"`
	On     bool             `yaml:"on"`
	Since  time.Time        `yaml:"since"`
	Inner  inner            `yaml:"inner"`
	List   []inner          `yaml:"list"`
	ByName map[string]inner `yaml:"by_name"`
	hidden int              //nolint:unused // it must be passed over
	Skip   int              `yaml:"-"`
}

func read(t *testing.T, text string) (outer, *fault.Document, []string) {
	t.Helper()
	var v outer
	doc, faults := fault.Read("f.yaml", []byte(text), &v)
	var out []string
	for _, f := range faults {
		out = append(out, f.String())
	}
	return v, doc, out
}

func TestAWholeNumberHasNoDecimals(t *testing.T) {
	_, _, got := read(t, "count: 2.9\nshare: 1.5\n")
	require.Equal(t, []string{"f.yaml:1: count: the value must be a whole number"}, got)

	v, _, got := read(t, "count: 1e3\ninner: {every: 1m}\n")
	require.Empty(t, got)
	require.Equal(t, 1000, v.Count)
}

func TestEverythingWrongIsFoundAtOnceAtItsPlace(t *testing.T) {
	_, _, got := read(t, `name: [secret]
cuont: 1
count: many-secret
share: secret
on: secret
since: secret
inner: {moed: a, every: secret, zzzzzzzzzz: 1}
list:
  - mode: a
    mode: b
  - secret
  - {tags: secret}
by_name:
  de.x: {every: [1]}
  de.x: {}
hidden: 1
skip: 1
`)
	require.Equal(t, []string{
		"f.yaml:1: name: the value must be a text",
		"f.yaml:2: unknown key cuont; did you mean count?",
		"f.yaml:3: count: the value must be a whole number",
		"f.yaml:4: share: the value must be a number",
		"f.yaml:5: on: the value must be true or false",
		"f.yaml:6: since: the value must be a time like 2026-02-01T00:00:00Z",
		"f.yaml:7: unknown key moed; did you mean mode?",
		"f.yaml:7: inner.every: the value must be a duration like 5m",
		"f.yaml:7: unknown key zzzzzzzzzz; known are every, mode, tags",
		"f.yaml:10: list[0].mode: the key stands on line 9 already; remove one of them",
		"f.yaml:11: list[1]: the value must be a set of keys: every, mode, tags",
		"f.yaml:12: list[2].tags: the value must be a list",
		"f.yaml:15: by_name.de.x: the key stands on line 14 already; remove one of them",
		"f.yaml:14: by_name.de.x.every: the value must be a duration like 5m",
		"f.yaml:16: unknown key hidden; known are by_name, count, inner, list, name, on, share, since",
		"f.yaml:17: unknown key skip; known are by_name, count, inner, list, name, on, share, since",
	}, got)
	require.NotContains(t, strings.Join(got, ""), "secret")
}

func TestWhatIsNoDocumentIsSaid(t *testing.T) {
	v, doc, got := read(t, "")
	require.Empty(t, got)
	require.Zero(t, v)
	require.Zero(t, doc.Line("name"))
	require.False(t, doc.Has("name"))
	for text, want := range map[string]string{
		"a: [b, c":               "f.yaml:1: did not find expected ',' or ']'",
		"a: *secret":             "f.yaml: unknown anchor … referenced",
		"a: [":                   "f.yaml:1: did not find expected node content",
		"name: a\n---\nname: b":  "f.yaml:2: the file holds more than one YAML document",
		"- a":                    "f.yaml:1: the value must be a set of keys",
		"name: *nowhere":         "unknown anchor",
		"inner: &i {<<: *i}":     "f.yaml: anchor … value contains itself",
		"just a secret sentence": "f.yaml:1: the value must be a set of keys",
	} {
		_, _, got := read(t, text)
		require.Len(t, got, 1, text)
		require.Contains(t, got[0], want)
		require.NotContains(t, got[0], "secret")
	}
}

func TestAnchorsAndMergesAreReadAsYAMLMeansThem(t *testing.T) {
	v, doc, got := read(t, "inner: &i {mode: a, every: 5m}\nlist:\n  - *i\n  - <<: *i\n    mode: b\n")
	require.Empty(t, got)
	require.Equal(t, []inner{{Mode: "a", Every: 5 * time.Minute}, {Mode: "b", Every: 5 * time.Minute}}, v.List)
	require.Equal(t, 5, doc.Line("list[1].mode"))
	_, _, got = read(t, "inner: &i {moed: a}\nlist: [*i, *i, *i]\n")
	require.Len(t, got, 1, "a fault is told once, where it is written: %v", got)
}

func TestASentenceFindsItsLine(t *testing.T) {
	_, doc, got := read(t, "name: a\nlist:\n  - mode: a\n    every: 1m\n  - tags: [x]\nby_name:\n  country.de: {mode: x}\n")
	require.Empty(t, got)
	for sentence, want := range map[string]struct {
		field string
		line  int
	}{
		"name must be shorter":                       {"name", 1},
		"list[0] (a): every must be at least 2m":     {"list[0].every", 4},
		"list[1] (): mode is missing":                {"list[1].mode", 5},
		"list[0] (a): its mode and every disagree":   {"list[0]", 3},
		"by_name.country.de: mode is not one":        {"by_name.country.de.mode", 7},
		"inner.every must be set":                    {"inner.every", 0},
		"nothing of this is a field":                 {"", 0},
		"list names the team x, which is not listed": {"list", 2},
	} {
		f := doc.Say(sentence)
		require.Equal(t, want.field, f.Field, sentence)
		require.Equal(t, want.line, f.Line, sentence)
		require.Equal(t, sentence, f.Message)
	}
}

func TestAListIsOneProblem(t *testing.T) {
	l := fault.List{{File: "a", Line: 1, Level: fault.Warning, Message: "unwise"}}
	require.NoError(t, l.Problem("a", "hint"))
	require.Equal(t, "a:1: warning: unwise", l[0].String())
	for range 60 {
		l = append(l, fault.Fault{File: "a", Level: fault.Error, Message: "wrong"})
	}
	err := l.Problem("a", "mend it")
	require.ErrorContains(t, err, "a has 60 fault(s): a: wrong; ")
	require.ErrorContains(t, err, "and 10 more (mend it)")
	require.True(t, problem.Is(err, problem.Invalid))
	require.Equal(t, 60, l.Errors())
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("inner: &i {mode: a}\nlist: [*i, *i]\nby_name: {a: *i}"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("<<: {name: a}\nlist: [{<<: [{mode: b}]}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var v outer
		doc, faults := fault.Read("f", text, &v)
		for _, l := range faults {
			if l.Level != fault.Error || l.File != "f" || l.Message == "" {
				t.Fatalf("%+v", l)
			}
		}
		_, again, _ := fault.ReadParts("f", text, new(outer))
		if len(faults) > len(again) {
			t.Fatalf("%v, in parts %v", faults, again)
		}
		_ = doc.Line("list[0].mode")
		_ = doc.Say(string(text))
	})
}
