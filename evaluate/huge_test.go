package evaluate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// What a broken counter counts must not leave a state behind that no start can read.
func TestAStateWithAbsurdCountsIsReadAgain(t *testing.T) {
	for _, each := range []float64{4e8, 1e10, 1e14, 1e17, 9e23, 1e40, 1e300} {
		r := newRig(t, Options{}, failing(), flowing())
		ls, v := counter("acquirer", "alpha", "result", "success"), 0.0
		for s := 0.0; s < 30*3600; s += 60 {
			if v += each; s > 27*3600 {
				v += each
			}
			r.at(s).add(ls, s, v)
		}
		r.at(31 * 3600)
		data, err := r.e.Checkpoint("shop")
		require.NoError(t, err)
		e := New(Options{})
		e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, OnboardedAt: epoch.Add(-time.Hour)}, []rule.Rule{failing()}, epoch)
		require.NoError(t, e.Restore("shop", data), "%g", each)
	}
}
