// Package selfobs tells the outside how tocsin itself does. It knows nothing of
// tenants, alerts and incidents.
package selfobs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Heartbeat posts to an address for as long as tocsin works. Who listens there
// calls somebody once it falls silent: the only alarm that can tell of tocsin's
// own death.
type Heartbeat struct {
	// URL is where to post; URLFile holds it instead when it is a secret, and is
	// read anew at every beat.
	URL, URLFile string
	// Every is the time from one beat to the next. More than 0.
	Every time.Duration
	// Alive says what is wrong; then there is no beat. It must end with its context.
	Alive  func(context.Context) error
	Now    func() time.Time
	Logger *slog.Logger

	client http.Client
	sent   *prometheus.CounterVec
	at     prometheus.Gauge
}

// Limits of one beat.
const (
	aliveTime = 5 * time.Second  // for what is asked whether it lives
	postTime  = 10 * time.Second // for the listener to answer
)

// Register registers the heartbeat's metrics, all series at zero. Call it once,
// before Run.
func (h *Heartbeat) Register(r prometheus.Registerer) {
	h.sent = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_selfobs_heartbeats_total", Help: "Beats that were due: taken, failed, or withheld because tocsin does not work."}, []string{"result"})
	h.at = prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_selfobs_heartbeat_success_timestamp_seconds", Help: "When a beat was taken last; 0: never."})
	r.MustRegister(h.sent, h.at)
	for _, result := range []string{"ok", "failed", "withheld"} {
		h.sent.WithLabelValues(result)
	}
}

// Run beats at once and then every so often until ctx ends. What goes wrong is
// logged once until it works again.
func (h *Heartbeat) Run(ctx context.Context) {
	h.client = http.Client{Timeout: postTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer h.client.CloseIdleConnections()
	tick := time.NewTicker(h.Every)
	defer tick.Stop()
	failing := false
	for {
		result, err := h.beat(ctx)
		if ctx.Err() != nil {
			return
		}
		h.sent.WithLabelValues(result).Inc()
		switch {
		case err == nil:
			h.at.Set(float64(h.Now().Unix()))
			if failing {
				h.Logger.Info("the heartbeat is sent again")
			}
		case !failing:
			h.Logger.Error("the heartbeat is not sent; whoever listens will raise the alarm", "result", result, "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (h *Heartbeat) beat(ctx context.Context) (result string, err error) {
	alive, cancel := context.WithTimeout(ctx, aliveTime)
	defer cancel()
	if err := h.Alive(alive); err != nil {
		return "withheld", err
	}
	if err := h.post(ctx); err != nil {
		return "failed", err
	}
	return "ok", nil
}

// post never has the address in an error: it may be a secret.
func (h *Heartbeat) post(ctx context.Context) error {
	address := h.URL
	if h.URLFile != "" {
		raw, err := os.ReadFile(h.URLFile)
		if err != nil {
			return problem.Wrap(err, problem.Invalid, "the heartbeat's address cannot be read").WithHint("check heartbeat.url_file in tocsin.yaml")
		}
		address = strings.TrimSpace(string(raw))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, http.NoBody)
	if err != nil {
		return problem.New(problem.Invalid, "the heartbeat's address is not one").WithHint("check heartbeat in tocsin.yaml")
	}
	res, err := h.client.Do(req)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err
		}
		return problem.Wrap(err, problem.Unavailable, "the heartbeat's listener cannot be reached")
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		return problem.New(problem.Unavailable, "the heartbeat's listener answered %d", res.StatusCode).WithHint("check heartbeat in tocsin.yaml")
	}
	return nil
}
