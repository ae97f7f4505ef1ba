// Package sources decides what became of the senders of samples: which tenants a
// source carries, whether it has fallen silent, and which of its tenants have while it
// goes on sending. A source is what its samples call their cluster, else the credential
// they came by; of a pair of replicas one counts, so that one of them may go.
//
// It knows names, counts and times of receipt. It must not know series, rules, who
// owns a source or how it is paged: time comes in with every call, and the same calls
// give the same results.
package sources

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Rule is the name of the alert that a silent source raises.
const Rule = "source_silent"

const (
	steadyFrom   = 15 * time.Minute // what sent for less than this may end as it began
	steadyTimes  = 10               // requests; the same
	remember     = 24 * time.Hour   // a tenant that the source no longer carries
	mostTenants  = 200_000
	silentAfter  = 10 * time.Minute // of a tenant, while the source sends
	sayAgain     = time.Minute      // at the earliest, then when a twentieth of the silence has passed
	sayAgainAt   = 10 * time.Minute // at the latest
	pacesMissed  = 3.0              // usual intervals without a request that are silence
	mostPace     = 3600.0           // seconds of one gap that count as a pace
	rateFades    = 60.0             // seconds after which samples count 1/e in the rate
	namedTenants = 20               // of the alert's evidence
)

// Options of a source's silence.
type Options struct {
	BlindAfter time.Duration // without samples for so long it is silent; default 5 min
}

// Part is what one request brought of one tenant.
type Part struct {
	Tenant          tenant.ID
	Series, Samples int
}

// Heard is one request of the source, as it was received.
type Heard struct {
	At            time.Time
	Parts         []Part // of onboarded tenants
	Samples       int
	Late, Refused int // samples older than ten minutes; samples that were not taken
}

// Carried is a tenant of the source.
type Carried struct {
	Last   time.Time `json:"last"`   // received
	Series int       `json:"series"` // of its newest request, the largest part of late
	// Said is when its silence was told last; zero while it is heard.
	Said time.Time `json:"said,omitzero"`
}

// Silence is a tenant of whom nothing came for long while the source sent others without
// interruption.
type Silence struct {
	Tenant tenant.ID
	Since  time.Time // since when the source has been sending without interruption
	Heard  time.Time // when it was heard last
}

// State is what is kept of a source.
type State struct {
	Environment string                 `json:"environment"`
	Name        string                 `json:"name"`
	First       time.Time              `json:"first"`
	Last        time.Time              `json:"last"`
	Since       time.Time              `json:"since"` // sending without interruption since then
	Requests    int64                  `json:"requests"`
	Samples     int64                  `json:"samples"`
	Late        int64                  `json:"late"`
	Refused     int64                  `json:"refused"`
	Rate        float64                `json:"rate"`     // samples a second, as of Last
	Interval    float64                `json:"interval"` // seconds that usually lie between two requests
	Tenants     map[tenant.ID]*Carried `json:"tenants"`
	DeadSince   *time.Time             `json:"dead_since,omitempty"` // the last sample before the silence
	Alert       *alert.Alert           `json:"alert,omitempty"`      // that stands
}

// Source is one sender. It is not safe for concurrent use.
type Source struct {
	o     Options
	s     State
	begun time.Time // of this process: nobody could be heard before
}

// New makes a source that was never heard.
func New(o Options, environment, name string) *Source {
	if o.BlindAfter <= 0 {
		o.BlindAfter = 5 * time.Minute
	}
	return &Source{o: o, s: State{Environment: environment, Name: name, Tenants: map[tenant.ID]*Carried{}}}
}

// Hear takes one request. It gives the end of the alert that stood, if any.
func (s *Source) Hear(h Heard) *alert.Alert {
	st := &s.s
	if st.First.IsZero() {
		st.First, st.Since = h.At, h.At
	}
	if h.At.Sub(st.Last) >= s.patience() {
		st.Since = h.At
	}
	if gap := h.At.Sub(st.Last).Seconds(); gap > 0 {
		s.pace(gap)
		st.Rate *= math.Exp(-gap / rateFades)
	}
	st.Rate += float64(h.Samples) / rateFades
	if h.At.After(st.Last) {
		st.Last = h.At
	}
	st.Requests++
	st.Samples, st.Late, st.Refused = st.Samples+int64(h.Samples), st.Late+int64(h.Late), st.Refused+int64(h.Refused)
	for _, p := range h.Parts {
		c := st.Tenants[p.Tenant]
		if c == nil {
			if len(st.Tenants) >= mostTenants {
				continue
			}
			c = &Carried{}
			st.Tenants[p.Tenant] = c
		}
		c.Series = max(p.Series, c.Series-c.Series/16) // a scrape may come in several requests
		if h.At.After(c.Last) {
			c.Last, c.Said = h.At, time.Time{}
		}
	}
	return s.back(h.At)
}

// pace follows the time between requests: longer ones at once, shorter ones slowly,
// those of one scrape not at all.
func (s *Source) pace(gap float64) {
	st := &s.s
	switch {
	case st.Requests == 0 || gap < 1:
	case st.Interval == 0:
		st.Interval = gap
	case gap > st.Interval:
		st.Interval += (math.Min(gap, mostPace) - st.Interval) / 4
	default:
		st.Interval += (gap - st.Interval) / 16
	}
}

// patience is how long a silence may last: who sends every ten minutes is not silent
// after five.
func (s *Source) patience() time.Duration {
	return max(s.o.BlindAfter, time.Duration(s.s.Interval*pacesMissed*float64(time.Second)))
}

