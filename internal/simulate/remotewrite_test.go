package simulate

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
)

// receiver decodes what arrives; answers, when not empty, is worked off first.
type receiver struct {
	t       *testing.T
	answers []func(http.ResponseWriter)
	got     []Sample
	auth    string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.auth = req.Header.Get("Authorization")
	if len(r.answers) > 0 {
		answer := r.answers[0]
		r.answers = r.answers[1:]
		answer(w)
		return
	}
	body, err := io.ReadAll(req.Body)
	require.NoError(r.t, err)
	require.Equal(r.t, "snappy", req.Header.Get("Content-Encoding"))
	var samples []Sample
	switch req.Header.Get("X-Prometheus-Remote-Write-Version") {
	case "0.1.0":
		require.Equal(r.t, "application/x-protobuf", req.Header.Get("Content-Type"))
		samples = decodeV1(r.t, body)
	case "2.0.0":
		require.Equal(r.t, "application/x-protobuf;proto=io.prometheus.write.v2.Request", req.Header.Get("Content-Type"))
		samples = decodeV2(r.t, body)
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", model.SampleValue(len(samples)).String())
	}
	r.got = append(r.got, samples...)
	w.WriteHeader(http.StatusNoContent)
}

func decodeV1(t *testing.T, body []byte) []Sample {
	raw, err := snappy.Decode(nil, body)
	require.NoError(t, err)
	var req prompb.WriteRequest
	require.NoError(t, req.Unmarshal(raw))
	b := labels.NewScratchBuilder(8)
	var out []Sample
	for _, ts := range req.Timeseries {
		for _, s := range ts.Samples {
			out = append(out, Sample{Labels: ts.ToLabels(&b, nil), T: time.UnixMilli(s.Timestamp).UTC(), Value: s.Value})
		}
	}
	return out
}

func decodeV2(t *testing.T, body []byte) []Sample {
	raw, err := snappy.Decode(nil, body)
	require.NoError(t, err)
	var req writev2.Request
	require.NoError(t, req.Unmarshal(raw))
	b := labels.NewScratchBuilder(8)
	var out []Sample
	for _, ts := range req.Timeseries {
		ls, err := ts.ToLabels(&b, req.Symbols)
		require.NoError(t, err)
		require.Equal(t, writev2.Metadata_METRIC_TYPE_COUNTER, ts.Metadata.Type)
		for _, s := range ts.Samples {
			out = append(out, Sample{Labels: ls, T: time.UnixMilli(s.Timestamp).UTC(), Value: s.Value, Start: time.UnixMilli(s.StartTimestamp).UTC()})
		}
	}
	return out
}

func serve(t *testing.T, r *receiver) *RemoteWrite {
	r.t = t
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	return &RemoteWrite{URL: srv.URL, Token: "secret"}
}

func TestBackfillSendsTheWholeHistoryInOrder(t *testing.T) {
	for _, version := range []int{1, 2} {
		r := &receiver{}
		w := serve(t, r)
		w.Version, w.MaxSamples = version, 100
		end := t0.Add(time.Hour)
		var reached []time.Time
		require.NoError(t, w.Backfill(t.Context(), gateway(t, twoTenants(nil)), t0, end, time.Minute, func(at time.Time) { reached = append(reached, at) }))

		require.Equal(t, "Bearer secret", r.auth)
		require.Len(t, r.got, 60*24)
		require.Equal(t, w.Samples, len(r.got))
		require.Equal(t, 15, w.Requests, "four scrapes of 24 series fit into 100 samples")
		require.Equal(t, end, reached[len(reached)-1])
		again := gateway(t, twoTenants(nil))
		i := 0
		for at := t0.Add(time.Minute); !at.After(end); at = at.Add(time.Minute) {
			for _, s := range again.Snapshot(at) {
				want := Sample{Labels: s.Labels, T: at, Value: s.Value}
				if version == 2 {
					want.Start = s.Start
				}
				require.Equal(t, want.Labels.String(), r.got[i].Labels.String())
				require.Equal(t, want.T, r.got[i].T)
				require.Equal(t, want.Value, r.got[i].Value)
				require.Equal(t, want.Start, r.got[i].Start)
				i++
			}
		}
	}
}

