package recorded

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Blocks alone, as promtool writes them, or as they are copied from a store, are a
// directory too; what the head had beside them is not there.
func TestBlocksAloneAreRead(t *testing.T) {
	path := oddDirectory(t, false)
	want := stored(t, path)
	for _, folder := range []string{"wal", "wbl", "chunks_head"} {
		require.NoError(t, os.RemoveAll(filepath.Join(path, folder)))
	}
	src, err := Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	from, to, err := src.Span(t.Context())
	require.NoError(t, err)
	require.Equal(t, noon, from)
	require.Greater(t, to, noon.Add(20*time.Hour))
	require.Less(t, to, noon.Add(24*time.Hour-15*time.Second))
	got := map[string][]bits{}
	require.NoError(t, src.Read(t.Context(), Query{From: from, To: to.Add(time.Millisecond)}, func(s Stretch) error {
		for _, r := range s.Runs {
			xs, err := samplesOf(r, s.To, nil)
			require.NoError(t, err)
			for _, x := range xs {
				got[r.Series.Labels.Get("__name__")] = append(got[r.Series.Labels.Get("__name__")], bits{x.T, math.Float64bits(x.V)})
			}
		}
		return nil
	}))
	require.Len(t, got, len(want))
	for name, xs := range got {
		require.Greater(t, len(xs), len(want[name])/2)
		require.Subset(t, want[name], xs)
	}
}
