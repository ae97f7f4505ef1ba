// Package profiles makes alert profiles: what the policy (rules as code) says
// of one tenant at one revision. A profile is a function of policy, tenant
// document and observation summary; that triple is stored, the result is not.
//
// The package knows policies and tenants. It does not know series, detectors'
// state, incidents or people; "profiles" never means profiling of programs.
package profiles

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// Policy is the document people write. Unknown keys are errors.
type Policy struct {
	Version int `yaml:"version"` // of the form of this file: 1
	// Environments lists those that may page; others are evaluated and shown.
	Environments []string `yaml:"environments"`
	// Volume names the SLI whose total is the tenant's volume.
	Volume Volume `yaml:"volume"`
	// SLIs are what is counted, each by a name of its own.
	SLIs  []SLI `yaml:"slis"`
	Spans Spans `yaml:"spans"`
	// Rules are what is watched, each on an SLI.
	Rules []RuleDoc `yaml:"rules"`
	// Features says what opting in brings besides the rules that name the feature.
	// A name that ends in .* stands for every feature that begins so.
	Features map[string]Feature `yaml:"features"`
	// Tiers are classes of tenants by volume; without any all tenants are alike.
	Tiers     []Tier    `yaml:"tiers"`
	Evolution Evolution `yaml:"evolution"`
	Impact    Impact    `yaml:"impact"`
	// Overrides change rules for single tenants until a date.
	Overrides []Override `yaml:"overrides"`
	// Pins keep the profiles of single tenants as they are, whatever their volume.
	Pins []Pin `yaml:"pins"`
	// Announced is what the calendar says of promotions, holidays, maintenance and
	// freezes; of two entries with one effect the first listed counts.
	Announced []calendar.Entry `yaml:"calendar"`
	// Sha identifies the text the policy was read from.
	Sha string `yaml:"-"`
	// Text is what was read, for the stored revision.
	Text []byte `yaml:"-"`

	doc      *fault.Document
	calendar calendar.Calendar
	once     map[string]bool // fields with faults that earlier releases took
	mend     fault.List
}

// Calendar is what was announced; empty when nothing was.
func (p *Policy) Calendar() calendar.Calendar { return p.calendar }

// Volume names what is counted as a tenant's traffic.
type Volume struct {
	SLI string `yaml:"sli"` // one of slis that counts events; a histogram does not
}

// SLI declares what is counted.
type SLI struct {
	Name string `yaml:"name"` // lower-case letters, digits and _; rules and volume name it
	// Noun says in alerts and incidents what the events are, in the plural: refunds. Up to
	// three lower-case words; default the service's name.
	Noun   string   `yaml:"noun"`
	Source string   `yaml:"source"` // where the counts come from: metrics (also when empty) or spans
	Total  Selector `yaml:"total"`  // which events are counted
	Bad    Selector `yaml:"bad"`    // which of them failed
	Slices []string `yaml:"slices"` // labels, each of which cuts the counts on its own
	// Histogram names a classic histogram of durations in seconds, instead of Bad and
	// of Total's metric; Total's match still narrows it.
	Histogram string `yaml:"histogram"`
	// Customers says which end customers failed: so many failures of few customers are
	// no fault. Spans say it themselves, by spans.customer.
	Customers Customers `yaml:"customers"`
	// Prior is the failure ratio assumed before anything was learned; default 0.01, of a
	// histogram 0.05.
	Prior float64 `yaml:"prior"`
	// Beside is the same by the other source.
	Beside *Beside `yaml:"beside"`
}

// Selector picks series of a metric: every label of Match has one of the
// values, none of Not has one of its.
type Selector struct {
	Metric string              `yaml:"metric"` // of bad: that of total, also when empty; of spans: none
	Match  map[string][]string `yaml:"match"`  // values by label, one of which each has; "" is an absent label
	Not    map[string][]string `yaml:"not"`    // values by label, of which it has none
}

// Customers names a counter of end customers that failed, each at most once an hour, with
// the labels of slices; or a label of the SLI's own series that says whose they are.
type Customers struct {
	Metric string              `yaml:"metric"` // the counter of end customers that failed
	Match  map[string][]string `yaml:"match"`  // values by label, one of which each has; "" is an absent label
	Not    map[string][]string `yaml:"not"`    // values by label, of which it has none
	// Label makes a series of each customer: for few. A tenant has 2,000 series at most.
	Label string `yaml:"label"`
}

