package evaluate

import (
	"cmp"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	never           = math.MaxInt64
	environment     = "environment" // the label that names it
	maxEnvironments = 8             // of one tenant
	sweepEvery      = 3_600_000     // ms of event time
)

// tenantState is all that is known of one tenant.
type tenantState struct {
	o         Options
	id        tenant.ID
	onboarded int64 // ms
	watched   bool
	zone      *time.Location // its day follows
	promised  float64        // events a minute, at onboarding; 0: nothing was said
	live      bool           // it trades: not merely onboarding
	countries []string       // it is known to trade in
	judged    int            // values of one label at most
	rules     []placed
	specs     []sli.Spec // of the rules, one per SLI, sorted by id, slices merged

	byHash map[uint64][]*series
	// generation is another one when a series was forgotten or the rules changed:
	// a Ref of an older one must look again.
	generation uint64
	series     []*series // in the order they were first seen
	targets    map[string]*target
	meters     []*meter // sorted by environment and SLI
	sources    []*source

	absents    []*absentRule // of the rules
	absences   []*absence
	alive      alive // the source that carried it, while nothing of it comes
	heardSince int64 // ms; received without interruption since
	looked     int64 // ms; when this process first looked for it in vain

	newest, swept, fullAt       int64 // event time
	firstReceived, lastReceived int64 // ms; 0 never
	blind                       bool
	sighted, blindSince         int64 // ms; sighted: came back, not said yet
	lateSamples, refusedSamples int64
	lateEvents, gapEvents       float64
	unmatched                   unmatched // in this life
	rivalSamples                int64
	thinned                     int // cells and hours in which more customers failed than are told apart, not said yet
	resend, dirty               bool
	due                         int64
	alerts, shadow              []alert.Alert // not handed out yet
	accepted                    []acceptance  // by people, oldest first; the caller keeps them
	lessons                     []lesson      // as well
}

func newTenantState(o Options, id tenant.ID) *tenantState {
	return &tenantState{o: o, id: id, zone: time.UTC, judged: o.MaxSlices, byHash: map[uint64][]*series{}, targets: map[string]*target{}, due: never}
}

func (s *series) lastAtOrZero() int64 {
	if !s.known {
		return 0
	}
	return s.t
}

// heard notes that samples arrived.
func (ts *tenantState) heard(received int64) {
	if ts.firstReceived == 0 {
		ts.firstReceived = received
	}
	if ts.lastReceived == 0 || received-ts.lastReceived >= ts.o.BlindAfter.Milliseconds() {
		ts.heardSince = received
	}
	if ts.blind {
		ts.blind, ts.sighted, ts.blindSince = false, received, ts.lastReceived
	}
	ts.lastReceived = max(ts.lastReceived, received)
}

// lookup finds the series or makes it; nil when it matches nothing or is over
// the limit.
func (ts *tenantState) lookup(ls labels.Labels, samples int, events bool) *series {
	h := ls.Hash()
	for _, s := range ts.byHash[h] {
		if s.events == events && labels.Equal(s.ls, ls) {
			return s
		}
	}
	name := ls.Get(labels.MetricName)
	if ts.counts(name, ls.Get, events) == nil {
		if !events || !slices.ContainsFunc(ts.specs, func(s sli.Spec) bool { return s.Metric == name && ofEvents(s) }) {
			ts.unmatched.saw(name, samples) // every kind of call has the same name: one that is not counted is no mistake
		}
		return nil
	}
	if len(ts.series) >= ts.o.MaxSeries && !ts.makeRoom() {
		ts.refusedSamples += int64(samples)
		return nil
	}
	s := &series{ls: ls, events: events}
	if ts.resolve(s); len(s.uses) == 0 {
		ts.refusedSamples += int64(samples)
		return nil
	}
	ts.adopt(s, h)
	return s
}

// counts finds an SLI that counts a series; nil when none does.
func (ts *tenantState) counts(name string, get func(string) string, events bool) *sli.Spec {
	for i := range ts.specs {
		if s := &ts.specs[i]; s.Metric == name && ofEvents(*s) == events && s.IsTotal(get) || !events && s.IsCustomers(name, get) {
			return s
		}
	}
	return nil
}

