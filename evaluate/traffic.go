package evaluate

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/detect/season"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// A rule of kind traffic judges how many events there are, against what the hour of
// the week usually brings in the tenant's zone (package season). A slice is expected
// to have its usual part of that. A counter that is fresh and flat is lost traffic;
// one that does not arrive is not, whatever the rest of the tenant does.

const (
	nightFrom   = 20                 // local hours in which a tenant whose hours are not known may well sleep
	nightEnds   = 8                  //
	nightPart   = 0.05               // what is expected of such a night
	youngFrom   = 30.0               // minutes after which a young tenant's mean is a mean
	refutedBy   = 3.0                // times what was promised
	refutedFor  = 120.0              // minutes in hours that brought so much: then the promise holds the mean down no longer
	farBelow    = 0.3                // part of the expectation below which a slice's series are looked at one by one
	offerAfter  = 24 * 3_600_000     // ms after which a volume may have changed for good, and the alert says so
	acceptAfter = 7 * 24 * 3_600_000 // ms after which it is the usual one
	goesFrom    = 0.5                // of what is expected now: where the hour before brought that, the day is like others
	shortBy     = 0.1                // of the total: what a slice's loss takes from it is not learned from there on
)

// flow is a meter's volume, kept where a rule of kind traffic asks for it.
type flow struct {
	season season.Season
	minute int64 // of rate; 0: to be made
	rate   season.Rate
	summed summed // not told to the pool yet
}

// at is what is usual at ms, made anew once a minute.
func (f *flow) at(zone *time.Location, ms int64) season.Rate {
	if minute := ms / 60_000; minute != f.minute {
		local := time.UnixMilli(minute * 60_000).In(zone)
		f.season.Begin(ms, season.Slot(local))
		f.minute, f.rate = minute, f.season.At(local)
	}
	return f.rate
}

// want keeps a flow as long as one of the rules asks for it.
func (m *meter) wantFlow() {
	wanted := slices.ContainsFunc(m.rules, func(r *ruleState) bool { return r.Kind == rule.Traffic })
	switch {
	case !wanted:
		m.flow = nil
	case m.flow == nil:
		m.flow = &flow{}
	}
}

// judgeTraffic moves a traffic rule's detectors by the step.
func (ts *tenantState) judgeTraffic(m *meter, ri int, step detect.Step, n []float64, live bool) {
	r, p := m.rules[ri], *ts.parameters(m, ri)
	now := m.flow.at(ts.zone, step.Start)
	minutes := float64(step.End-step.Start) / 60_000
	p.Young = ts.youngFlow(m)
	if p.Young {
		rate := ts.youngRate(m, now.Slot)
		now.Expected, now.Low, now.High = rate, rate, rate
	}
	v := detect.Volume{Size: m.flow.season.Size(), Less: r.Direction != rule.More, More: r.Direction == rule.More || r.Direction == rule.Both}
	v.Known = !p.Young && m.flow.season.Seen(now.Slot)
	tides := ts.tideOf(m, r, step.Start)
	all, mean := now.Expected*minutes*tides.of(0).factor, m.flow.season.Mean()*minutes
	for _, ci := range m.judging {
		c := m.cells[ci]
		if c.watches[ri] == nil || ci > 0 && p.Young {
			continue
		}
		w, s := c.watches[ri], step
		part := 1.0
		if ci > 0 {
			part = c.part(now.Slot)
		}
		t := tides.of(ci)
		s.N, v.Expected, v.Low, v.High = n[ci], now.Expected*minutes*part*t.factor, now.Low*minutes*part*t.low, now.High*minutes*part*t.high
		v.Mean = mean * part
		if ci > 0 && s.N < farBelow*v.Expected && !m.fresh(ci, step.Start, step.End) {
			continue
		}
		if w.vol == nil {
			w.vol = &detect.Traffic{}
		}
		if !m.thorough && !w.Firing && w.Raised == nil && w.vol.Passes(&p, &v, &s) {
			w.flows(v.Expected/minutes, t.why, !p.Young && !v.Known)
			continue
		}
		d := w.vol.Step(p, v, s)
		if w.Firing && !d.Changed {
			m.lastsFlow(r, ci, w, &d, step.End-w.Onset, ts.acceptedBy(m, spot{r, c, w}, step.End))
		}
		w.follow(&d, s.End)
		m.stirs(w, d.Changed)
		w.rest.follow(d, s, n[0], all*s.Coverage)
		w.unseen = !p.Young && !v.Known
		w.goes = ci == 0 && m.flow.season.Before() >= goesFrom*now.Expected
		w.rate, w.tide = v.Expected/minutes, t.why
		if d.Changed && d.Firing && !p.Young && !w.trial { // a young mean may have nothing else to stand on
			m.unlearn(ci, d.Onset)
			if ci > 0 && w.shortens() {
				m.unlearn(0, d.Onset)
			}
		}
		if live {
			ts.say(m, spot{r, c, w}, d, step)
		}
	}
}

