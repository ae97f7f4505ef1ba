package pools_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/pools"
	"github.com/tocsin-alerting/tocsin/exchange"
)

// Each pool is told what is its own, in order, in a list that nobody else writes to.
func TestWhatPoolsAreTold(t *testing.T) {
	origin := func(service string) *exchange.Origin {
		return &exchange.Origin{Environment: "pro/duction", Service: service}
	}
	a, b, again := origin("a"), origin("b"), origin("a")
	all := []exchange.Contribution{{Origin: a, Usual: 1}, {Origin: a, Usual: 2}, {Origin: b, Usual: 3}, {Origin: again, Usual: 4}, {Origin: b, Usual: 5}}
	said := pools.BySubject(all)
	clear(all)
	require.Len(t, said, 2)
	for i, want := range []struct {
		subject string
		usual   []float64
	}{{"pool/pro%2Fduction/a", []float64{1, 2, 4}}, {"pool/pro%2Fduction/b", []float64{3, 5}}} {
		require.Equal(t, want.subject, said[i].Subject)
		var got []float64
		for _, c := range said[i].List {
			got = append(got, c.Usual)
		}
		require.Equal(t, want.usual, got)
	}
	require.Empty(t, pools.BySubject(nil))
}

// BenchmarkTold copies a step of 17 slices of each of 20 tenants for their pool.
func BenchmarkTold(b *testing.B) {
	var all []exchange.Contribution
	for range 20 {
		of := &exchange.Origin{Environment: "production", Service: "payments"}
		for range 17 {
			all = append(all, exchange.Contribution{Origin: of})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		pools.BySubject(all)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(all)), "ns/contribution")
}
