// Package backtest runs recorded metrics through the code that runs live: the
// engine and the pools of evaluate, router, incident. It says which alerts would
// have been raised and which of them would have called somebody.
//
// Time is the data's own. Tenants are onboarded and opt in when their documents
// say so; every team counts as live.
package backtest

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/pool"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/sources"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Options of a Replay. Policy, Catalog and Tenants are required.
type Options struct {
	Policy  *profiles.Policy
	Catalog *catalog.Catalog
	// Tenants with their onboarded_at (zero: from the beginning on, and missed by nobody
	// before their own first sample) and the
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
	// Follow has each tenant's tier follow its observed volume, and pins count, as live;
	// without it a tenant is in the tier of the volume that it was promised to have.
	Follow bool
	// Profiles are how the profiles of some tenants were; with Follow.
	Profiles []Record
	Course   *Course // follows the same samples, for a picture; may be nil
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
	subjects  []*subject // by id
	pools     map[poolKey]*pool.Pool
	ordered   []*pool.Pool // in the order they came to be
	lastKey   poolKey      // of pools, that was asked for last
	lastPool  *pool.Pool
	lastFrom  *exchange.Origin // of what went there
	chain     *chain
	senders   senders
	life      []event // of tenants, by time
	tenants   map[tenant.ID]tenant.Tenant
	listed    []tenant.Tenant // those, by id; nil: to be made
	number    int             // of tenants that are watched
	scale     whole.Scale
	weights   map[tenant.ID]float64 // of their teams' budgets; 0: an equal share
	measureAt time.Time
	now       time.Time
	asking    asking
	standing  map[tenant.ID]*standing
	turns     []turn             // of recorded profiles, and of the policy's pins and overrides, by time
	series    []*known           // by the index of the recorded series
	heard     []*known           // by run of the stretch that is being read
	dead      [][]alert.Alert    // by window of the cut: what sources said
	requests  []int              // windows of the cut in which the sources are heard
	met       map[tenant.ID]bool // whose runs were read
}

type poolKey struct{ environment, service string }

// known is what a recorded series is to this replay.
type known struct {
	subject *subject // nil: of nobody who is watched
	ref     *evaluate.Ref
	sender  *sender
	part    *part
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
	r := &Replay{o: o, pools: map[poolKey]*pool.Pool{}, tenants: map[tenant.ID]tenant.Tenant{}}
	r.scale.List, r.weights = r.documents, map[tenant.ID]float64{}
	if o.Watched > 0 {
		r.scale.Times = float64(o.Watched) / float64(len(o.Tenants))
	}
	r.chain = newChain(o)
	if r.senders.clusters = o.ClusterLabels; r.senders.clusters == nil {
		r.senders.clusters = []string{"cluster", "prometheus"}
	}
	r.chain.weigh = r.weigh
	r.standings(o.Profiles)
	for _, t := range o.Tenants {
		if err := r.plan(t, from); err != nil {
			return nil, err
		}
	}
	r.subjects = subjects(r.life, o.evaluate())
	slices.SortStableFunc(r.life, func(a, b event) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.doc.ID, b.doc.ID)) })
	return r, nil
}

// evaluate are the options of the engines; what the policy's calendar announces is
// expected.
func (o Options) evaluate() evaluate.Options {
	c := o.Policy.Calendar()
	if !slices.ContainsFunc(c.Entries(), func(e calendar.Entry) bool { return e.Effect == calendar.Widen }) {
		return evaluate.Options{Environment: o.Environment}
	}
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
	dated := func(doc tenant.Tenant) tenant.Tenant {
		if t.OnboardedAt.IsZero() { // since when it is missed nobody said
			doc.OnboardedAt = time.Time{}
		}
		return doc
	}
	r.life = append(r.life, event{doc.OnboardedAt, dated(doc)})
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
		r.life = append(r.life, event{at, dated(doc)})
	}
	return nil
}

// Metrics lists what the policy counts.
func (r *Replay) Metrics() []string { return Metrics(r.o.Policy) }

// Window lets everything happen that is due by end. With Take it replays what comes as it
// comes; Run does the same for what is recorded, a tenant at a time.
func (r *Replay) Window(end time.Time) error {
	r.begin(end)
	r.chain.take(r.hear(end, func(s *subject, source string, x sources.Silence) {
		s.engine.SourceAlive(s.id, source, x.Since, x.Heard)
	}), end)
	r.measure(end)
	for _, s := range r.subjects {
		out := s.engine.Advance(end)
		r.pass(out.Alerts, out.Contributions)
	}
	r.finish(end)
	return nil
}