func (ts *tenantState) adopt(s *series, h uint64) {
	key := targetKey(s.ls)
	if s.target = ts.targets[key]; s.target == nil {
		s.target = &target{}
		ts.targets[key] = s.target
	}
	ts.byHash[h] = append(ts.byHash[h], s)
	ts.series = append(ts.series, s)
}

func targetKey(ls labels.Labels) string { return ls.Get("job") + "\x00" + ls.Get("instance") }

// resolve finds what a series counts in.
func (ts *tenantState) resolve(s *series) {
	s.uses = s.uses[:0]
	name, env := s.ls.Get(labels.MetricName), s.ls.Get(environment)
	if env == "" {
		env = ts.o.Environment
	}
	for _, spec := range ts.specs {
		if !s.events && spec.IsCustomers(name, s.ls.Get) {
			ts.resolveCustomers(s, spec, env)
			continue
		}
		if spec.Metric != name || ofEvents(spec) != s.events || !spec.IsTotal(s.ls.Get) {
			continue
		}
		m := ts.meter(env, spec)
		if m == nil {
			continue
		}
		u := &use{m: m, bad: spec.IsBad(s.ls.Get), cells: []int{0}}
		for _, label := range spec.Slices {
			if v := s.ls.Get(label); v != "" {
				u.cells = append(u.cells, m.cellFor(sli.Dim{Label: label, Value: v}, ts.judged))
			}
		}
		if spec.Histogram != "" && !m.bucketUse(s, u) {
			continue
		}
		if spec.Histogram == "" && len(u.cells) > 1 {
			if i, ok := m.jointFor(u.cells, ts.o.YoungFor.Milliseconds()); ok {
				u.cells = append(u.cells, i)
			}
		}
		for _, c := range u.cells {
			m.cells[c].refs++
		}
		if u.group == nil {
			u.lane = m.laneFor(u.cells)
			m.lanes[u.lane].refs++
		}
		u.names, u.whose = m.namesThem(u, s.ls.Get)
		m.series = append(m.series, s)
		m.stirred()
		s.uses = append(s.uses, u)
	}
	s.names = slices.ContainsFunc(s.uses, func(u *use) bool { return u.names })
	if s.one = nil; len(s.uses) == 1 && !s.uses[0].who && !s.names {
		s.one = s.uses[0]
	}
}

// meter finds or makes the meter; nil when the tenant has too many environments.
func (ts *tenantState) meter(env string, spec sli.Spec) *meter {
	id := spec.ID()
	envs := map[string]bool{}
	for _, m := range ts.meters {
		if m.env == env && m.id == id {
			return m
		}
		envs[m.env] = true
	}
	if !envs[env] && len(envs) >= maxEnvironments {
		return nil
	}
	m := newMeter(env, spec, ts.o.baseOf(spec))
	m.thorough, m.desk = ts.o.thorough, ts.o.desk
	m.setRules(ts.rules)
	ts.meters = append(ts.meters, m)
	slices.SortFunc(ts.meters, func(a, b *meter) int { return cmp.Or(cmp.Compare(a.env, b.env), cmp.Compare(a.id, b.id)) })
	return m
}

// setRules replaces the rules and resolves every series anew when they differ.
// why says what ends the alerts of rules that are gone.
func (ts *tenantState) setRules(kept []placed, now int64, why string) {
	ts.absents = absentRules(kept)
	ts.dropAbsences(now, why)
	if reflect.DeepEqual(kept, ts.rules) {
		return
	}
	ts.rules, ts.specs = kept, mergedSpecs(kept)
	ts.generation++
	ts.judged = judgedAtMost(kept, ts.o.MaxSlices)
	ts.meters = slices.DeleteFunc(ts.meters, func(m *meter) bool {
		if i := slices.IndexFunc(ts.specs, func(s sli.Spec) bool { return s.ID() == m.id }); i >= 0 {
			m.setSpec(ts.specs[i], ts.o.baseOf(ts.specs[i]))
			ts.resolveGone(m, m.setRules(kept), now, why)
			return false
		}
		ts.resolveGone(m, m.setRules(nil), now, why)
		return true
	})
	for _, m := range ts.meters {
		m.series, m.resolving = m.series[:0], true
		clear(m.groups)
		for i := range m.lanes {
			m.lanes[i].refs = 0
		}
	}
	for _, s := range ts.series {
		ts.resolve(s)
	}
	for _, m := range ts.meters {
		m.resolving = false
	}
	ts.countRefs() // only now: until then no cell may give way that a later series counts in
	ts.drop(func(s *series) bool { return len(s.uses) == 0 })
}