// RuleDoc declares a rule on an SLI.
type RuleDoc struct {
	Name string `yaml:"name"` // lower-case letters, digits and _; alerts carry it
	// Kind says what is judged: errors, declines, latency, traffic, absent, burn_rate or
	// promql.
	Kind    string `yaml:"kind"`
	SLI     string `yaml:"sli"`     // of kind promql only what is shown beside it; default that of volume
	Service string `yaml:"service"` // of the catalog: the owner is found through it
	// Severity is critical, which calls at any hour, warning, which opens a ticket and
	// calls in the team's working hours, or info, which is recorded.
	Severity string `yaml:"severity"`
	// Sensitivity is quiet, balanced (also when empty) or early.
	Sensitivity string `yaml:"sensitivity"`
	// Direction of a traffic rule: less (also when empty), more or both.
	Direction  string `yaml:"direction"`
	Summary    string `yaml:"summary"`     // stands below the headline of pages and tickets
	RunbookURL string `yaml:"runbook_url"` // what to do about it
	// DashboardURL is a dashboard of your own; empty: the service's.
	DashboardURL string `yaml:"dashboard_url"`
	// Objective of kind burn_rate: the share of events that must not fail, for example
	// 0.99.
	Objective float64 `yaml:"objective"`
	// LeastEvents of kind burn_rate: with fewer in the long window nothing is said;
	// default 30.
	LeastEvents float64 `yaml:"least_events"`
	// Expr of kind promql: a query of which every series is an alert, as Prometheus has
	// it. It is asked once a minute for all tenants; its series must have the label that
	// names the tenant, other labels become the slice.
	Expr string `yaml:"expr"`
	// For of kind promql is how long the query must give the series.
	For      time.Duration `yaml:"for"`
	Features []string      `yaml:"features"` // only for tenants with one of them; empty: all
	Tiers    []string      `yaml:"tiers"`    // only for tenants in one of them; empty: all
}

//go:embed payments.yaml
var builtIn []byte

// Default is the built-in payments policy.
func Default() (*Policy, error) { return Parse("built-in payments policy", builtIn) }

// Parse reads and checks a policy; all faults come at once, each with its line.
// name stands in the messages.
func Parse(name string, text []byte) (*Policy, error) {
	p, faults := Check(name, text)
	if err := faults.Problem(name, "compare with docs/examples/policy.yaml"); err != nil {
		return nil, err
	}
	return p, nil
}

// Check is Parse with the faults one by one, in the order of lines. The policy is nil when nothing
// of it could be read; what has another type is left out of it, and nothing is said that
// may follow from that.
func Check(name string, text []byte) (*Policy, fault.List) {
	p := &Policy{Evolution: Evolution{Margin: defaultMargin}}
	doc, faults, ok := fault.ReadParts(name, text, p)
	if !ok {
		return nil, faults
	}
	sum := sha256.Sum256(text)
	p.Sha, p.Text, p.doc = hex.EncodeToString(sum[:8]), text, doc
	zeros := p.zeros()
	p.Evolution.fill()
	p.Impact.fill()
	faults = append(faults, p.Believed(doc.SayAll(slices.Concat(zeros, p.check())))...)
	p.once = p.taken(faults, zeros)
	slices.SortStableFunc(faults, func(a, b fault.Fault) int { return cmp.Compare(a.Line, b.Line) })
	return p, faults
}

// Believed leaves out what is said of something that could not be read.
func (p *Policy) Believed(all fault.List) (out fault.List) {
	for _, f := range all {
		if p.doc == nil || !p.doc.Unread(f.Field) {
			out = append(out, f)
		}
	}
	return out
}

// Lost says whether entries of a list may be named rightly though the policy has them not:
// they, or one of these keys of theirs, could not be read.
func (p *Policy) Lost(list string, keys ...string) bool {
	return p.doc != nil && p.doc.Lost(list, keys...)
}

// Fault makes a fault of a field, at its place in the file.
func (p *Policy) Fault(level fault.Level, field, message string) fault.Fault {
	if p.doc == nil {
		return fault.Fault{Field: field, Level: level, Message: message}
	}
	return p.doc.At(level, field, message)
}

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	nounPattern = regexp.MustCompile(`^[a-z][a-z-]{0,19}( [a-z][a-z-]{0,19}){0,2}$`)
)

