package promrules_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/backtest/promrules"
	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/problem"
)

var begin = time.Unix(0, 0).UTC() // where promtool begins

// rules have what real files have: alerts over recording rules that stand after them and
// need each other, keep_firing_for, labels by templates and by group, absent, quantiles.
const rules = `
groups:
  - name: alerts
    interval: 30s
    labels: {service: payments}
    rules:
      - alert: PaymentErrors
        expr: tenant:payment_errors:ratio5m > 0.05
        for: 2m
        keep_firing_for: 10m
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.tenant }} fails"}
      - alert: PaymentErrorsNow
        expr: tenant:payment_errors:ratio5m > 0.2
        for: 1m
        labels: {severity: warning, tenant: "x-{{ $labels.tenant }}"}
      - alert: PaymentErrorsGrave
        expr: tenant:payment_errors:ratio5m > 0.1
        labels: {severity: '{{ if gt $value 0.4 }}critical{{ else }}warning{{ end }}'}
      - alert: SlowPayments
        expr: histogram_quantile(0.95, sum by (tenant, le) (rate(payment_duration_seconds_bucket[5m]))) > 1
        for: 5m
      - alert: CalmIsGone
        expr: absent(payments{tenant="calm"})
        for: 10m
      - alert: Late
        expr: max_over_time(tenant:payment_errors:ratio5m[10m:1m]) > 0.3 unless tenant:payment_errors:ratio5m > 0.3
  - name: record
    interval: 30s
    rules:
      - record: tenant:payment_errors:rate5m
        expr: sum by (tenant) (rate(payments{result="error"}[5m]))
      - record: tenant:payments:rate5m
        labels: {made: "here"}
        expr: sum by (tenant) (rate(payments[5m]))
      - record: tenant:payments:rate5m
        expr: sum by (tenant) (rate(payments[5m]))
      - record: tenant:payment_errors:ratio5m
        expr: tenant:payment_errors:rate5m / on (tenant) tenant:payments:rate5m{made=""}
`

// three are three hours of three shops: one fails for a quarter of an hour, one on and
// off, one is slow and then sends nothing for a while.
func three() (names []string, values map[string][]float64, every time.Duration) {
	rng := rand.New(rand.NewPCG(3, 3))
	values = map[string][]float64{}
	put := func(name string, v float64) {
		if values[name] == nil {
			values[name] = make([]float64, 0, 720)
			names = append(names, name)
		}
		values[name] = append(values[name], v)
	}
	counts := map[string]float64{}
	for i := range 720 {
		minute := i / 4
		for _, shop := range []string{"acme", "bolt", "calm"} {
			failing, n := .01, float64(8+rng.IntN(5))
			switch {
			case shop == "acme" && minute >= 40 && minute < 55:
				failing = .5
			case shop == "bolt" && minute >= 80 && minute < 130 && minute%6 < 3:
				failing = .6
			}
			failed := 0.0
			for range int(n) {
				if rng.Float64() < failing {
					failed++
				}
			}
			for result, more := range map[string]float64{"error": failed, "success": n - failed} {
				counts[shop+result] += more
			}
			gone := shop == "calm" && minute >= 140 && minute < 165
			for _, result := range []string{"error", "success"} {
				v := counts[shop+result]
				if gone {
					v = -1
				}
				put(fmt.Sprintf(`payments{tenant=%q,result=%q}`, shop, result), v)
			}
			slow := shop == "calm" && minute >= 60 && minute < 75
			for _, b := range []struct {
				le              string
				usually, slowly float64
			}{{"0.1", .7, .2}, {"0.5", .96, .5}, {"2.5", 1, .9}, {"+Inf", 1, 1}} {
				part := b.usually
				if slow {
					part = b.slowly
				}
				counts[shop+b.le] += n * part
				put(fmt.Sprintf(`payment_duration_seconds_bucket{tenant=%q,le=%q}`, shop, b.le), counts[shop+b.le])
			}
		}
	}
	return names, values, 15 * time.Second
}

