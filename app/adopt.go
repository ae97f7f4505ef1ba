package app

import (
	"context"
	"net/url"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/logkey"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// adopt onboards tenants that send and are unknown, where the configuration says
// onboarding: automatic.
func (a *App) adopt(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	told := false // that some could not be onboarded
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if a.config().Onboarding != "automatic" {
			continue
		}
		for _, u := range a.door.Unknown() {
			if a.shared.Known(ctx, u.ID) {
				a.door.Forget(u.ID)
				continue
			}
			err := a.adoptOne(ctx, u.ID)
			switch {
			case err == nil:
				told = false
				a.door.Forget(u.ID)
				a.log.Info("a tenant was onboarded, because it sends and onboarding is automatic", logkey.Tenant, u.ID)
			case ctx.Err() != nil:
				return
			case !told: // once, not for each tenant and second
				told = true
				a.log.Error("tenants that send could not be onboarded; it is tried again", logkey.Tenant, u.ID, "error", err)
			}
		}
	}
}

func (a *App) adoptOne(ctx context.Context, id tenant.ID) error {
	subject := id.Subject()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, here := a.shared.SeatOf(subject); !here && a.replicated() {
		return a.replicas.ask(ctx, store.PartitionOf(subject), "/internal/v1/tenants/"+url.PathEscape(string(id))+"/adopt")
	}
	return a.shared.Decide(ctx, subject, func(tx *partition.Tx, h *flow.Handler) error {
		_, _, _, err := a.shared.Adopt(tx, h, id)
		return err
	})
}