func (p *Policy) check() (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if p.Version != 1 {
		fault("version must be 1")
	}
	if len(p.Environments) == 0 {
		fault("environments is empty: list those that may page, for example [production]")
	}
	slis, timed := map[string]bool{}, map[string]bool{}
	for i, s := range p.SLIs {
		where := fmt.Sprintf("slis[%d] (%s)", i, s.Name)
		switch {
		case !namePattern.MatchString(s.Name):
			fault("%s: name must be lower-case letters, digits and _", where)
		case slis[s.Name]:
			fault("%s: name is used twice", where)
		}
		slis[s.Name], timed[s.Name] = true, s.Histogram != ""
		faults = append(faults, place(where, s.checkSource())...)
		if s.Noun != "" && !nounPattern.MatchString(s.Noun) {
			fault("%s: noun must be one to three lower-case words of 20 letters at most, in the plural: refunds", where)
		}
		s.checkCounts(where, fault)
		if s.Prior < 0 || s.Prior >= 0.5 {
			fault("%s: prior must be at least 0 and below 0.5", where)
		}
	}
	faults = append(faults, p.checkSpans()...)
	lost := p.Lost("slis", "name", "histogram")
	switch {
	case lost:
	case !slis[p.Volume.SLI]:
		fault("volume.sli names no declared SLI")
	case timed[p.Volume.SLI]:
		fault("volume.sli is a histogram: name a counter")
	}
	rules := map[string]bool{}
	for i, r := range p.Rules {
		where := fmt.Sprintf("rules[%d] (%s)", i, r.Name)
		switch {
		case !namePattern.MatchString(r.Name):
			fault("%s: name must be lower-case letters, digits and _", where)
		case rules[r.Name]:
			fault("%s: name is used twice", where)
		}
		rules[r.Name] = true
		if !slices.Contains(rule.Kinds(), rule.Kind(r.Kind)) {
			fault("%s: kind must be one of %s", where, kinds())
		}
		if d := rule.Direction(r.Direction); !d.Known() || d != "" && r.Kind != string(rule.Traffic) {
			fault("%s: direction must be less, more or both, and is for kind traffic only", where)
		}
		if !rule.Sensitivity(r.Sensitivity).Known() {
			fault("%s: sensitivity must be quiet, balanced or early", where)
		}
		if !lost && !slis[r.SLI] && (r.SLI != "" || r.Kind != string(rule.PromQL)) {
			fault("%s: sli names no declared SLI", where)
		}
		switch {
		case lost:
		case r.Kind == string(rule.Latency) && slis[r.SLI] && !timed[r.SLI]:
			fault("%s: kind latency needs an SLI with a histogram", where)
		case r.Kind != string(rule.Latency) && r.Kind != string(rule.Absent) && r.Kind != string(rule.PromQL) && timed[r.SLI]:
			fault("%s: its SLI is a histogram, which only kind latency can judge", where)
		}
		r.checkKind(where, fault)
		if strings.TrimSpace(r.Service) == "" {
			fault("%s: service is missing: the owner is found through it", where)
		}
		if rule.Severity(r.Severity).Rank() == 0 {
			fault("%s: severity must be critical, warning or info", where)
		}
		if strings.TrimSpace(r.Summary) == "" {
			fault("%s: summary is missing: the person paged reads it first", where)
		}
		if r.RunbookURL == "" {
			fault("%s: runbook_url is missing", where)
		}
	}
	faults = slices.Concat(faults, p.checkFeatures(), p.checkTiers(), p.Evolution.check(), p.Impact.check(), p.checkOverrides())
	announced, wrong := calendar.New(p.Announced)
	p.calendar = announced
	return append(faults, wrong...)
}

// checkCounts checks what the SLI counts.
func (s SLI) checkCounts(where string, fault func(string, ...any)) {
	s.checkCustomers(where, fault)
	if s.Histogram != "" {
		if s.Total.Metric != "" || len(s.Bad.Match)+len(s.Bad.Not) > 0 || s.Bad.Metric != "" {
			fault("%s: histogram stands instead of total.metric and bad: leave those out", where)
		}
		if strings.HasSuffix(s.Histogram, "_bucket") {
			fault("%s: histogram is named without _bucket", where)
		}
		return
	}
	if s.metric() == "" {
		fault("%s: total.metric is missing", where)
	}
	if s.Bad.Metric != "" && s.Bad.Metric != s.metric() {
		fault("%s: bad counts another metric than total; use match on the same one", where)
	}
	if len(s.Bad.Match)+len(s.Bad.Not) == 0 {
		fault("%s: bad.match is missing: say which events failed", where)
	}
}

func kinds() string {
	var names []string
	for _, k := range rule.Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// MayPage says whether the policy lets an environment page.
func (p *Policy) MayPage(environment string) bool {
	return slices.Contains(p.Environments, environment)
}

// Silent says why nobody may be called for an environment; empty: somebody may.
func (p *Policy) Silent(environment string) (why string) {
	if p.MayPage(environment) {
		return ""
	}
	return "the policy does not list environment " + environment + " among those that may page"
}

func (s SLI) spec() sli.Spec {
	src := sli.Source(s.Source)
	if src == "" {
		src = sli.Metrics
	}
	spec := sli.Spec{Name: s.Name, Noun: s.Noun, Source: src, Metric: s.metric(), Total: s.Total.matches(), Bad: s.Bad.matches(), Slices: append([]string{}, s.Slices...), Beside: s.Beside.spec(s)}
	spec.Customers = s.Customers.spec()
	if s.Histogram != "" {
		spec.Histogram, spec.Metric = s.Histogram, sli.Buckets(s.Histogram)
	}
	return spec
}

func (s Selector) matches() []sli.Match {
	out := []sli.Match{} // never null in an answer
	for _, l := range sortedKeys(s.Match) {
		out = append(out, sli.Match{Label: l, Values: s.Match[l]})
	}
	for _, l := range sortedKeys(s.Not) {
		out = append(out, sli.Match{Label: l, Values: s.Not[l], Not: true})
	}
	return out
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// VolumeSLI is what is counted as a tenant's traffic; false when the policy names
// none that it declares.
func (p *Policy) VolumeSLI() (sli.Spec, bool) {
	for _, s := range p.SLIs {
		if s.Name == p.Volume.SLI {
			return s.spec(), true
		}
	}
	return sli.Spec{}, false
}
