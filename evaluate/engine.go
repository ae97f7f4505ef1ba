// Package evaluate turns samples into steps, moves the detectors by them and
// says which alerts fire, for the tenants of one partition (Engine). What is judged
// over all tenants of a service is told to package pool, by package exchange.
//
// It knows how counters become counts (increments, resets, births, gaps, late
// and split requests), when a step is complete, which slices are judged, and
// what a detector's decision means for an alert. It must not know where samples
// come from, where state is stored, who is paged or what time it is: time comes
// in with every call, and the same sequence of calls gives the same results, so
// that a replay of the journal reaches the same verdicts.
//
// Units: sample times are unix milliseconds, steps are aligned to the epoch,
// evidence is in nats.
package evaluate

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Options bounds an Engine. The zero value works.
type Options struct {
	Environment string        // of series that carry no environment label; default "production"
	Step        time.Duration // the shortest step; default 15 s
	SpanStep    time.Duration // the step of events that carry their own time; default 10 s
	Close       time.Duration // a step waits this long for its last series after the first; default 30 s
	Backlog     time.Duration // steps ending longer ago are replayed and raise nothing; default 10 min
	YoungFor    time.Duration // observed event time before anything but a hard fault fires; default 24 h
	LiveFor     time.Duration // a series without samples is waited for this long; default 5 min
	BlindAfter  time.Duration // a tenant without samples is blind; default 5 min
	Remember    time.Duration // the last value of a series that is gone is kept; default 24 h
	MaxSeries   int           // series evaluated per tenant; default 2,000
	MaxSlices   int           // values of one dimension that are judged, by volume; default 8
	// Announced finds the calendar entry that widens the expected volume of a scope at
	// an instant; nil: nothing is announced.
	Announced func(at time.Time, on calendar.Scope) (calendar.Entry, bool)

	tides    *tides // of an Engine
	desk     *desk  // as well
	thorough bool   // every step is every cell's: to be compared with
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if o.Environment == "" {
		o.Environment = "production"
	}
	set(&o.Step, 15*time.Second)
	set(&o.SpanStep, 10*time.Second)
	set(&o.Close, 30*time.Second)
	set(&o.Backlog, 10*time.Minute)
	set(&o.YoungFor, 24*time.Hour)
	set(&o.LiveFor, 5*time.Minute)
	set(&o.BlindAfter, 5*time.Minute)
	set(&o.Remember, 24*time.Hour)
	if o.MaxSeries <= 0 {
		o.MaxSeries = 2000
	}
	if o.MaxSlices <= 0 {
		o.MaxSlices = 8
	}
	return o
}

// Sample is one value of a cumulative counter. T and Start are unix
// milliseconds; Start is when the counter began at zero, 0 when not known.
type Sample struct {
	T     int64
	V     float64
	Start int64
}

// Output is what an Advance brought, in a fixed order: alerts by tenant and
// then the most evidence first, contributions and blind changes by tenant.
type Output struct {
	Alerts        []alert.Alert // new states: firing, resolved, and newer evidence at most once a minute
	Shadow        []alert.Alert // the same of the rules in shadow; those in force too, where both have the very same rule
	Contributions []exchange.Contribution
	Blind         []BlindChange
	// Thinned is in how many cells and hours more customers failed than are told apart
	// one by one, newly: their number is an estimate from there on.
	Thinned int
}

func (o *Output) empty() bool {
	return len(o.Alerts)+len(o.Shadow)+len(o.Contributions)+len(o.Blind)+o.Thinned == 0
}

// BlindChange says that a tenant's samples stopped arriving or came back. While
// blind its detectors are held: what fired goes on firing, nothing new fires.
type BlindChange struct {
	Tenant tenant.ID `json:"tenant"`
	Blind  bool      `json:"blind"`
	Since  time.Time `json:"since"` // when the last sample before the silence was received
	At     time.Time `json:"at"`    // when it was noticed, or when the first sample after it was received
}

// Status is what can be told of a tenant: what arrives, what was learned, what
// could be seen.
type Status struct {
	Tenant            tenant.ID   `json:"tenant"`
	Series            int         `json:"series"`          // series that match an SLI of the tenant's rules
	SeriesLive        int         `json:"series_live"`     // of those, still sending
	RefusedSamples    int64       `json:"refused_samples"` // of series over the limit: not evaluated
	LateSamples       int64       `json:"late_samples"`    // not newer than the series' last: not applied
	RivalSamples      int64       `json:"rival_samples"`   // of a second sender of the same series: not applied
	LateEvents        float64     `json:"late_events"`     // counted after their step had closed
	GapEvents         float64     `json:"gap_events"`      // over gaps too long to say when: in the volume, not judged
	FirstReceivedAt   *time.Time  `json:"first_received_at"`
	LastReceivedAt    *time.Time  `json:"last_received_at"`
	LastSampleAt      *time.Time  `json:"last_sample_at"` // the sample's own time
	Blind             bool        `json:"blind"`
	Young             bool        `json:"young"`       // only hard faults fire
	YoungUntil        *time.Time  `json:"young_until"` // if samples keep arriving; nil when not young
	SLIs              []SLIStatus `json:"slis"`
	SLIsWithoutSeries []string    `json:"slis_without_series"`
	SeriesWithoutSLI  []Unmatched `json:"series_without_sli"` // the most samples first
}

