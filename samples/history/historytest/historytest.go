// Package historytest has a small history with data in it, for the tests of what asks
// one.
package historytest

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/samples/history"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Noon is the present of these histories.
var Noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// Open opens an empty history that is closed with the test.
func Open(t testing.TB) *history.Store {
	t.Helper()
	s, err := history.Open(history.Options{Dir: t.TempDir(), Small: true, Now: func() time.Time { return Noon }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// Series is a batch of one series; the values are step apart, the last at at.
func Series(id tenant.ID, name string, at time.Time, step time.Duration, values ...float64) *samples.Batch {
	s := samples.Series{Tenant: id, Labels: labels.FromStrings("__name__", name, "environment", "production", "tenant", string(id))}
	for i, v := range values {
		s.Samples = append(s.Samples, samples.Sample{T: at.Add(-step * time.Duration(len(values)-1-i)).UnixMilli(), V: v})
	}
	return &samples.Batch{ReceivedAt: at, Series: []samples.Series{s}, Samples: len(s.Samples)}
}

// Put writes the batches and waits until they can be read.
func Put(t testing.TB, s *history.Store, bs ...*samples.Batch) {
	t.Helper()
	for _, b := range bs {
		require.NoError(t, s.Append(t.Context(), b, nil))
	}
	require.NoError(t, s.Flush(t.Context()))
}

// Town is a history of four tenants; acme's name is a prefix, and part of a regular
// expression that would match bolt.
func Town(t testing.TB) *history.Store {
	s := Open(t)
	for i, id := range []tenant.ID{"acme", "acme2", "b.lt", "bolt"} {
		Put(t, s, Series(id, "m", Noon, 15*time.Second, 1, 2, float64(i)), Series(id, "only_"+strings.ReplaceAll(string(id), ".", "_"), Noon, 15*time.Second, 1))
	}
	return s
}

// PutSecrets gives acme and bolt each a target with the same instance and job, so that
// info() would join them: up_total, and target_info whose label secret says whose it is.
func PutSecrets(t testing.TB, s *history.Store) {
	for _, id := range []tenant.ID{"acme", "bolt"} {
		for _, name := range []string{"target_info", "up_total"} {
			b := Series(id, name, Noon, 15*time.Second, 1, 1)
			lb := labels.NewBuilder(b.Series[0].Labels).Set("instance", "i").Set("job", "j")
			if name == "target_info" {
				lb.Set("secret", "of "+string(id))
			}
			b.Series[0].Labels = lb.Labels()
			Put(t, s, b)
		}
	}
}
