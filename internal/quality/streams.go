package quality

import (
	"math/rand/v2"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
)

// streams is how the world's counts reach a monitoring system: as counters that
// are scraped, with what goes wrong on the way. Series are born with their first
// event, processes restart, scrapes are missed, come twice or in two requests,
// and one source falls silent and sends its backlog afterwards.
type streams struct {
	w       *World
	src     *rand.Rand
	series  []*counters // by cell
	gap     []time.Time // by tenant: not scraped until then
	waiting []late      // second requests, for the next window
	silent  [2]time.Time
	backlog []late
}

const results = 3

var resultNames = [results]string{"success", "error", "declined"}

type counters struct {
	tenant int
	v      [results]float64
	series [results]*recorded.Series
	born   [results]bool
}

type late struct {
	s *recorded.Series
	x recorded.Sample
}

func newStreams(w *World) *streams {
	s := &streams{w: w, src: rand.New(rand.NewPCG(w.Seed, 0x7363726170)), gap: make([]time.Time, len(w.Customers))}
	index := 0
	for _, c := range w.Cells {
		k := &counters{tenant: c.Tenant}
		for r, name := range resultNames {
			k.series[r] = &recorded.Series{Index: index, Labels: labels.FromStrings("__name__", "payment_transactions_total", "environment", "production",
				"tenant", w.Customers[c.Tenant].ID, "service", "payments", "method", c.Method, "country", c.Country, "acquirer", c.Acquirer,
				"result", name, "job", "gateway", "instance", "gw-"+w.Customers[c.Tenant].ID)}
			index++
		}
		s.series = append(s.series, k)
	}
	at := w.Scored().Add(time.Duration(s.src.Float64() * float64(w.Score-2*time.Hour)))
	s.silent = [2]time.Time{at, at.Add(25 * time.Minute)}
	return s
}

// source is the one that falls silent: every third tenant's.
func source(tenant int) bool { return tenant%3 == 0 }

// deliver hands the last step's counters to a replay, in three windows of five
// seconds, and lets time pass for it.
func (s *streams) deliver(to *backtest.Replay) error {
	w := s.w
	for i, k := range s.series {
		c := w.Cells[i]
		for r, n := range [results]uint64{c.N - c.Errors - c.Declined, c.Errors, c.Declined} {
			k.v[r] += float64(n)
			k.born[r] = k.born[r] || n > 0
		}
	}
	restarted, missed := s.mishaps()
	for window := range 3 {
		end := w.Now.Add(time.Duration(window-2) * 5 * time.Second)
		if err := to.Window(end); err != nil {
			return err
		}
		for _, l := range s.waiting {
			to.Take(l.s, []recorded.Sample{l.x})
		}
		s.waiting = s.waiting[:0]
		dead := !w.Now.Before(s.silent[0]) && w.Now.Before(s.silent[1])
		if !dead && len(s.backlog) > 0 {
			for _, l := range s.backlog {
				to.Take(l.s, []recorded.Sample{l.x})
			}
			s.backlog = nil
		}
		for _, k := range s.series {
			if k.tenant%3 != window || missed[k.tenant] {
				continue
			}
			if restarted[k.tenant] {
				k.v = [results]float64{}
			}
			at := end.Add(-time.Duration(1000+k.tenant%3000) * time.Millisecond).UnixMilli()
			for r := range results {
				if !k.born[r] {
					continue
				}
				x := recorded.Sample{T: at, V: k.v[r]}
				switch {
				case dead && source(k.tenant):
					s.backlog = append(s.backlog, late{k.series[r], x})
				case r > 0 && k.tenant%7 == 0: // this tenant's scrapes come in two requests
					s.waiting = append(s.waiting, late{k.series[r], x})
				default:
					to.Take(k.series[r], []recorded.Sample{x})
					if k.tenant%11 == 0 { // and this one's come twice
						to.Take(k.series[r], []recorded.Sample{x})
					}
				}
			}
		}
	}
	return nil
}

// mishaps draws restarts (one a week and tenant) and gaps (one in three days).
func (s *streams) mishaps() (restarted, missed map[int]bool) {
	restarted, missed = map[int]bool{}, map[int]bool{}
	week := float64(7 * 24 * time.Hour / Step)
	for i := range s.w.Customers {
		x := s.src.Float64()
		if x < 1/week {
			restarted[i] = true
		} else if x < 1/week+7.0/3/week {
			s.gap[i] = s.w.Now.Add(time.Duration(1+s.src.IntN(8)) * time.Minute)
		}
		missed[i] = s.w.Now.Before(s.gap[i])
	}
	return restarted, missed
}