// SLIStatus is one SLI in one environment.
type SLIStatus struct {
	Environment   string     `json:"environment"`
	SLI           sli.ID     `json:"sli"`
	Name          string     `json:"name"`
	Source        sli.Source `json:"source"`
	StepSeconds   float64    `json:"step_seconds"`
	RatePerMinute float64    `json:"rate_per_minute"` // over the last steps; where spans were sampled, of the calls they stand for
	FailureRatio  float64    `json:"failure_ratio"`   // over the last steps
	// Beside is what the other source says of the same events; nil when nothing.
	Beside *BesideStatus `json:"beside,omitempty"`
	// CannotJudge says why the SLI's ratio is no evidence; empty when it is.
	CannotJudge string `json:"cannot_judge,omitempty"`
	// Customers is what is known of who fails; nil where nothing says it.
	Customers *CustomersStatus `json:"customers,omitempty"`
	Slices    []SliceStatus    `json:"slices"`
	Shadow    []SliceStatus    `json:"shadow"` // of the rules that are in shadow only
}

// SliceStatus is one rule's view of one slice.
type SliceStatus struct {
	Rule          string    `json:"rule"`
	Kind          rule.Kind `json:"kind"`
	Service       string    `json:"service"`
	Noun          string    `json:"noun,omitempty"` // what its events are, see sli.Spec
	Slice         sli.Slice `json:"slice"`
	RatePerMinute float64   `json:"rate_per_minute"` // learned; of a traffic rule, what is expected at this hour
	Usual         float64   `json:"usual"`           // learned failure ratio, the rule's prior at first
	Upper         float64   `json:"upper"`           // what is above this may be a fault
	Young         bool      `json:"young"`
	Firing        bool      `json:"firing"`
	Score         float64   `json:"score"`
	Needed        float64   `json:"needed"`
	// SmallestFault is how many points above the usual a fault must be to be seen
	// within ten minutes at the learned rate (0.05 is five points); nil when none is.
	SmallestFault *float64 `json:"smallest_fault"`
	// OutageSeenSeconds is how long a total outage lasts until it is seen; nil when never.
	OutageSeenSeconds *float64 `json:"outage_seen_seconds"`
	// FivePointsSeenSeconds is how long a fault lasts that adds five points to the usual
	// ratio (0.05) until it is seen; nil when never, and of rules about volume.
	FivePointsSeenSeconds *float64 `json:"five_points_seen_seconds"`
	// HourRate is the events a minute that this hour of the week usually brings, which
	// the three before are told at; 0 when that is not known: then it is RatePerMinute.
	HourRate float64 `json:"hour_rate_per_minute"`
	// OverSeconds is what a slow event takes longer than; nil where latency is not
	// judged, or not yet.
	OverSeconds *float64 `json:"over_seconds"`
	// HeldSince is when failures began of which there are enough for an alert, but which
	// look like one customer's retries; nil: there are none.
	HeldSince *time.Time `json:"held_since"`
}

// tooFarAhead is how far a sample's time may be ahead of its receipt: one that
// is further would hold back all that follow.
const tooFarAhead = 5 * time.Minute

// mostValue is what a counter of events may show: above, single events are lost in
// its rounding, and sums of it would overflow.
const mostValue = 1e18

// Engine evaluates the tenants of one partition. It is not safe for concurrent
// use: the goroutine that owns the partition owns it.
type Engine struct {
	o       Options
	tenants map[tenant.ID]*tenantState
	ids     []tenant.ID // sorted
	dirty   []*tenantState
	due     int64 // ms; no tenant needs attention before, unless it is dirty
	queued  Output
	// contributed is handed out and filled again: steps bring a hundred bytes a slice.
	contributed []exchange.Contribution
	zones       map[string]*time.Location
}

// New makes an engine without tenants.
func New(o Options) *Engine {
	o.tides, o.desk = &tides{factors: map[tideKey][]exchange.Factor{}}, &desk{}
	return &Engine{o: o.withDefaults(), tenants: map[tenant.ID]*tenantState{}, due: never, zones: map[string]*time.Location{}}
}

// SetTenant installs a tenant with its rules, or replaces its document and
// rules. What is counted by SLIs that stay is kept, and so is what was learned
// and what fires; alerts of rules that are gone are resolved by the next
// Advance. A tenant that is not watched (paused, retired) keeps what it learned
// and is not evaluated. Rules of kinds the engine does not know are left out.
func (e *Engine) SetTenant(t tenant.Tenant, rules []rule.Rule, now time.Time) {
	e.Change(t, rules, nil, now, ruleGone)
}