// lastsFlow says of a volume that rings for so long (ms) that it may be the new normal, and takes
// it as that at last, or when a person (by) accepted it. It changes d where that ends the alarm.
func (m *meter) lastsFlow(r *ruleState, ci int, w *watch, d *detect.Decision, lasts int64, by string) {
	switch after := r.accepts(); {
	case by != "":
		*d = m.accept(ci, w, by+" accepted its new volume as the usual one")
	case lasts > after:
		*d = m.accept(ci, w, "after "+days(after)+" its new volume is taken as the usual one")
	case lasts > offerAfter && w.Raised != nil:
		w.Raised.Why = "it has lasted for a day: this may be the new normal; somebody may accept it, and after " + days(after) + " it is taken as that"
	}
}

// flows keeps what is usual of a volume of which nothing is suspected.
func (w *watch) flows(rate float64, tide string, unseen bool) {
	w.Score, w.rest, w.unseen, w.rate, w.tide = 0, rest{}, unseen, rate, tide
}

// accepts is after how many ms a change that fires is the usual.
func (r *ruleState) accepts() int64 {
	if r.AcceptAfter > 0 {
		return int64(1000 * r.AcceptAfter)
	}
	return acceptAfter
}

// days writes a stretch of ms in days.
func days(ms int64) string {
	if ms == acceptAfter {
		return "seven days"
	}
	return fmt.Sprintf("%.3g days", float64(ms)/(24*3_600_000))
}

// youngFlow says whether the season is not known yet.
func (ts *tenantState) youngFlow(m *meter) bool {
	return ts.young(m, m.cells[0]) || m.flow.season.Minutes()*60_000 < float64(ts.o.YoungFor.Milliseconds())
}

// youngRate is what must come at least of a tenant whose hours are not known: its mean
// so far, or what was promised of it if that is less and what came does not refute it, and
// next to nothing at night.
func (ts *tenantState) youngRate(m *meter, slot int) float64 {
	if m.flow.season.Minutes() < youngFrom {
		return 0
	}
	rate := m.flow.season.Mean()
	if ts.promised > 0 && m.flow.season.Above(refutedBy*ts.promised) < refutedFor {
		rate = math.Min(rate, ts.promised)
	}
	if h := slot % 24; h < nightEnds || h >= nightFrom {
		rate *= nightPart
	}
	return rate
}

// part is the cell's usual share of the total.
func (c *cell) part(slot int) float64 {
	if c.share == nil {
		return 0
	}
	return c.share.At(slot)
}

// partOf is part of any judged cell, at the newest step's hour.
func (m *meter) partOf(c *cell) float64 {
	if c == m.cells[0] {
		return 1
	}
	return c.part(m.flow.rate.Slot)
}

// fresh says whether a counter of the cell was observed in a..b: without one its
// silence is no lost traffic.
func (m *meter) fresh(ci int, a, b int64) bool {
	if ofEvents(m.spec) {
		return true // whose source was heard
	}
	for _, s := range m.series {
		if !slices.ContainsFunc(s.uses, func(u *use) bool { return u.m == m && slices.Contains(u.cells, ci) }) {
			continue
		}
		if _, seen := s.observed(a, b); 2*seen >= b-a {
			return true
		}
	}
	return false
}

// accept takes the cell's new volume as the usual one: it is learned anew.
func (m *meter) accept(ci int, w *watch, why string) detect.Decision {
	switch {
	case w.trial: // it waits for those in force
	case ci == 0:
		m.flow.season, m.flow.minute = season.Season{}, 0
	default:
		m.cells[ci].share = nil
	}
	w.vol = nil
	if w.Raised != nil {
		w.Raised.Why = why
	}
	return detect.Decision{Changed: true}
}

// unlearn takes back what a cell learned of its volume since the onset.
func (m *meter) unlearn(ci int, onset int64) {
	if ci == 0 {
		m.flow.season.Retract(onset)
		m.flow.minute = 0
	} else if c := m.cells[ci]; c.share != nil {
		c.share.Retract()
	}
}

