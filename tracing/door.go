package tracing

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tracing/otlp"
)

// Request is one export of spans.
type Request struct {
	Scope    door.Scope
	Body     []byte // decompressed; it is not kept
	Encoding otlp.Encoding
}

// Partial says what was not taken of a request that was. The zero value says
// that everything was.
type Partial struct {
	Rejected int
	Message  string
}

// Write takes a request and returns when what was made of it is durable. An error
// means that nothing was taken: problem.Malformed, problem.TooLarge,
// problem.Forbidden (the credential does not cover the tenant in X-Scope-OrgID),
// or what the journal says, which can be tried again.
func (d *Door) Write(ctx context.Context, req Request) (Partial, error) {
	adm, err := req.Scope.Open()
	if err != nil {
		return Partial{}, d.outcome(door.Refused, err)
	}
	r := d.layout.Load().reducers.Get().(*reducer)
	defer r.release()
	at := d.opts.Now()
	r.begin(adm, at)
	if err := r.decoder.Decode(req.Body, req.Encoding, r.take); err != nil {
		return Partial{}, d.outcome(door.Malformed, err)
	}
	if r.spans > 0 {
		if err := d.keep(ctx, r.batch(req.Scope.Sender)); err != nil {
			return Partial{}, d.outcome(door.Failed, err)
		}
	}
	return d.answer(r), nil
}

// keep journals what was made of the request.
func (d *Door) keep(ctx context.Context, b *Batch) error {
	start := time.Now()
	err := d.opts.Journal(ctx, Record{Kind: RecordKind, Version: RecordVersion, At: b.ReceivedAt, Body: encode(b)}, b)
	d.metrics.journal.Observe(time.Since(start).Seconds())
	if err != nil && ctx.Err() != nil {
		return problem.Wrap(err, problem.Unavailable, "the sender left before the request was durable")
	}
	return err
}

func (d *Door) outcome(what string, err error) error {
	d.metrics.requests.WithLabelValues(what).Inc()
	if problem.From(err).Kind == problem.Internal {
		d.opts.Logger.Error("a trace request failed", "err", err)
	}
	return err
}

// answer counts what was done and says what was refused.
func (d *Door) answer(r *reducer) Partial {
	m := d.metrics
	m.spans.Add(float64(r.spans))
	m.overflow.Add(float64(r.lost))
	for _, v := range r.tenants {
		if v.unknown && v.spans > 0 {
			d.opts.Stranger(v.id, v.spans, r.at)
		}
	}
	var p Partial
	var text strings.Builder
	for i, n := range r.refused {
		if n == 0 {
			continue
		}
		p.Rejected += n
		m.refused.WithLabelValues(said[i].label).Add(float64(n))
		if text.Len() > 0 {
			text.WriteString("; ")
		}
		fmt.Fprintf(&text, "%d spans refused %s", n, said[i].text)
	}
	p.Message = text.String()
	outcome := door.Stored
	switch {
	case p.Rejected > 0 && r.spans > 0:
		outcome = door.Partly
	case p.Rejected > 0:
		outcome = door.Refused
	case r.spans == 0:
		outcome = door.Empty
	}
	m.requests.WithLabelValues(outcome).Inc()
	if p.Rejected > 0 {
		d.opts.Logger.Warn("spans refused", "answer", p.Message)
	}
	return p
}