func TestSendWaitsAsLongAsItIsTold(t *testing.T) {
	status := func(code int, after string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			http.Error(w, "busy", code)
		}
	}
	r := &receiver{answers: []func(http.ResponseWriter){status(429, "7"), status(503, "3"), status(500, "")}}
	w := serve(t, r)
	var waits []time.Duration
	w.Wait = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	one := samplesAt(gateway(t, twoTenants(nil)), t0)[:1]
	require.NoError(t, w.Send(t.Context(), one))
	require.Equal(t, []time.Duration{7 * time.Second, 3 * time.Second, 4 * firstBackoff}, waits)
	require.Equal(t, 3, w.Retries)
	require.Len(t, r.got, 1, "sent again until taken, and taken once")

	r.answers = []func(http.ResponseWriter){status(400, ""), status(500, ""), status(500, "")}
	err := w.Send(t.Context(), one)
	require.True(t, problem.Is(err, problem.Invalid))
	require.ErrorContains(t, err, "400: busy")
	require.Len(t, waits, 3, "a refusal is final")
	w.MaxAttempts = 2
	require.True(t, problem.Is(w.Send(t.Context(), one), problem.Unavailable))
}

func TestVersionTwoNoticesWhatWasNotWritten(t *testing.T) {
	r := &receiver{answers: []func(http.ResponseWriter){func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }}}
	w := serve(t, r)
	w.Version = 2
	require.ErrorContains(t, w.Send(t.Context(), samplesAt(gateway(t, twoTenants(nil)), t0)), "24 samples sent")
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestLiveKeepsItsTimesAndCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		o := twoTenants(func(o *Options) { o.Start = start })
		var arrived []time.Duration
		down := true
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			res := &http.Response{StatusCode: 204, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(nil))}
			if down && time.Since(start) >= 10*time.Second {
				down = false
				res.StatusCode = 429
				res.Header.Set("Retry-After", "12")
			} else {
				arrived = append(arrived, time.Since(start))
			}
			return res, nil
		})}
		ctx, cancel := context.WithTimeout(t.Context(), 31*time.Second)
		defer cancel()
		var times []time.Duration
		w := &RemoteWrite{URL: "http://gateway.test/push", Client: client}
		require.NoError(t, w.Live(ctx, gateway(t, o), start, 5*time.Second, time.Now, func(at time.Time) { times = append(times, at.Sub(start)) }))
		s := time.Second
		require.Equal(t, []time.Duration{5 * s, 10 * s, 15 * s, 20 * s, 25 * s, 30 * s}, times)
		require.Equal(t, []time.Duration{5 * s, 22 * s, 22 * s, 22 * s, 25 * s, 30 * s}, arrived)
	})
}

func TestExporterIsWhatPrometheusReads(t *testing.T) {
	o := twoTenants(func(o *Options) { o.Tenants[1].ID = `od"d\one` })
	g := gateway(t, o)
	now := t0.Add(10 * time.Minute)
	srv := httptest.NewServer(g.Exporter(func() time.Time { return now }))
	defer srv.Close()
	res, err := http.Get(srv.URL)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 200, res.StatusCode)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	require.NoError(t, err)
	require.Len(t, families, 1)
	want := g.Snapshot(now)
	require.Len(t, families[Metric].Metric, len(want))
	got := map[string]float64{}
	for _, m := range families[Metric].Metric {
		b := labels.NewBuilder(labels.FromStrings(labels.MetricName, Metric))
		for _, l := range m.Label {
			b.Set(l.GetName(), l.GetValue())
		}
		got[b.Labels().String()] = m.Counter.GetValue()
	}
	require.Equal(t, counts(want), got)
}
