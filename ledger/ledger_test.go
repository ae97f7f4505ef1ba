package ledger_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/ledger"
)

func chain(n int) []ledger.Entry {
	entries := make([]ledger.Entry, n)
	for i := range entries {
		entries[i] = ledger.Entry{
			At:      time.Date(2026, 3, 29, 1, 30, i, 5, time.FixedZone("CET", 3600)),
			Subject: "incident/inc_1", Refs: []string{"tenant/acme", "page/pg_1"}, Kind: "page.sent", Actor: "tocsin",
			Reason: fmt.Sprintf("reason %d: errors > 5%% & rising", i), Data: json.RawMessage(`{"share": 0.50, "text": "<b>"}`),
		}
	}
	ledger.Chain(ledger.Head{}, entries)
	return entries
}

func TestChainNumbersAndLinks(t *testing.T) {
	entries := chain(3)
	require.Equal(t, uint64(1), entries[0].Seq)
	require.Empty(t, entries[0].Prev)
	require.Equal(t, entries[0].Hash, entries[1].Prev)
	require.Len(t, entries[0].Hash, 64)
	require.NotEqual(t, entries[0].Hash, entries[1].Hash)
	require.Equal(t, time.UTC, entries[0].At.Location())

	head, err := ledger.Verify(ledger.Head{}, entries)
	require.NoError(t, err)
	require.Equal(t, ledger.Head{Seq: 3, Hash: entries[2].Hash}, head)
}

func TestChainInPiecesIsTheSameChain(t *testing.T) {
	whole, pieces := chain(5), chain(5)
	head := ledger.Chain(ledger.Head{}, pieces[:2])
	head = ledger.Chain(head, pieces[2:2]) // nothing changes nothing
	head = ledger.Chain(head, pieces[2:])
	require.Equal(t, whole, pieces)

	middle, err := ledger.Verify(ledger.Head{}, whole[:2])
	require.NoError(t, err)
	end, err := ledger.Verify(middle, whole[2:])
	require.NoError(t, err)
	require.Equal(t, head, end)
}

func TestVerifyFindsTampering(t *testing.T) {
	other := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tamper := range map[string]func(es []ledger.Entry) []ledger.Entry{
		"time":          func(es []ledger.Entry) []ledger.Entry { es[2].At = other; return es },
		"subject":       func(es []ledger.Entry) []ledger.Entry { es[2].Subject = "tenant/other"; return es },
		"ref":           func(es []ledger.Entry) []ledger.Entry { es[2].Refs[1] = "page/pg_2"; return es },
		"ref taken":     func(es []ledger.Entry) []ledger.Entry { es[2].Refs = es[2].Refs[:1]; return es },
		"kind":          func(es []ledger.Entry) []ledger.Entry { es[2].Kind = "page.held"; return es },
		"actor":         func(es []ledger.Entry) []ledger.Entry { es[2].Actor = "person:eve"; return es },
		"reason":        func(es []ledger.Entry) []ledger.Entry { es[2].Reason += " "; return es },
		"data":          func(es []ledger.Entry) []ledger.Entry { es[2].Data = json.RawMessage(`{"share":0.51}`); return es },
		"own hash":      func(es []ledger.Entry) []ledger.Entry { es[2].Hash = es[1].Hash; return es },
		"link":          func(es []ledger.Entry) []ledger.Entry { es[2].Prev = ""; return es },
		"number":        func(es []ledger.Entry) []ledger.Entry { es[2].Seq = 7; return es },
		"first removed": func(es []ledger.Entry) []ledger.Entry { return es[1:] },
		"removed":       func(es []ledger.Entry) []ledger.Entry { return slices.Delete(es, 2, 3) },
		"removed and renumbered": func(es []ledger.Entry) []ledger.Entry {
			es = slices.Delete(es, 2, 3)
			for i := range es {
				es[i].Seq = uint64(i + 1)
			}
			return es
		},
		"swapped":  func(es []ledger.Entry) []ledger.Entry { es[2], es[3] = es[3], es[2]; return es },
		"repeated": func(es []ledger.Entry) []ledger.Entry { return slices.Insert(es, 2, es[2]) },
		"rewritten with a hash of its own": func(es []ledger.Entry) []ledger.Entry {
			es[2].Reason = "nothing happened"
			one := es[2:3]
			ledger.Chain(ledger.Head{Seq: es[1].Seq, Hash: es[1].Hash}, one)
			return es
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ledger.Verify(ledger.Head{}, tamper(chain(5)))
			require.Error(t, err)
		})
	}
}

func TestVerifyStopsAtTheLastGoodEntry(t *testing.T) {
	es := chain(5)
	es[3].Reason = "altered"
	head, err := ledger.Verify(ledger.Head{}, es)
	require.ErrorContains(t, err, "entry 4 was altered")
	require.Equal(t, ledger.Head{Seq: 3, Hash: es[2].Hash}, head)
}

// A cut-off end is found only by whoever kept the head elsewhere.
func TestTheHeadShowsACutEnd(t *testing.T) {
	es := chain(5)
	kept := ledger.Head{Seq: es[4].Seq, Hash: es[4].Hash}
	head, err := ledger.Verify(ledger.Head{}, es[:4])
	require.NoError(t, err)
	require.NotEqual(t, kept, head)
}

func TestEntriesVerifyAfterBeingStored(t *testing.T) {
	es := []ledger.Entry{
		{At: time.Now(), Subject: "tenant/\xff", Refs: []string{"a", "b\xc3"}, Kind: "k\xf0", Actor: "\xfe", Reason: "half a rune \xc3, <tag> \u2028 é"},
		{Data: json.RawMessage("{\n  \"a\": [1.50, \"<&>\"] }")},
		{Data: json.RawMessage(`null`), Refs: []string{}},
		{Data: json.RawMessage{}},
	}
	refs := es[0].Refs
	ledger.Chain(ledger.Head{}, es)
	require.Equal(t, "b\xc3", refs[1], "the caller's own list is not written to")
	raw, err := json.Marshal(es)
	require.NoError(t, err)
	var back []ledger.Entry
	require.NoError(t, json.Unmarshal(raw, &back))
	_, err = ledger.Verify(ledger.Head{}, back)
	require.NoError(t, err)
}