// learnFlow teaches the season and each slice's part of it.
func (ts *tenantState) learnFlow(m *meter, step detect.Step, n []float64) {
	if m.flow == nil || ts.isAnnounced(m, step.Start) {
		return
	}
	zone, minutes := ts.zone, step.Coverage*float64(step.End-step.Start)/60_000
	now := m.flow.at(zone, step.Start)
	held := m.astir && (m.cells[0].ringing() || slices.ContainsFunc(m.cells[1:], (*cell).shortens) || slices.ContainsFunc(m.cells, (*cell).doubtful))
	if held {
		m.flow.season.Withhold(step.Start, now, n[0], minutes)
	} else {
		m.flow.season.Observe(step.Start, now, n[0], minutes)
	}
	for _, ci := range m.judging {
		if ci == 0 {
			continue
		}
		c := m.cells[ci]
		if c.share == nil {
			c.share = &season.Share{}
		}
		if held || m.astir && c.ringing() {
			c.share.Withhold(step.Start, now.Slot, n[ci], n[0])
			continue
		}
		c.share.Observe(step.Start, now.Slot, n[ci], n[0])
	}
}

// isAnnounced says whether what comes now was announced to be unlike the usual.
func (ts *tenantState) isAnnounced(m *meter, ms int64) bool {
	return slices.ContainsFunc(m.rules, func(r *ruleState) bool {
		return r.Kind == rule.Traffic && r.place != inShadow && ts.tideOf(m, r, ms).announced
	})
}

// doubtful says whether what failed in the cell, and with it its volume, is held to be one
// customer's.
func (c *cell) doubtful() bool {
	return slices.ContainsFunc(c.watches, func(w *watch) bool { return w != nil && w.det.HeldSince() > 0 })
}

func (c *cell) ringing() bool {
	return slices.ContainsFunc(c.watches, func(w *watch) bool { return w.rings() && !w.forgiven })
}

// shortens says whether the cell's lost traffic is missing from the total: then the total
// is not what it usually is.
func (c *cell) shortens() bool {
	return slices.ContainsFunc(c.watches, func(w *watch) bool { return w.rings() && !w.forgiven && w.shortens() })
}

func (w *watch) shortens() bool {
	return w.vol != nil && w.rest.expected > 0 && w.rest.n < (1-shortBy)*w.rest.expected
}

// rest is what the total had, and should have had, since a slice's suspicion began.
type rest struct{ n, expected float64 }

func (x *rest) follow(d detect.Decision, s detect.Step, n, expected float64) {
	if d.Onset == 0 || d.Onset == s.Start {
		*x = rest{}
	}
	if d.Onset != 0 {
		x.n, x.expected = x.n+n, x.expected+expected
	}
}

// gradeTraffic is how severe a change of volume is, and why it is not more.
func (w *watch) gradeTraffic(r *ruleState, slice bool, ev alert.Evidence) (rule.Severity, string) {
	missing := ev.Expected - ev.N
	switch {
	case r.Severity != rule.Critical:
		return r.Severity, ""
	case missing < 0:
		return rule.Warning, "too much is never critical"
	case slice && standing.Moved(w.rest.expected-w.rest.n, missing):
		return rule.Warning, "the tenant's total is not short of them: they came another way"
	case w.unseen && !w.goes:
		return rule.Warning, "this hour of the week was never seen before"
	}
	return rule.Critical, ""
}

// flowStatus is a traffic rule's view of a slice.
func (ts *tenantState) flowStatus(m *meter, r *ruleState, c *cell, w *watch, p detect.Parameters) SliceStatus {
	p.Young = ts.youngFlow(m)
	s := SliceStatus{Rule: r.Name, Kind: r.Kind, Service: r.Service, Noun: r.SLI.Noun, Slice: c.slice, RatePerMinute: w.rate, Young: p.Young, Firing: w.Firing, Score: w.Score, Needed: w.Needed}
	if s.Slice == nil {
		s.Slice = sli.Slice{}
	}
	if w.vol != nil && !w.Firing && w.Score == 0 { // it is not worked out while nothing is suspected
		s.Needed = p.Lost(detect.Volume{Less: r.Direction != rule.More, More: r.Direction == rule.More || r.Direction == rule.Both,
			Mean: m.flow.season.Mean() * float64(m.length) / 60_000 * m.partOf(c)})
	}
	if minutes := detect.LostSeen(p, detect.Volume{Expected: w.rate, Size: m.flow.season.Size(), Known: !w.unseen}); !math.IsInf(minutes, 1) && r.Direction != rule.More {
		seconds := minutes * 60
		s.OutageSeenSeconds = &seconds
	}
	return s
}
