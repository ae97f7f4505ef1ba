package flow_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing"
	"github.com/tocsin-alerting/tocsin/tracing/otlp"
	"github.com/tocsin-alerting/tocsin/tracing/private"
)

// traced is a shop that sends spans through OTLP's door, a request every 10 s: two
// payments, and what fails besides.
type traced struct {
	*life
	door *tracing.Door
	kept []tracing.Record // the journal
	next int              // customers so far
}

func newTraced(t *testing.T, w *world) *traced {
	t.Helper()
	s := &traced{life: w.begin(t)}
	policy, err := profiles.Default()
	require.NoError(t, err)
	customers, err := private.OpenCustomers(t.TempDir())
	require.NoError(t, err)
	s.door, err = tracing.New(tracing.Options{Now: time.Now, Environment: env, Alias: customers.Alias,
		Journal: func(_ context.Context, r tracing.Record, _ *tracing.Batch) error {
			s.kept = append(s.kept, r)
			s.ingest(t, r, len(s.kept))
			return nil
		},
		Cut: tracing.Cut{Customer: policy.SpanCustomer(), Fails: func(ls labels.Labels) bool {
			for _, spec := range policy.SpanFailures() {
				if spec.IsTotal(ls.Get) && spec.IsBad(ls.Get) {
					return true
				}
			}
			return false
		}}})
	require.NoError(t, err)
	_, _, err = s.shop("acme").put(t, tenant.Tenant{ID: "acme"}, 0)
	require.NoError(t, err)
	return s
}

// ingest hands on what the journal's record says.
func (s *traced) ingest(t *testing.T, r tracing.Record, n int) {
	t.Helper()
	b, err := tracing.Decode(r.Version, r.Body, r.At)
	require.NoError(t, err)
	s.spans(t, "acme", b, position(n))
}

func position(n int) journal.Position { return journal.Position{Segment: 1, Offset: int64(n)} }

// step lets 10 s pass, in which the payments of these customers fail.
func (s *traced) step(t *testing.T, failing ...string) {
	t.Helper()
	after(10 * time.Second)
	end := time.Now().Add(-time.Second)
	span := func(i int, customer, status string) string {
		return fmt.Sprintf(`{"traceId":"%032x","spanId":"%016x","name":"POST /payments","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[{"key":"customer.id","value":{"stringValue":%q}}]%s}`,
			i+1, i+1, end.Add(-50*time.Millisecond).UnixNano(), end.UnixNano(), customer, status)
	}
	spans := []string{span(0, s.stranger(), ""), span(1, s.stranger(), "")}
	for i, who := range failing {
		spans = append(spans, span(2+i, who, `,"status":{"code":2}`))
	}
	_, err := s.door.Write(t.Context(), tracing.Request{Scope: door.Scope{Any: true, Sender: "otel"}, Encoding: otlp.JSON,
		Body: []byte(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"payments"}},{"key":"tenant.id","value":{"stringValue":"acme"}}]},"scopeSpans":[{"spans":[` + strings.Join(spans, ",") + `]}]}]}`)})
	require.NoError(t, err)
}

func (s *traced) stranger() string {
	s.next++
	return fmt.Sprintf("customer-%d@example.com", s.next)
}

// usual lets steps pass in which one payment in a hundred fails.
func (s *traced) usual(t *testing.T, steps int) {
	t.Helper()
	for i := range steps {
		if i%50 == 49 {
			s.step(t, s.stranger())
		} else {
			s.step(t)
		}
	}
}

// tries lets ten minutes pass in which 40 payments fail, of as many customers as there are;
// in the middle the process is killed, a minute after its state was written.
func (s *traced) tries(t *testing.T, kill bool, customers ...string) {
	t.Helper()
	failed, written := 0, 0
	for i := range 60 {
		if i%3 == 2 {
			s.step(t)
		} else {
			s.step(t, customers[failed%len(customers)])
			failed++
		}
		subject := tenant.ID("acme").Subject()
		switch {
		case !kill:
		case i == 24:
			written = len(s.kept)
			require.NoError(t, s.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
				return s.shared.HandlerOf(subject).Checkpoint(tx, position(written))
			}))
		case i == 30:
			s.end()
			s.life = s.begin(t)
			for n := written; n < len(s.kept); n++ {
				s.ingest(t, s.kept[n], n+1)
			}
		}
	}
	after(time.Minute)
	require.Equal(t, 40, failed)
}

// Forty payments of one customer that fail within ten minutes call nobody; forty of
// twenty customers do, and the page says how many. A process that is killed on the way and
// reads its journal again decides no differently.
func TestWhoseSpansFail(t *testing.T) {
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed %t", kill), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newMarket(t)
				w.youngFor, w.journal = time.Hour, "a"
				s := newTraced(t, w)
				s.usual(t, 1200)
				s.tries(t, kill, "jo@example.com")
				require.Empty(t, s.incidents(t))
				s.usual(t, 120)
				require.Empty(t, s.incidents(t))

				var all []string
				for range 20 {
					all = append(all, s.stranger())
				}
				s.tries(t, kill, all...)
				require.Len(t, s.incidents(t), 1)
				require.Len(t, s.pages(t), 1)
				require.Regexp(t, `; \d+ customers`, s.incidents(t)[0].Alerts[0].Reason)
				for _, x := range s.shop("acme").status(t).SLIs {
					if x.Source == sli.Spans && x.Name == "payments" {
						require.Equal(t, "spans", x.Customers.By)
						require.Equal(t, 1., x.Customers.NamedShare)
					}
				}
				for _, r := range s.kept {
					require.NotContains(t, string(r.Body), "@example.com")
				}
				s.end()
			})
		})
	}
}
