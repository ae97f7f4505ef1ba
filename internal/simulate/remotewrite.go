package simulate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// RemoteWrite sends samples as a Prometheus would. URL is needed; the zero
// value of everything else works. Not for concurrent use: like one shard of a
// queue it sends in order and waits.
type RemoteWrite struct {
	URL         string
	Token       string // bearer token; empty: none
	Version     int    // 1 or 2; default 1
	Client      *http.Client
	MaxSamples  int // a request; default 5,000
	MaxAttempts int // of one request; 0: until the context ends
	// Wait passes time between attempts and samples; default a timer.
	Wait func(ctx context.Context, d time.Duration) error

	Samples  int // sent and accepted
	Requests int // accepted
	Retries  int // attempts that were told to come again
}

const (
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 10 * time.Second
	maxAnswer    = 4 << 10
)

// Send delivers the samples in their order, in as many requests as needed. It
// tries again after 429, 5xx and broken connections, not before Retry-After;
// any other refusal is an error of the answer's kind with what it said.
func (w *RemoteWrite) Send(ctx context.Context, samples []Sample) error {
	size := w.MaxSamples
	if size <= 0 {
		size = 5000
	}
	for len(samples) > 0 {
		n := min(size, len(samples))
		if err := w.deliver(ctx, samples[:n]); err != nil {
			return err
		}
		samples = samples[n:]
	}
	return nil
}

func (w *RemoteWrite) deliver(ctx context.Context, samples []Sample) error {
	encode := EncodeV1
	if w.Version == 2 {
		encode = EncodeV2
	}
	body, err := encode(samples)
	if err != nil {
		return problem.Wrap(err, problem.Internal, "samples cannot be encoded")
	}
	backoff := firstBackoff
	for attempt := 1; ; attempt++ {
		err := w.post(ctx, body, len(samples))
		if err == nil {
			w.Samples += len(samples)
			w.Requests++
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p := problem.From(err)
		if !p.Retryable || w.MaxAttempts > 0 && attempt >= w.MaxAttempts {
			return err
		}
		w.Retries++
		if err := w.wait(ctx, max(backoff, p.RetryAfter)); err != nil {
			return err
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

func (w *RemoteWrite) post(ctx context.Context, body []byte, samples int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return problem.Wrap(err, problem.Invalid, "the remote write address is not usable")
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("User-Agent", "simulated-gateway")
	if w.Version == 2 {
		req.Header.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
		req.Header.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	} else {
		req.Header.Set("Content-Type", "application/x-protobuf")
		req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	}
	if w.Token != "" {
		req.Header.Set("Authorization", "Bearer "+w.Token)
	}
	client := w.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "remote write did not get through")
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return w.judge(res, string(text), samples)
}

// judge turns an answer into nil or an error that says whether to come again.
func (w *RemoteWrite) judge(res *http.Response, text string, samples int) error {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	switch {
	case res.StatusCode == http.StatusTooManyRequests:
		return problem.New(problem.TooMany, "remote write: 429: %s", line).WithRetryAfter(retryAfter(res.Header))
	case res.StatusCode >= 500:
		return problem.New(problem.Unavailable, "remote write: %d: %s", res.StatusCode, line).WithRetryAfter(retryAfter(res.Header))
	case res.StatusCode/100 != 2:
		kind := map[int]problem.Kind{401: problem.Unauthenticated, 403: problem.Forbidden, 404: problem.NotFound, 413: problem.TooLarge}[res.StatusCode]
		if kind == "" {
			kind = problem.Invalid
		}
		return problem.New(kind, "remote write: %d: %s", res.StatusCode, line)
	}
	if w.Version == 2 {
		// A 2.0 receiver says how much it took; one that does not say took it for 1.0.
		if got := res.Header.Get("X-Prometheus-Remote-Write-Samples-Written"); got != fmt.Sprint(samples) {
			return problem.New(problem.Invalid, "remote write 2.0: %d samples sent, the receiver says it wrote %q", samples, got)
		}
	}
	return nil
}

func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil && s >= 0 {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

func (w *RemoteWrite) wait(ctx context.Context, d time.Duration) error {
	if w.Wait != nil {
		return w.Wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Backfill sends the gateway's history as one scrape a step, from (not
// included) to to (included), oldest first, as quickly as it is taken.
// progress, when not nil, is told the sample time reached after each request.
func (w *RemoteWrite) Backfill(ctx context.Context, g *Gateway, from, to time.Time, step time.Duration, progress func(time.Time)) error {
	size := w.MaxSamples
	if size <= 0 {
		size = 5000
	}
	var batch []Sample
	for t := from.Add(step); !t.After(to); t = t.Add(step) {
		scrape := samplesAt(g, t)
		if len(batch) > 0 && len(batch)+len(scrape) > size {
			if err := w.Send(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
			if progress != nil {
				progress(t.Add(-step))
			}
		}
		batch = append(batch, scrape...)
	}
	if err := w.Send(ctx, batch); err != nil {
		return err
	}
	if progress != nil {
		progress(to)
	}
	return nil
}

// Live sends one scrape every step after the given instant, each when its time
// has come by now(), until the context ends; that is no error. A receiver that
// makes it wait gets the missed scrapes afterwards, in order. sent, when not
// nil, is told the sample time of each scrape delivered.
func (w *RemoteWrite) Live(ctx context.Context, g *Gateway, after time.Time, step time.Duration, now func() time.Time, sent func(time.Time)) error {
	for t := after.Add(step); ; t = t.Add(step) {
		if d := t.Sub(now()); d > 0 {
			if w.wait(ctx, d) != nil {
				return nil
			}
		}
		if err := w.Send(ctx, samplesAt(g, t)); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if sent != nil {
			sent(t)
		}
	}
}

func samplesAt(g *Gateway, t time.Time) []Sample {
	series := g.Snapshot(t)
	out := make([]Sample, len(series))
	for i, s := range series {
		out[i] = Sample{Labels: s.Labels, T: t, Value: s.Value, Start: s.Start}
	}
	return out
}
