package tracing

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tocsin-alerting/tocsin/detect/crowd"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tracing/private"
)

// Nothing that must not be stored gets into the journal, and what a customer did
// can be joined for a day only.
func TestWhatIsNotStored(t *testing.T) {
	customers, err := private.OpenCustomers(t.TempDir())
	require.NoError(t, err)
	d := newDesk(t, Options{Alias: customers.Alias})
	tr := one(ptrace.SpanKindServer, true, "tenant.id", "a", "acquirer", "4111 1111 1111 1111", "method", "DE89370400440532013000", "customer.id", "jo@example.com",
		"user.email", "hidden@example.com", "card.number", "378282246310005")
	tr.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).SetName("GET /users/jo@example.com/cards/4111111111111111")
	add(tr, ptrace.SpanKindClient, true, "tenant.id", "a", "peer.service", "jo@example.com", "customer.id", "jo@example.com")
	_, err = d.send(anybody, tr)
	require.NoError(t, err)
	raw := string(d.records[0].Body)
	for _, secret := range []string{"4111", "3782", "DE89", "jo@", "hidden", "example.com", "user.email"} {
		require.NotContains(t, raw, secret)
	}
	b := d.batches[0]
	require.Equal(t, "GET /users/[mail]/cards/[card]", b.Calls[0].Labels.Get("span_name"))
	require.Equal(t, "[card]", b.Calls[0].Labels.Get("acquirer"))
	require.Equal(t, "[mail]", b.Calls[1].Labels.Get("peer"))
	require.Len(t, b.Spans, 2)
	require.NotEmpty(t, b.Spans[0].Customer)
	require.Equal(t, b.Spans[0].Customer, b.Spans[1].Customer)
	require.Equal(t, b.Spans[0].Customer, alias(t, customers, "a", noon))
	require.NotEqual(t, b.Spans[0].Customer, alias(t, customers, "b", noon), "of another tenant")
	require.NotEqual(t, b.Spans[0].Customer, alias(t, customers, "a", noon.Add(24*time.Hour)))
}

func alias(t *testing.T, c *private.Customers, of string, at time.Time) string {
	t.Helper()
	a, err := c.Alias(of, []byte("jo@example.com"), at)
	require.NoError(t, err)
	return a.Name()
}

func TestCustomersAcrossARestart(t *testing.T) {
	dir := t.TempDir()
	name := func(at time.Time) string {
		c, err := private.OpenCustomers(dir)
		require.NoError(t, err)
		return alias(t, c, "a", at)
	}
	first := name(noon)
	require.Equal(t, first, name(noon.Add(11*time.Hour)))
	require.NotEqual(t, first, name(noon.Add(13*time.Hour)))
	require.NotEqual(t, first, name(noon), "the key of a day that was over is gone")
	first = name(noon)
	require.NoError(t, private.Forget(dir))
	require.NoError(t, private.Forget(dir), "there is none")
	require.NotEqual(t, first, name(noon))
}

// Around midnight requests overtake each other: one that came before makes no new keys.
func TestCustomersAtMidnight(t *testing.T) {
	c, err := private.OpenCustomers(t.TempDir())
	require.NoError(t, err)
	midnight := noon.Truncate(24 * time.Hour).Add(24 * time.Hour)
	before := alias(t, c, "a", midnight.Add(-time.Second))
	after := alias(t, c, "a", midnight)
	require.NotEqual(t, before, after)
	require.Equal(t, after, alias(t, c, "a", midnight.Add(-time.Millisecond)), "overtaken")
	require.Equal(t, after, alias(t, c, "a", midnight.Add(time.Millisecond)), "who failed is still one customer")
}

func counting(t *testing.T, o Options) *desk {
	t.Helper()
	customers, err := private.OpenCustomers(t.TempDir())
	require.NoError(t, err)
	o.Alias = customers.Alias
	return newDesk(t, o)
}

