// Package sli says what is counted: which series make the total, which of them
// are bad, and by which dimensions the counts are cut.
//
// A Spec is declared once and compiled twice: into counters that are updated
// as samples arrive (evaluate does that) and into the equal PromQL (here).
// Its ID is a hash of the normalised form, so that learned baselines survive a
// renaming and are shared by policies that count the same thing.
package sli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// ID identifies what is counted: the first 16 hex digits of the hash of the
// normalised Spec.
type ID string

// Source says where the counts come from.
type Source string

// A tenant's SLI has one source; a second is shown beside it, never added.
const (
	Metrics Source = "metrics"
	Spans   Source = "spans"
)

// Sources lists them.
func Sources() []Source { return []Source{Metrics, Spans} }

// Match is one label condition: the label's value is one of Values, or with
// Not none of them. An absent label has the empty value.
type Match struct {
	Label  string   `json:"label" yaml:"label"`
	Values []string `json:"values" yaml:"values"`
	Not    bool     `json:"not,omitempty" yaml:"not,omitempty"`
}

// Matches says whether the value satisfies the condition.
func (m Match) Matches(value string) bool { return slices.Contains(m.Values, value) != m.Not }

// Spec is an SLI: of the events counted by the metric Total, those that match
// Bad failed.
type Spec struct {
	Name string `json:"name"`
	// Noun says what its events are, in the plural: refunds; empty: as their service is
	// called. It takes no part in the ID.
	Noun   string   `json:"noun,omitempty"`
	Source Source   `json:"source"`
	Metric string   `json:"metric"` // counter, e.g. payment_transactions_total
	Total  []Match  `json:"total"`  // which of its series count at all
	Bad    []Match  `json:"bad"`    // which of those are failures
	Slices []string `json:"slices"` // labels that cut it, each on its own
	// Beside counts the same events by the other source. It is shown beside this
	// one and never added; it counts for a tenant that sends nothing by this one.
	Beside *Spec `json:"beside,omitempty"`
	// Customers counts who fails; nil when nothing but spans does. It takes no part in the ID.
	Customers *Customers `json:"customers,omitempty"`
	// Histogram names a classic histogram of durations in seconds instead: Metric is
	// then the name of its buckets, and bad are the events above an edge that is
	// learned. Edge is that edge in the PromQL form; it takes no part in the ID.
	Histogram string  `json:"histogram,omitempty"`
	Edge      float64 `json:"edge_seconds,omitempty"`
}

// Customers says who fails: by a counter of end customers that failed, each at most once
// an hour, with the labels that the SLI is cut by; or by a label of the SLI's own series.
// Spans say it themselves.
type Customers struct {
	Metric string  `json:"metric"` // empty: Label says it
	Match  []Match `json:"match"`  // which of its series count
	Label  string  `json:"label,omitempty"`
}

// IsCustomers says whether a series counts the customers of the SLI.
func (s Spec) IsCustomers(name string, get func(string) string) bool {
	return s.CustomersApart() && s.Customers.Metric == name && all(s.Customers.Match, get)
}

// CustomersApart says whether a counter of its own says who fails.
func (s Spec) CustomersApart() bool { return s.Customers != nil && s.Customers.Metric != "" }

// What tocsin makes of spans: counters by service, span_name, span_kind, peer,
// status and the policy's slices. Collector marks them, so that what a collector
// derives of the same spans under the same name is never added to them.
const (
	SpanCalls    = "traces_spanmetrics_calls_total"
	SpanDuration = "traces_spanmetrics_duration_seconds" // a classic histogram
	Collector    = "tocsin"
)

// Dim is one label and its value.
type Dim struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// Slice is the dimensions an SLI is cut by, sorted by label; the empty slice is
// the total. It is comparable through Equal and, as a map's key, through Key.
type Slice []Dim

// Key is the slice's canonical text, e.g. "acquirer=alpha"; empty for the total.
func (s Slice) Key() string {
	switch len(s) {
	case 0:
		return ""
	case 1: // nearly all are
		return s[0].Label + "=" + s[0].Value
	}
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.Label + "=" + d.Value
	}
	return strings.Join(parts, ",")
}

// Equal says whether both are the same slice.
func (s Slice) Equal(o Slice) bool { return slices.Equal(s, o) }

// MarshalJSON writes the slice as an object of label to value.
func (s Slice) MarshalJSON() ([]byte, error) { return json.Marshal(s.Map()) }

// UnmarshalJSON reads such an object; the dimensions come out sorted.
func (s *Slice) UnmarshalJSON(raw []byte) error {
	var m map[string]string
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	out := make(Slice, 0, len(m))
	for l, v := range m {
		out = append(out, Dim{l, v})
	}
	slices.SortFunc(out, func(a, b Dim) int { return strings.Compare(a.Label, b.Label) })
	*s = out
	return nil
}

// Map is the slice as label to value; never nil.
func (s Slice) Map() map[string]string {
	m := make(map[string]string, len(s))
	for _, d := range s {
		m[d.Label] = d.Value
	}
	return m
}

// Covers says whether s is the same as o or above it: every dimension of s is
// one of o's.
func (s Slice) Covers(o Slice) bool {
	for _, d := range s {
		if !slices.Contains(o, d) {
			return false
		}
	}
	return true
}

// Related says whether one of the two covers the other.
func (s Slice) Related(o Slice) bool { return s.Covers(o) || o.Covers(s) }

// ID hashes what is counted; the name does not take part.
func (s Spec) ID() ID {
	var b strings.Builder
	src := s.Source
	if src == "" {
		src = Metrics
	}
	fmt.Fprintf(&b, "v1|%s|%s|", src, s.Metric)
	writeMatches(&b, s.Total)
	b.WriteByte('|')
	writeMatches(&b, s.Bad)
	sum := sha256.Sum256([]byte(b.String()))
	return ID(hex.EncodeToString(sum[:8]))
}

func writeMatches(b *strings.Builder, ms []Match) {
	lines := make([]string, len(ms))
	for i, m := range ms {
		vs := slices.Clone(m.Values)
		slices.Sort(vs)
		lines[i] = fmt.Sprintf("%s/%t/%q", m.Label, m.Not, slices.Compact(vs))
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, ";"))
}

// IsTotal and IsBad classify a series of the metric by its labels; get returns
// a label's value, empty when absent.
func (s Spec) IsTotal(get func(string) string) bool { return all(s.Total, get) }

// IsBad says whether a series that IsTotal counts failures.
func (s Spec) IsBad(get func(string) string) bool { return len(s.Bad) > 0 && all(s.Bad, get) }

func all(ms []Match, get func(string) string) bool {
	for _, m := range ms {
		if !m.Matches(get(m.Label)) {
			return false
		}
	}
	return true
}
