package pool

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

func TestLatencyPooledOverTenants(t *testing.T) {
	p := New(Options{}, "production", "payments")
	p.SetRules([]rule.Rule{slowing()})
	rng := rand.New(rand.NewPCG(4, 4))
	var out []alert.Alert
	slice := sli.Slice{{Label: "acquirer", Value: "alpha"}}
	for step := range 4 * 60 * 4 {
		end := epoch.Add(time.Duration(step+1) * 15 * time.Second)
		usual := .03
		if step > 4*60*3 {
			usual = .15
		}
		out = append(out, p.Advance(end.Add(2*time.Second))...)
		for i := range 20 {
			n := poisson(rng, .3)
			c := exchange.Contribution{Origin: &exchange.Origin{Environment: "production", Service: "payments", Rule: "payment_latency"}, Slice: slice, Usual: .03, Over: 1, Live: true}
			c.Tenant, c.Step.Start, c.Step.End, c.Step.Coverage = tenant.ID("t"+strconv.Itoa(i)), end.Add(-15*time.Second).UnixMilli(), end.UnixMilli(), 1
			c.Step.N, c.Step.K = n, math.Min(n, poisson(rng, n*usual))
			p.Contribute(&c)
		}
	}
	require.NotEmpty(t, out)
	require.Equal(t, 1.0, out[0].Evidence.Over)
	require.Contains(t, out[0].Reason, "took longer than 1 s")
	other := exchange.Contribution{Origin: &exchange.Origin{Environment: "production", Service: "payments", Rule: "payment_latency", Tenant: "other"}, Slice: slice, Over: 2}
	other.Step.Start, other.Step.End = p.now, p.now+15_000
	p.Contribute(&other)
	require.EqualValues(t, differ, p.streams[0].over, "tenants with edges of their own have no common one")
}
