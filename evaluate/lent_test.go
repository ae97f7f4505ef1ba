package evaluate

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/detect/crowd"
)

// fair is a shop whose payments are counted by metrics, and whose spans say whose they are.
type fair struct {
	*stall
	ok, failed float64
	traced     bool // its failures are seen by spans
}

func newFair(t *testing.T) *fair {
	f := failing()
	spans := calls()
	f.SLI.Beside = &spans
	return &fair{stall: &stall{r: newRig(t, grownUp(), f), now: epoch}, traced: true}
}

// run lets 30 s pass again and again, with two scrapes and three steps of spans, in which
// so many payments fail, each of whom whose says.
func (b *fair) run(times int, failures int, whose func(i int) string) {
	for range times {
		for second := range 30 {
			b.r.advance(b.now.Add(time.Second))
			if second%10 == 0 {
				at := b.now.UnixMilli() / 10_000 * 10_000
				b.r.e.Heard(b.r.now, "otel", []int64{at})
				b.r.e.AddEvents(b.r.now, "shop", "otel", called("acquirer", "alpha", "status", "ok"), []Event{{T: at, N: 10}})
				c := &crowd.Crowd{}
				for i := range failures / 3 {
					c.Meet(crowd.Of(whose(i)))
				}
				if n := float64(failures / 3); b.traced && n > 0 {
					b.r.e.AddEvents(b.r.now, "shop", "otel", called("acquirer", "alpha", "status", "error"), []Event{{T: at, N: n, Named: n, Customers: c}})
				}
			}
			if second%15 == 14 {
				b.ok, b.failed = b.ok+15, b.failed+float64(failures)/2
				at := float64(b.now.UnixMilli()-epoch.UnixMilli()) / 1000
				b.r.add(counter("acquirer", "alpha", "result", "success"), at, b.ok)
				b.r.add(counter("acquirer", "alpha", "result", "error"), at, b.failed)
			}
			b.now = b.now.Add(time.Second)
		}
	}
}

func (b *fair) usual(times int) {
	for i := range times {
		n := 0
		if i%5 == 4 {
			n = 3
		}
		b.run(1, n, func(int) string { return b.stranger() })
	}
}

func (b *fair) jo(int) string { return "jo" }

func (b *fair) all(int) string { return b.stranger() }

// What spans say of whose failures they are holds where metrics count them; where spans do
// not see what fails they say nothing of it.
func TestSpansSayWhoseFailuresMetricsCount(t *testing.T) {
	b := newFair(t)
	b.usual(600)
	b.run(40, 51, b.jo)
	require.Empty(t, b.r.out.Alerts)
	b.usual(60)
	require.Empty(t, b.r.out.Alerts)

	state, err := b.r.e.Checkpoint("shop")
	require.NoError(t, err)
	next := newFair(t)
	require.NoError(t, next.r.e.Restore("shop", state))
	next.now, next.next, next.ok, next.failed = b.now, b.next, b.ok, b.failed
	began := next.now
	next.run(4, 30, next.all)
	fired := firing(next.r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Less(t, fired[0].StartsAt.Sub(began), 2*time.Minute)
	require.NotNil(t, fired[0].Evidence.Customers)
	require.Regexp(t, `; \d+ customers$`, fired[0].Reason)
	for _, x := range next.r.e.Status("shop", next.r.now).SLIs {
		require.Equal(t, "spans", x.Customers.By, fmt.Sprint(x.Source))
		require.Positive(t, x.Customers.ThisHour)
	}

	b.traced = false
	b.run(4, 30, b.all)
	fired = firing(b.r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Nil(t, fired[0].Evidence.Customers)
}
