package standing

import (
	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Code codes what stands of a stream.
func (s *Stream) Code(c *checkpoint.Coder) {
	c.Bools(&s.Firing)
	c.Ints(&s.Onset, &s.Cleared)
	c.Floats(&s.Score, &s.Needed)
	if !c.Since(5) { // what a mix had made one expect, which cells know by now
		var none [4]float64
		c.Floats(&none[0], &none[1], &none[2], &none[3])
	}
	checkpoint.Maybe(c, &s.Raised, func(a *Alert) { a.Code(c) })
}

// Code codes what stands of an alert.
func (a *Alert) Code(c *checkpoint.Coder) {
	c.Ints(&a.Onset, &a.Starts, &a.Said)
	c.Bools(&a.Backlog)
	evidence(c, &a.Evidence)
	if c.Since(2) {
		c.Text((*string)(&a.Severity))
		c.Text(&a.Why)
	}
}

// Code codes the counts of the last minutes.
func (l *Lately) Code(c *checkpoint.Coder) { c.Floats(&l.N, &l.K) }

func evidence(c *checkpoint.Coder, ev *alert.Evidence) {
	c.Floats(&ev.N, &ev.K, &ev.Usual, &ev.Score, &ev.Needed, &ev.Share, &ev.RatePerMinute)
	c.Bools(&ev.Hard)
	c.Text(&ev.Test)
	checkpoint.List(c, &ev.Tenants, func(id *tenant.ID) { c.Text((*string)(id)) })
	if c.Since(2) {
		c.Floats(&ev.Expected, &ev.Over)
		c.Text(&ev.Source)
	}
	if c.Since(6) {
		c.Text(&ev.Expecting)
	}
	if c.Since(7) {
		checkpoint.Maybe(c, &ev.Customers, func(n *float64) { c.Floats(n) })
	}
	if c.Since(11) {
		c.Floats(&ev.Nameless)
		c.Bools(&ev.Estimated)
	}
}
