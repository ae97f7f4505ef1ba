package sli

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

var spec = Spec{Name: "payments", Metric: "payment_transactions_total",
	Total: []Match{{Label: "operation", Values: []string{"", "payment"}}}, Bad: []Match{{Label: "result", Values: []string{"error"}}}}

func TestIDIsOfWhatIsCounted(t *testing.T) {
	same := spec
	same.Name, same.Source, same.Slices = "other", Metrics, []string{"acquirer"}
	same.Total = []Match{{Label: "operation", Values: []string{"payment", "", "payment"}}}
	require.Equal(t, spec.ID(), same.ID(), "name, order, repetition and slices do not change what is counted")
	for name, change := range map[string]func(*Spec){
		"metric": func(s *Spec) { s.Metric = "x" }, "source": func(s *Spec) { s.Source = Spans },
		"bad": func(s *Spec) { s.Bad = []Match{{Label: "result", Values: []string{"error"}, Not: true}} }, "total": func(s *Spec) { s.Total = nil },
		"moved from total to bad": func(s *Spec) { s.Bad, s.Total = append(s.Total, s.Bad...), nil },
	} {
		other := spec
		change(&other)
		require.NotEqual(t, spec.ID(), other.ID(), name)
	}
}

func TestSlices(t *testing.T) {
	total, alpha, beta := Slice{}, Slice{{"acquirer", "alpha"}}, Slice{{"acquirer", "beta"}}
	both := Slice{{"acquirer", "alpha"}, {"method", "card"}}
	require.True(t, total.Covers(alpha))
	require.False(t, alpha.Covers(total))
	require.True(t, alpha.Covers(both))
	require.True(t, both.Related(alpha))
	require.False(t, alpha.Related(beta))
	require.Equal(t, "acquirer=alpha,method=card", both.Key())
	raw, err := json.Marshal(struct{ S Slice }{both})
	require.NoError(t, err)
	require.JSONEq(t, `{"S":{"acquirer":"alpha","method":"card"}}`, string(raw))
	var back struct{ S Slice }
	require.NoError(t, json.Unmarshal([]byte(`{"S":{"method":"card","acquirer":"alpha"}}`), &back))
	require.Equal(t, both, back.S, "sorted by label")
	raw, err = json.Marshal(Slice(nil))
	require.NoError(t, err)
	require.JSONEq(t, `{}`, string(raw))
}

func TestPromQLIsWellFormedForHostileValues(t *testing.T) {
	hostile := Spec{Metric: "m", Total: []Match{{Label: "a", Values: []string{`x"}`, `.*`}}, {Label: "b", Values: []string{"1"}, Not: true}, {Label: "c", Values: []string{"x", "y"}, Not: true}},
		Bad: []Match{{Label: "r", Values: []string{"\\"}}}}
	for _, s := range []Spec{spec, hostile} {
		bad, total := s.PromQLPlain(time.Minute, Selection{"tenant": `ac"me`}, Slice{{"acquirer", `al\pha`}})
		for _, q := range []string{bad, total} {
			_, err := parser.NewParser(parser.Options{}).ParseExpr(q)
			require.NoError(t, err, q)
			require.Contains(t, q, `tenant="ac\"me"`)
		}
		require.NotEqual(t, bad, total)
	}
}
