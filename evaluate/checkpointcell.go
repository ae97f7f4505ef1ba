package evaluate

import (
	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
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
	c.Slice(&cl.slice)
	c.Text(&cl.other)
	c.Small(&cl.refs)
	c.Floats(&cl.volume)
	c.Bools(&cl.judged, &cl.sending)
	learned := m.learned - cl.since
	c.Int(&learned)
	cl.since = m.learned - learned
	if c.Since(5) {
		checkpoint.Maybe(c.Coder, &cl.joint, func(j *joint) { c.joint(m, j) })
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
			checkpoint.Maybe(c.Coder, &cl.people, c.people)
			m.named = m.named || cl.people != nil
		}
		if c.Since(14) {
			c.Int(&cl.fails.at)
			c.Floats(&cl.fails.v)
		}
	}
	if c.Since(2) {
		checkpoint.Maybe(c.Coder, &cl.latency, c.latency)
		checkpoint.Optional(c.Coder, &cl.share)
	}
	checkpoint.List(c.Coder, &cl.watches, func(w **watch) { checkpoint.Maybe(c.Coder, w, c.watch) })
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

// late codes what came of late, as counts of nothing where that is not followed.
func (c *coder) late(l **standing.Lately) {
	v := standing.Lately{}
	if *l != nil {
		v = **l
	}
	if v.Code(c.Coder); c.Reading() && v != (standing.Lately{}) {
		*l = &v
	}
}

func (c *coder) watch(w *watch) {
	c.State(&w.det)
	w.Code(c.Coder)
	if c.Since(2) {
		c.late(&w.late)
		c.Floats(&w.rest.n, &w.rest.expected)
		checkpoint.Optional(c.Coder, &w.vol)
	}
	if c.Since(4) {
		checkpoint.Optional(c.Coder, &w.burn)
	}
	if c.Since(8) {
		checkpoint.Maybe(c.Coder, &w.level, c.level)
	}
	if c.Since(13) {
		checkpoint.Maybe(c.Coder, &w.turn, c.ownTurn)
	}
}
