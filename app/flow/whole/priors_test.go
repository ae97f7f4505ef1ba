package whole

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPriorsComeFromTheTier: over partitions, each tenant once, and not from a few.
func TestPriorsComeFromTheTier(t *testing.T) {
	of := func(tenants int, sum float64) Ratios {
		r := Ratios{}
		v := r["payment_errors"]
		v.tenants, v.sum = tenants, sum
		r["payment_errors"] = v
		return r
	}
	var p Priors
	require.Nil(t, p.Of("small"))
	p.Set(3, map[string]Ratios{"small": of(4, 4*.0312), "large": of(1, .2)})
	require.Nil(t, p.Of("small"), "four are too few")
	p.Set(9, map[string]Ratios{"small": of(4, 4*.0312)})
	require.InDelta(t, .031, p.Of("small")["payment_errors"], 1e-9)
	require.Nil(t, p.Of("large"))
	p.Set(9, map[string]Ratios{"small": of(1, 4e-6)})
	p.Set(3, map[string]Ratios{"small": of(4, 4e-6)})
	require.InDelta(t, 1e-4, p.Of("small")["payment_errors"], 1e-12, "never less than anybody is held to")
	p.Set(3, nil)
	require.Nil(t, p.Of("small"))
}