// TestPromtoolSeesTheSame has Prometheus' own rule engine say for each half minute what
// fires, for the same series and rules.
func TestPromtoolSeesTheSame(t *testing.T) {
	tool, dir := peer.Promtool(t), t.TempDir()
	names, values, every := three()
	db, err := tsdb.Open(filepath.Join(dir, "data"), nil, nil, nil, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	app := db.Appender(t.Context())
	var series strings.Builder
	for _, name := range names {
		head, rest, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
		b := labels.NewBuilder(labels.FromStrings(labels.MetricName, head))
		for _, pair := range strings.Split(rest, ",") {
			k, v, _ := strings.Cut(pair, "=")
			b.Set(k, strings.Trim(v, `"`))
		}
		fmt.Fprintf(&series, "      - series: '%s'\n        values: '", name)
		for i, v := range values[name] {
			if v < 0 {
				series.WriteString("_ ")
				continue
			}
			fmt.Fprintf(&series, "%g ", v)
			_, err := app.Append(0, b.Labels(), begin.Add(time.Duration(i)*every).UnixMilli(), v)
			require.NoError(t, err)
		}
		series.WriteString("'\n")
	}
	require.NoError(t, app.Commit())

	f, err := promrules.Parse([]byte(rules))
	require.NoError(t, err)
	require.Empty(t, f.Notes)
	end := begin.Add(3 * time.Hour)
	rings, err := f.Rings(t.Context(), db, begin, end)
	require.NoError(t, err)
	for _, stretch := range []time.Duration{37*time.Minute + 10*time.Second, 20 * time.Second} {
		by, err := promrules.RingsBy(f, t.Context(), db, begin, end, stretch)
		require.NoError(t, err)
		require.Equal(t, rings, by, "in stretches of %s", stretch)
	}
	fired := map[string]int{}
	for _, r := range rings {
		fired[r.Alert]++
	}
	for _, alert := range []string{"PaymentErrors", "PaymentErrorsNow", "PaymentErrorsGrave", "SlowPayments", "CalmIsGone", "Late"} {
		require.Positive(t, fired[alert], "%s never fires: nothing is compared", alert)
	}
	i := slices.IndexFunc(rings, func(r promrules.Ring) bool { return r.Alert == "PaymentErrors" })
	require.Equal(t, "acme fails", rings[i].Summary)

	check := func(rings []promrules.Ring) (string, error) {
		file := filepath.Join(dir, "test.yaml")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(strings.ReplaceAll(rules, `annotations: {summary: "{{ $labels.tenant }} fails"}`, "annotations: {}")), 0o600))
		var y strings.Builder
		fmt.Fprintf(&y, "rule_files: [rules.yaml]\nevaluation_interval: 30s\ngroup_eval_order: [record, alerts]\ntests:\n  - interval: 15s\n    input_series:\n%s    alert_rule_test:\n", series.String())
		for at := begin; at.Before(end); at = at.Add(30 * time.Second) {
			for alert := range fired {
				fmt.Fprintf(&y, "      - eval_time: %s\n        alertname: %s\n        exp_alerts:\n", at.Sub(begin), alert)
				for _, r := range rings {
					if r.Alert != alert || at.Before(r.From) || !r.To.IsZero() && !at.Before(r.To) {
						continue
					}
					y.WriteString("          - exp_labels:\n")
					for k, v := range r.Labels {
						if k != labels.AlertName {
							fmt.Fprintf(&y, "              %s: %q\n", k, v)
						}
					}
				}
			}
		}
		require.NoError(t, os.WriteFile(file, []byte(y.String()), 0o600))
		out, err := exec.CommandContext(t.Context(), tool, "test", "rules", file).CombinedOutput()
		return string(out), err
	}
	out, err := check(rings)
	require.NoError(t, err, "%.3000s", out)
	_, err = check(slices.Delete(slices.Clone(rings), i, i+1))
	require.Error(t, err, "promtool misses what is not told to it")
}

func TestARuleFileSaysAllThatIsWrong(t *testing.T) {
	for text, want := range map[string][]string{
		"groups: [{name: g, rules: [{alert: A, expr: 'sum('}, {alert: B, expr: 'avg('}]}]": {"2 fault(s)", "could not parse expression"},
		"groups: [{name: g, rules: [{alert: A, expr: x, every: 1m}]}]":                     {"field every not found"},
		"groups: [{name: g, rules: [{alert: A, expr: x, labels: {a: '{{ $nothing }}'}}]}]": {"undefined variable"},
		"groups: [{name: g, rules: []}, {name: g, rules: []}]":                             {"repeated"},
		"rules: []":     {"field rules not found"},
		"":              {"no rule"},
		"alerting: yes": {"field alerting not found"},
	} {
		_, err := promrules.Parse([]byte(text))
		require.True(t, problem.Is(err, problem.Invalid), "%s: %v", text, err)
		for _, w := range want {
			require.ErrorContains(t, err, w, text)
		}
	}
	_, err := promrules.Parse([]byte("- {id: acme}\n"))
	require.ErrorContains(t, err, "1 fault(s): line 1: cannot unmarshal !!seq")
	require.NotContains(t, err.Error(), "rulefmt")
	f, err := promrules.Parse([]byte(`groups:
  - name: g
    limit: 5
    rules:
      - {record: a, expr: b}
      - {record: b, expr: a}
      - {record: c, expr: c offset 1m}
      - {alert: D, expr: ALERTS}
      - {record: first, expr: second}
      - {record: second, expr: x}
`))
	require.NoError(t, err)
	require.Contains(t, f.Notes, "first reads second, which its group records after it: a Prometheus sees that one evaluation late")
	for _, part := range []string{"limit of group g", "a is recorded in a circle", "c reads itself", "D reads ALERTS"} {
		require.True(t, slices.ContainsFunc(f.Notes, func(n string) bool { return strings.Contains(n, part) }), "%s: %v", part, f.Notes)
	}
}
