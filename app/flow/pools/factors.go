package pools

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// What comes of the expected volume in a country is measured by the pool of a service
// and goes back to the partitions of its tenants as an input with the moment from which
// it holds. That moment lies ahead, and the factor is stored with the input that brought
// it: steps that are replayed after a start are judged by what they were judged by.

// InputFactor is the kind of that input, at version 1: exchange.Factor.
const InputFactor = "factor"

const (
	factors   = "factor"      // []exchange.Factor by environment, service, rule and country, oldest first
	factorFor = 3 * time.Hour // how long one may still be asked for by steps that are replayed
)

// SendFactor sends a country's factor to every partition that has tenants in it.
func SendFactor(tx *partition.Tx, f exchange.Factor, tenants []tenant.Tenant) {
	to := map[store.Partition]string{}
	for _, t := range tenants {
		subject := t.ID.Subject()
		if p := store.PartitionOf(subject); t.Watched() && to[p] == "" && trades(t, f.Country) {
			to[p] = subject
		}
	}
	subject := Subject(f.Environment, f.Service)
	for p, tenant := range to {
		tx.Send(store.Input{ID: fmt.Sprintf("%s/%s/%s/%d/%d", subject, f.Rule, f.Country, f.From.UnixMilli(), p), Kind: InputFactor, Version: 1,
			Subject: tenant, Payload: partition.Payload(f)})
	}
	tx.Log(ledger.Entry{Subject: subject, Kind: "pool.factor", Reason: fmt.Sprintf(
		"from %s on %.0f%% of the usual volume is expected in %s (rule %s): so much came of %d tenants", f.From.UTC().Format("15:04 UTC"), 100*f.Value, f.Country, f.Rule, f.Tenants)})
}

// trades says whether a tenant may trade in a country: one that lists none trades in all.
func trades(t tenant.Tenant, country string) bool {
	return len(t.Countries) == 0 || slices.ContainsFunc(t.Countries, func(c string) bool { return strings.EqualFold(c, country) })
}

// TakeFactor puts a factor in force for the tenants of a partition, whose engine e is.
func TakeFactor(tx *partition.Tx, in store.Input, e *evaluate.Engine) error {
	f, err := partition.DecodeInput[exchange.Factor](in)
	if err != nil {
		return err
	}
	key := strings.Join([]string{url.PathEscape(f.Environment), f.Service, f.Rule, url.PathEscape(f.Country)}, "/")
	var kept []exchange.Factor
	if _, err := tx.Get(factors, key, &kept); err != nil {
		return err
	}
	e.SetFactor(f)
	kept = slices.DeleteFunc(append(kept, f), func(o exchange.Factor) bool { return tx.Now().Sub(o.From) > factorFor })
	return tx.Put(factors, key, "factor", 1, kept)
}

// LoadFactors gives the engine of a partition the factors it had before a start.
func LoadFactors(ctx context.Context, p store.Partition, s store.Store, e *evaluate.Engine) error {
	kept, err := partition.Values[[]exchange.Factor](partition.All(ctx, s, p, factors))
	if err != nil {
		return err
	}
	for _, list := range kept {
		for _, f := range list {
			e.SetFactor(f)
		}
	}
	return nil
}