// Of what the policy calls a failure each customer counts once; what does not say whose
// it is is left, and of successes nobody is noted.
func TestWhoFails(t *testing.T) {
	d := counting(t, Options{})
	tr := one(ptrace.SpanKindServer, true, "tenant.id", "a", "customer.id", "jo")
	for _, who := range []string{"jo", "jo", "mo", ""} {
		add(tr, ptrace.SpanKindServer, true, "tenant.id", "a", "customer.id", who)
	}
	add(tr, ptrace.SpanKindServer, true, "tenant.id", "a", "enduser.id", "lo")
	add(tr, ptrace.SpanKindServer, true, "tenant.id", "a", ".customer.id", "of the resource: nobody's")
	add(tr, ptrace.SpanKindServer, false, "tenant.id", "a", "customer.id", "bo")
	add(tr, ptrace.SpanKindServer, false, "tenant.id", "a", "customer.id", "bo", "method", "declined")
	add(tr, ptrace.SpanKindClient, true, "tenant.id", "a", "customer.id", "jo")
	add(tr, ptrace.SpanKindServer, true, "tenant.id", "stranger", "customer.id", "jo")
	tr.ResourceSpans().At(1).ScopeSpans().At(0).Spans().At(0).Attributes().PutDouble("sampling.probability", .01)
	_, err := d.send(anybody, tr)
	require.NoError(t, err)
	type row struct {
		n, named int
		size     float64
	}
	var got []row
	for _, c := range d.batches[0].Calls {
		got = append(got, row{c.N, c.Named, c.Customers.Size()})
	}
	require.Equal(t, []row{
		{7, 5, 3}, // that one stands for a hundred calls makes no hundred customers
		{1, 0, 0}, // of one who paid
		{1, 1, 1}, // declined, which the policy calls a failure
		{1, 0, 0}, // a call that the policy does not count
		{1, 0, 0}, // of a tenant that nobody knows
	}, got)
	again, err := Decode(RecordVersion, d.records[0].Body, noon)
	require.NoError(t, err)
	require.Equal(t, d.batches[0].Calls, again.Calls)
}

// What a request says of its customers takes no more room than it should, however many
// there are, and the journal gives the same again.
func TestCustomersOfARequestAreBounded(t *testing.T) {
	d := counting(t, Options{})
	tr := ptrace.NewTraces()
	for i := range 5_000 {
		add(tr, ptrace.SpanKindServer, true, "tenant.id", "a", "customer.id", fmt.Sprint("customer ", i))
	}
	_, err := d.send(anybody, tr)
	require.NoError(t, err)
	c := d.batches[0].Calls[0]
	require.Equal(t, 5_000, c.Named)
	require.InEpsilon(t, 5_000, c.Customers.Size(), .25)
	require.LessOrEqual(t, len(c.Customers.Marks()), crowd.Room)
	again, err := Decode(RecordVersion, d.records[0].Body, noon)
	require.NoError(t, err)
	require.Equal(t, c, again.Calls[0])
}

// Without a key the spans are taken and nobody is named: the log says so once.
func TestWithoutAKeyNobodyIsNamed(t *testing.T) {
	asked := 0
	d := newDesk(t, Options{Alias: func(string, []byte, time.Time) (private.Alias, error) {
		asked++
		return private.Alias{}, problem.New(problem.Unavailable, "no key yet")
	}})
	tr := ptrace.NewTraces()
	for range 3 {
		add(tr, ptrace.SpanKindServer, true, "tenant.id", "a", "customer.id", "jo")
	}
	_, err := d.send(anybody, tr)
	require.NoError(t, err)
	require.Equal(t, 1, asked)
	require.Equal(t, 3, d.batches[0].Calls[0].N)
	require.Zero(t, d.batches[0].Calls[0].Named)
	require.Empty(t, d.batches[0].Spans[0].Customer)
}

// Another cut decides anew what fails, also of calls that were known.
func TestAnotherCutFailsOtherwise(t *testing.T) {
	d := counting(t, Options{})
	send := func() Call {
		_, err := d.send(anybody, one(ptrace.SpanKindClient, true, "tenant.id", "a", "customer.id", "jo"))
		require.NoError(t, err)
		return d.batches[len(d.batches)-1].Calls[0]
	}
	require.Zero(t, send().Named)
	d.SetCut(Cut{Customer: []string{DefaultCustomer}, Fails: func(ls labels.Labels) bool { return ls.Get(LabelSpanKind) == KindClient }})
	require.Equal(t, 1, send().Named)
	d.SetCut(Cut{Fails: func(labels.Labels) bool { return true }})
	require.Zero(t, send().Named, "nobody is to be read")
}