// begin is what a window begins with.
func (r *Replay) begin(end time.Time) {
	r.now = end
	r.live(end)
}

// hear lets the sources know what came.
func (r *Replay) hear(end time.Time, silent func(s *subject, source string, x sources.Silence)) []alert.Alert {
	return r.senders.hear(end, r.o.Catalog, r.known, func(source string, x sources.Silence) {
		if s := r.subject(x.Tenant); s != nil {
			silent(s, source, x)
		}
	})
}

// finish is what a window ends with, when every tenant's steps are closed.
func (r *Replay) finish(end time.Time) {
	r.ask(end)
	for _, p := range r.ordered {
		r.chain.take(p.Advance(end), end)
		for _, f := range p.Factors() {
			for _, s := range r.subjects {
				s.engine.SetFactor(f)
			}
		}
	}
	r.chain.due(end)
}

func (r *Replay) known(id tenant.ID) bool { _, ok := r.tenants[id]; return ok }

// live changes tenants whose time has come. What all profiles share, the number
// of tenants, is brought up to date for all of them.
func (r *Replay) live(now time.Time) {
	if (len(r.life) == 0 || r.life[0].at.After(now)) && (len(r.turns) == 0 || r.turns[0].at.After(now)) {
		return
	}
	before := r.observation()
	changed := map[tenant.ID]bool{}
	for len(r.life) > 0 && !r.life[0].at.After(now) {
		e := r.life[0]
		r.life = r.life[1:]
		if r.tenants[e.doc.ID].Watched() {
			r.number--
		}
		if e.doc.Watched() {
			r.number++
		}
		r.tenants[e.doc.ID], r.listed = e.doc, nil
		changed[e.doc.ID] = true
	}
	r.turned(now, changed)
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
	return whole.Observe(r.o.Policy, r.o.Catalog, r.watched())
}

// watched is how many tenants share the teams' budgets.
func (r *Replay) watched() int {
	if r.o.Watched > 0 {
		return r.o.Watched
	}
	return r.number
}

// pass hands on what closing steps brought.
func (r *Replay) pass(alerts []alert.Alert, told []exchange.Contribution) {
	r.chain.take(alerts, r.now)
	for i := range told {
		r.pool(&told[i]).Contribute(&told[i])
	}
}

func (r *Replay) pool(c *exchange.Contribution) *pool.Pool {
	if c.Origin == r.lastFrom {
		return r.lastPool // a tenant says much by one rule
	}
	r.lastFrom = c.Origin
	key := poolKey{c.Environment, c.Service}
	if key == r.lastKey {
		return r.lastPool // nearly all say the same
	}
	p := r.pools[key]
	if p == nil {
		p = pool.New(pool.Options{Announced: r.o.evaluate().Announced}, c.Environment, c.Service)
		p.SetRules(profiles.Pooled(r.o.Policy, c.Service, r.observation()))
		p.Advance(r.now)
		r.pools[key] = p
		r.ordered = append(r.ordered, p)
	}
	r.lastKey, r.lastPool = key, p
	return p
}

// Take adds the samples of one series that the last window holds.
func (r *Replay) Take(s *recorded.Series, xs []recorded.Sample) {
	k := r.meet(s)
	k.sender.samples += len(xs)
	k.part.Samples += len(xs)
	k.part.Series++
	if k.subject != nil {
		k.subject.add(r.now, k.ref, xs)
	}
}

// meet finds out what a recorded series is.
func (r *Replay) meet(s *recorded.Series) *known {
	for len(r.series) <= s.Index {
		r.series = append(r.series, nil)
	}
	if k := r.series[s.Index]; k != nil {
		return k
	}
	id, ls := tenant.ID(s.Labels.Get(r.o.TenantLabel)), s.Labels
	if r.o.EnvironmentLabel != "environment" {
		ls = labels.NewBuilder(ls).Set("environment", ls.Get(r.o.EnvironmentLabel)).Labels()
	}
	k := &known{subject: r.subject(id)}
	if k.subject != nil {
		k.ref = k.subject.engine.Resolve(id, ls)
	}
	k.sender, k.part = r.senders.part(ls, r.o.Environment, id)
	r.series[s.Index] = k
	return k
}

// Lines lists the alerts so far, by time.
func (r *Replay) Lines() []Line { return r.chain.all() }

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
