package flow

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/logkey"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// causes remembers, while traces are made, which request brought a tenant's newest
// samples: a step is closed by the clock as often as by a request.
type causes struct {
	by    map[tenant.ID]string
	began time.Time // of the evaluation that goes on; zero: none does
}

func (c *causes) note(b *samples.Batch, id tenant.ID) {
	if b.Trace == "" {
		return
	}
	if c.by == nil {
		c.by = map[tenant.ID]string{}
	}
	c.by[id] = b.Trace
}

// traceRaise makes the stages evaluate and raise of an alert. They end with the
// commit; what is not committed is not seen.
func (h *Handler) traceRaise(tx *partition.Tx, a alert.Alert) {
	if h.s.Tracer == nil {
		return
	}
	began := h.causes.began
	if began.IsZero() { // a rule that is gone ends its alerts without an evaluation
		began = time.Now()
	}
	evaluated := h.s.Tracer.After(h.causes.by[a.Tenant], "evaluate", began, attribute.Int(logkey.Partition, int(tx.Partition())))
	evaluated.End()
	raised := h.s.Tracer.After(evaluated.Traceparent(), "raise alert", time.Now(), attribute.String("rule", a.Rule), attribute.String("state", string(a.State)))
	tx.SetTrace(raised.Traceparent())
	tx.After(raised.End)
}
