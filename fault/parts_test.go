package fault_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/fault"
)

func TestWhatCouldBeReadIsThereBesideWhatCouldNot(t *testing.T) {
	var v outer
	doc, faults, ok := fault.ReadParts("f.yaml", []byte(`name: [secret]
count: secret
since: secret
on: secret
share: 0.5
inner: {mode: a, every: secret, tags: [x, [y], z]}
list:
  - {mode: a}
  - secret
  - {mdoe: c, every: 5m}
  - {mode: d, mode: e}
by_name: {de.x: secret, fr: {mode: f}}
`), &v)
	require.True(t, ok)
	require.Len(t, faults, 10)
	require.Equal(t, outer{Share: 0.5, Inner: inner{Mode: "a", Tags: []string{"x", "", "z"}},
		List:   []inner{{Mode: "a"}, {}, {Every: 5 * time.Minute}, {Mode: "d"}},
		ByName: map[string]inner{"de.x": {}, "fr": {Mode: "f"}}}, v)
	require.Equal(t, 9, doc.Line("list[1]"), "everything keeps its place")
	for field, want := range map[string]bool{
		"name": true, "count": true, "share": false, "": false, "elsewhere": false,
		"inner": true, "inner.every": true, "inner.mode": false, "inner.tags": true, "inner.tags[0]": false, "inner.tags[1]": true,
		"list[0].mode": false, "list[1]": true, "list[1].mode": true, "list[2].every": false,
		"list[2].mode": true, // missing beside a key that is unknown: misspelt
		"list[3].mode": false, "by_name.de.x.mode": true, "by_name.fr.mode": false, "by_name.fr.every": false,
	} {
		require.Equal(t, want, doc.Unread(field), field)
	}
	require.True(t, doc.Lost("list", "mode"))
	require.True(t, doc.Lost("by_name"))

	doc, _, _ = fault.ReadParts("f", []byte("list: [{mode: a, every: secret}]\nlits: []\n"), &v)
	require.False(t, doc.Lost("list", "mode"))
	require.True(t, doc.Lost("list", "every"))
	require.True(t, doc.Lost("by_name"), "it may be what is misspelt")

	for text, whole := range map[string]bool{"": true, "a: [": false, "name: a\n---\nname: b": false, "- secret": true, "name: a\n<<: 5": false} {
		_, faults, ok := fault.ReadParts("f", []byte(text), new(outer))
		require.Equal(t, whole, ok, text)
		require.Equal(t, text != "", len(faults) > 0, text)
	}
}
