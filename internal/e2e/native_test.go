package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
)

// TestPrometheusSendsNativeHistograms: an application with native histograms is
// scraped by Prometheus, which remote-writes them by either version of the
// protocol. They can be asked for as they are and by their classic names, with the
// counts of the application; the rule on how long payments take has its series; and
// the exemplars lead to traces.
func TestPrometheusSendsNativeHistograms(t *testing.T) {
	d := install(t, nil)
	d.start(t)
	for _, v := range []struct{ name, message string }{{"one", "prometheus.WriteRequest"}, {"two", "io.prometheus.write.v2.Request"}} {
		t.Run("version "+v.name, func(t *testing.T) {
			tenant := "shop-" + v.name
			d.raw(t, http.MethodPut, "/api/v1/tenants/"+tenant, map[string]any{}, http.StatusCreated)
			reg := prometheus.NewRegistry()
			took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "payment_duration_seconds", NativeHistogramBucketFactor: 1.1}, []string{"tenant", "acquirer"})
			reg.MustRegister(took)
			quick, slow := took.WithLabelValues(tenant, "alpha"), took.WithLabelValues(tenant, "beta")
			for i := range 40 {
				quick.(prometheus.ExemplarObserver).ObserveWithExemplar(0.01*float64(i+1), prometheus.Labels{"trace_id": fmt.Sprint("quick-", i)})
				slow.Observe(0.7 + 0.01*float64(i))
			}
			app := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
			t.Cleanup(app.Close)
			peer.StartPrometheus(t, fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_native_histograms: true}
scrape_configs:
  - job_name: app
    static_configs: [{targets: [%q]}]
remote_write:
  - url: %s/api/v1/push
    protobuf_message: %s
    send_native_histograms: true
    send_exemplars: true
    authorization: {credentials: %s}
    queue_config: {batch_send_deadline: 1s}
`, strings.TrimPrefix(app.URL, "http://"), d.url, v.message, d.sender(t)), "--enable-feature=exemplar-storage")
			from := `{tenant="` + tenant + `"`
			eventually(t, 30*time.Second, "the histograms", func(c *assert.CollectT) {
				require.Equal(c, map[string]float64{"alpha": 40, "beta": 40}, d.query(c, "histogram_count(payment_duration_seconds"+from+"})", "acquirer"))
			})
			for expr, want := range map[string]map[string]float64{
				`payment_duration_seconds_bucket` + from + `,le="0.25"}`: {"alpha": 25, "beta": 0},
				`payment_duration_seconds_bucket` + from + `,le="1.0"}`:  {"alpha": 40, "beta": 31},
				`payment_duration_seconds_count` + from + `}`:            {"alpha": 40, "beta": 40},
				`sum without (le) (payment_duration_seconds_bucket` + from + `,le="+Inf"}) - sum without (le) (payment_duration_seconds_bucket` + from + `,le="1.0"})`: {"alpha": 0, "beta": 9},
			} {
				require.Equal(t, want, d.query(t, expr, "acquirer"), expr)
			}
			type status struct{ Series int }
			eventually(t, 20*time.Second, "the rule to have its series", func(c *assert.CollectT) {
				require.Equal(c, 2*19, get[status](c, d, "/api/v1/tenants/"+tenant+"/status").Series, "the buckets of two acquirers")
			})
			type examples struct {
				Data []struct {
					Exemplars []struct{ Labels map[string]string }
				}
			}
			eventually(t, 20*time.Second, "exemplars", func(c *assert.CollectT) {
				got := get[examples](c, d, "/prometheus/api/v1/query_exemplars?"+url.Values{"query": {"payment_duration_seconds_bucket" + from + "}"}}.Encode())
				require.Len(c, got.Data, 1)
				require.NotEmpty(c, got.Data[0].Exemplars)
				require.Contains(c, got.Data[0].Exemplars[0].Labels["trace_id"], "quick-")
			})
			failed, _ := metric(t, d.url, "tocsin_samples_refused_samples_total")
			require.Zero(t, failed)
		})
	}
}
