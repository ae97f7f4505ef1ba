// Package backtest runs recorded metrics through the code that runs live: the
// engine and the pools of evaluate, router, incident. It says which alerts would
// have been raised and which of them would have called somebody.
//
// Time is the data's own. Tenants are onboarded and opt in when their documents
// say so; every team counts as live.
package backtest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/tenant"

	"github.com/tocsin-alerting/tocsin/app/flow"
)

// Options of a Replay. Policy, Catalog and Tenants are required.
type Options struct {
	Policy  *profiles.Policy
	Catalog *catalog.Catalog
	// Tenants with their onboarded_at (zero: from the first sample on) and the
	// times of their opt_ins; a feature without a time is there from the start.
	Tenants          []tenant.Tenant
	Environment      string   // of series that name none; default production
	TenantLabel      string   // default tenant
	EnvironmentLabel string   // default environment
	ClusterLabels    []string // name the source of a series; default cluster, prometheus
	// Watched is how many tenants share the teams' budgets, when Tenants are only a
	// sample of them; 0: as many as there are.
	Watched int
	// Queries are what the policy's rules of kind promql gave; without them these
	// raise nothing.
	Queries *Queries
	Course  *Course // follows the same samples, for a picture; may be nil
}

// Line is one alert that would have been raised.
type Line struct {
	Tenant   string            `json:"tenant"`
	Service  string            `json:"service"`
	Rule     string            `json:"rule"`
	Slice    map[string]string `json:"slice"`
	Severity string            `json:"severity"`
	StartsAt time.Time         `json:"starts_at"` // when it fired
	OnsetAt  time.Time         `json:"onset_at"`
	EndsAt   *time.Time        `json:"ends_at"` // nil while firing
	Pages    bool              `json:"pages"`   // it made somebody be called at that moment
	Incident int               `json:"incident"`
	Reason   string            `json:"reason"`
	Hop      *Hop              `json:"hop"`
	PagedAt  time.Time         `json:"-"` // when that call was; zero when there was none
	Unheard  string            `json:"-"` // why its incident called nobody when it joined; empty: it did, or had nobody to call
}

// Hop is the failing hop, where traces name it.
type Hop struct {
	Service   string  `json:"service"`
	Operation string  `json:"operation"`
	Kind      string  `json:"kind"`
	Share     float64 `json:"share"`
}

// Replay is one policy's run over recorded data. Several may share one reading.
type Replay struct {
	o         Options
	engine    *evaluate.Engine
	pools     map[poolKey]*evaluate.Pool
	ordered   []*evaluate.Pool // in the order they came to be
	chain     *chain
	senders   senders
	life      []event // of tenants, by time
	tenants   map[tenant.ID]tenant.Tenant
	scale     flow.Scale
	weights   map[tenant.ID]float64 // of their teams' budgets; 0: an equal share
	measureAt time.Time
	now       time.Time
	asking    asking
	ends      []time.Time // of the policy's overrides, by time
	buf       []evaluate.Sample
	series    []*known // by the index of the recorded series
}

type poolKey struct{ environment, service string }

// known is what a recorded series is to this replay.
type known struct {
	ref    *evaluate.Ref
	sender *sender
	part   *sources.Part
}

// event changes a tenant's document.
type event struct {
	at  time.Time
	doc tenant.Tenant
}

// New makes a replay that begins at from.
func New(o Options, from time.Time) (*Replay, error) {
	if o.TenantLabel == "" {
		o.TenantLabel = "tenant"
	}
	if o.EnvironmentLabel == "" {
		o.EnvironmentLabel = "environment"
	}
	if o.Environment == "" {
		o.Environment = "production"
	}
	if len(o.Tenants) == 0 {
		return nil, problem.New(problem.Invalid, "a backtest needs tenants").WithHint("--tenants names a YAML list of them, as tocsin tenant apply reads it")
	}
	r := &Replay{o: o, engine: evaluate.New(o.evaluate()), pools: map[poolKey]*evaluate.Pool{},
		tenants: map[tenant.ID]tenant.Tenant{}}
	r.scale.List, r.weights = r.documents, map[tenant.ID]float64{}
	if o.Watched > 0 {
		r.scale.Times = float64(o.Watched) / float64(len(o.Tenants))
	}
	r.chain = newChain(o)
	if r.senders.clusters = o.ClusterLabels; r.senders.clusters == nil {
		r.senders.clusters = []string{"cluster", "prometheus"}
	}
	r.chain.weigh = r.weigh
	for _, v := range o.Policy.Overrides {
		r.ends = append(r.ends, v.Until)
	}
	slices.SortFunc(r.ends, time.Time.Compare)
	for _, t := range o.Tenants {
		if err := r.plan(t, from); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(r.life, func(a, b event) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.doc.ID, b.doc.ID)) })
	return r, nil
}

