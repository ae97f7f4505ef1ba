package evaluate

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// A tenant's tier says how many values of a label are judged, and may change.
func TestRulesSayHowManySlicesAreJudged(t *testing.T) {
	few := failing()
	few.Slices, few.Always = 2, []sli.Dim{{Label: "acquirer", Value: "A00"}}
	r := newRig(t, grownUp(), few)
	judged := func() (out []string) {
		for _, s := range r.e.Status("shop", r.now).SLIs[0].Slices {
			if len(s.Slice) > 0 {
				out = append(out, s.Slice[0].Value)
			}
		}
		return out
	}
	send := func(from, to float64) {
		for at := from; at < to; at += 15 {
			r.at(at + .5)
			for i := range 12 {
				r.add(counter("result", "success", "acquirer", fmt.Sprintf("a%02d", i)), at, float64(1+i)*at)
			}
		}
	}
	set := func(n int) {
		few.Slices = n
		r.e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live, OnboardedAt: epoch.Add(-time.Hour)}, []rule.Rule{few}, r.now)
	}
	send(0, 1000)
	require.ElementsMatch(t, []string{"a00", "a10", "a11"}, judged(), "the two largest, and the one that a feature names")
	set(5)
	send(1000, 2000)
	require.ElementsMatch(t, []string{"a00", "a07", "a08", "a09", "a10", "a11"}, judged(), "more when the tenant grows")
	set(1)
	send(2000, 3000)
	require.ElementsMatch(t, []string{"a00", "a11"}, judged(), "fewer when it shrinks")
	set(0)
	send(3000, 4000)
	require.Len(t, judged(), 9)
}
