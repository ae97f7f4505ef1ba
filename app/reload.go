package app

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/app/api"
	"github.com/tocsin-alerting/tocsin/app/check"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rollout"
)

// targets is the configuration in force with what was made of it. Immutable; a
// reload replaces it.
type targets struct {
	config  *config.Config
	systems map[string]itsm.System
}

// config is the one in force.
func (a *App) config() *config.Config { return a.targets.Load().config }

// reloading is the state of reloads: one at a time.
type reloading struct {
	mu         sync.Mutex
	done       chan struct{} // tells who watches the ticket systems
	successful prometheus.Gauge
	at         prometheus.Gauge
}

func newReloading(r prometheus.Registerer, now time.Time) *reloading {
	l := &reloading{
		done:       make(chan struct{}, 1),
		successful: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_config_last_reload_successful", Help: "Whether the last reload of the configuration was taken."}),
		at:         prometheus.NewGauge(prometheus.GaugeOpts{Name: "tocsin_config_last_reload_success_timestamp_seconds", Help: "When a configuration was taken last."}),
	}
	r.MustRegister(l.successful, l.at)
	l.successful.Set(1)
	l.at.Set(float64(now.Unix()))
	return l
}

// swaps are the keys of tocsin.yaml that a reload can change. What is not listed
// needs a restart, and a reload that would change it is refused: so a key that is
// added is safe until somebody makes it swap.
var swaps = []string{"policy_files", "catalog_files", "live_teams", "itsm", "channels", "onboarding", "limits.query", "retention.blobs"}

// Reload reads configuration, policy and catalog anew and puts them in force:
// everything that can fail is done first, so that after an error nothing has
// changed. What changed is in the ledger with who asked.
func (a *App) Reload(ctx context.Context, by string) (api.ReloadAnswer, error) {
	a.reload.mu.Lock()
	defer a.reload.mu.Unlock()
	out, err := a.reloaded(ctx, by)
	if err != nil {
		a.reload.successful.Set(0)
		a.log.Error("the configuration was not reloaded; what was in force stays", "by", by, "error", err)
		return out, err
	}
	a.reload.successful.Set(1)
	a.reload.at.Set(float64(a.o.Now().Unix()))
	a.log.Info("the configuration was reloaded", "by", by, "changed", strings.Join(out.Changed, "; "))
	return out, nil
}

func (a *App) reloaded(ctx context.Context, by string) (api.ReloadAnswer, error) {
	if a.replicated() && len(a.replicas.peers.Others()) > 0 {
		return api.ReloadAnswer{}, problem.New(problem.Invalid, "several replicas share the store, and each reads its own files").WithHint("restart them one after the other")
	}
	old, next := a.config(), a.o.Config
	if a.o.Load != nil {
		var err error
		if next, err = a.o.Load(); err != nil {
			return api.ReloadAnswer{}, err
		}
	}
	p, owners, err := check.Before(next)
	if err != nil {
		return api.ReloadAnswer{}, err
	}
	if err := a.refuseNew(ctx, p, next); err != nil {
		return api.ReloadAnswer{}, err
	}
	changed := differences(reflect.ValueOf(*old), reflect.ValueOf(*next), "")
	if err := fixed(next, changed); err != nil {
		return api.ReloadAnswer{}, err
	}
	channels, err := a.channels(next)
	if err != nil {
		return api.ReloadAnswer{}, err
	}
	systems, err := a.ticketSystems(ctx, next, owners)
	if err != nil {
		return api.ReloadAnswer{}, err
	}
	before := a.shared.Rules()
	changed = append(changed, compared(before.Catalog, owners)...)
	// Whoever asks may leave; then what is durable must be in force all the same.
	ctx = context.WithoutCancel(ctx)
	revision, err := a.recordReload(ctx, a.reading(p, next.PolicyFiles, by, "it was read by a reload"), changed, by)
	if err != nil {
		return api.ReloadAnswer{}, err
	}
	if revision != before.Revision {
		changed = append(changed, fmt.Sprintf("policy revision %d", revision))
	}

	// Nothing below can fail, but for reading what was written a moment ago.
	a.targets.Store(&targets{config: next, systems: systems})
	a.sender.Serve(systems, channels)
	if db := a.history.Load(); db != nil {
		a.openQueries(db)
	}
	if err := a.shared.Policy().Follow(ctx, owners); err != nil {
		return api.ReloadAnswer{}, err
	}
	a.endGone(ctx)
	select {
	case a.reload.done <- struct{}{}:
	default: // it will look once more anyway
	}
	if changed == nil {
		changed = []string{}
	}
	return api.ReloadAnswer{Changed: changed, PolicyRevision: revision}, nil
}

