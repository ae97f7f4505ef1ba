package samples

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

// Write answers a remote write request made with a credential of the scope:
//
//	204 everything is durable, or came from a replica that does not count
//	400 the body cannot be read; or some items were refused, the others stored: the text says how many. Prometheus does not send either again.
//	403 the credential does not cover the tenant in X-Scope-OrgID: nothing stored
//	413, 415 too large; another content type or encoding
//	429, 5xx not durable: to be sent again. 429 also for a sender of one tenant that sends faster than it may; from a sender of many that tenant's samples are refused with 400, so that its neighbours' are not held up.
//
// Answers to 2.0 carry the counts in X-Prometheus-Remote-Write-*-Written.
func (d *Door) Write(w http.ResponseWriter, r *http.Request, scope door.Scope) {
	adm, err := scope.Open()
	if err != nil {
		d.fail(w, door.Refused, err)
		return
	}
	version, ok := remotewrite.ContentType(r.Header.Get("Content-Type"))
	if enc := r.Header.Get("Content-Encoding"); !ok || (enc != "" && enc != "snappy") {
		d.metrics.requests.WithLabelValues(door.Malformed).Inc()
		http.Error(w, "send remote write 1.0 or 2.0 as application/x-protobuf with Content-Encoding: snappy", http.StatusUnsupportedMediaType)
		return
	}
	buf := d.bodies.Get().(*[]byte)
	body, err := readBody(w, r, (*buf)[:0], d.opts.Limits.Body)
	*buf = body
	if err != nil {
		d.bodies.Put(buf)
		d.fail(w, door.Malformed, err)
		return
	}
	req := d.requests.Get().(*remotewrite.Request)
	defer d.release(req)
	if err := req.Decode(version, body, d.opts.Limits); err != nil {
		d.bodies.Put(buf)
		d.fail(w, door.Malformed, err)
		return
	}
	d.said(&adm, req.Metadata)
	head := header{Proto: version, Scope: scope}
	at := d.opts.Now()
	j := &live{d: d, at: at, head: &head}
	batch, rep := d.build(req.Series, &adm, at, j)
	batch.Sender = scope.Sender
	if err := d.tooFast(&adm, batch, rep, j); err != nil {
		d.bodies.Put(buf)
		d.fail(w, door.Refused, err)
		return
	}
	if len(batch.Series) > 0 {
		if err := d.keep(r.Context(), Record{Kind: RecordKind, Version: RecordVersion, Body: body}, head, batch); err != nil {
			d.fail(w, door.Failed, err) // the journal may still hold the body: not pooled
			return
		}
	}
	d.bodies.Put(buf)
	d.answer(w, version, batch, rep)
}

// tooFast is the answer to a sender of one tenant that is over its rate: to wait.
// A sender of many must not be held up by one of them: it is told what was refused.
func (d *Door) tooFast(adm *door.Admission, b *Batch, rep report, j *live) error {
	if _, only := adm.Only(); !only || len(b.Series) > 0 || rep.refused[refusedRate] == 0 {
		return nil
	}
	d.metrics.refused.WithLabelValues(refusedRate).Add(float64(rep.refused[refusedRate]))
	return problem.New(problem.TooMany, "the tenant sends faster than limits.samples_per_second allows").
		WithHint("send again later; if it is right that it sends so much, raise the limit").WithRetryAfter(j.wait)
}

// said hands on what a sender says of its metrics.
func (d *Door) said(adm *door.Admission, list []remotewrite.Metadata) {
	if d.opts.Said != nil && len(list) > 0 {
		d.opts.Said(adm.Fallback(), list)
	}
}

// keep journals the request.
func (d *Door) keep(ctx context.Context, rec Record, head header, batch *Batch) (err error) {
	if rec.Header, err = json.Marshal(head); err != nil {
		return problem.Wrap(err, problem.Internal, "the record's header cannot be written")
	}
	rec.At = batch.ReceivedAt
	start := time.Now()
	timed, cancel := context.WithTimeout(ctx, d.opts.Timeout)
	defer cancel()
	err = d.opts.Journal.Append(timed, rec, batch)
	d.metrics.journal.Observe(time.Since(start).Seconds())
	switch {
	case err != nil && ctx.Err() != nil:
		return problem.Wrap(err, problem.Unavailable, "the sender left before the request was durable")
	case err != nil && timed.Err() != nil:
		return problem.Wrap(err, problem.Unavailable, "the request was not durable in time").WithHint("the disk is slow or stuck").WithRetryAfter(5 * time.Second)
	}
	return err
}

