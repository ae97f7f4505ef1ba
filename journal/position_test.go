package journal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzPosition: there is one text for a position, and texts sort as positions do.
func FuzzPosition(f *testing.F) {
	f.Add([]byte("0000000000000001-0000000000000010"), []byte("0000000000000001-0000000000000020"))
	f.Add([]byte("000000000000000A-0000000000000010"), []byte("-"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		var p, q Position
		if p.UnmarshalText(one) != nil || q.UnmarshalText(two) != nil {
			return
		}
		require.Equal(t, string(one), p.String())
		require.Equal(t, p.Before(q), string(one) < string(two))
	})
}