func (s *Source) back(at time.Time) *alert.Alert {
	s.s.DeadSince = nil
	a := s.s.Alert
	if a == nil {
		return nil
	}
	s.s.Alert = nil
	over := *a
	over.State, over.EndsAt, over.AsOf = alert.Resolved, &at, at
	over.Reason = fmt.Sprintf("it sends again since %s; before, %s", clock(at), a.Reason)
	return &over
}

// Advance looks at the clock: it gives the alert of a source that has fallen silent,
// and, again and again, the tenants of whom nothing comes while it sends. service is who the catalog
// says it belongs to; it may be empty. known says which tenants there are.
func (s *Source) Advance(now time.Time, service string, known func(tenant.ID) bool) (*alert.Alert, []Silence) {
	if s.begun.IsZero() {
		s.begun = now
	}
	for id, c := range s.s.Tenants {
		if now.Sub(c.Last) > remember && s.s.DeadSince == nil || !known(id) {
			delete(s.s.Tenants, id)
		}
	}
	if from := later(s.s.Last, s.begun); now.Sub(from) >= s.patience() {
		return s.dies(from.Add(s.patience()), service), nil
	}
	if s.s.DeadSince != nil || now.Sub(s.s.Last) >= s.patience() {
		return nil, nil
	}
	var out []Silence
	for id, c := range s.s.Tenants {
		lasted := s.s.Last.Sub(later(c.Last, s.s.Since))
		if again := min(max(sayAgain, lasted/20), sayAgainAt); lasted >= silentAfter && now.Sub(c.Said) >= again {
			c.Said = now
			out = append(out, Silence{Tenant: id, Since: s.s.Since, Heard: s.s.Last})
		}
	}
	slices.SortFunc(out, func(a, b Silence) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return nil, out
}

// dies raises the alert of a source that carried tenants and was more than a visitor.
func (s *Source) dies(at time.Time, service string) *alert.Alert {
	st := &s.s
	if st.DeadSince != nil || len(st.Tenants) == 0 || st.Requests < steadyTimes || st.Last.Sub(st.First) < steadyFrom {
		return nil
	}
	last := st.Last
	st.DeadSince = &last
	a := alert.Alert{
		Key: alert.Key{Environment: st.Environment, Tenant: tenant.Product, Service: service, Rule: Rule,
			Slice: sli.Slice{{Label: "source", Value: st.Name}}},
		Kind: rule.Source, Severity: rule.Critical, State: alert.Firing, OnsetAt: last, StartsAt: at, AsOf: at,
		Summary:    "Samples of many tenants no longer arrive: nobody watches them",
		RunbookURL: "https://github.com/tocsin-alerting/tocsin/blob/main/docs/runbooks/source_silent.md",
		Evidence:   alert.Evidence{N: float64(len(st.Tenants)), Source: st.Name, Share: 1, RatePerMinute: st.Rate * 60, Test: "silence", Hard: true},
	}
	a.ID = a.Key.ID()
	a.Evidence.Tenants = s.named()
	a.Reason = fmt.Sprintf("no sample of source %s arrived since %s: its %d tenants are blind since then, their detectors are held and none of them pages",
		st.Name, clock(last), len(st.Tenants))
	st.Alert = &a
	return &a
}

func (s *Source) named() []tenant.ID {
	ids := make([]tenant.ID, 0, len(s.s.Tenants))
	for id := range s.s.Tenants {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b tenant.ID) int {
		return cmp.Or(cmp.Compare(s.s.Tenants[b].Series, s.s.Tenants[a].Series), cmp.Compare(a, b))
	})
	return ids[:min(len(ids), namedTenants)]
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

// Last is when the source was heard last.
func (s *Source) Last() time.Time { return s.s.Last }

// Status is what can be told of a source.
type Status struct {
	Environment      string     `json:"environment"`
	Name             string     `json:"name"`
	FirstReceivedAt  time.Time  `json:"first_received_at"`
	LastReceivedAt   time.Time  `json:"last_received_at"`
	Tenants          int        `json:"tenants"`
	Series           int        `json:"series"`
	SamplesPerSecond float64    `json:"samples_per_second"`
	Late             int64      `json:"late_samples"`    // older than ten minutes when they came
	Refused          int64      `json:"refused_samples"` // not taken at the door
	DeadSince        *time.Time `json:"dead_since"`      // null while it sends
	Service          string     `json:"service"`         // whose it is; empty: the catalog does not say
	Team             string     `json:"team"`
	OwnerReason      string     `json:"owner_reason"`
}

// Status tells it, as of now.
func (s *Source) Status(now time.Time) Status {
	st := Status{Environment: s.s.Environment, Name: s.s.Name, FirstReceivedAt: s.s.First, LastReceivedAt: s.s.Last, Tenants: len(s.s.Tenants),
		Late: s.s.Late, Refused: s.s.Refused, DeadSince: s.s.DeadSince}
	for _, c := range s.s.Tenants {
		st.Series += c.Series
	}
	st.SamplesPerSecond = s.s.Rate * math.Exp(-math.Max(0, now.Sub(s.s.Last).Seconds())/rateFades)
	return st
}

// Checkpoint is the source's state as JSON.
func (s *Source) Checkpoint() ([]byte, error) {
	raw, err := json.Marshal(s.s)
	if err != nil {
		return nil, problem.Wrap(err, problem.Internal, "a source's state cannot be written")
	}
	return raw, nil
}

// Restore replaces the state by a checkpoint. On an error it is as it was.
func (s *Source) Restore(raw []byte) error {
	var st State
	if err := json.Unmarshal(raw, &st); err != nil || st.Name == "" {
		return problem.New(problem.Malformed, "the state of a source is damaged")
	}
	if st.Tenants == nil {
		st.Tenants = map[tenant.ID]*Carried{}
	}
	s.s = st
	return nil
}
