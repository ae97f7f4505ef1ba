package evaluate

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/rule"
)

const (
	halfCovered  = 0.5  // a step observed less is no evidence
	ownRatioFrom = 1000 // events of a tenant's own after which its slices start from its ratio
	recentSteps  = 8    // closed steps whose contributions can be sent again
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
	views   []view           // by cell, of a rule about a share of events; derived
	origin  *exchange.Origin // of what it contributes; nil: nothing yet
}

// watch is one rule's view of one cell.
type watch struct {
	det detect.ErrorRatio
	standing.Stream
	trial  bool // of a rule that is in shadow only
	unseen bool // this hour was never seen before; of traffic, derived
	goes   bool // but the hour before brought what is expected of it; of a total's traffic, derived
	// forgiven says that somebody called what fires a false alarm: what comes is learned.
	// Derived from what people said.
	forgiven bool

	vol   *detect.Traffic  // instead of det, of a traffic rule
	burn  *detect.Burn     // instead of det, of a rule of burn rates
	level *level           // of the last day, while it fires
	turn  *ownTurn         // against the last hour; nil: the cell is too thin
	late  *standing.Lately // of declines; nil: none came
	rest  rest             // of a slice's traffic
	rate  float64          // events a minute that are usual now; of traffic, derived
	tide  string           // why another volume than the usual is expected; of traffic, derived
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
func (m *meter) setRules(all []placed) (gone []spot) {
	m.catch()
	m.resume()
	m.disturb()
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
			if r.Cuts(c.slice) {
				watches[i] = h.next(r)
			}
		}
		for j, w := range c.watches {
			if w == nil || w.Raised == nil || old[j].place == inShadow || slices.Contains(watches, w) {
				continue
			}
			if i := indexRule(m.rules, old[j]); i < 0 || !inherit(w, watches[i]) {
				gone = append(gone, spot{old[j], c, w})
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
	youngFor := ts.o.YoungFor.Milliseconds()
	m.prepare(end-start, youngFor)
	n, k := m.take(end, youngFor)
	if m.edgesMoved {
		m.chooseEdges(end)
	}
	if !ofEvents(m.spec) { // theirs is what they stand for
		m.owe(n)
	}
	ts.heed(m, m.lastClose, end)
	m.lastClose = end
	m.bound(n, k)
	m.renew(youngFor)
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
		out.Contributions = ts.tellNewest(m, out.Contributions)
		ts.tellFlow(m, step, n, live, out)
		if live {
			m.liveSeen = true
		}
		spent := int64(share * float64(end-start))
		m.day.add(start, n[0], float64(spent)/1000)
		m.learned += spent
	}
	m.rebalance(end, ts.judged)
}

// prepare works out what the steps of a length have in common.
func (m *meter) prepare(length, youngFor int64) {
	if m.fadesOf != length {
		m.resume() // what a detector asks of evidence is by a step's length
		m.fadesOf, m.fades, m.lateFade = length, fades(length), standing.Fade(length)
	}
	m.judgedCells()
	m.renew(youngFor)
}

// renew has made anew what is derived of the cells where it is no longer true.
func (m *meter) renew(youngFor int64) {
	if m.stale || m.learned >= m.ripens {
		m.refresh(youngFor)
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
	if plain := ts.isPlain(m); plain != m.plain {
		m.resume()
		m.plain = plain
	}
	ts.capFailures(m, step, n, k)
	ts.lend(m, step.Start, step.End, k)
	m.follow(step, n, k, ts.o.LiveFor.Milliseconds())
	for ri, r := range m.rules {
		if ts.held(m, ri) {
			continue
		}
		if r.Kind.Ratio() && !mixed {
			m.followMix(r, n)
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
	m.astir = m.astir && slices.ContainsFunc(m.cells, func(c *cell) bool { return c.busy() || c.doubtful() })
}

// judgeRatio moves the detectors of a rule about a share of the events.
func (ts *tenantState) judgeRatio(m *meter, ri int, step detect.Step, n, k []float64, live bool) {
	r, minute := m.rules[ri], detect.Minute(step.Start)
	p, fades := ts.parameters(m, ri), r.Kind == rule.Declines && m.plain
	var j *judgement
	for at, ci := range m.judging {
		v, n, k := &r.views[at], n[ci], k[ci]
		if v.w == nil {
			continue
		}
		if fades {
			v.w.declined(n, k, m.lateFade)
		}
		switch {
		case !m.stale && m.plain && v.idle.Passes(n, k):
			m.passBy(v, at, ci, n, k, minute, &step)
			continue
		case !m.stale && !m.plain && v.idle.On() && ts.passTold(m, r, v, at, ci, n, k, minute, &step):
			continue
		case v.quiet && n == 0 && k == 0 && !m.stale:
			continue
		case j == nil:
			j = &m.desk.judgement
			*j = judgement{m: m, ri: ri, r: r, step: step, live: live, p: *p, looks: r.Kind.LooksBack()}
			j.loses = j.looks && m.loses()
		}
		v.resume()
		m.desk.moved++
		still := ts.move(j, at, ci, n, k) && !m.thorough && v.w.turn == nil && (!v.thick || v.det.Young())
		if v.quiet = still && m.plain; still {
			v.det.Rest(&v.idle)
		}
	}
}

// passBy takes a step that a cell's detector need not see.
func (m *meter) passBy(v *view, at, ci int, n, k float64, minute int64, step *detect.Step) {
	success := 0.
	if n == 0 {
		return
	}
	if v.idle.Suspects() {
		if x, newest := m.mixOf(at, ci); !x.within(newest, detect.Moves(v.usual)) {
			success = v.idle.Takes(v.usual, m.asked(ci), x.ratio(newest)-v.usual)
		}
	}
	v.idle.Pass(v.det, n, k, success, minute, step)
}

// passTold does so of a cell of which somebody may say who fails, and says whether it did:
// what counts of a step is known by now.
func (ts *tenantState) passTold(m *meter, r *ruleState, v *view, at, ci int, n, k float64, minute int64, step *detect.Step) bool {
	c := m.cells[ci]
	n, k = c.counted(n, k, step.Start, ts.o.LiveFor.Milliseconds())
	if !v.idle.Passes(n, k) {
		return false
	}
	if r.Kind == rule.Declines {
		v.w.declined(n, k, m.lateFade)
	}
	m.passBy(v, at, ci, n, k, minute, step)
	if !v.idle.Suspects() {
		c.calm()
	}
	return true
}

// parameters of one stream of a rule: its share of the budget of all of them. They are
// worked out when streams begin or end.
func (ts *tenantState) parameters(m *meter, ri int) *detect.Parameters {
	r := m.rules[ri]
	if r.toldAt != m.length {
		was := r.told
		if r.told, r.toldAt = m.share(ri), m.length; r.told != was {
			for i := range r.views {
				r.views[i].resume()
			}
			for _, ci := range m.judgedCells() {
				if w := m.cells[ci].watches[ri]; w != nil {
					w.det.Wake()
				}
			}
		}
	}
	return &r.told
}

// recount has what follows from which cells are judged worked out again.
func (m *meter) recount() {
	m.catch()
	m.stale, m.judging, m.pulses, m.mixes = true, m.judging[:0], m.pulses[:0], m.mixes[:0]
	for _, r := range m.rules {
		r.toldAt = 0
	}
}

func (m *meter) share(ri int) detect.Parameters {
	r := m.rules[ri]
	return detect.Parameters{
		Prior:         r.Prior,
		Budget:        detect.UsualShare(r.Kind.LooksBack()) * r.FalseAlarms / float64(max(m.streams(ri), 1)),
		LooksPerMonth: float64(detect.Month.Milliseconds()) / float64(m.length),
		Loose:         r.loose(),
		Factor:        r.Sensitivity.Factor(),
	}
}

// loose is how many nats less a thin stream of the rule needs at most. What customers are
// declined for, and burn rates, need what they always do.
func (r *ruleState) loose() float64 {
	switch r.Kind {
	case rule.Errors, "":
		return detect.LooseErrors
	case rule.Traffic:
		return detect.LooseTraffic
	case rule.Latency:
		return detect.LooseLatency
	}
	return 0
}

func (ts *tenantState) young(m *meter, c *cell) bool {
	y := ts.o.YoungFor.Milliseconds()
	return m.learned < y || m.seen(c) < y
}

// declined follows what came of late. It is kept apart: most watches are not about declines.
func (w *watch) declined(n, k, fade float64) {
	if w.late == nil {
		w.late = &standing.Lately{}
	}
	w.late.Follow(n, k, fade)
}

// follow keeps what the detector said.
func (w *watch) follow(d *detect.Decision, end int64) {
	if w.Follow(d, end) {
		w.forgiven = false
	}
}
