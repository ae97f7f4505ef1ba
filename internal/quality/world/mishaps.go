package world

import (
	"math/rand/v2"
	"time"
)

// mishaps are what happens to processes and scrapes without any fault of the product:
// a restart a week, a gap every third day, and of a pair of replicas that scrapes some
// tenants the elected one away for a while every week.
type mishaps struct {
	restarted []bool      // by instance: in this step
	gap       []time.Time // by instance: not scraped until then
	away      []replica   // by tenant; of those that a pair scrapes
}

// replica is the elected one's absence: nobody sends until another is elected.
type replica struct{ from, until time.Time }

const election = 30 * time.Second

func newMishaps(w *World) mishaps {
	n := 0
	if w.Count > 0 {
		n = instance(w.Count-1) + 1
	}
	return mishaps{restarted: make([]bool, n), gap: make([]time.Time, n), away: make([]replica, w.Count)}
}

// paired says whether a pair of replicas scrapes the tenant.
func paired(tenant int) bool { return tenant%13 == 5 }

// missed says whether a tenant's scrape at that time is lost.
func (m *mishaps) missed(tenant int, at time.Time) bool {
	a := m.away[tenant]
	return at.Before(m.gap[instance(tenant)]) || !at.Before(a.from) && at.Before(a.from.Add(election)) && at.Before(a.until)
}

// second says whether the other replica is the one that counts.
func (m *mishaps) second(tenant int, at time.Time) bool { return at.Before(m.away[tenant].until) }

// draw decides what happens in this step, and notes it for the score.
func (m *mishaps) draw(w *World, src *rand.Rand) {
	const week = float64(7 * 24 * time.Hour / Step)
	for i := range m.restarted {
		m.restarted[i] = false
		switch x := src.Float64(); {
		case x < 1/week:
			m.restarted[i] = true
			m.note(w, "restart", i, w.Now)
		case x < 1/week+7.0/3/week:
			m.gap[i] = w.Now.Add(time.Duration(1+src.IntN(8)) * time.Minute)
			m.note(w, "gap", i, m.gap[i])
		}
	}
	for i := range m.away {
		if paired(i) && src.Float64() < 1/week {
			m.away[i] = replica{w.Now, w.Now.Add(time.Duration(30+src.IntN(90)) * time.Minute)}
		}
	}
}

func (m *mishaps) note(w *World, name string, i int, to time.Time) {
	if to.Before(w.Scored()) {
		return
	}
	for _, t := range w.Tenants {
		if instance(t.index) == i {
			w.Benign = append(w.Benign, &Fault{Name: name, Tenant: t.ID, From: w.Now, To: to})
		}
	}
}
