package sli

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzSlice: a slice is read as it is written.
func FuzzSlice(f *testing.F) {
	for _, seed := range []string{`{}`, `{"acquirer":"alpha"}`, `{"b":"","a":"\u0000"}`, `null`, `[]`, `{"a":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s, again Slice
		if json.Unmarshal(raw, &s) != nil {
			return
		}
		text, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &again))
		require.Equal(t, s, again)
		require.Equal(t, s.Key(), again.Key())
		require.True(t, s.Related(again))
	})
}
