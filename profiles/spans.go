package profiles

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/sli"
)

// Spans says how received spans are cut.
type Spans struct {
	// Attributes lists, by label, the attributes of spans (or of their resource)
	// that its value is taken from; the first that is present counts. No other
	// attribute of a span is read, save those that OpenTelemetry gives a meaning.
	Attributes map[string][]string `yaml:"attributes"`
	// Customer lists the attributes of spans that say which end customer was served: the
	// first that is present counts, and of it a hash that says nothing. Without it
	// customer.id; an empty list has nobody read.
	Customer []string `yaml:"customer"`
}

// Beside declares the same events by the other source. It is shown beside the
// SLI's own and never added; it counts for tenants that send nothing by that.
type Beside struct {
	Source string   `yaml:"source"` // metrics or spans, the one that the SLI does not count
	Total  Selector `yaml:"total"`  // which events are counted
	Bad    Selector `yaml:"bad"`    // which of them failed
}

// labelPattern is a label's name; reserved are those that spans have anyway.
var (
	labelPattern = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
	reserved     = []string{"tenant", "environment", "service", "span_name", "span_kind", "peer", "status", "collector", "le"}
)

// SpanLabel is a label that spans are cut by, with the attributes it comes from.
type SpanLabel struct {
	Label      string
	Attributes []string
}

// SpanLabels lists what spans are cut by: what the policy says, else the labels
// of the default signals, from attributes of the same name with or without
// "payment." before it.
func (p *Policy) SpanLabels() []SpanLabel {
	if len(p.Spans.Attributes) == 0 {
		var out []SpanLabel
		for _, l := range []string{"acquirer", "country", "method", "operation", "result"} {
			out = append(out, SpanLabel{Label: l, Attributes: []string{l, "payment." + l}})
		}
		return out
	}
	var out []SpanLabel
	for _, l := range sortedKeys(p.Spans.Attributes) {
		out = append(out, SpanLabel{Label: l, Attributes: p.Spans.Attributes[l]})
	}
	return out
}

func (p *Policy) checkSpans() (faults []string) {
	for _, l := range sortedKeys(p.Spans.Attributes) {
		switch {
		case !labelPattern.MatchString(l):
			faults = append(faults, fmt.Sprintf("spans.attributes: the label %s must be lower-case letters, digits and _", l))
		case slices.Contains(reserved, l):
			faults = append(faults, fmt.Sprintf("spans.attributes: every span has the label %s already", l))
		case len(p.Spans.Attributes[l]) == 0 || slices.Contains(p.Spans.Attributes[l], ""):
			faults = append(faults, fmt.Sprintf("spans.attributes.%s names no attribute", l))
		}
		for _, a := range append([]string{customer}, p.SpanCustomer()...) {
			if slices.Contains(p.Spans.Attributes[l], a) {
				faults = append(faults, fmt.Sprintf("spans.attributes.%s: %s says who was served and is no dimension", l, a))
				break
			}
		}
	}
	if slices.Contains(p.SpanCustomer(), "") {
		faults = append(faults, "spans.customer names no attribute; [] has nobody read")
	}
	return faults
}

const customer = "customer.id" // the attribute that says who was served

// SpanCustomer lists the attributes that say who was served; empty: nobody is read.
func (p *Policy) SpanCustomer() []string {
	if p.Spans.Customer == nil {
		return []string{customer}
	}
	return p.Spans.Customer
}

// SpanFailures lists what the SLIs count of spans: whose total and bad both match a call
// is a failure.
func (p *Policy) SpanFailures() (out []sli.Spec) {
	for _, s := range p.SLIs {
		spec := s.spec()
		if b := spec.Beside; b != nil && b.Source == sli.Spans {
			spec = *b
		}
		if spec.Source == sli.Spans && spec.Histogram == "" {
			out = append(out, spec)
		}
	}
	return out
}

// checkSource checks where an SLI's counts come from.
func (s SLI) checkSource() (faults []string) {
	if s.Source != "" && !slices.Contains(sli.Sources(), sli.Source(s.Source)) {
		faults = append(faults, "source must be metrics or spans")
	}
	if spans := s.Source == string(sli.Spans); spans && s.metric() != sli.SpanCalls {
		faults = append(faults, "an SLI of spans counts "+sli.SpanCalls+": leave total.metric out")
	} else if spans && s.Histogram != "" && s.Histogram != sli.SpanDuration {
		faults = append(faults, "the histogram of spans is "+sli.SpanDuration)
	}
	b := s.Beside
	if b == nil {
		return faults
	}
	switch mine := cmp.Or(s.Source, string(sli.Metrics)); {
	case s.Histogram != "":
		faults = append(faults, "beside is for counts, not for a histogram")
	case !slices.Contains(sli.Sources(), sli.Source(b.Source)):
		faults = append(faults, "beside.source must be metrics or spans")
	case b.Source == mine:
		faults = append(faults, "beside.source must be the other source")
	case b.metric() == "":
		faults = append(faults, "beside.total.metric is missing")
	case b.Source == string(sli.Spans) && b.metric() != sli.SpanCalls:
		faults = append(faults, "beside: spans are counted by "+sli.SpanCalls+": leave total.metric out")
	}
	if len(b.Bad.Match)+len(b.Bad.Not) == 0 {
		faults = append(faults, "beside.bad.match is missing: say which events failed")
	}
	return faults
}

// metric is what is counted; spans have one counter and need not name it.
func (s SLI) metric() string {
	if s.Total.Metric == "" && s.Source == string(sli.Spans) {
		return sli.SpanCalls
	}
	return s.Total.Metric
}

func (b *Beside) metric() string { return SLI{Source: b.Source, Total: b.Total}.metric() }

// spec is the other source of an SLI.
func (b *Beside) spec(s SLI) *sli.Spec {
	if b == nil {
		return nil
	}
	return &sli.Spec{Name: s.Name, Noun: s.Noun, Source: sli.Source(b.Source), Metric: b.metric(), Total: b.Total.matches(), Bad: b.Bad.matches(), Slices: append([]string{}, s.Slices...)}
}

// place puts where a fault is before each of them.
func place(where string, faults []string) []string {
	for i, f := range faults {
		faults[i] = where + ": " + strings.TrimSpace(f)
	}
	return faults
}
