package evaluate

import (
	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// rule codes what a resolved alert of a rule that is gone must still say.
func (c *coder) rule(r *ruleState) {
	severity := string(r.Severity)
	for _, v := range []*string{&r.Name, &r.Service, &severity, &r.Summary, &r.RunbookURL} {
		c.text(v)
	}
	r.Severity = rule.Severity(severity)
	if c.version >= 2 {
		c.text((*string)(&r.Kind))
	}
	if c.version >= 3 {
		where := int(r.place)
		c.small(&where)
		if r.place = place(where); r.place > inShadow {
			c.fail()
		}
	}
	r.partial = r.partial || c.reading
}

func (c *coder) cell(m *meter, cl *cell) {
	c.slice(&cl.slice)
	c.text(&cl.other)
	c.small(&cl.refs)
	c.floats(&cl.volume)
	c.bools(&cl.judged, &cl.sending)
	learned := m.learned - cl.since
	c.int(&learned)
	cl.since = m.learned - learned
	if c.version >= 5 {
		c.joint(m, &cl.joint)
	}
	if !cl.judged {
		return
	}
	if c.reading {
		cl.base, cl.watches = &detect.Baseline{}, nil
	}
	c.state(cl.base)
	if c.version >= 5 {
		c.int(&cl.healed)
		c.mix(&cl.mix)
		if c.version >= 7 {
			c.people(&cl.people)
			m.named = m.named || cl.people != nil
		}
		if c.version >= 14 {
			c.int(&cl.fails.at)
			c.floats(&cl.fails.v)
		}
	}
	if c.version >= 2 {
		c.latency(&cl.latency)
		optional(c, &cl.share)
	}
	list(c, &cl.watches, func(w **watch) {
		some := *w != nil
		if c.bools(&some); !some {
			return
		}
		if c.reading {
			*w = &watch{}
		}
		c.watch(*w)
	})
	if c.reading && len(cl.watches) != len(m.rules) {
		c.fail()
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
	list(c, &dims, func(d *sli.Dim) {
		c.text(&d.Label)
		c.text(&d.Value)
	})
	if len(dims) > 0 {
		*s = dims
	}
}

func (c *coder) watch(w *watch) {
	c.state(&w.det)
	c.bools(&w.firing)
	c.ints(&w.onset, &w.cleared)
	c.floats(&w.score, &w.needed)
	if c.version < 5 {
		c.mix(&mix{})
	}
	c.raised(&w.raised)
	if c.version >= 2 {
		c.floats(&w.late.n, &w.late.k, &w.rest.n, &w.rest.expected)
		optional(c, &w.vol)
	}
	if c.version >= 4 {
		optional(c, &w.burn)
	}
	if c.version >= 8 {
		c.level(&w.level)
	}
	if c.version >= 13 {
		c.ownTurn(&w.turn)
	}
}

func (c *coder) raised(r **raised) {
	some := *r != nil
	if c.bools(&some); !some {
		return
	}
	if c.reading {
		*r = &raised{}
	}
	v := *r
	c.ints(&v.onset, &v.starts, &v.said)
	c.bools(&v.backlog)
	c.evidence(&v.ev)
	if c.version >= 2 {
		c.text((*string)(&v.severity))
		c.text(&v.why)
	}
}

func (c *coder) evidence(ev *alert.Evidence) {
	c.floats(&ev.N, &ev.K, &ev.Usual, &ev.Score, &ev.Needed, &ev.Share, &ev.RatePerMinute)
	c.bools(&ev.Hard)
	c.text(&ev.Test)
	list(c, &ev.Tenants, func(id *tenant.ID) { c.text((*string)(id)) })
	if c.version >= 2 {
		c.floats(&ev.Expected, &ev.Over)
		c.text(&ev.Source)
	}
	if c.version >= 6 {
		c.text(&ev.Expecting)
	}
	if c.version >= 7 {
		some := ev.Customers != nil
		if c.bools(&some); some {
			if c.reading {
				ev.Customers = new(float64)
			}
			c.floats(ev.Customers)
		}
	}
	if c.version >= peopleNamed {
		c.floats(&ev.Nameless)
		c.bools(&ev.Estimated)
	}
}