// evaluate are the options of engine and pools; what the policy's calendar announces is
// expected.
func (o Options) evaluate() evaluate.Options {
	c := o.Policy.Calendar()
	return evaluate.Options{Environment: o.Environment, Announced: func(at time.Time, on calendar.Scope) (calendar.Entry, bool) {
		return c.Active(at, calendar.Widen, on)
	}}
}

// plan lists the changes of one tenant's document: onboarding, then each opt-in.
func (r *Replay) plan(t tenant.Tenant, from time.Time) error {
	doc, err := t.Normalise(from)
	if err != nil {
		return problem.Wrap(err, problem.Invalid, "tenant %s cannot be onboarded", t.ID)
	}
	later := slices.Clone(doc.OptIns)
	slices.SortStableFunc(later, func(a, b tenant.OptIn) int { return a.At.Compare(b.At) })
	doc.Features = slices.DeleteFunc(slices.Clone(doc.Features), func(f string) bool {
		return slices.ContainsFunc(later, func(o tenant.OptIn) bool { return o.Feature == f && o.At.After(doc.OnboardedAt) })
	})
	r.life = append(r.life, event{doc.OnboardedAt, doc})
	for _, o := range later {
		if slices.Contains(doc.Features, o.Feature) {
			continue
		}
		doc.Features = append(slices.Clone(doc.Features), o.Feature)
		slices.Sort(doc.Features)
		at := o.At
		if at.Before(doc.OnboardedAt) {
			at = doc.OnboardedAt
		}
		r.life = append(r.life, event{at, doc})
	}
	return nil
}

// Metrics lists what the policy counts.
func (r *Replay) Metrics() []string { return Metrics(r.o.Policy) }

// Window lets everything happen that is due by end.
func (r *Replay) Window(end time.Time) error {
	r.now = end
	r.live(end)
	r.chain.take(r.senders.hear(end, r.o.Catalog, r.known, func(source string, x sources.Silence) {
		r.engine.SourceAlive(x.Tenant, source, x.Since, x.Heard)
	}), end)
	r.measure(end)
	r.pass(r.engine.Advance(end))
	r.ask(end)
	for _, p := range r.ordered {
		r.chain.take(p.Advance(end), end)
		for _, f := range p.Factors() {
			r.engine.SetFactor(f)
		}
	}
	r.chain.due(end)
	return nil
}

func (r *Replay) known(id tenant.ID) bool { _, ok := r.tenants[id]; return ok }

// live changes tenants whose time has come. What all profiles share, the number
// of tenants, is brought up to date for all of them.
func (r *Replay) live(now time.Time) {
	if (len(r.life) == 0 || r.life[0].at.After(now)) && (len(r.ends) == 0 || r.ends[0].After(now)) {
		return
	}
	before := r.observation()
	changed := map[tenant.ID]bool{}
	for len(r.life) > 0 && !r.life[0].at.After(now) {
		e := r.life[0]
		r.life = r.life[1:]
		r.tenants[e.doc.ID] = e.doc
		changed[e.doc.ID] = true
	}
	r.endOverrides(now, changed)
	o := r.observation()
	all := !o.Equal(before)
	for id, doc := range r.tenants {
		if all || changed[id] {
			r.assign(doc, o, now)
		}
	}
	for key, p := range r.pools {
		p.SetRules(profiles.Pooled(r.o.Policy, key.service, o))
	}
}

func (r *Replay) observation() profiles.Observation {
	return flow.Observe(r.o.Policy, r.o.Catalog, r.watched())
}

// watched is how many tenants share the teams' budgets.
func (r *Replay) watched() (n int) {
	if r.o.Watched > 0 {
		return r.o.Watched
	}
	for _, t := range r.tenants {
		if t.Watched() {
			n++
		}
	}
	return n
}

