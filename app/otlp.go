package app

import (
	"context"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/otlp"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Off is the address of a listener that is not wanted.
const Off = "off"

// listenOTLP binds the address of OTLP over gRPC.
func (a *App) listenOTLP(ctx context.Context) error {
	if a.o.OTLPAddress == "" || a.o.OTLPAddress == Off {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.o.OTLPAddress)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "cannot listen on %s for OTLP", a.o.OTLPAddress).
			WithHint("another program has it, a collector perhaps, or it is not an address of this machine: choose another with --otlp.listen-address, or off (OTLP over HTTP is served all the same)")
	}
	a.otlp.listener = l
	a.undo.push("OTLP listener", func(context.Context) error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// otlpDoors is what takes each signal.
func (a *App) otlpDoors() []otlp.Door {
	lim := otlp.Limits{Body: int(a.o.Config.Limits.BodyBytes), Decompressed: int(a.o.Config.Limits.UnpackedBytes)}
	return []otlp.Door{
		{Signal: otlp.Metrics, To: otlp.ExporterFunc(a.exportMetrics), Limits: lim},
		{Signal: otlp.Logs, Limits: lim}, // a sender of all signals is told so
		{Signal: otlp.Traces, To: spanExporter{a.spans.door}, Limits: lim},
	}
}

// exportMetrics hands a request to the door of samples.
func (a *App) exportMetrics(ctx context.Context, scope door.Scope, r otlp.Request) (otlp.Partial, error) {
	refused, text, err := a.door.WriteOTLP(ctx, scope, r.Body, r.JSON)
	return otlp.Partial{Rejected: refused, Message: text}, err
}

// OTLPAddr is where OTLP over gRPC is served; empty when it is off.
func (a *App) OTLPAddr() string {
	if a.otlp.listener == nil {
		return ""
	}
	return a.otlp.listener.Addr().String()
}

// serveOTLP serves gRPC until Stop.
func (a *App) serveOTLP() {
	if a.otlp.listener == nil {
		return
	}
	a.undo.push("OTLP", func(ctx context.Context) error { return drainRPC(ctx, a.otlp.server) })
	go func() {
		if err := a.otlp.server.Serve(a.otlp.listener); err != nil {
			a.fail(problem.Wrap(err, problem.Unavailable, "the OTLP listener failed"))
		}
	}()
	a.log.Info("OTLP is served over gRPC", "address", a.OTLPAddr())
}

// drainWithin is how long a stop waits for calls under way: what was not answered
// is sent again, and the rest of a stop needs its time.
const drainWithin = 5 * time.Second

// drainRPC lets the calls under way end; those that take too long are cut.
func drainRPC(ctx context.Context, s *grpc.Server) error {
	ctx, cancel := context.WithTimeout(ctx, drainWithin)
	defer cancel()
	done := make(chan struct{})
	go func() { s.GracefulStop(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.Stop()
		<-done
	}
	return nil
}
