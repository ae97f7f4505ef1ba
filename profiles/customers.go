package profiles

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/sli"
)

func (c Customers) selector() Selector { return Selector{Metric: c.Metric, Match: c.Match, Not: c.Not} }

// spec is who fails, as it is counted; nil when neither counter nor label says it.
func (c Customers) spec() *sli.Customers {
	if c.Metric == "" && c.Label == "" {
		return nil
	}
	return &sli.Customers{Metric: c.Metric, Match: c.selector().matches(), Label: c.Label}
}

// checkCustomers checks what says who fails.
func (s SLI) checkCustomers(where string, fault func(string, ...any)) {
	c := s.Customers
	narrowed := len(c.Match)+len(c.Not) > 0
	switch {
	case c.Label != "" && (c.Metric != "" || narrowed):
		fault("%s: customers.label is of the SLI's own series: leave customers.metric, match and not out", where)
	case c.Metric == "" && narrowed:
		fault("%s: customers.metric is missing", where)
	case c.Metric == "" && c.Label == "":
	case s.Histogram != "" || c.Metric == s.metric():
		fault("%s: customers is another counter, beside one of failures", where)
	case c.Label == "":
	case !labelPattern.MatchString(c.Label):
		fault("%s: customers.label must be lower-case letters, digits and _", where)
	case s.Source == string(sli.Spans):
		fault("%s: spans say who was served by spans.customer: leave customers.label out", where)
	case slices.Contains(s.Slices, c.Label):
		fault("%s: customers.label says who was served and is no slice", where)
	}
}
