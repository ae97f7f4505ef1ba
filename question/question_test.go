package question_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/question"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

var epoch = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func queue(wait time.Duration) rule.Rule {
	return rule.Rule{Name: "queue_grows", Kind: rule.PromQL, Service: "payments", Severity: rule.Warning, Summary: "the queue grows", RunbookURL: "r",
		SLI: sli.Spec{Name: "payments", Metric: "payment_transactions_total"}, Query: &rule.Query{Expr: "queue_length > 100", For: wait.Seconds()}}
}

// TestLookIsWhatPrometheusDoes has promtool check, minute by minute, what fires of
// series that come and go.
func TestLookIsWhatPrometheusDoes(t *testing.T) {
	promtool := peer.Promtool(t)
	for n, wait := range []time.Duration{0, 2 * time.Minute, 5 * time.Minute} {
		const rounds, queues = 120, 5
		rng := rand.New(rand.NewPCG(3, uint64(n)))
		there, values := [queues]bool{}, [queues][]string{}
		var ours question.Asked
		var want strings.Builder
		fired := 0
		for round := range rounds {
			at := epoch.Add(time.Duration(round) * time.Minute)
			var found []question.Found
			for i := range there {
				if rng.IntN(6) == 0 {
					there[i] = !there[i]
				}
				if !there[i] {
					values[i] = append(values[i], "5")
					continue
				}
				values[i] = append(values[i], "101")
				found = append(found, question.Found{Environment: "production", Slice: sli.Slice{{Label: "queue", Value: fmt.Sprint(i)}}, Value: 101})
			}
			ours, _ = ours.Look(queue(wait), "shop", found, at)
			fmt.Fprintf(&want, "      - {eval_time: %dm, alertname: queue_grows, exp_alerts: [", round)
			for _, s := range ours.Series {
				if s.Firing != nil {
					fmt.Fprintf(&want, "{exp_labels: {queue: '%s', tenant: shop}},", s.Slice[0].Value)
					fired++
				}
			}
			want.WriteString("]}\n")
		}
		require.Greater(t, fired, 20)
		dir := t.TempDir()
		write := func(name, text string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		write("rules.yaml", fmt.Sprintf("groups: [{name: g, interval: 1m, rules: [{alert: queue_grows, expr: queue_length > 100, for: %s}]}]\n", wait))
		text := "rule_files: [rules.yaml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n"
		for i, v := range values {
			text += fmt.Sprintf("      - {series: 'queue_length{queue=\"%d\",tenant=\"shop\"}', values: '%s'}\n", i, strings.Join(v, " "))
		}
		write("test.yaml", text+"    alert_rule_test:\n"+want.String())
		run := exec.Command(promtool, "test", "rules", "test.yaml")
		run.Dir = dir
		out, err := run.CombinedOutput()
		require.NoError(t, err, "for %s:\n%s", wait, out)
	}
}

func TestWhatAQuerySaysOutlivesARestart(t *testing.T) {
	one := []question.Found{{Environment: "production", Slice: sli.Slice{{Label: "queue", Value: "out"}}, Value: 140}}
	r := queue(10 * time.Minute)
	at := func(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }
	var a question.Asked
	a, said := a.Look(r, "shop", one, at(0))
	require.Empty(t, said)
	require.False(t, question.Asked{}.Equal(a))
	b, _ := a.Look(r, "shop", one, at(4))
	require.False(t, a.Equal(b), "that it was looked at is stored while it pends")
	// Nobody looked for half an hour: that is not waited for.
	b, said = b.Look(r, "shop", one, at(34))
	require.Empty(t, said)
	b, said = b.Look(r, "shop", one, at(39))
	require.Empty(t, said)
	b, said = b.Look(r, "shop", one, at(40))
	require.Len(t, said, 1)
	require.Equal(t, alert.Firing, said[0].State)
	require.Equal(t, "queue_grows of queue out, since 00:30:00 UTC: its query gave 140, and has given something for 10 minutes; nothing was counted, so that no budget bounds how often it is wrong", said[0].Reason)
	k, n := said[0].Bad()
	require.Zero(t, k+n)
	c, said := b.Look(r, "shop", one, at(90))
	require.Empty(t, said, "what fires goes on firing")
	require.True(t, b.Equal(c), "and is not written again")
	none, said := c.Look(r, "shop", nil, at(91))
	require.Equal(t, alert.Resolved, said[0].State)
	require.True(t, said[0].AsOf.Equal(at(91)))
	require.Contains(t, said[0].Reason, "its query gives it no more; before, queue_grows")
	require.Empty(t, none.Series)
	ended := c.End(at(91), "the rule no longer applies to the tenant")
	require.Equal(t, "no longer evaluated: the rule no longer applies to the tenant; before, "+b.Series[0].Alert.Reason, ended[0].Reason)
	require.Equal(t, "the rule no longer applies to the tenant", ended[0].Dropped)
	require.Empty(t, said[0].Dropped, "what its query gives no more is over")
	twice, _ := question.Asked{}.Look(r, "shop", append(one, one...), at(0))
	require.Len(t, twice.Series, 1)
}

func TestWhoseASeriesIsIsInItsLabels(t *testing.T) {
	f, ok := question.FoundIn(labels.FromStrings("__name__", "queue_length", "shop_id", "acme", "stage", "test", "service", "payments", "queue", "out", "host", "a"), "shop_id", "stage", "production")
	require.True(t, ok)
	require.Equal(t, question.Found{Environment: "test", Tenant: "acme", Slice: sli.Slice{{Label: "host", Value: "a"}, {Label: "queue", Value: "out"}}}, f)
	f, ok = question.FoundIn(labels.FromStrings("shop_id", "acme"), "shop_id", "stage", "production")
	require.True(t, ok)
	require.Equal(t, question.Found{Environment: "production", Tenant: "acme"}, f)
	_, ok = question.FoundIn(labels.FromStrings("queue", "out"), "shop_id", "stage", "production")
	require.False(t, ok, "it names no tenant")
}

func TestARuleThatWaitedInShadowSaysWhatStandsWhenItComesInForce(t *testing.T) {
	one := []question.Found{{Environment: "production", Value: 140}}
	r := queue(time.Minute)
	shadow, _ := question.Asked{}.Look(r, "shop", one, epoch)
	shadow, said := shadow.Look(r, "shop", one, epoch.Add(time.Minute))
	require.Len(t, said, 1)
	require.Equal(t, sli.Slice{}, said[0].Slice)
	_, said = shadow.Unsaid().Look(r, "shop", one, epoch.Add(2*time.Minute))
	require.Len(t, said, 1, "at once: it has waited")
	require.Equal(t, epoch, said[0].OnsetAt)
	require.Equal(t, epoch.Add(2*time.Minute), said[0].StartsAt)
	require.NotNil(t, shadow.Series[0].Firing, "what stands in shadow is another's")

	for want, v := range map[string]float64{"1.234": 1.2341, "14,000": 14_000, "+Inf": math.Inf(1)} {
		_, said = shadow.Unsaid().Look(r, "shop", []question.Found{{Environment: "production", Value: v}}, epoch.Add(2*time.Minute))
		require.Contains(t, said[0].Reason, "its query gave "+want+",")
	}

	late := epoch.Add(time.Minute - time.Second) // a clock that went back
	_, said = shadow.Look(r, "shop", nil, late)
	require.Equal(t, epoch.Add(time.Minute+time.Millisecond), said[0].AsOf, "what ends is newer than what began")
}