const ruleGone = "the rule no longer applies"

// Change is SetTenant with the rules that run in shadow beside those in force (nil:
// none do), and with the reason that alerts of rules that are gone are resolved
// with. A rule that comes from the shadow into force goes on with what it has seen
// there; one that was in force under the same name, and asks the same, with its own.
func (e *Engine) Change(t tenant.Tenant, rules, shadow []rule.Rule, now time.Time, why string) {
	ts := e.tenants[t.ID]
	if ts == nil {
		ts = newTenantState(e.o, t.ID)
		e.tenants[t.ID] = ts
		at, _ := slices.BinarySearch(e.ids, t.ID)
		e.ids = slices.Insert(e.ids, at, t.ID)
	}
	if t.Watched() && !ts.watched && ts.lastReceived > 0 { // while it was not watched nobody listened
		ts.lastReceived = max(ts.lastReceived, now.UnixMilli())
	}
	ts.onboarded, ts.watched = t.OnboardedAt.UnixMilli(), t.Watched()
	if t.OnboardedAt.IsZero() {
		ts.onboarded = 0
	}
	ts.zone, ts.promised, ts.live, ts.countries = e.zone(t.Timezone), t.ExpectedTPM, t.State == tenant.Live, t.Countries
	ts.setRules(arrange(rules, shadow), now.UnixMilli(), why)
	if !ts.watched {
		ts.resolveAll(now.UnixMilli(), "the tenant is "+string(t.State))
	}
	e.touch(ts) // it may be due although nothing comes of it
	ts.drain(&e.queued)
}

// zone finds a time zone; UTC when there is no such.
func (e *Engine) zone(name string) *time.Location {
	if z, ok := e.zones[name]; ok {
		return z
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		z = time.UTC
	}
	e.zones[name] = z
	return z
}

// Ending are the alerts in force of a tenant as they end when it is removed. Nothing is
// changed: the removal may not come to be.
func (e *Engine) Ending(id tenant.ID, why string) (out []alert.Alert) {
	if ts := e.tenants[id]; ts != nil {
		ts.endings(0, why, func(r *ruleState, a alert.Alert) {
			if r.place != inShadow {
				out = append(out, a)
			}
		})
	}
	return standing.Order(out)
}

// RemoveTenant forgets a tenant. Nothing more is said of what it has firing: see Ending.
func (e *Engine) RemoveTenant(id tenant.ID) {
	ts := e.tenants[id]
	if ts == nil {
		return
	}
	delete(e.tenants, id)
	ts.generation++
	e.ids = slices.DeleteFunc(e.ids, func(other tenant.ID) bool { return other == id })
	e.dirty = slices.DeleteFunc(e.dirty, func(d *tenantState) bool { return d == ts })
}

// Add takes samples of one series, oldest first. receivedAt is when the record
// that holds them was accepted; Advance must have been called with it before.
// Unknown tenants, tenants that are not watched and series that match no rule
// are ignored. ls is kept, samples is not.
func (e *Engine) Add(receivedAt time.Time, id tenant.ID, ls labels.Labels, samples []Sample) {
	ts := e.tenants[id]
	if ts == nil || !ts.watched || len(samples) == 0 {
		return
	}
	s := ts.lookup(ls, len(samples), false)
	if s == nil {
		return
	}
	e.take(ts, s, receivedAt.UnixMilli(), samples)
}

// Advance closes the steps that are due by now and returns what follows from
// them. Call it with a record's receive time before that record's Adds, so that
// a replay of the records reaches the same verdicts, and from a timer in
// between: a step waits at most Options.Close for its last series. The contributions
// are valid until the next call.
func (e *Engine) Advance(now time.Time) Output {
	ms := now.UnixMilli()
	if len(e.dirty) == 0 && ms < e.due && e.queued.empty() {
		return Output{}
	}
	out := e.queued
	e.queued = Output{}
	if out.Contributions == nil {
		out.Contributions = e.contributed[:0]
	}
	work := e.dirty
	if ms >= e.due {
		work, e.due = work[:0], never
		for _, id := range e.ids {
			work = append(work, e.tenants[id])
		}
	} else {
		slices.SortFunc(work, func(a, b *tenantState) int { return cmp.Compare(a.id, b.id) })
	}
	for _, ts := range work {
		if ts.dirty || ms >= ts.due {
			ts.advance(ms, &out)
		}
		e.due = min(e.due, ts.due)
	}
	e.dirty = work[:0]
	if e.contributed = out.Contributions[:0]; len(out.Contributions) == 0 {
		out.Contributions = nil
	}
	return out
}

// Tenants lists the tenants, sorted.
func (e *Engine) Tenants() []tenant.ID { return slices.Clone(e.ids) }
