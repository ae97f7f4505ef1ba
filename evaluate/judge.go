package evaluate

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

const (
	mixMatters    = 1.25   // from here on the total is judged by its mix and not by its own history
	halfCovered   = 0.5    // a step observed less is no evidence
	sayAgainAfter = 60_000 // ms between two alerts that differ in evidence only
	ownRatioFrom  = 1000   // events of a tenant's own after which its slices start from its ratio
	recentSteps   = 8      // closed steps whose contributions can be sent again
)

// ruleState is a rule of a meter.
type ruleState struct {
	rule.Rule
	slices float64 // the prior of the slices, as of the newest step; derived
}

// cuts says whether the rule judges the slice.
func (r *ruleState) cuts(s sli.Slice) bool {
	return len(s) == 0 || len(s) == 1 && slices.Contains(r.SLI.Slices, s[0].Label)
}

// watch is one rule's view of one cell.
type watch struct {
	det     detect.ErrorRatio
	firing  bool    // what the detector says
	onset   int64   // of what fires
	cleared int64   // end of the step that ended it
	mix     mix     // of the total only
	raised  *raised // what was said; nil while nothing stands
	score   float64
	needed  float64
}

// raised is an alert that stands.
type raised struct {
	onset, starts, said int64
	backlog             bool
	ev                  alert.Evidence
}

// closed is a closed step with what it contributed.
type closed struct {
	step  detect.Step // N and K unused
	live  bool
	total float64 // events
	bad   float64
	cells []contributed
}

type contributed struct {
	cell        int
	n, k, usual float64
}

// setRules replaces the rules of m and keeps the detectors of those that stay.
// It returns the watches that are gone although an alert of theirs stands.
func (m *meter) setRules(all []rule.Rule) (gone []standing) {
	old := m.rules
	m.rules = nil
	for _, r := range all {
		if r.SLI.ID() == m.id {
			m.rules = append(m.rules, &ruleState{Rule: r})
		}
	}
	for _, c := range m.cells {
		if !c.judged {
			continue
		}
		watches := make([]*watch, len(m.rules))
		for i, r := range m.rules {
			if !r.cuts(c.slice) {
				continue
			}
			watches[i] = &watch{}
			if j := indexRule(old, r); j >= 0 && c.watches[j] != nil {
				watches[i] = c.watches[j]
			}
		}
		for j, w := range c.watches {
			if w != nil && w.raised != nil && !slices.Contains(watches, w) {
				gone = append(gone, standing{old[j], c, w})
			}
		}
		c.watches = watches
	}
	return gone
}

func indexRule(rules []*ruleState, r *ruleState) int {
	return slices.IndexFunc(rules, func(o *ruleState) bool { return o.Name == r.Name && o.Service == r.Service })
}

// standing is an alert that stands, with where it comes from.
type standing struct {
	r *ruleState
	c *cell
	w *watch
}

func (ts *tenantState) resolveGone(m *meter, gone []standing, now int64) {
	for _, g := range gone {
		ts.end(m, g, max(now, m.lastClose+1), "the rule no longer applies")
	}
}

func (ts *tenantState) resolveAll(now int64, why string) {
	for _, m := range ts.meters {
		for _, c := range m.cells {
			for i, w := range c.watches {
				if w != nil && w.raised != nil {
					ts.end(m, standing{m.rules[i], c, w}, max(now, m.lastClose+1), why)
				}
			}
		}
	}
}

// end resolves what stands for a reason that no step gave.
func (ts *tenantState) end(m *meter, g standing, when int64, why string) {
	a := ts.alert(m, g, when)
	ends := at(when)
	a.State, a.EndsAt, a.Reason = alert.Resolved, &ends, "no longer evaluated: "+why
	g.w.raised = nil
	ts.alerts = append(ts.alerts, a)
}

// closeStep teaches and moves what m judges by one step.
func (ts *tenantState) closeStep(m *meter, start, end int64, share float64, seen int64, out *Output) {
	n, k := m.take(end)
	m.setPriors()
	for i, c := range m.cells {
		c.volume += n[i]
	}
	m.lastClose = end
	live := end >= seen-ts.o.Backlog.Milliseconds() && end > ts.onboarded
	step := detect.Step{Start: start, End: end, Coverage: share}
	if share >= halfCovered {
		ts.judge(m, step, n, k, live)
		m.learn(step, n, k)
	}
	m.contribute(step, n, k, live, ts.o.YoungFor.Milliseconds())
	if share >= halfCovered {
		out.Contributions = ts.contributions(m, m.recent[len(m.recent)-1], out.Contributions)
		if live {
			m.liveSeen = true
		}
		spent := int64(share * float64(end-start))
		m.learned += spent
		for _, c := range m.cells {
			if c.judged {
				c.learned += spent
			}
		}
	}
	m.rebalance(end, ts.o.MaxSlices)
}

