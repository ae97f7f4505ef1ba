package evaluate

import (
	"math/rand/v2"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// feed is a source of any counters: each grows by a Poisson draw of its rate.
type feed struct {
	rng    *rand.Rand
	series []*grower
	every  time.Duration // a scrape; default 15 s
}

type grower struct {
	ls   labels.Labels
	rate func(t time.Time) float64 // events a second
	v    float64
	off  bool // not sent
}

func newFeed(seed uint64) *feed {
	return &feed{rng: rand.New(rand.NewPCG(seed, 2)), every: 15 * time.Second}
}

func (f *feed) counter(rate func(time.Time) float64, kv ...string) *grower {
	g := &grower{ls: counter(kv...), rate: rate}
	f.series = append(f.series, g)
	return g
}

// live runs and scrapes from from to to; each scrape is received a second later.
func (f *feed) live(r *rig, from, to time.Time) { f.send(r, "shop", from, to, time.Second) }

func (f *feed) send(r *rig, id tenant.ID, from, to time.Time, lag time.Duration) {
	for t := from; t.Before(to); t = t.Add(f.every) {
		f.grow(t)
		r.advance(t.Add(lag))
		for _, s := range f.series {
			if !s.off {
				r.e.Add(r.now, id, s.ls, []Sample{{T: t.UnixMilli(), V: s.v}})
			}
		}
		r.advance(t.Add(lag + time.Second))
	}
}

func (f *feed) grow(t time.Time) {
	for _, s := range f.series {
		s.v += poisson(f.rng, s.rate(t)*f.every.Seconds())
	}
}
