package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
)

// history is half an hour of three tenants and of the product itself, ending at.
func history(at time.Time) []simulate.Sample {
	var out []simulate.Sample
	add := func(value func(step int) float64, name string, pairs ...string) {
		ls := labels.FromStrings(append([]string{"__name__", name, "environment", "production"}, pairs...)...)
		for step := range 120 {
			out = append(out, simulate.Sample{Labels: ls, T: at.Add(time.Duration(step-119) * 15 * time.Second), Value: value(step)})
		}
	}
	for n, id := range []string{"acme", "acme2", "bolt"} {
		for m, method := range []string{"card", "sepa"} {
			add(func(s int) float64 { return float64(s * (n + 1) * (m + 2) % 997) }, "payment_transactions_total", "tenant", id, "method", method, "instance", "i", "job", "j")
		}
		for _, le := range []string{"0.1", "1", "+Inf"} {
			add(func(s int) float64 { return float64(s * (n + len(le))) }, "payment_duration_seconds_bucket", "tenant", id, "le", le)
		}
		add(func(int) float64 { return 1 }, "target_info", "tenant", id, "instance", "i", "job", "j", "version", "v"+id)
	}
	add(func(s int) float64 { return float64(s % 7) }, "queue_depth", "tenant", "_product")
	return out
}

// asked are requests below /api/v1/ that both must answer alike; %d is the end
// of the data. The first word says whether a POST works too.
var asked = []string{
	"form query?query=1%2B1&time=END", // Grafana's health check
	"form query?query=payment_transactions_total&time=END",
	`form query?query=sum by (tenant)(rate(payment_transactions_total[5m]))&time=END`,
	`form query?query=histogram_quantile(0.9, sum by (le, tenant)(rate(payment_duration_seconds_bucket[10m])))&time=END`,
	`form query?query=info(rate(payment_transactions_total{tenant="acme"}[5m]), {version="vacme"})&time=END`,
	`form query?query=info(rate(payment_transactions_total{tenant="acme"}[5m]), {version=~".%2B"})&time=END`,
	"form query?query=payment_transactions_total[1m]&time=END",
	"form query?query=queue_depth&time=END&lookback_delta=1s",
	"form query?query=queue_depth offset 7s&time=END&lookback_delta=3s",
	"form query?query=payment_transactions_total&time=END&limit=2",
	"form query?query=\"text\"&time=END",
	"form query?query=scalar(queue_depth)&time=END",
	"form query?query=rate(queue_depth[5m])&time=END", // an info: it may be no counter
	"form query?query=absent(nothing)&time=END",
	"form query?query=sum({&time=END",
	"form query?query=rate(queue_depth)&time=END",
	"form query?query=queue_depth * on(tenant) group_left payment_transactions_total %2B on(environment) payment_transactions_total&time=END",
	"form query?query=queue_depth&time=tomorrow",
	"form query?query=queue_depth&limit=-1&time=END",
	"form query?query=queue_depth&timeout=soon&time=END",
	"form query?query=queue_depth&lookback_delta=soon&time=END",
	"form query",
	"form query_range?query=sum by (method)(rate(payment_transactions_total[2m]))&start=FROM&end=END&step=30s",
	"form query_range?query=payment_transactions_total&start=FROM&end=END&step=60&limit=1",
	"form query_range?query=topk(2, payment_transactions_total)&start=FROM&end=END&step=1m",
	"form query_range?query=queue_depth&start=FROM&end=END&step=0",
	"form query_range?query=queue_depth&start=END&end=FROM&step=15",
	"form query_range?query=queue_depth&start=0&end=END&step=1",
	"form query_range?query=queue_depth&end=END&step=15",
	"form series?match[]=payment_transactions_total{tenant=\"acme\"}&start=FROM&end=END",
	"form series?match[]=queue_depth&match[]={version=~\".%2B\"}&match[]=target_info&start=FROM&end=END",
	"form series?match[]=queue_depth&start=10&end=20",
	"form series",
	"form series?match[]={}",
	"form series?match[]={tenant=~\".*\"}",
	"form series?match[]=sum(",
	"form labels?start=FROM&end=END",
	"form labels",
	"form labels?match[]=target_info&match[]=queue_depth&start=FROM&end=END",
	"form labels?limit=2",
	"form labels?start=never",
	"get label/tenant/values",
	"get label/__name__/values?start=FROM&end=END",
	"get label/le/values?match[]=payment_duration_seconds_bucket{tenant=\"acme\"}",
	"get label/tenant/values?match[]=queue_depth&match[]=target_info",
	"get label/tenant/values?limit=9",
	"get label/nothing/values",
	"get label/U__a_20_b/values",
	"get label/%FF/values",
	"get metadata?limit=many",
}

type queryAnswer struct {
	Status, ErrorType string
	Error             string
	Data              any
	Warnings, Infos   []string
}

// queryAPI asks one side; POST sends the parameters as a form.
func queryAPI(t *testing.T, base, token, method, request string) (int, queryAnswer) {
	t.Helper()
	path, params, _ := strings.Cut(request, "?")
	form := url.Values{}
	for _, p := range strings.Split(params, "&") {
		if k, v, ok := strings.Cut(p, "="); ok {
			v = strings.ReplaceAll(v, "%2B", "+")
			form.Add(k, v)
		}
	}
	var body io.Reader
	target := base + "/api/v1/" + path
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	} else {
		target += "?" + form.Encode()
	}
	req, err := http.NewRequest(method, target, body)
	require.NoError(t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var a queryAnswer
	require.NoError(t, json.Unmarshal(raw, &a), "%s: %s", request, raw)
	return res.StatusCode, a
}