// judge moves the detectors of every rule and slice by the step.
func (ts *tenantState) judge(m *meter, step detect.Step, n, k []float64, live bool) {
	for ri, r := range m.rules {
		p := ts.parameters(m, ri)
		for ci, c := range m.cells {
			if !c.judged || c.watches[ri] == nil {
				continue
			}
			w, s := c.watches[ri], step
			s.N, s.K = n[ci], k[ci]
			p.Prior = m.prior(r, ci)
			p.Young = ts.young(m, c)
			q, base := p, c.base
			if ci == 0 && !p.Young {
				usual, _ := base.Ratio(p)
				expected := m.expected(r, usual, n, k, ts.o.YoungFor.Milliseconds())
				if mixed := w.mix.follow(n[0], expected, step.End-step.Start); mixed > mixMatters*usual {
					q.Prior, q.PriorWeight, base = mixed, math.Max(100, base.Events()), nil
				}
			}
			d := w.det.Step(q, base, s)
			w.follow(d, s)
			if d.Changed && d.Firing {
				c.base.Retract(d.Onset, step.End)
				m.cells[0].base.Retract(d.Onset, step.End)
			}
			if live {
				ts.say(m, standing{r, c, w}, d, step)
			}
		}
	}
}

// parameters of one stream of a rule: its share of the budget of all of them.
func (ts *tenantState) parameters(m *meter, ri int) detect.Parameters {
	streams := 0
	for _, c := range m.cells {
		if c.judged && c.watches[ri] != nil {
			streams++
		}
	}
	r := m.rules[ri]
	return detect.Parameters{
		Prior:         r.Prior,
		Budget:        r.FalseAlarms / float64(max(streams, 1)),
		LooksPerMonth: float64(detect.Month.Milliseconds()) / float64(m.length),
	}
}

func (ts *tenantState) young(m *meter, c *cell) bool {
	y := ts.o.YoungFor.Milliseconds()
	return m.learned < y || c.learned < y
}

// expected is how many failures of the step the mix of its slices makes one
// expect of the total, so that moving to a worse method is no fault: by each
// dimension from its slices' own usual ratios, and the dimension that expects
// most counts. A slice too young to have a usual ratio explains its own
// failures (it is judged by itself), unless most of the volume is that young.
func (m *meter) expected(r *ruleState, usual float64, n, k []float64, youngFor int64) float64 {
	most := 0.0
	for _, label := range r.SLI.Slices {
		expected, volume, known := 0.0, 0.0, 0.0
		for ci, c := range m.cells {
			if !c.judged || len(c.slice) == 0 || c.slice[0].Label != label || n[ci] <= 0 {
				continue
			}
			volume += n[ci]
			if c.learned < youngFor {
				expected += k[ci]
				continue
			}
			known += n[ci]
			mean, _ := c.base.Ratio(detect.Parameters{Prior: m.prior(r, ci)})
			expected += n[ci] * mean
		}
		if known >= n[0]/2 {
			most = math.Max(most, expected+math.Max(0, n[0]-volume)*usual)
		}
	}
	if most == 0 {
		return n[0] * usual
	}
	return most
}

// mix follows what the slices make one expect of the total over the times that
// the detector's windows look back on, six minutes and an hour.
type mix struct{ n, expected [2]float64 }

// follow adds a step and returns the largest of the ratios: after a return to a
// better mix the windows still hold the worse one.
func (x *mix) follow(n, expected float64, length int64) (ratio float64) {
	if n > 0 {
		ratio = expected / n
	}
	for i, span := range [2]float64{360_000, 3_600_000} {
		fade := math.Exp(-float64(length) / span)
		x.n[i], x.expected[i] = x.n[i]*fade+n, x.expected[i]*fade+expected
		if x.n[i] > 0 {
			ratio = math.Max(ratio, x.expected[i]/x.n[i])
		}
	}
	return ratio
}