// pass hands on what closing steps brought.
func (r *Replay) pass(out evaluate.Output) {
	r.chain.take(out.Alerts, r.now)
	for _, c := range out.Contributions {
		r.pool(c).Contribute(c)
	}
}

func (r *Replay) pool(c evaluate.Contribution) *evaluate.Pool {
	key := poolKey{c.Environment, c.Service}
	p := r.pools[key]
	if p == nil {
		p = evaluate.NewPool(r.o.evaluate(), c.Environment, c.Service)
		p.SetRules(profiles.Pooled(r.o.Policy, c.Service, r.observation()))
		p.Advance(r.now)
		r.pools[key] = p
		r.ordered = append(r.ordered, p)
	}
	return p
}

// Take adds the samples of one series that the last window holds.
func (r *Replay) Take(s *recorded.Series, xs []recorded.Sample) {
	for len(r.series) <= s.Index {
		r.series = append(r.series, nil)
	}
	k := r.series[s.Index]
	if k == nil {
		id, ls := tenant.ID(s.Labels.Get(r.o.TenantLabel)), s.Labels
		if r.o.EnvironmentLabel != "environment" {
			ls = labels.NewBuilder(ls).Set("environment", ls.Get(r.o.EnvironmentLabel)).Labels()
		}
		k = &known{ref: r.engine.Resolve(id, ls)}
		k.sender, k.part = r.senders.part(ls, r.o.Environment, id)
		r.series[s.Index] = k
	}
	k.sender.samples += len(xs)
	k.part.Samples += len(xs)
	k.part.Series++
	r.buf = r.buf[:0]
	for _, x := range xs {
		r.buf = append(r.buf, evaluate.Sample{T: x.T, V: x.V})
	}
	r.engine.Append(r.now, k.ref, r.buf)
}

// Lines lists the alerts so far, by time.
func (r *Replay) Lines() []Line { return r.chain.all() }

// Run reads the source once for all replays. progress, when not nil, is told how
// much of the time was read, 0..1, and how many samples.
func Run(ctx context.Context, src recorded.Source, from, to time.Time, progress func(share float64, samples int64), replays ...*Replay) error {
	q := recorded.Query{From: from, To: to}
	for _, r := range replays {
		q.Metrics = append(q.Metrics, r.Metrics()...)
	}
	t := &reading{replays: replays, from: from, to: to, progress: progress}
	if err := src.Read(ctx, q, t); err != nil {
		return err
	}
	// Steps that wait for their last series close, alerts that end are seen to end.
	for end := to; end.Before(to.Add(settled)); end = end.Add(5 * time.Second) {
		for _, r := range replays {
			if err := r.Window(end); err != nil {
				return err
			}
		}
	}
	return nil
}

// settled is how long after the last sample time goes on: until steps that wait
// are closed, but not until tenants count as blind.
const settled = time.Minute

type reading struct {
	replays  []*Replay
	from, to time.Time
	progress func(share float64, samples int64)
	told     time.Time
	samples  int64
}

// Window implements recorded.Taker.
func (t *reading) Window(end time.Time) error {
	for _, r := range t.replays {
		if err := r.Window(end); err != nil {
			return err
		}
	}
	if t.progress != nil && end.Sub(t.told) >= 10*time.Minute {
		t.told = end
		t.progress(float64(end.Sub(t.from))/float64(t.to.Sub(t.from)), t.samples)
	}
	return nil
}

// Samples implements recorded.Taker.
func (t *reading) Samples(s *recorded.Series, xs []recorded.Sample) {
	t.samples += int64(len(xs))
	for _, r := range t.replays {
		if r.o.Course != nil {
			r.o.Course.take(s, xs)
		}
		r.Take(s, xs)
	}
}

// Metrics lists the recorded metrics that a policy counts, sorted. What it counts by
// spans is not among them: recorded series are no events.
func Metrics(p *profiles.Policy) []string {
	var out []string
	for _, s := range p.SLIs {
		switch {
		case s.Source == string(sli.Spans):
		case s.Histogram != "":
			out = append(out, sli.Buckets(s.Histogram))
		default:
			out = append(out, s.Total.Metric)
			if s.Customers.Metric != "" {
				out = append(out, s.Customers.Metric)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