// advance closes what is due by now (ms) and sets when the tenant is due again.
func (ts *tenantState) advance(now int64, out *Output) {
	ts.dirty, ts.due = false, never
	if ts.resend {
		ts.resend = false
		for _, m := range ts.meters {
			for i := range m.recent {
				out.Contributions = ts.contributions(m, &m.recent[i], out.Contributions)
			}
		}
	}
	if ts.watched {
		ts.look(now, out)
		for _, m := range ts.meters {
			ts.closeSteps(m, now, out)
		}
		ts.lookAbsent(now)
		ts.sweep()
	}
	ts.drain(out)
}

// look notices that the tenant went blind or came back.
func (ts *tenantState) look(now int64, out *Output) {
	if ts.sighted != 0 {
		out.Blind = append(out.Blind, BlindChange{Tenant: ts.id, Since: at(ts.blindSince), At: at(ts.sighted)})
		ts.sighted, ts.blindSince = 0, 0
	}
	if ts.blind || ts.lastReceived == 0 {
		return
	}
	if deadline := ts.lastReceived + ts.o.BlindAfter.Milliseconds(); now < deadline {
		ts.due = min(ts.due, deadline)
	} else {
		ts.blind, ts.blindSince = true, ts.lastReceived
		out.Blind = append(out.Blind, BlindChange{Tenant: ts.id, Blind: true, Since: at(ts.lastReceived), At: at(deadline)})
	}
}

// closeSteps closes the steps of m that are complete or have waited long enough.
func (ts *tenantState) closeSteps(m *meter, now int64, out *Output) {
	if m.next == 0 {
		return
	}
	if ofEvents(m.spec) {
		ts.closeEvents(m, now, out)
		return
	}
	patience, most := ts.o.Close.Milliseconds(), ts.o.LiveFor.Milliseconds()
	m.setLength(most)
	for {
		start := m.next
		end := (start/m.length + 1) * m.length
		ok, forced, seen, due := m.closable(end, now, patience)
		if !ok {
			if due > 0 {
				ts.due = min(ts.due, due)
			}
			break
		}
		share, from := m.coverage(start, end)
		if share > 0 && !m.whole(start, end) {
			share = 0
			from = start
		}
		ts.closeStep(m, start, end, share, seen, out)
		m.next = end
		if forced {
			ts.missed(m, end, seen)
		}
		// A long silence is passed over at once; nothing was observed in it.
		if jump := from / m.length * m.length; share == 0 && from != never && jump > end {
			if ok, _, _, _ := m.closable(jump, now, patience); ok {
				m.next = jump
			}
		}
	}
	m.forgetMarks()
	m.pruneGaps()
}

// missed notes which series a step closed without, and gives up on those that
// have been missing for long: all of their target at once, else for LiveFor.
func (ts *tenantState) missed(m *meter, end, seen int64) {
	live := ts.o.LiveFor.Milliseconds()
	for _, s := range m.series {
		if !s.waited(end) {
			continue
		}
		if s.missedFrom == 0 {
			s.missedFrom = seen
		}
		silent := end-s.target.scrapes[0] > max(4*s.interval, 60_000)
		replayed := end < seen-ts.o.Backlog.Milliseconds()
		if s.gone = silent || seen-s.missedFrom >= live || replayed && end-s.t > live; s.gone {
			s.changed()
		}
	}
}