// recordReload makes the policy that was read and what changed durable, in one
// commit. revision is the one in force after it.
func (a *App) recordReload(ctx context.Context, read policy.Reading, changed []string, by string) (revision int, err error) {
	err = a.shared.Owner(rollout.Subject).Call(ctx, func(tx *partition.Tx) error {
		c, _, err := read.Take(tx, busy)
		if err != nil {
			return err
		}
		revision = c.Standing.InForce
		if len(changed) > 0 {
			tx.Log(ledger.Entry{Subject: "config", Kind: "config.reloaded", Actor: by, Reason: "a reload changed " + strings.Join(changed, ", ")})
		}
		return nil
	})
	return revision, err
}

// fixed refuses what only a restart can change.
func fixed(c *config.Config, changed []string) error {
	var faults fault.List
	for _, key := range changed {
		if !slices.ContainsFunc(swaps, func(s string) bool { return key == s || strings.HasPrefix(key, s+".") || strings.HasPrefix(key, s+"[") }) {
			faults = append(faults, c.Fault(fault.Error, key, key+" changes at a restart only"))
		}
	}
	return faults.Problem("the reload", "restart tocsin, or put the old value back; until then what was in force stays")
}

// differences names the keys whose values differ. Lists differ as a whole.
func differences(a, b reflect.Value, at string) (out []string) {
	if a.Kind() != reflect.Struct {
		if !reflect.DeepEqual(a.Interface(), b.Interface()) {
			out = append(out, at)
		}
		return out
	}
	for key, f := range fault.Keys(a.Type()) {
		name := key
		if at != "" {
			name = at + "." + key
		}
		out = append(out, differences(a.FieldByIndex(f.Index), b.FieldByIndex(f.Index), name)...)
	}
	slices.Sort(out)
	return out
}

// compared names what is new, gone and different in a catalog.
func compared(a, b *catalog.Catalog) (out []string) {
	out = append(out, entries("team", a.Teams, b.Teams, func(t catalog.Team) string { return string(t.ID) })...)
	out = append(out, entries("service", a.Services, b.Services, func(s catalog.Service) string { return string(s.ID) })...)
	out = append(out, entries("integration", a.Integrations, b.Integrations, func(i catalog.Integration) string { return string(i.ID) })...)
	out = append(out, entries("person", a.People, b.People, func(p catalog.Person) string { return string(p.ID) })...)
	return append(out, entries("schedule", a.Schedules, b.Schedules, func(s catalog.Schedule) string { return string(s.ID) })...)
}

func entries[T any](what string, a, b []T, id func(T) string) (out []string) {
	was := map[string]T{}
	for _, v := range a {
		was[id(v)] = v
	}
	for _, v := range b {
		old, ok := was[id(v)]
		switch {
		case !ok:
			out = append(out, what+" "+id(v)+" (new)")
		case !reflect.DeepEqual(old, v):
			out = append(out, what+" "+id(v))
		}
		delete(was, id(v))
	}
	for _, v := range a {
		if _, gone := was[id(v)]; gone {
			out = append(out, what+" "+id(v)+" (gone)")
		}
	}
	return out
}
