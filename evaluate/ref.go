package evaluate

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// Ref stands for one series of a tenant, so that its samples need not look it up by
// its labels each time. It may be kept as long as its holder likes: where its series
// was forgotten meanwhile, the rules or the tenant changed, it finds its way anew.
type Ref struct {
	id tenant.ID
	ls labels.Labels

	// What was found, as long as the tenant's state is of that generation.
	ts         *tenantState
	generation uint64
	s          *series
	unmatched  string // the metric, where no SLI counts it
}

// Resolve makes a reference to a series of a tenant, known or not. ls is kept.
func (e *Engine) Resolve(id tenant.ID, ls labels.Labels) *Ref { return &Ref{id: id, ls: ls} }

// Is says whether r stands for that series of that tenant.
func (r *Ref) Is(id tenant.ID, ls labels.Labels) bool { return r.id == id && labels.Equal(r.ls, ls) }

// found says whether what was found of it holds.
func (r *Ref) found() bool { return r.ts != nil && r.ts.generation == r.generation }

// passedOver says whether it is known that no SLI counts it, of a tenant that is watched.
func (r *Ref) passedOver() bool {
	return r.found() && r.ts.watched && r.s == nil && r.unmatched != ""
}

// Append is [Engine.Add] by reference.
func (e *Engine) Append(receivedAt time.Time, r *Ref, samples []Sample) {
	ts := r.ts
	if ts == nil || ts.generation != r.generation {
		if ts = e.tenants[r.id]; ts == nil {
			r.ts, r.s = nil, nil
			return
		}
	}
	if !ts.watched || len(samples) == 0 {
		return
	}
	switch known := ts == r.ts && ts.generation == r.generation; {
	case known && r.s != nil:
		e.take(ts, r.s, receivedAt.UnixMilli(), samples)
	case known && r.unmatched != "":
		ts.unmatched.saw(r.unmatched, len(samples))
	default:
		r.ts, r.unmatched = ts, ""
		r.s = ts.lookup(r.ls, len(samples), false)
		r.generation = ts.generation // the look-up may have made room
		if r.s != nil {
			e.take(ts, r.s, receivedAt.UnixMilli(), samples)
		} else if name := r.ls.Get(labels.MetricName); ts.counts(name, r.ls.Get, false) == nil {
			r.unmatched = name
		}
	}
}

// take counts samples of a series.
func (e *Engine) take(ts *tenantState, s *series, received int64, samples []Sample) {
	limit, before := received+tooFarAhead.Milliseconds(), s.t
	for i := range samples {
		if samples[i].T > limit {
			ts.refusedSamples++
			continue
		}
		if !ts.steady(s, &samples[i]) {
			ts.apply(s, samples[i])
		}
	}
	last := s.lastAtOrZero()
	for _, u := range s.uses {
		if u.m.tempo.counted && !u.who {
			u.m.tempo.moved(1, before, s.t)
		}
		u.m.note(last, received)
	}
	ts.heard(received)
	e.touch(ts)
}
