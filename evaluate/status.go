package evaluate

import (
	"cmp"
	"math"
	"time"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// seenWithin is the time in which the smallest visible fault is asked for.
const seenWithin = 10 * time.Minute

// fivePoints is the fault whose delay is told: five in a hundred more than usual.
const fivePoints = 0.05

// Status tells what is known of the tenant at now; of an unknown tenant, its
// name only.
func (e *Engine) Status(id tenant.ID, now time.Time) Status {
	st := Status{Tenant: id, SLIs: []SLIStatus{}, SLIsWithoutSeries: []string{}, SeriesWithoutSLI: []Unmatched{}}
	ts := e.tenants[id]
	if ts == nil {
		return st
	}
	st.Series, st.LateSamples, st.RefusedSamples = len(ts.series), ts.lateSamples, ts.refusedSamples
	st.LateEvents, st.GapEvents, st.RivalSamples = ts.lateEvents, ts.gapEvents, ts.rivalSamples
	st.SLIsWithoutSeries, st.SeriesWithoutSLI = ts.unseenSLIs(), ts.unmatched.list()
	st.FirstReceivedAt, st.LastReceivedAt, st.LastSampleAt = when(ts.firstReceived), when(ts.lastReceived), when(ts.newest)
	st.Blind = ts.unseen(now)
	for _, s := range ts.series {
		if !st.Blind && (s.known || s.events) && !s.ended && !s.gone && ts.newest-s.t <= ts.o.LiveFor.Milliseconds() {
			st.SeriesLive++
		}
	}
	for _, m := range ts.meters {
		st.SLIs = append(st.SLIs, ts.sliStatus(m, now))
	}
	ts.absentStatus(st.SLIs, now)
	ts.compare(st.SLIs)
	missing := ts.missing()
	if st.Young = missing > 0; st.Young {
		st.YoungUntil = when(max(ts.newest, now.UnixMilli()) + missing)
	}
	return st
}

func when(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := at(ms)
	return &t
}

func (ts *tenantState) sliStatus(m *meter, now time.Time) SLIStatus {
	st := SLIStatus{Environment: m.env, SLI: m.id, Name: m.spec.Name, Source: m.spec.Source, StepSeconds: float64(m.length) / 1000, Slices: []SliceStatus{}, Shadow: []SliceStatus{}, CannotJudge: ts.cannotJudge(m), Customers: m.whose()}
	if st.Source == "" {
		st.Source = sli.Metrics
	}
	st.RatePerMinute, st.FailureRatio = m.pace()
	m.catch()
	m.setPriors()
	for ri, r := range m.rules {
		p, list := *ts.parameters(m, ri), &st.Slices
		if r.place == inShadow {
			list = &st.Shadow
		}
		for ci, c := range m.cells {
			if !c.judged || c.watches[ri] == nil {
				continue
			}
			p.Prior, p.Alternative, p.Young = m.prior(r, ci), c.alternative(), ts.young(m, c)
			if r.Kind == rule.Traffic {
				*list = append(*list, ts.flowStatus(m, r, c, c.watches[ri], p))
				continue
			}
			if r.Kind == rule.BurnRate {
				*list = append(*list, burnStatus(r, c, c.watches[ri], p, st.RatePerMinute, ts.hourRate(m, ci, now)))
				continue
			}
			*list = append(*list, sliceStatus(r, c, c.watches[ri], p, st.RatePerMinute, ts.hourRate(m, ci, now)))
		}
	}
	return st
}

func sliceStatus(r *ruleState, c *cell, w *watch, p detect.Parameters, rate, hour float64) SliceStatus {
	s := SliceStatus{Rule: r.Name, Kind: r.Kind, Service: r.Service, Noun: r.SLI.Noun, Slice: c.slice, RatePerMinute: c.base.Rate(), HourRate: hour, Young: p.Young,
		Firing: w.Firing, Score: w.Score, Needed: w.Needed, HeldSince: when(w.det.HeldSince())}
	if s.Slice == nil {
		s.Slice = sli.Slice{}
		if s.RatePerMinute == 0 {
			s.RatePerMinute = rate
		}
	}
	if le := c.latency.edge(); le > 0 {
		s.OverSeconds = &le
	}
	s.Usual, s.Upper = c.base.Ratio(p)
	if !w.Firing && w.turn == nil {
		s.Needed = w.det.Needs(p, c.base)
	}
	at := cmp.Or(hour, s.RatePerMinute)
	seen := func(delta float64) *float64 {
		d, n := detect.SmallestFault(p, s.Upper, at, delta)
		if seconds := d.Seconds(); !math.IsInf(n, 1) {
			return &seconds
		}
		return nil
	}
	s.sees(1-s.Upper, seen)
	return s
}

// sees tells which faults are seen, and after how long: seen gives that, in seconds, of one
// that adds so much to the ratio, nil when it never is. There is room for so much.
func (s *SliceStatus) sees(room float64, seen func(delta float64) *float64) {
	s.OutageSeenSeconds, s.FivePointsSeenSeconds = seen(room), seen(math.Min(fivePoints, room))
	for _, delta := range []float64{0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1} {
		delta = math.Min(delta, room)
		if after := seen(delta); after != nil && *after <= seenWithin.Seconds() {
			s.SmallestFault = &delta
			return
		}
	}
}
