package app_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/internal/peer"
)

// TestTheRulesForPrometheusNameWhatExists: a rule on a series that is never there
// stays silent for ever.
func TestTheRulesForPrometheusNameWhatExists(t *testing.T) {
	r := start(t, t.TempDir())
	var metrics string
	require.Eventually(t, func() bool { // the history opens after the start
		metrics = r.do(t, call{Method: http.MethodGet, Path: "/metrics"}).Body
		return strings.Contains(metrics, "tocsin_samples_history_dropped_total")
	}, 20*time.Second, 20*time.Millisecond)
	p := parser.NewParser(parser.Options{})
	raw, err := os.ReadFile("../deploy/prometheus-rules.yaml")
	require.NoError(t, err)
	groups, errs := rulefmt.Parse(raw, false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	named := 0
	for _, g := range groups.Groups {
		for _, rule := range g.Rules {
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["description"], rule.Alert)
			expr, err := p.ParseExpr(rule.Expr)
			require.NoError(t, err)
			parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
				if s, ok := n.(*parser.VectorSelector); ok && s.Name != "up" {
					named++
					require.True(t, strings.Contains(metrics, "\n"+s.Name+"{") || strings.Contains(metrics, "\n"+s.Name+" "), "%s: %s is not on /metrics", rule.Alert, s.Name)
				}
				return nil
			})
		}
	}
	require.GreaterOrEqual(t, named, 7)
}

func TestPromtoolAgreesWithTheRules(t *testing.T) {
	bin := peer.Promtool(t)
	for _, args := range [][]string{{"check", "rules", "prometheus-rules.yaml"}, {"test", "rules", "prometheus-rules.test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), bin, args...)
		cmd.Dir = "../deploy"
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}

func TestTocsinSaysThatItWorks(t *testing.T) {
	var beats atomic.Int64
	listener := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { beats.Add(1) }))
	defer listener.Close()
	r := startWith(t, t.TempDir(), func(c *config.Config) {
		c.Heartbeat = config.Heartbeat{URL: listener.URL, Every: 10 * time.Millisecond}
	})
	require.Eventually(t, func() bool { return beats.Load() > 2 }, 20*time.Second, 5*time.Millisecond)
	require.NotEqual(t, "0", r.metric(t, `tocsin_selfobs_heartbeats_total{result="ok"}`))
	require.NotContains(t, r.log.String(), "nobody would notice")
}

func TestServeSaysThatNobodyWouldNotice(t *testing.T) {
	r := startWith(t, t.TempDir(), func(c *config.Config) {
		c.Channels = append(c.Channels, config.Channel{Name: "mail", Kind: "smtp", Address: "127.0.0.1:1", From: "t@example.com", TLS: "none"})
		c.LiveTeams = []string{"payments"}
	})
	require.Contains(t, r.log.String(), "nobody would notice if this process died")
}
