package evaluate

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Samples by reference count as samples by labels do, whatever happens to the series,
// the rules and the tenant that a reference was made under.
func TestAReferenceIsItsSeries(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 31))
		o := Options{YoungFor: 20 * time.Minute, MaxSeries: 12, Remember: 40 * time.Minute, LiveFor: 2 * time.Minute}
		engines := []*Engine{New(o), New(o)}
		narrow := failing()
		narrow.SLI.Total = []sli.Match{{Label: "acquirer", Values: []string{"a0", "a1", "a2"}}}
		set := func(r rule.Rule, now time.Time) {
			for _, e := range engines {
				e.SetTenant(tenant.Tenant{ID: "shop", State: tenant.Live}, []rule.Rule{r}, now)
			}
		}
		set(failing(), epoch)
		type sent struct {
			ls  labels.Labels
			ref *Ref
			v   float64
			off int // steps in which it does not send
		}
		var all []*sent
		for i := range 20 {
			ls := counter("acquirer", fmt.Sprint("a", i%5), "result", []string{"error", "success"}[i%2], "instance", fmt.Sprint(i))
			if i == 19 {
				ls = labels.FromStrings("__name__", "another_total", "job", "gateway")
			}
			all = append(all, &sent{ls: ls, ref: engines[0].Resolve("shop", ls)})
		}
		outputs := 0
		for i := range 1200 {
			now := epoch.Add(time.Duration(i) * 15 * time.Second)
			a, b := engines[0].Advance(now), engines[1].Advance(now)
			require.Equal(t, b, a, "step %d", i)
			outputs += len(a.Alerts) + len(a.Contributions)
			switch rng.IntN(150) {
			case 0:
				set(narrow, now)
			case 1:
				set(failing(), now)
			case 2:
				for _, e := range engines {
					e.RemoveTenant("shop")
				}
			case 3:
				set(failing(), now)
				for _, e := range engines {
					raw, err := e.Checkpoint("shop")
					require.NoError(t, err)
					require.NoError(t, e.Restore("shop", raw))
				}
			}
			if engines[0].tenants["shop"] == nil && rng.IntN(10) == 0 {
				set(failing(), now)
			}
			for _, s := range all {
				if s.off--; s.off > 0 {
					continue
				}
				if rng.IntN(60) == 0 {
					s.off = rng.IntN(300)
				}
				s.v += float64(rng.IntN(4))
				xs := []Sample{{T: now.UnixMilli(), V: s.v}}
				if rng.IntN(500) == 0 {
					xs[0].T += time.Hour.Milliseconds()
				}
				engines[0].Append(now, s.ref, xs)
				engines[1].Add(now, "shop", s.ls, xs)
			}
			if i%50 == 0 {
				require.Equal(t, engines[1].Status("shop", now), engines[0].Status("shop", now))
			}
		}
		require.Greater(t, outputs, 100)
	}
}
