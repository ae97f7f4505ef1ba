package app

import (
	"context"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/selfobs"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

const flushTime = 3 * time.Second // for the last spans at a stop

// buildTracing connects to the collector of tocsin's own traces, if there is one.
// It is undone last: what stops before may still make spans.
func (a *App) buildTracing(ctx context.Context) (err error) {
	c := a.o.Config.Tracing
	if c.Endpoint == "" {
		return nil
	}
	if a.tracer, err = selfobs.NewTracer(ctx, selfobs.Collector{Endpoint: c.Endpoint, Sample: c.Sample, Insecure: c.Insecure, Version: a.o.Version, Logger: a.log}); err != nil {
		return err
	}
	a.undo.push("tracing", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, flushTime)
		defer cancel()
		if err := a.tracer.Stop(ctx); err != nil { // telemetry that is lost is no failed stop
			a.log.Warn("the last traces were not exported", "error", err)
		}
		return nil
	})
	return nil
}

// traced begins a trace at every request that hands in.
func (a *App) traced(routes []web.Route) []web.Route {
	if a.tracer == nil {
		return routes
	}
	routes = slices.Clone(routes)
	for i, rt := range routes {
		if !slices.Contains(rt.Roles, web.Sender) {
			continue
		}
		route := attribute.String("http.route", rt.Path)
		if handle := rt.Handle; handle != nil && rt.Method == http.MethodPost {
			routes[i].Handle = func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
				ctx, span := a.tracer.Start(r.Context(), "door request", route)
				defer span.End()
				err := handle(w, r.WithContext(ctx), p)
				span.Fail(err)
				return err
			}
		}
		if call := rt.Call; call != nil {
			routes[i].Call = func(ctx context.Context, header http.Header, p web.Principal, in []byte) ([]byte, error) {
				ctx, span := a.tracer.Start(ctx, "door request", route)
				defer span.End()
				out, err := call(ctx, header, p, in)
				span.Fail(err)
				return out, err
			}
		}
	}
	return routes
}

// appendTraced is journal.Append as a stage of the request's trace. Tenants are
// counted, not named.
func (a *App) appendTraced(ctx context.Context, r journal.Record, b any) error {
	if a.tracer == nil {
		_, err := a.journal.Append(ctx, r, b)
		return err
	}
	door := selfobs.Of(ctx)
	ctx, span := a.tracer.Start(ctx, "journal append", attribute.Int("bytes", len(r.Body)))
	defer span.End()
	if batch, ok := b.(*samples.Batch); ok {
		batch.Trace = span.Traceparent()
		seen := map[tenant.ID]bool{}
		for _, s := range batch.Series {
			seen[s.Tenant] = true
		}
		door.Set(attribute.Int("tenants", len(seen)), attribute.Int("samples", batch.Samples))
	}
	_, err := a.journal.Append(ctx, r, b)
	span.Fail(err)
	return err
}
