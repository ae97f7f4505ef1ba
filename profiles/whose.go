package profiles

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/tocsin-alerting/tocsin/rule"
)

// Nobodys says why nothing that a rule of kind promql finds can be told of a tenant, with
// what to write instead: no series of its query can have the label that names tenants.
// Empty: one may have it, or nobody knows.
func (r RuleDoc) Nobodys(label string) string {
	if rule.Kind(r.Kind) != rule.PromQL {
		return ""
	}
	e, err := query(r.Expr)
	if err != nil { // said already
		return ""
	}
	return lacks(e, label)
}

func query(expr string) (parser.Expr, error) {
	return parser.NewParser(parser.Options{EnableExtendedRangeSelectors: true}).ParseExpr(expr)
}

// lacks says why no series of an expression can have a label; empty: one may.
func lacks(e parser.Expr, label string) string {
	switch e := e.(type) {
	case *parser.ParenExpr:
		return lacks(e.Expr, label)
	case *parser.StepInvariantExpr:
		return lacks(e.Expr, label)
	case *parser.UnaryExpr:
		return lacks(e.Expr, label)
	case *parser.SubqueryExpr:
		return lacks(e.Expr, label)
	case *parser.MatrixSelector:
		return lacks(e.VectorSelector, label)
	case *parser.VectorSelector:
		if slices.ContainsFunc(e.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == label && m.Type == labels.MatchEqual && m.Value == "" }) {
			return `a selector asks for series without it: take ` + label + `="" out`
		}
		return ""
	case *parser.NumberLiteral, *parser.StringLiteral:
		return "a number is nobody's: compare series that have the label"
	case *parser.AggregateExpr:
		return aggregateLacks(e, label)
	case *parser.BinaryExpr:
		return binaryLacks(e, label)
	case *parser.Call:
		return callLacks(e, label)
	}
	return ""
}

func aggregateLacks(e *parser.AggregateExpr, label string) string {
	op, named := e.Op.String(), slices.Contains(e.Grouping, label)
	switch e.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO: // they choose series and change none
		return lacks(e.Expr, label)
	case parser.COUNT_VALUES:
		if s, ok := e.Param.(*parser.StringLiteral); !ok || s.Val == label {
			return ""
		}
	}
	switch {
	case e.Without && named:
		return op + " without (…) drops it: take " + label + " out of the list"
	case !e.Without && !named && len(e.Grouping) == 0:
		return op + " drops every label: write " + op + " by (" + label + ") (…)"
	case !e.Without && !named:
		return op + " by (…) drops it: add " + label + " to the list"
	}
	return lacks(e.Expr, label)
}

func binaryLacks(e *parser.BinaryExpr, label string) string {
	left, right := lacks(e.LHS, label), lacks(e.RHS, label)
	m := e.VectorMatching
	switch {
	case e.LHS.Type() == parser.ValueTypeScalar && e.RHS.Type() != parser.ValueTypeScalar:
		return right
	case e.RHS.Type() == parser.ValueTypeScalar, e.Op == parser.LAND, e.Op == parser.LUNLESS:
		return left
	case e.Op == parser.LOR:
		if right == "" {
			return ""
		}
		return left
	case m == nil:
		return ""
	}
	matched := slices.Contains(m.MatchingLabels, label) == m.On
	if m.Card == parser.CardOneToOne && !matched { // only what is matched stays
		if m.On {
			return "on (…) keeps no other label: add " + label + " to the list"
		}
		return "ignoring (…) drops it: take " + label + " out of the list"
	}
	filled := m.FillValues.LHS != nil || m.FillValues.RHS != nil
	if matched && !filled { // who has it finds nobody on a side that has it not
		if left != "" {
			return left
		}
		return right
	}
	many, one := left, right
	if m.Card == parser.CardOneToMany {
		many, one = right, left
	}
	switch {
	case filled && (left == "" || right == ""):
		return ""
	case slices.Contains(m.Include, label):
		return one
	}
	return many
}

func callLacks(e *parser.Call, label string) string {
	switch e.Func.Name {
	case "absent", "absent_over_time":
		if absentHas(e.Args[0], label) {
			return ""
		}
		return e.Func.Name + " gives the labels alone that its selector demands with =: write a rule of kind absent, which watches every tenant"
	case "vector":
		return "vector has no labels: compare series that have the label"
	case "label_replace", "label_join":
		if s, ok := e.Args[1].(*parser.StringLiteral); !ok || s.Val == label {
			return ""
		}
	}
	var series []parser.Expr
	for _, a := range e.Args {
		switch a.Type() {
		case parser.ValueTypeVector, parser.ValueTypeMatrix:
			series = append(series, a)
		case parser.ValueTypeString:
			if s, ok := a.(*parser.StringLiteral); e.Func.Experimental && (!ok || s.Val == label) {
				return "" // it may be a label that the function gives
			}
		}
	}
	switch {
	case e.Type() == parser.ValueTypeScalar, len(series) == 0:
		return e.Func.Name + " has no labels: compare series that have the label"
	case len(series) == 1 && e.Func.Name != "info":
		return lacks(series[0], label)
	}
	return ""
}

// absentHas says whether what stands for missing series may have a label: one that the
// selector demands to be equal to something.
func absentHas(e parser.Expr, label string) bool {
	for {
		p, ok := e.(*parser.ParenExpr)
		if !ok {
			break
		}
		e = p.Expr
	}
	if m, ok := e.(*parser.MatrixSelector); ok {
		e = m.VectorSelector
	}
	v, ok := e.(*parser.VectorSelector)
	return ok && slices.ContainsFunc(v.LabelMatchers, func(m *labels.Matcher) bool {
		return m.Name == label && m.Type == labels.MatchEqual && m.Value != ""
	})
}
