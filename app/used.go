package app

import (
	"context"
	"time"

	"github.com/tocsin-alerting/tocsin/app/access"
)

// keepUse makes durable now and then when tokens were used, and that sessions of
// people who left have ended.
func (a *App) keepUse(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		a.endGone(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A start may have found tokens that an offboarding was about to end.
		if err := a.access.Load(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("the tokens cannot be read; it is tried again", "error", err)
		}
		if err := a.access.KeepUse(ctx, a.shared.Owner(access.Subject)); err != nil && ctx.Err() == nil {
			a.log.Warn("when tokens were used last cannot be stored; it is tried again", "error", err)
		}
	}
}