// follow keeps what the detector said.
func (w *watch) follow(d detect.Decision, s detect.Step) {
	if d.Changed {
		w.firing = d.Firing
		if d.Firing {
			w.onset = d.Onset
		} else {
			w.cleared = s.End
		}
	}
	w.score, w.needed = d.Score, d.Needed
}

// say raises, renews or resolves the alert of a watch after a live step.
func (ts *tenantState) say(m *meter, g standing, d detect.Decision, step detect.Step) {
	w := g.w
	switch {
	case w.firing && w.raised == nil:
		long := w.onset < ts.firstReceived-ts.o.Backlog.Milliseconds()
		w.raised = &raised{onset: w.onset, starts: step.End, backlog: !m.liveSeen && long}
	case w.firing:
		if step.End-w.raised.said < sayAgainAfter {
			return
		}
	case w.raised == nil:
		return
	}
	if w.firing {
		w.raised.said = step.End
		w.raised.ev = ts.evidence(m, g, d)
	}
	a := ts.alert(m, g, step.End)
	if !w.firing {
		a = over(a, w)
	}
	ts.alerts = append(ts.alerts, a)
}

// over resolves the alert of w.
func over(a alert.Alert, w *watch) alert.Alert {
	ends := at(max(w.cleared, w.raised.starts))
	a.State, a.EndsAt = alert.Resolved, &ends
	a.Reason = fmt.Sprintf("over since %s; before, %s", clock(ends, ends), a.Reason)
	w.raised = nil
	return a
}

func (ts *tenantState) evidence(m *meter, g standing, d detect.Decision) alert.Evidence {
	ev := alert.Evidence{
		N: d.N, K: d.K, Usual: d.Usual, Score: d.Score, Needed: d.Needed,
		Share: 1, RatePerMinute: g.c.base.Rate(), Test: testName(d.Test), Hard: d.Hard,
	}
	if len(g.c.slice) > 0 && m.cells[0].volume > 0 {
		ev.Share = math.Min(1, g.c.volume/m.cells[0].volume)
	}
	if minutes := float64(m.lastClose-d.Onset) / 60_000; ev.RatePerMinute == 0 && minutes > 0 {
		ev.RatePerMinute = d.N / minutes
	}
	return ev
}

func (ts *tenantState) alert(m *meter, g standing, asOf int64) alert.Alert {
	return newAlert(alert.Key{Environment: m.env, Tenant: ts.id, Service: g.r.Service, Rule: g.r.Name, Slice: g.c.slice},
		m.id, g.r, g.w.raised, asOf)
}

func newAlert(key alert.Key, id sli.ID, r *ruleState, said *raised, asOf int64) alert.Alert {
	if key.Slice == nil {
		key.Slice = sli.Slice{}
	}
	a := alert.Alert{
		Key: key, ID: key.ID(), SLI: id, Severity: r.Severity, Summary: r.Summary, RunbookURL: r.RunbookURL,
		State: alert.Firing, OnsetAt: at(said.onset), StartsAt: at(said.starts), Evidence: said.ev,
		AsOf: at(asOf), Backlog: said.backlog,
	}
	a.Reason = reason(key, said.ev, a.OnsetAt, a.AsOf)
	return a
}

// reason is the evidence in a sentence.
func reason(key alert.Key, ev alert.Evidence, onset, asOf time.Time) string {
	things := key.Service
	if things == "" {
		things = "events"
	} else if !strings.HasSuffix(things, "s") {
		things += " events"
	}
	for _, d := range key.Slice {
		switch d.Label {
		case "acquirer", "issuer", "peer":
			things += fmt.Sprintf(" through %s %s", d.Label, d.Value)
		case "country":
			things += " in " + d.Value
		default:
			things += fmt.Sprintf(" with %s %s", d.Label, d.Value)
		}
	}
	if len(ev.Tenants) > 0 {
		things += fmt.Sprintf(" of %d tenants", len(ev.Tenants))
	}
	return fmt.Sprintf("%.0f of %.0f %s failed since %s; usual is %s; evidence %.1f of %.1f needed",
		ev.K, ev.N, things, clock(onset, asOf), percent(ev.Usual), ev.Score, ev.Needed)
}

func percent(r float64) string {
	if r < 0.001 {
		return fmt.Sprintf("%.2f%%", 100*r)
	}
	return fmt.Sprintf("%.1f%%", 100*r)
}

// clock is the time of day in UTC, with the date when that is not now's.
func clock(t, now time.Time) string {
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05 UTC")
	}
	return t.Format("2006-01-02 15:04:05 UTC")
}
