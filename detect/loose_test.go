package detect

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhatIsLooseKeepsTheBudget: thin tenants where nothing is wrong, judged with as much
// less as their rules ask for: chance stays within the budget all the same.
func TestWhatIsLooseKeepsTheBudget(t *testing.T) {
	t.Parallel()
	const budget = 0.2 // of the tenant, for all its streams of one rule
	tenants := 40 / slowdown
	if os.Getenv("TOCSIN_LONG") != "" {
		tenants = 3000
	}
	for _, null := range []null{{rate: 0.005}, {rate: 0.012}, {rate: 0.025}, {rate: 0.012, ratio: 0.03}, {rate: 0.012, ratio: 0.08, alternative: 0.4}} {
		loose := 7.0
		if null.alternative > 0 {
			loose = 5
		}
		t.Run(fmt.Sprint(null), func(t *testing.T) {
			p := Parameters{Prior: 0.01, Budget: budget / nullStream, Loose: loose, Alternative: null.alternative}
			alarms := nullMonths(p, null, tenants, 11)
			t.Logf("%d false alarms in %d tenant-months, budget %g", alarms, tenants, budget*float64(tenants))
			require.LessOrEqual(t, float64(alarms), budget*float64(tenants))
		})
	}
}