// answer reports what was done. Samples of a replica that does not count are said
// to be written: they are, by its sibling, and Prometheus takes a 2xx that wrote
// nothing for a receiver that did not understand it.
func (d *Door) answer(w http.ResponseWriter, v remotewrite.Version, b *Batch, rep report) {
	if v == remotewrite.V2 {
		h := w.Header()
		h.Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(b.Samples+rep.deduplicated))
		h.Set("X-Prometheus-Remote-Write-Histograms-Written", strconv.Itoa(b.Histograms))
		h.Set("X-Prometheus-Remote-Write-Exemplars-Written", strconv.Itoa(b.Exemplars+rep.spared))
	}
	if text := d.count(b, rep); text != "" {
		http.Error(w, text, http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// count counts what became of a request and gives the words for it when something
// was refused.
func (d *Door) count(b *Batch, rep report) string {
	m := d.metrics
	m.samples.Add(float64(b.Samples))
	m.histograms.Add(float64(b.Histograms))
	m.exemplars.Add(float64(b.Exemplars))
	m.starts.Add(float64(rep.starts))
	m.series.Add(float64(b.stored()))
	m.deduplicated.Add(float64(rep.deduplicated))
	for reason, n := range rep.refused {
		m.refused.WithLabelValues(reason).Add(float64(n))
	}
	outcome := door.Stored
	switch {
	case len(rep.refused) > 0 && len(b.Series) > 0:
		outcome = door.Partly
	case len(rep.refused) > 0:
		outcome = door.Refused
	case len(b.Series) == 0 && rep.deduplicated > 0:
		outcome = door.Replica
	case len(b.Series) == 0:
		outcome = door.Empty
	}
	m.requests.WithLabelValues(outcome).Inc()
	if len(rep.refused) == 0 {
		return ""
	}
	text := refusal(b, rep)
	d.opts.Logger.Warn("samples refused", "answer", text)
	return text
}

// stored is the number of series that are not derived.
func (b *Batch) stored() (n int) {
	for i := range b.Series {
		if !b.Series[i].Derived {
			n++
		}
	}
	return n
}

func refusal(b *Batch, rep report) string {
	var t strings.Builder
	fmt.Fprintf(&t, "%d samples", b.Samples)
	if b.Histograms > 0 {
		fmt.Fprintf(&t, " and %d histograms", b.Histograms)
	}
	t.WriteString(" stored")
	before := "; refused: "
	for _, s := range said {
		if n, ok := rep.refused[s.reason]; ok {
			fmt.Fprintf(&t, "%s%d %s", before, n, s.text)
			before = "; "
		}
	}
	return t.String()
}

// fail prints a problem as remote write senders read it: a status and a line.
func (d *Door) fail(w http.ResponseWriter, outcome string, err error) {
	p := problem.From(err)
	d.metrics.requests.WithLabelValues(outcome).Inc()
	if p.Kind == problem.Internal {
		d.opts.Logger.Error("remote write failed", "err", err)
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	}
	text := p.Message
	if p.Hint != "" {
		text += ": " + p.Hint
	}
	http.Error(w, text, p.Kind.Status())
}

// readBody reads at most limit bytes into buf.
func readBody(w http.ResponseWriter, r *http.Request, buf []byte, limit int) ([]byte, error) {
	if r.ContentLength > int64(limit) {
		return buf, problem.New(problem.TooLarge, "the request has more bytes than the limit of %d", limit)
	}
	b := bytes.NewBuffer(buf)
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(http.MaxBytesReader(w, r.Body, int64(limit)+1), int64(limit)+1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return b.Bytes(), problem.Wrap(err, problem.Unavailable, "the request's body did not arrive in time").WithHint("see limits.request_time")
	}
	if err != nil {
		return b.Bytes(), problem.Wrap(err, problem.Malformed, "the request's body ended early")
	}
	if n > int64(limit) {
		return b.Bytes(), problem.New(problem.TooLarge, "the request has more bytes than the limit of %d", limit)
	}
	return b.Bytes(), nil
}

// release gives a request's buffers back, unless one giant made them grow.
func (d *Door) release(req *remotewrite.Request) {
	if req.Held() <= 8<<20 {
		d.requests.Put(req)
	}
}
