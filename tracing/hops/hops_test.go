package hops

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// failed is a failing span of trace n.
func failed(n, span, parent byte, id tenant.ID, service, kind, peer string, kv ...string) tracing.Span {
	ls := []string{"__name__", sli.SpanCalls, "collector", "tocsin", "environment", "production", "service", service, "span_name", "op of " + service, "span_kind", kind, "status", "error", "tenant", string(id)}
	if peer != "" {
		ls = append(ls, "peer", peer)
	}
	return tracing.Span{Tenant: id, Labels: labels.FromStrings(append(ls, kv...)...), TraceID: [16]byte{n}, SpanID: [8]byte{span}, ParentID: [8]byte{parent}, EndedAt: noon, Duration: time.Second, Why: tracing.Failing}
}

func took(list ...tracing.Span) *Traces {
	t := New("environment")
	t.Take(&tracing.Batch{ReceivedAt: noon, Spans: list})
	return t
}

func TestHop(t *testing.T) {
	chain := func(n byte) []tracing.Span { // gateway calls payments, which calls the acquirer
		return []tracing.Span{
			failed(n, 1, 0, "a", "gateway", tracing.KindServer, ""),
			failed(n, 2, 1, "a", "gateway", tracing.KindClient, "payments"),
			failed(n, 3, 2, "a", "payments", tracing.KindServer, ""),
			failed(n, 4, 3, "a", "payments", tracing.KindClient, "alpha"),
		}
	}
	find := func(list ...tracing.Span) Answer {
		return took(list...).Find(Question{Tenant: "a", Service: "gateway"})
	}
	a := find(chain(1)...)
	require.Equal(t, &Hop{Service: "alpha", Operation: "op of payments", Kind: "peer", Share: 1}, a.Hop)
	require.Contains(t, a.Reason, "1 of 1 failing traces is at peer alpha")
	require.Len(t, a.Traces, 1)
	require.Equal(t, a.Hop.Service, a.Traces[0].Hop.Service)

	a = find(chain(1)[:3]...) // payments fails by itself
	require.Equal(t, "payments", a.Hop.Service)
	require.Equal(t, "service", a.Hop.Kind)

	retried := append(chain(1), failed(1, 5, 3, "a", "payments", tracing.KindClient, "alpha")) // twice the same
	require.Equal(t, "alpha", find(retried...).Hop.Service)

	two := append(chain(1), failed(1, 5, 3, "a", "payments", tracing.KindClient, "ledger"))
	a = find(two...)
	require.Nil(t, a.Hop, "two that differ: unknown rather than a guess")
	require.Contains(t, a.Reason, "not known")

	nameless := chain(1) // the spans below belong to no tenant
	for i := range nameless[2:] {
		nameless[2+i] = failed(1, byte(3+i), byte(2+i), tenant.Product, "payments", nameless[2+i].Labels.Get("span_kind"), nameless[2+i].Labels.Get("peer"))
	}
	require.Equal(t, "alpha", find(nameless...).Hop.Service)
	foreign := append(chain(1)[:3], failed(1, 4, 3, "b", "payments", tracing.KindClient, "alpha")) // another tenant's token cannot accuse
	require.Equal(t, "payments", find(foreign...).Hop.Service)

	// Two in three agree.
	a = find(append(append(chain(1), chain(2)...), chain(3)[:3]...)...)
	require.Equal(t, "alpha", a.Hop.Service)
	require.InDelta(t, 2./3, a.Hop.Share, .01)
	a = find(append(chain(1), chain(2)[:3]...)...)
	require.Nil(t, a.Hop)
	require.Nil(t, find().Hop)
}

func TestTracesAreBoundedAndTheLatest(t *testing.T) {
	tr := New("environment")
	for i := range 1000 {
		for _, why := range []tracing.Why{tracing.Failing, tracing.Slow, tracing.Normal} {
			s := failed(byte(i), 1, 0, "a", "payments", tracing.KindServer, "", "acquirer", fmt.Sprint("acq-", i%100))
			s.TraceID = [16]byte{byte(i), byte(i >> 8), byte(why)}
			s.Why, s.EndedAt = why, noon.Add(time.Duration(i)*time.Second)
			tr.Take(&tracing.Batch{ReceivedAt: noon, Spans: []tracing.Span{s}})
		}
	}
	for why := tracing.Failing; why <= tracing.Normal; why++ {
		require.Len(t, tr.tenants["a"].of[why], tracesOfTenant)
	}
	a := tr.Find(Question{Tenant: "a", Service: "payments", Slice: sli.Slice{{Label: "acquirer", Value: "acq-99"}}, Since: noon, Limit: 3})
	require.Len(t, a.Traces, 3)
	require.Equal(t, noon.Add(999*time.Second), a.Traces[0].EndedAt)
	require.Equal(t, map[string]string{"acquirer": "acq-99", "span_kind": "server"}, a.Traces[0].Labels)
	require.Equal(t, []string{"failing", "slow", "normal"}, []string{a.Traces[0].Why, a.Traces[1].Why, a.Traces[2].Why})
	require.Empty(t, tr.Find(Question{Tenant: "a", Environment: "staging"}).Traces)
	require.Empty(t, tr.Find(Question{Tenant: "a", Since: noon.Add(time.Hour)}).Traces)
	require.Empty(t, tr.Find(Question{Tenant: "b"}).Traces)
	for i := range followedTraces + 10 {
		s := failed(1, 1, 0, tenant.ID(fmt.Sprint("t", i)), "payments", tracing.KindServer, "")
		s.TraceID = [16]byte{9, byte(i), byte(i >> 8), byte(i >> 16)}
		tr.Take(&tracing.Batch{ReceivedAt: noon.Add(time.Hour), Spans: []tracing.Span{s}})
	}
	require.LessOrEqual(t, len(tr.followed), followedTraces)
	require.LessOrEqual(t, len(tr.tenants), tenantsWithMore)
	tr.Forget("a")
	require.Empty(t, tr.Find(Question{Tenant: "a"}).Traces)
	tr.Forget("t20000")
	for k := range tr.followed {
		require.NotEqual(t, tenant.ID("t20000"), k.tenant)
	}
}

func TestMergeOfTenants(t *testing.T) {
	tr := took(
		failed(1, 1, 0, "a", "payments", tracing.KindServer, ""), failed(1, 2, 1, "a", "payments", tracing.KindClient, "alpha"),
		failed(2, 1, 0, "b", "payments", tracing.KindServer, ""), failed(2, 2, 1, "b", "payments", tracing.KindClient, "alpha"))
	m := Merge(tr.Find(Question{Tenant: "a"}), tr.Find(Question{Tenant: "b"}), tr.Find(Question{Tenant: "c"}))
	require.Equal(t, "alpha", m.Hop.Service)
	require.Len(t, m.Traces, 2)
	require.Nil(t, Merge().Hop)
}
