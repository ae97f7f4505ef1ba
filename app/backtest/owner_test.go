package backtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/pool"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestASheetHoldsWhatItsRunsDo: what an owner has of a recording is in its sheets, cut by
// cut, whatever scrapes its series miss; and a picture sees the same.
func TestASheetHoldsWhatItsRunsDo(t *testing.T) {
	begin, rng := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), rand.New(rand.NewPCG(3, 3))
	const length = 100 * time.Minute
	text := &strings.Builder{}
	text.WriteString("# TYPE m counter\n")
	for n := range 23 {
		v := 0
		for at := begin; at.Before(begin.Add(length)); at = at.Add(15 * time.Second) {
			v += rng.IntN(9)
			if n%4 == 2 && rng.IntN(20) == 0 || n == 7 && at.Sub(begin) < 50*time.Minute {
				continue
			}
			fmt.Fprintf(text, "m_total{tenant=\"shop\",n=\"%d\"} %d %d.%d\n", n, v, at.Unix(), n%3)
		}
	}
	text.WriteString("# EOF\n")
	path := filepath.Join(t.TempDir(), "recorded.om")
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
	src, err := recorded.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	q := recorded.Query{From: begin, To: begin.Add(length)}
	course := func() *Course {
		return &Course{total: profiles.Selector{Metric: "m_total"}, label: "tenant", from: begin, step: time.Minute, tenants: map[string][]dashboards.Point{}}
	}
	plain, cutwise := map[int]*recorded.Columns{}, map[int]*recorded.Columns{}
	onePicture, another := course(), course()
	require.NoError(t, src.Read(t.Context(), q, func(s recorded.Stretch) error {
		for _, run := range s.Runs {
			plain[run.Series.Index] = &recorded.Columns{}
			require.NoError(t, run.Before(s.To, plain[run.Series.Index]))
			onePicture.take(run.Series, plain[run.Series.Index])
		}
		return nil
	}))
	require.NoError(t, src.Read(t.Context(), q, func(s recorded.Stretch) error {
		all := owners(s.Runs, "tenant")
		require.Len(t, all, 1)
		o := all[0]
		for _, run := range s.Runs {
			cutwise[run.Series.Index] = &recorded.Columns{}
		}
		until := s.From
		for end := s.From; end < s.To; {
			c := &cut{}
			if end == until {
				until = min(end+(17*time.Minute).Milliseconds(), s.To)
				c.until = until
			}
			end = min(end+(4*time.Minute).Milliseconds(), until)
			c.ends = []int64{end}
			n, err := o.decode(s.Runs, c)
			require.NoError(t, err)
			for i := range o.sheets {
				x := &o.sheets[i]
				for at := x.from; at < x.to; at++ {
					require.Less(t, x.t[at], end)
					for j, v := range x.at(at) {
						have := cutwise[s.Runs[x.runs[j]].Series.Index]
						have.T, have.V = append(have.T, x.t[at]), append(have.V, v)
						n--
					}
				}
			}
			require.Zero(t, n, "it is said how many there are")
			o.draw(s.Runs, another)
		}
		return nil
	}))
	require.Len(t, plain, 23)
	require.Equal(t, plain, cutwise)
	require.Equal(t, onePicture.tenants, another.tenants)
	for i, x := range onePicture.series {
		require.Equal(t, *x, *another.series[i])
	}
}

// TestACutIsDecodedWhole: no cut goes on behind what is decoded, wherever one ends.
func TestACutIsDecodedWhole(t *testing.T) {
	begin := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	r := &Replay{life: []event{{at: begin.Add(90 * time.Second), doc: tenant.Tenant{ID: "shop"}}}}
	x := &reading{replays: []*Replay{r}}
	var ends []int64
	for at := begin; at.Before(begin.Add(2 * time.Hour)); at = at.Add(window) {
		ends = append(ends, at.Add(window).UnixMilli())
	}
	decoded, times := int64(0), 0
	for len(ends) > 0 {
		c := x.plan(ends)
		if c.until > 0 {
			require.Greater(t, c.ends[0], decoded, "what was decoded is over")
			decoded = c.until
			times++
		}
		require.LessOrEqual(t, c.end(), decoded)
		require.Equal(t, ends[:len(c.ends)], c.ends)
		ends = ends[len(c.ends):]
	}
	require.Less(t, times, 15)
}

// TestEachServiceHasItsPool: what is told goes to the pool of its service, told by whom and
// after what it may be.
func TestEachServiceHasItsPool(t *testing.T) {
	payments, refunds := pool.New(pool.Options{}, "production", "payments"), pool.New(pool.Options{}, "production", "refunds")
	r := &Replay{pools: map[poolKey]*pool.Pool{{"production", "payments"}: payments, {"production", "refunds"}: refunds}}
	told := func(o *exchange.Origin) *pool.Pool { return r.pool(&exchange.Contribution{Origin: o}) }
	one, other := &exchange.Origin{Environment: "production", Service: "payments"}, &exchange.Origin{Environment: "production", Service: "refunds"}
	for range 2 {
		for range 2 {
			require.Same(t, payments, told(one))
		}
		again := *one
		require.Same(t, payments, told(&again))
		require.Same(t, refunds, told(other))
	}
}
