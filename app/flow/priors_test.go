package flow

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPriorsComeFromTheTier: over partitions, each tenant once, and not from a few.
func TestPriorsComeFromTheTier(t *testing.T) {
	of := func(tenants int, sum float64) ratios {
		r := ratios{}
		v := r["payment_errors"]
		v.tenants, v.sum = tenants, sum
		r["payment_errors"] = v
		return r
	}
	var p priors
	require.Nil(t, p.of("small"))
	p.set(3, map[string]ratios{"small": of(4, 4*.0312), "large": of(1, .2)})
	require.Nil(t, p.of("small"), "four are too few")
	p.set(9, map[string]ratios{"small": of(4, 4*.0312)})
	require.InDelta(t, .031, p.of("small")["payment_errors"], 1e-9)
	require.Nil(t, p.of("large"))
	p.set(9, map[string]ratios{"small": of(1, 4e-6)})
	p.set(3, map[string]ratios{"small": of(4, 4e-6)})
	require.InDelta(t, 1e-4, p.of("small")["payment_errors"], 1e-12, "never less than anybody is held to")
	p.set(3, nil)
	require.Nil(t, p.of("small"))
}
