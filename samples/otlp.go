package samples

import (
	"context"

	"github.com/klauspost/compress/snappy"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/otelmetrics"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
)

func (o Options) attributes() otelmetrics.Names {
	return otelmetrics.Names{TenantAttribute: o.TenantAttribute, TenantLabel: o.TenantLabel, EnvironmentLabel: o.EnvironmentLabel}
}

// WriteOTLP takes an ExportMetricsServiceRequest, in protobuf or in OTLP's JSON,
// made with a credential of the scope. It returns when what was not refused is
// durable. refused is the number of data points that are not to be sent again, and
// text says why. An error concerns the whole request: nothing was taken. What
// becomes of names and attributes says otelmetrics.Labels.
func (d *Door) WriteOTLP(ctx context.Context, scope door.Scope, body []byte, inJSON bool) (refused int64, text string, err error) {
	adm, err := scope.Open()
	if err != nil {
		return 0, "", d.failed(door.Refused, err)
	}
	req := d.otlp.Get().(*otelmetrics.Request)
	defer d.releaseOTLP(req)
	head := header{JSON: inJSON, Scope: scope}
	if err := d.readOTLP(req, body, inJSON, d.opts.Limits); err != nil {
		return 0, "", d.failed(door.Malformed, err)
	}
	at := d.opts.Now()
	j := &live{d: d, at: at, head: &head}
	batch, rep := d.build(req.Series, &adm, at, j)
	batch.Sender = scope.Sender
	if err := d.tooFast(&adm, batch, rep, j); err != nil {
		return 0, "", d.failed(door.Refused, err)
	}
	rep.refuse(refusedDelta, req.Delta)
	rep.refuse(refusedPoint, req.Invalid)
	if len(batch.Series) > 0 {
		rec := Record{Kind: OTLPKind, Version: OTLPVersion, Body: snappy.Encode(nil, body)}
		if err := d.keep(ctx, rec, head, batch); err != nil {
			return 0, "", d.failed(door.Failed, err)
		}
	}
	text = d.count(batch, rep)
	for _, n := range rep.refused {
		refused += int64(n)
	}
	return refused, text, nil
}

func (d *Door) failed(outcome string, err error) error {
	d.metrics.requests.WithLabelValues(outcome).Inc()
	return err
}

func (d *Door) readOTLP(req *otelmetrics.Request, body []byte, inJSON bool, lim remotewrite.Limits) error {
	if inJSON {
		return req.DecodeJSON(body, d.opts.attributes(), lim)
	}
	return req.Decode(body, d.opts.attributes(), lim)
}

// decodeOTLP is Decode for a record of OTLP.
func (d *Door) decodeOTLP(r Record, h *header, adm *door.Admission) (*Batch, error) {
	body, err := snappy.Decode(nil, r.Body)
	if err != nil {
		return nil, problem.Wrap(err, problem.Malformed, "the body of a record of OTLP metrics cannot be read")
	}
	req := d.otlp.Get().(*otelmetrics.Request)
	defer d.releaseOTLP(req)
	if err := d.readOTLP(req, body, h.JSON, d.journaled()); err != nil {
		return nil, err
	}
	b, _ := d.build(req.Series, adm, r.At, recorded{h})
	b.Sender = h.Scope.Sender
	return b, nil
}

// releaseOTLP gives a request's buffers back, unless one giant made them grow.
func (d *Door) releaseOTLP(req *otelmetrics.Request) {
	if req.Held() <= 8<<20 {
		d.otlp.Put(req)
	}
}
