package evaluate

import (
	"cmp"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/sli"
)

// A rule of kind burn_rate asks whether the error budget of an objective is spent too
// fast, in pairs of windows over the counts that the other kinds have. It is not judged
// by what the tenant usually has, is never pooled, and teaches nothing.

// judgeBurn moves the windows of a rule of burn rates by the step.
func (ts *tenantState) judgeBurn(m *meter, ri int, step detect.Step, n, k []float64, live bool) {
	r := m.rules[ri]
	p := detect.BurnParameters{Objective: r.Burn.Objective, LeastEvents: r.Burn.LeastEvents}
	for ci, c := range m.cells {
		if !c.judged || c.watches[ri] == nil {
			continue
		}
		w, s := c.watches[ri], step
		if w.burn == nil {
			w.burn = &detect.Burn{}
		}
		s.N, s.K = n[ci], k[ci]
		p.Young = ts.young(m, c)
		d := w.burn.Step(p, s)
		w.follow(&d, s.End)
		m.stirs(w, d.Changed)
		if live {
			ts.say(m, spot{r, c, w}, d, step)
		}
	}
}

// burnStatus is a rule's view of a slice; what it is held to stands for the usual.
func burnStatus(r *ruleState, c *cell, w *watch, p detect.Parameters, rate, hour float64) SliceStatus {
	s := SliceStatus{Rule: r.Name, Kind: r.Kind, Service: r.Service, Noun: r.SLI.Noun, Slice: c.slice, RatePerMinute: c.base.Rate(), HourRate: hour, Young: p.Young,
		Firing: w.Firing, Score: w.Score, Needed: w.Needed, Usual: 1 - r.Burn.Objective}
	s.Upper = detect.BurnWindows()[0].Factor * s.Usual
	if s.Slice == nil {
		s.Slice = sli.Slice{}
		if s.RatePerMinute == 0 {
			s.RatePerMinute = rate
		}
	}
	fails, _ := c.base.Ratio(p)
	burn := detect.BurnParameters{Objective: r.Burn.Objective, LeastEvents: r.Burn.LeastEvents, Young: p.Young}
	s.sees(1-fails, func(delta float64) *float64 {
		after, ok := burn.Seen(fails, delta, cmp.Or(hour, s.RatePerMinute))
		if seconds := after.Seconds(); ok {
			return &seconds
		}
		return nil
	})
	return s
}
