package tracing

import (
	"time"

	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/otlp"
	"github.com/tocsin-alerting/tocsin/tracing/private"
)

// DefaultCustomer is the attribute that says who was served, unless the policy names
// others.
const DefaultCustomer = "customer.id"

// Alias replaces who was served by something that says nothing and is the same for a
// day.
type Alias func(tenant string, customer []byte, at time.Time) (private.Alias, error)

// served is who was served by the span, replaced; ok is false when it does not say.
func (r *reducer) served(s *otlp.Span, id tenant.ID) (a private.Alias, ok bool) {
	for _, i := range r.l.customer {
		val := s.Attributes[i]
		if !val.Present() || r.nobody {
			continue
		}
		if r.key = val.Append(r.key[:0]); len(r.key) == 0 {
			continue
		}
		a, err := r.d.opts.Alias(string(id), r.key, r.at)
		if err != nil { // once for a request: there may be thousands
			r.nobody = true
			r.d.opts.Logger.Warn("who was served is left out of a request", "error", err)
		}
		return a, err == nil
	}
	return a, false
}
