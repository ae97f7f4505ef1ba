package evaluate

import (
	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// rule codes what a resolved alert of a rule that is gone must still say.
func (c *coder) rule(r *ruleState) {
	severity := string(r.Severity)
	for _, v := range []*string{&r.Name, &r.Service, &severity, &r.Summary, &r.RunbookURL} {
		c.Text(v)
	}
	r.Severity = rule.Severity(severity)
	if c.Since(2) {
		c.Text((*string)(&r.Kind))
	}
	if c.Since(3) {
		where := int(r.place)
		c.Small(&where)
		if r.place = place(where); r.place > inShadow {
			c.Fail()
		}
	}
	r.partial = r.partial || c.Reading()
}

func (c *coder) cell(m *meter, cl *cell) {
	c.slice(&cl.slice)
	c.Text(&cl.other)
	c.Small(&cl.refs)
	c.Floats(&cl.volume)
	c.Bools(&cl.judged, &cl.sending)
	learned := m.learned - cl.since
	c.Int(&learned)
	cl.since = m.learned - learned
	if c.Since(5) {
		c.joint(m, &cl.joint)
	}
	if !cl.judged {
		return
	}
	if c.Reading() {
		cl.base, cl.watches = &detect.Baseline{}, nil
	}
	c.State(cl.base)
	if c.Since(5) {
		c.Int(&cl.healed)
		c.mix(&cl.mix)
		if c.Since(7) {
			c.people(&cl.people)
			m.named = m.named || cl.people != nil
		}
		if c.Since(14) {
			c.Int(&cl.fails.at)
			c.Floats(&cl.fails.v)
		}
	}
	if c.Since(2) {
		c.latency(&cl.latency)
		checkpoint.Optional(c.Coder, &cl.share)
	}
	checkpoint.List(c.Coder, &cl.watches, func(w **watch) {
		some := *w != nil
		if c.Bools(&some); !some {
			return
		}
		if c.Reading() {
			*w = &watch{}
		}
		c.watch(*w)
	})
	if c.Reading() && len(cl.watches) != len(m.rules) {
		c.Fail()
		return
	}
	for i, w := range cl.watches {
		if w != nil {
			w.trial = m.rules[i].place == inShadow
		}
	}
}

func (c *coder) slice(s *sli.Slice) {
	dims := []sli.Dim(*s)
	checkpoint.List(c.Coder, &dims, func(d *sli.Dim) {
		c.Text(&d.Label)
		c.Text(&d.Value)
	})
	if len(dims) > 0 {
		*s = dims
	}
}

func (c *coder) watch(w *watch) {
	c.State(&w.det)
	c.Bools(&w.firing)
	c.Ints(&w.onset, &w.cleared)
	c.Floats(&w.score, &w.needed)
	if !c.Since(5) {
		c.mix(&mix{})
	}
	c.raised(&w.raised)
	if c.Since(2) {
		c.Floats(&w.late.n, &w.late.k, &w.rest.n, &w.rest.expected)
		checkpoint.Optional(c.Coder, &w.vol)
	}
	if c.Since(4) {
		checkpoint.Optional(c.Coder, &w.burn)
	}
	if c.Since(8) {
		c.level(&w.level)
	}
	if c.Since(13) {
		c.ownTurn(&w.turn)
	}
}

func (c *coder) raised(r **raised) {
	some := *r != nil
	if c.Bools(&some); !some {
		return
	}
	if c.Reading() {
		*r = &raised{}
	}
	v := *r
	c.Ints(&v.onset, &v.starts, &v.said)
	c.Bools(&v.backlog)
	c.evidence(&v.ev)
	if c.Since(2) {
		c.Text((*string)(&v.severity))
		c.Text(&v.why)
	}
}

func (c *coder) evidence(ev *alert.Evidence) {
	c.Floats(&ev.N, &ev.K, &ev.Usual, &ev.Score, &ev.Needed, &ev.Share, &ev.RatePerMinute)
	c.Bools(&ev.Hard)
	c.Text(&ev.Test)
	checkpoint.List(c.Coder, &ev.Tenants, func(id *tenant.ID) { c.Text((*string)(id)) })
	if c.Since(2) {
		c.Floats(&ev.Expected, &ev.Over)
		c.Text(&ev.Source)
	}
	if c.Since(6) {
		c.Text(&ev.Expecting)
	}
	if c.Since(7) {
		some := ev.Customers != nil
		if c.Bools(&some); some {
			if c.Reading() {
				ev.Customers = new(float64)
			}
			c.Floats(ev.Customers)
		}
	}
	if c.Since(peopleNamed) {
		c.Floats(&ev.Nameless)
		c.Bools(&ev.Estimated)
	}
}
