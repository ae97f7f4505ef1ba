package app

import (
	"context"

	"github.com/tocsin-alerting/tocsin/app/check"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/selfobs"
)

// startHeartbeat says to the outside that tocsin works, or at least says here
// that nobody would notice if it did not.
func (a *App) startHeartbeat() {
	c := a.o.Config
	if !c.Heartbeat.On() {
		if check.Outside(c) {
			a.log.Warn("nobody would notice if this process died: set heartbeat in the configuration, or have a Prometheus of yours evaluate deploy/prometheus-rules.yaml")
		}
		return
	}
	h := &selfobs.Heartbeat{URL: c.Heartbeat.URL, URLFile: c.Path(c.Heartbeat.URLFile), Every: c.Heartbeat.Every, Alive: a.alive, Now: a.o.Now, Logger: a.log}
	h.Register(a.registry)
	run, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(run) }()
	a.undo.push("heartbeat", func(context.Context) error { cancel(); <-done; return nil })
}

// alive asks what pages somebody: the incidents' partition must take an input.
func (a *App) alive(ctx context.Context) error {
	if err := a.readiness(); err != nil {
		return err
	}
	owner := a.shared.Owner(response.Subject(a.o.Config.Environment))
	if !owner.Served() { // by another replica, which has a heartbeat of its own
		return nil
	}
	return owner.Call(ctx, func(*partition.Tx) error { return nil })
}
