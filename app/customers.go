package app

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/app/flow/customers"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tracing"
	"github.com/tocsin-alerting/tocsin/tracing/private"
)

// spanCut is how spans are cut: as the first policy says, and by what others that some
// tenants have say besides.
func (a *App) spanCut(policies ...*profiles.Policy) tracing.Cut {
	var c tracing.Cut
	var failures []sli.Spec
	for _, p := range policies {
		for _, l := range p.SpanLabels() {
			if !slices.ContainsFunc(c.Slices, func(s tracing.Slice) bool { return s.Label == l.Label }) {
				c.Slices = append(c.Slices, tracing.Slice(l))
			}
		}
		for _, attribute := range p.SpanCustomer() {
			if !slices.Contains(c.Customer, attribute) {
				c.Customer = append(c.Customer, attribute)
			}
		}
		failures = append(failures, p.SpanFailures()...)
	}
	c.Fails = func(ls labels.Labels) bool {
		get := a.evaluable(ls).Get
		return slices.ContainsFunc(failures, func(s sli.Spec) bool { return s.IsTotal(get) && s.IsBad(get) })
	}
	return c
}

// customers replaces who was served: under a key of this process, or under one that all
// replicas have.
func (a *App) customers() (*private.Customers, error) {
	if !a.replicated() {
		return private.OpenCustomers(a.o.StoragePath)
	}
	return private.NewCustomers(a.spans.keys.of), private.Forget(a.o.StoragePath)
}

// dayKeys are the keys that replicas share.
type dayKeys struct {
	known atomic.Pointer[map[string][]byte]
}

// of is the key of a day. Until it is known nobody is named.
func (k *dayKeys) of(day string) ([]byte, error) {
	if known := k.known.Load(); known != nil && len((*known)[day]) == private.KeySize {
		return (*known)[day], nil
	}
	return nil, problem.New(problem.Unavailable, "the key of the day is not agreed on yet among the replicas").WithHint("it is there as soon as all partitions are served")
}

// keysEvery is how often the keys of replicas are looked at. The next day's is made an
// hour before it is needed.
const keysEvery = 2 * time.Second

// shareKeys keeps the keys by which replicas name customers.
func (a *App) shareKeys(ctx context.Context) {
	if !a.replicated() {
		return
	}
	tick := time.NewTicker(keysEvery)
	defer tick.Stop()
	failing := false
	for {
		known, err := customers.Keys(ctx, a.store, a.o.Now(), private.NewKey)
		if err == nil {
			a.spans.keys.known.Store(&known)
		} else if !failing && ctx.Err() == nil {
			a.log.Error("the key of the day cannot be read: customers that fail are not counted once it is over", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