// inOrder sorts the results of an instant vector, whose order says nothing.
func inOrder(v any) any {
	m, ok := v.(map[string]any)
	if !ok || m["resultType"] != "vector" {
		return v
	}
	list := m["result"].([]any)
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return v
}

func TestQueriesAreAnsweredAsByPrometheus(t *testing.T) {
	t.Parallel()
	p := peer.StartPrometheus(t, "global: {}\n", "--web.enable-remote-write-receiver", "--enable-feature=promql-experimental-functions,promql-extended-range-selectors")
	d := install(t, nil)
	d.start(t)
	end := time.Now().Add(-20 * time.Second).Truncate(time.Second)
	body, err := simulate.EncodeV1(history(end))
	require.NoError(t, err)
	for target, token := range map[string]string{d.url + "/api/v1/push": d.sender(t), p.URL + "/api/v1/write": ""} {
		req, err := http.NewRequest(http.MethodPost, target, bytes.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Encoding", "snappy")
		req.Header.Set("Content-Type", "application/x-protobuf")
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusNoContent, res.StatusCode, target)
	}
	base := d.url + "/prometheus"
	eventually(t, 20*time.Second, "the history to be open", func(c *assert.CollectT) {
		status, _ := queryAPI(t, base, d.token, http.MethodGet, "query?query=1")
		require.Equal(c, http.StatusOK, status)
	})

	times := strings.NewReplacer("END", fmt.Sprint(end.Unix()), "FROM", fmt.Sprint(end.Add(-20*time.Minute).Unix()))
	succeeded := 0
	for _, line := range asked {
		how, request, _ := strings.Cut(times.Replace(line), " ")
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if method == http.MethodPost && how == "get" {
				continue
			}
			wantStatus, want := queryAPI(t, p.URL, "", method, request)
			status, got := queryAPI(t, base, d.token, method, request)
			require.Equal(t, wantStatus, status, "%s %s: %s; Prometheus: %s", method, request, got.Error, want.Error)
			require.Equal(t, want.Status, got.Status, request)
			require.Equal(t, want.ErrorType, got.ErrorType, request)
			require.Equal(t, inOrder(want.Data), inOrder(got.Data), "%s %s", method, request)
			require.Equal(t, want.Warnings, got.Warnings, request)
			require.Equal(t, want.Infos, got.Infos, request)
			if status == http.StatusOK {
				succeeded++
			} else {
				require.NotEmpty(t, got.Error)
			}
		}
	}
	require.Greater(t, succeeded, 40, "most questions are good ones")
	t.Run("promtool", func(t *testing.T) { promtoolAgrees(t, d, p, end) })
	t.Run("what only tocsin says", func(t *testing.T) {
		_, got := queryAPI(t, base, d.token, http.MethodGet, "status/buildinfo")
		_, want := queryAPI(t, p.URL, "", http.MethodGet, "status/buildinfo")
		require.Equal(t, "tocsin", got.Data.(map[string]any)["application"])
		require.Regexp(t, `^3\.\d+\.\d+$`, got.Data.(map[string]any)["version"])
		require.NotEmpty(t, want.Data)
		status, got := queryAPI(t, base, "tsn_123456789012_wrong", http.MethodGet, "query?query=1")
		require.Equal(t, http.StatusUnauthorized, status)
		require.Equal(t, "error", got.Status)
		require.Equal(t, "unauthenticated", got.ErrorType)
	})
}

// promtoolAgrees has the real tool ask both.
func promtoolAgrees(t *testing.T, d *daemon, p peer.Prometheus, end time.Time) {
	tool, dir := peer.Promtool(t), t.TempDir()
	config := filepath.Join(dir, "http.yml")
	require.NoError(t, os.WriteFile(config, []byte("authorization: {credentials: "+d.token+"}\n"), 0o600))
	from, to := fmt.Sprint(end.Add(-10*time.Minute).Unix()), fmt.Sprint(end.Unix())
	for _, args := range [][]string{
		{"query", "instant", "--time=" + to, "SERVER", `sum(rate(payment_transactions_total[5m]))`},
		{"query", "range", "--start=" + from, "--end=" + to, "--step=1m", "SERVER", `sum by (tenant)(payment_transactions_total)`},
		{"query", "series", "--match=target_info", "--start=" + from, "--end=" + to, "SERVER"},
		{"query", "series", "--match=queue_depth", "SERVER"},
		{"query", "labels", "SERVER", "tenant"},
		{"query", "labels", "--match=queue_depth", "SERVER", "__name__"},
	} {
		run := func(server string, more ...string) string {
			a := slices.Clone(args)
			a[slices.Index(a, "SERVER")] = server
			out, err := exec.Command(tool, append(a, more...)...).CombinedOutput()
			require.NoError(t, err, "%v: %s", a, out)
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if args[1] == "series" { // the tool prints labels in the order of a map
				for i := range lines {
					parts := strings.Split(strings.Trim(lines[i], "{}"), ", ")
					slices.Sort(parts)
					lines[i] = strings.Join(parts, ", ")
				}
			}
			return strings.Join(lines, "\n")
		}
		got := run(d.url+"/prometheus", "--http.config.file="+config)
		require.NotEmpty(t, got)
		require.Equal(t, run(p.URL), got, "%v", args)
	}
	out, err := exec.Command(tool, "query", "instant", "--http.config.file="+config, d.url+"/prometheus", "sum(").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "bad_data")
}
