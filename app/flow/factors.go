package flow

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// What comes of the expected volume in a country is measured by the pool of a service
// and goes back to the partitions of its tenants as an input with the moment from which
// it holds. That moment lies ahead, and the factor is stored with the input that brought
// it: steps that are replayed after a start are judged by what they were judged by.

const factorRecords = "factor" // []evaluate.Factor by environment, service, rule and country, oldest first

// announced finds the calendar entry that says what volume is to be expected.
func (s *Shared) announced(at time.Time, on calendar.Scope) (calendar.Entry, bool) {
	p, _ := s.Rules().Of(on.Tenant)
	c := p.Calendar()
	return c.Active(at, calendar.Widen, on)
}

// options are those of every engine and pool.
func (s *Shared) options() evaluate.Options {
	o := s.Evaluate
	o.Announced = s.announced
	return o
}

// tellFactor sends a country's factor to every partition that has tenants in it.
func (h *Handler) tellFactor(tx *partition.Tx, f evaluate.Factor) {
	to := map[store.Partition]string{}
	for _, t := range h.s.directory.List() {
		subject := t.ID.Subject()
		if p := store.PartitionOf(subject); t.Watched() && to[p] == "" && trades(t, f.Country) {
			to[p] = subject
		}
	}
	subject := poolSubject(f.Environment, f.Service)
	for p, tenant := range to {
		tx.Send(store.Input{ID: fmt.Sprintf("%s/%s/%s/%d/%d", subject, f.Rule, f.Country, f.From.UnixMilli(), p), Kind: inputFactor, Version: 1,
			Subject: tenant, Payload: partition.Payload(f)})
	}
	tx.Log(ledger.Entry{Subject: subject, Kind: "pool.factor", Reason: fmt.Sprintf(
		"from %s on %.0f%% of the usual volume is expected in %s (rule %s): so much came of %d tenants", f.From.UTC().Format("15:04 UTC"), 100*f.Value, f.Country, f.Rule, f.Tenants)})
}

// trades says whether a tenant may trade in a country: one that lists none trades in all.
func trades(t tenant.Tenant, country string) bool {
	return len(t.Countries) == 0 || slices.ContainsFunc(t.Countries, func(c string) bool { return strings.EqualFold(c, country) })
}

// takeFactor puts a factor in force for the tenants of this partition.
func (h *Handler) takeFactor(tx *partition.Tx, in store.Input) error {
	f, err := partition.DecodeInput[evaluate.Factor](in)
	if err != nil {
		return err
	}
	key := strings.Join([]string{url.PathEscape(f.Environment), f.Service, f.Rule, url.PathEscape(f.Country)}, "/")
	var kept []evaluate.Factor
	if _, err := tx.Get(factorRecords, key, &kept); err != nil {
		return err
	}
	h.engine.SetFactor(f)
	kept = slices.DeleteFunc(append(kept, f), func(o evaluate.Factor) bool { return tx.Now().Sub(o.From) > factorsFor })
	return tx.Put(factorRecords, key, "factor", 1, kept)
}

// factorsFor is how long a factor may still be asked for by steps that are replayed.
const factorsFor = 3 * time.Hour

func (h *Handler) loadFactors(ctx context.Context, p store.Partition, s store.Store) error {
	records, err := partition.All(ctx, s, p, factorRecords)
	if err != nil {
		return err
	}
	for _, r := range records {
		list, err := partition.Decode[[]evaluate.Factor](r)
		if err != nil {
			return err
		}
		for _, f := range list {
			h.engine.SetFactor(f)
		}
	}
	return nil
}
