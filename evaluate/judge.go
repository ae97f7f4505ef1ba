package evaluate

import (
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

const (
	halfCovered   = 0.5    // a step observed less is no evidence
	sayAgainAfter = 60_000 // ms between two alerts that differ in evidence only
	ownRatioFrom  = 1000   // events of a tenant's own after which its slices start from its ratio
	recentSteps   = 8      // closed steps whose contributions can be sent again
)

// ruleState is a rule of a meter.
type ruleState struct {
	rule.Rule
	slices  float64 // the prior of the slices, as of the newest step; derived
	place   place
	partial bool              // read from a checkpoint, which holds what a resolved alert must say
	tidal   tidal             // of traffic, derived
	told    detect.Parameters // of each stream, at steps as long as toldAt; derived
	toldAt  int64
}

// cuts says whether the rule judges the slice.
func (r *ruleState) cuts(s sli.Slice) bool {
	return r.Kind != rule.Absent && (len(s) == 0 || len(s) == 1 && slices.Contains(r.SLI.Slices, s[0].Label))
}

// watch is one rule's view of one cell.
type watch struct {
	raised *raised // what was said; nil while nothing stands
	firing bool    // what the detector says
	trial  bool    // of a rule that is in shadow only
	late   lately
	det    detect.ErrorRatio

	vol     *detect.Traffic // instead of det, of a traffic rule
	burn    *detect.Burn    // instead of det, of a rule of burn rates
	onset   int64           // of what fires
	cleared int64           // end of the step that ended it
	rest    rest            // of a slice's traffic
	rate    float64         // events a minute that are usual now; of traffic, derived
	unseen  bool            // this hour was never seen before; of traffic, derived
	tide    string          // why another volume than the usual is expected; of traffic, derived
	// forgiven says that somebody called what fires a false alarm: what comes is learned.
	// Derived from what people said.
	forgiven bool
	level    *level   // of the last day, while it fires
	turn     *ownTurn // against the last half hour; nil: the cell is too thin
	score    float64
	needed   float64
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
func (m *meter) setRules(all []placed) (gone []standing) {
	old := m.rules
	m.rules = nil
	for _, r := range all {
		if r.SLI.ID() == m.id {
			m.rules = append(m.rules, &ruleState{Rule: r.Rule, place: r.place})
		}
	}
	m.wantFlow()
	for _, c := range m.cells {
		if !c.judged && len(c.slice) == 1 && m.always(c.slice[0]) {
			m.judge(c)
			continue
		}
		if !c.judged {
			continue
		}
		h := heir{old: old, watches: c.watches, taken: map[*watch]bool{}}
		watches := make([]*watch, len(m.rules))
		for i, r := range m.rules { // those in force come first
			if r.cuts(c.slice) {
				watches[i] = h.next(r)
			}
		}
		for j, w := range c.watches {
			if w == nil || w.raised == nil || old[j].place == inShadow || slices.Contains(watches, w) {
				continue
			}
			if i := indexRule(m.rules, old[j]); i < 0 || !inherit(w, watches[i]) {
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

// closeStep teaches and moves what m judges by one step.
func (ts *tenantState) closeStep(m *meter, start, end int64, share float64, seen int64, out *Output) {
	m.prepare(end - start)
	n, k := m.take(end)
	if m.edgesMoved {
		m.chooseEdges(end)
	}
	m.setPriors()
	if !ofEvents(m.spec) { // theirs is what they stand for
		for i, v := range n {
			m.came[i] += v
		}
	}
	ts.heed(m, m.lastClose, end)
	m.lastClose = end
	live := end >= seen-ts.o.Backlog.Milliseconds() && end > ts.onboarded
	step := detect.Step{Start: start, End: end, Coverage: share}
	if share >= halfCovered {
		ts.judge(m, step, n, k, live)
		if ts.cannotJudge(m) == "" {
			m.learn(step, n, k)
		}
		ts.learnFlow(m, step, n)
	}
	ts.contribute(m, step, n, k, live)
	if share >= halfCovered {
		out.Contributions = ts.contributions(m, &m.recent[len(m.recent)-1], out.Contributions)
		ts.tellFlow(m, step, n, live, out)
		if live {
			m.liveSeen = true
		}
		spent := int64(share * float64(end-start))
		m.day.add(start, n[0], float64(spent)/1000)
		m.learned += spent
		for _, ci := range m.judging {
			m.cells[ci].learned += spent
		}
	}
	m.rebalance(end, ts.judged)
}

// prepare works out what the steps of a length have in common, and which cells are judged.
func (m *meter) prepare(length int64) {
	if m.fadesOf != length {
		m.fadesOf, m.fades, m.lateFade = length, fades(length), math.Exp(-float64(length)/halvedFades)
	}
	for len(m.came) < len(m.cells) {
		m.came = append(m.came, 0)
	}
	m.judgedCells()
	m.combinations()
}

// settle counts in the cells' volumes what came since.
func (m *meter) settle() {
	for ci, v := range m.came {
		if v != 0 {
			m.cells[ci].volume += v
			m.came[ci] = 0
		}
	}
}

// judgedCells are the places of the cells that are judged.
func (m *meter) judgedCells() []int {
	if len(m.judging) == 0 {
		for ci, c := range m.cells {
			if c.judged {
				m.judging = append(m.judging, ci)
			}
		}
	}
	return m.judging
}

// judge moves the detectors of every rule and slice by the step.
func (ts *tenantState) judge(m *meter, step detect.Step, n, k []float64, live bool) {
	mixed := false
	ts.capFailures(m, step, n, k)
	ts.lend(m, step.Start, step.End, k)
	m.follow(step, n, k, ts.o.LiveFor.Milliseconds())
	for ri, r := range m.rules {
		if ts.held(m, ri) {
			continue
		}
		if r.Kind.Ratio() && !mixed {
			m.followMix(r, n, k, ts.o.YoungFor.Milliseconds())
			mixed = true
		}
		if r.Kind == rule.Traffic {
			ts.judgeTraffic(m, ri, step, n, live)
			continue
		}
		if r.Kind == rule.BurnRate {
			ts.judgeBurn(m, ri, step, n, k, live)
			continue
		}
		ts.judgeRatio(m, ri, step, n, k, live)
	}
}

// judgeRatio moves the detectors of a rule about a share of the events.
func (ts *tenantState) judgeRatio(m *meter, ri int, step detect.Step, n, k []float64, live bool) {
	r, p, alive := m.rules[ri], ts.parameters(m, ri), ts.o.LiveFor.Milliseconds()
	looks := looksBack(r)
	var d, lately detect.Decision
	for _, ci := range m.judging {
		c := m.cells[ci]
		w, s := c.watches[ri], step
		if w == nil || !c.judgeable(r, step.Start) {
			continue
		}
		s.N, s.K = c.counted(n[ci], k[ci], step.Start, alive)
		p.Prior, p.Alternative = m.prior(r, ci), c.alternative()
		if r.Kind == rule.Declines {
			w.late.follow(s.N, s.K, m.lateFade)
		}
		turning := looks && ts.turning(m, ci, w, &s, k[ci], &p, live, &lately)
		if w.raised == nil && !turning && w.det.Calm(p.Prior, p.Alternative, c.base, &s) {
			c.calm()
			continue
		}
		if w.raised == nil && !turning && s.K == 0 && c.mix.within(detect.Moves(c.base.Usually(p.Prior))) {
			if score, needed, ok := w.det.Wane(p.Prior, p.Alternative, c.base, &s); ok {
				if w.score, w.needed = score, needed; score == 0 {
					c.calm()
				}
				continue
			}
		}
		p.Young = ts.young(m, c)
		if p.Shift = 0; !p.Young {
			p.Shift = c.mix.ratio() - c.base.Usually(p.Prior)
		}
		if p.PerMinute, p.Witness = 0, nil; c.who(step.Start, alive) == nil {
			p.PerMinute = c.perMinute(r, w)
			if m.trail != nil {
				m.witness = witness{m, ci, ts.o.YoungFor.Milliseconds()}
				p.Witness = &m.witness
			}
		}
		moved := s
		w.det.Next(&p, c.base, &moved, &d)
		m.lasts(r, ci, w, s, &d, ts.acceptedBy(m, standing{r, c, w}, s.End))
		if w.turn != nil {
			d = turned(d, lately, w.firing)
		}
		w.follow(&d, s.End)
		if d.Onset == 0 {
			c.calm()
		}
		if d.Forgiven && !w.trial {
			m.touched(ci, func(b *detect.Baseline) { b.Retract(d.Onset, step.End) })
		}
		if d.Changed && d.Firing && !w.trial {
			m.touched(ci, func(b *detect.Baseline) { b.Retract(d.Onset, step.End) })
		} else if d.Changed && !w.trial && d.Onset > 0 && !w.forgiven {
			c.healed = step.End
		}
		if live && (w.firing || w.raised != nil) {
			ts.say(m, standing{r, c, w}, d, step)
		}
	}
}

// parameters of one stream of a rule: its share of the budget of all of them. They are
// worked out when streams begin or end.
func (ts *tenantState) parameters(m *meter, ri int) detect.Parameters {
	r := m.rules[ri]
	if r.toldAt != m.length {
		was := r.told
		if r.told, r.toldAt = m.share(ri), m.length; r.told != was {
			for _, ci := range m.judgedCells() {
				if w := m.cells[ci].watches[ri]; w != nil {
					w.det.Wake()
				}
			}
		}
	}
	return r.told
}

// recount has what follows from which cells are judged worked out again.
func (m *meter) recount() {
	m.judging = m.judging[:0]
	for _, r := range m.rules {
		r.toldAt = 0
	}
}

func (m *meter) share(ri int) detect.Parameters {
	streams := 0
	for _, ci := range m.judgedCells() {
		if m.cells[ci].watches[ri] != nil {
			streams++
		}
	}
	r := m.rules[ri]
	return detect.Parameters{
		Prior:         r.Prior,
		Budget:        r.usually() * r.FalseAlarms / float64(max(streams, 1)),
		LooksPerMonth: float64(detect.Month.Milliseconds()) / float64(m.length),
		Factor:        r.Sensitivity.Factor(),
	}
}

func (ts *tenantState) young(m *meter, c *cell) bool {
	y := ts.o.YoungFor.Milliseconds()
	return m.learned < y || c.learned < y
}

// follow keeps what the detector said.
func (w *watch) follow(d *detect.Decision, end int64) {
	if d.Changed {
		w.firing = d.Firing
		if d.Firing {
			w.onset, w.forgiven = d.Onset, false
		} else {
			w.cleared = end
		}
	}
	w.score, w.needed = d.Score, d.Needed
}
