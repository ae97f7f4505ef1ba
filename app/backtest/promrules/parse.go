// Package promrules says when the alerts of a Prometheus rule file would have fired over
// recorded samples. Recording rules are evaluated first, in the order in which they need
// each other, over all of the time; then each alerting rule goes through the states that
// a Prometheus has it go through: for, keep_firing_for, labels made by templates.
//
// It knows rule files and samples. It must not know tenants, pages or our own rules.
package promrules

import (
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/tocsin-alerting/tocsin/problem"
)

// defaultInterval is between two evaluations of a group that says nothing: Prometheus'
// own default.
const defaultInterval = time.Minute

const (
	lookback = 5 * time.Minute // that a selector finds a sample in: Prometheus' own default
	forEver  = 100 * 365 * 24 * time.Hour
)

// rule is one of the file, with what its group says.
type rule struct {
	rulefmt.Rule
	interval, offset time.Duration
	labels           map[string]string
	reads            []string      // names of metrics, as far as they are named
	reach            time.Duration // how far before an evaluation it looks
}

// File is a rule file.
type File struct {
	records []rule // each after those that it reads
	alerts  []rule
	// Notes say what is not as a Prometheus would have it, a sentence each.
	Notes []string
}

// Parse reads a rule file. All its faults come at once.
func Parse(raw []byte) (*File, error) {
	language := parser.NewParser(parser.Options{})
	g, errs := rulefmt.Parse(raw, false, model.UTF8Validation, language, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, refused(errs)
	}
	f := &File{}
	for _, group := range g.Groups {
		if group.Limit > 0 {
			f.note("the limit of group %s is not heeded", group.Name)
		}
		for n, r := range group.Rules {
			x := rule{Rule: r, interval: time.Duration(group.Interval), labels: maps.Clone(group.Labels)}
			x.reads, x.reach = reads(language, r.Expr)
			if x.interval <= 0 {
				x.interval = defaultInterval
			}
			if group.QueryOffset != nil {
				x.offset = time.Duration(*group.QueryOffset)
			}
			if x.labels == nil {
				x.labels = map[string]string{}
			}
			maps.Copy(x.labels, r.Labels)
			if slices.Contains(x.reads, "ALERTS") || slices.Contains(x.reads, "ALERTS_FOR_STATE") {
				f.note("%s reads ALERTS: only what was recorded of those is seen", x.name())
			}
			for _, later := range group.Rules[n+1:] {
				if later.Record != "" && later.Record != r.Record && slices.Contains(x.reads, later.Record) {
					f.note("%s reads %s, which its group records after it: a Prometheus sees that one evaluation late", x.name(), later.Record)
				}
			}
			if r.Record != "" {
				f.records = append(f.records, x)
			} else {
				f.alerts = append(f.alerts, x)
			}
		}
	}
	if len(f.records)+len(f.alerts) == 0 {
		return nil, problem.New(problem.Invalid, "the rule file has no rule").WithHint("it begins with groups:, each with a name and rules:")
	}
	f.arrange()
	return f, nil
}

// internal are words of the parser that say nothing to who wrote the file.
var internal = regexp.MustCompile(`yaml: unmarshal errors: | (in type|into) rulefmt\.\w+|0:0: `)

// refused says all that is wrong, once.
func refused(errs []error) error {
	var faults []string
	for _, e := range errs {
		text := internal.ReplaceAllString(strings.Join(strings.Fields(e.Error()), " "), "")
		if !slices.Contains(faults, text) {
			faults = append(faults, text)
		}
	}
	return problem.New(problem.Invalid, "the rule file has %d fault(s): %s", len(faults), strings.Join(faults, "; ")).
		WithHint("a rule file is a list of groups, each with a name and rules; promtool check rules FILE says the same")
}

func (f *File) note(format string, args ...any) {
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

func (r *rule) name() string {
	if r.Record != "" {
		return r.Record
	}
	return r.Alert
}

// reads lists the metrics that an expression selects, and says how far back it looks.
func reads(language parser.Parser, expr string) (names []string, reach time.Duration) {
	e, err := language.ParseExpr(expr)
	if err != nil {
		return nil, forEver
	}
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		v, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		name, back := v.Name, lookback+max(0, v.OriginalOffset)
		for _, m := range v.LabelMatchers {
			if m.Name == labels.MetricName && m.Type == labels.MatchEqual {
				name = m.Value
			}
		}
		for _, above := range path {
			switch a := above.(type) {
			case *parser.MatrixSelector:
				back += a.Range
			case *parser.SubqueryExpr:
				if back += a.Range + max(0, a.OriginalOffset); a.Timestamp != nil || a.StartOrEnd != 0 {
					back = forEver
				}
			}
		}
		if v.Timestamp != nil || v.StartOrEnd != 0 || back > forEver {
			back = forEver
		}
		names, reach = append(names, name), max(reach, back)
		return nil
	})
	return names, reach
}

// arrange puts the recording rules in the order in which they need each other. What
// needs itself, or each other in a circle, sees nothing of what is not made yet.
func (f *File) arrange() {
	waiting := f.records
	var out []rule
	for len(waiting) > 0 {
		i := slices.IndexFunc(waiting, func(r rule) bool {
			return !slices.ContainsFunc(waiting, func(o rule) bool { return o.Record != r.Record && slices.Contains(r.reads, o.Record) })
		})
		if i < 0 {
			i = 0
			f.note("%s is recorded in a circle: it sees nothing of what comes after it", waiting[0].Record)
		}
		if slices.Contains(waiting[i].reads, waiting[i].Record) {
			f.note("%s reads itself: it sees nothing of what it recorded", waiting[i].Record)
		}
		out = append(out, waiting[i])
		waiting = slices.Delete(waiting, i, i+1)
	}
	f.records = out
}
