package flow

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/pool"
	"github.com/tocsin-alerting/tocsin/store"
)

// What comes of the expected volume in a country is measured by the pool of a service
// and goes back to the partitions of its tenants as an input with the moment from which
// it holds. That moment lies ahead, and the factor is stored with the input that brought
// it: steps that are replayed after a start are judged by what they were judged by.

const factorRecords = "factor" // []exchange.Factor by environment, service, rule and country, oldest first

// announced finds the calendar entry that says what volume is to be expected.
func (s *Shared) announced(at time.Time, on calendar.Scope) (calendar.Entry, bool) {
	p, _ := s.Rules().Of(on.Tenant)
	c := p.Calendar()
	return c.Active(at, calendar.Widen, on)
}

// options are those of every engine.
func (s *Shared) options() evaluate.Options {
	o := s.Evaluate
	o.Announced = s.announced
	return o
}

// pooling are those of every pool.
func (s *Shared) pooling() pool.Options {
	o := s.options()
	return pool.Options{Step: o.Step, Close: o.Close, Backlog: o.Backlog, Announced: o.Announced}
}

// takeFactor puts a factor in force for the tenants of this partition.
func (h *Handler) takeFactor(tx *partition.Tx, in store.Input) error {
	f, err := partition.DecodeInput[exchange.Factor](in)
	if err != nil {
		return err
	}
	key := strings.Join([]string{url.PathEscape(f.Environment), f.Service, f.Rule, url.PathEscape(f.Country)}, "/")
	var kept []exchange.Factor
	if _, err := tx.Get(factorRecords, key, &kept); err != nil {
		return err
	}
	h.engine.SetFactor(f)
	kept = slices.DeleteFunc(append(kept, f), func(o exchange.Factor) bool { return tx.Now().Sub(o.From) > factorsFor })
	return tx.Put(factorRecords, key, "factor", 1, kept)
}

// factorsFor is how long a factor may still be asked for by steps that are replayed.
const factorsFor = 3 * time.Hour

func (h *Handler) loadFactors(ctx context.Context, p store.Partition, s store.Store) error {
	kept, err := partition.Values[[]exchange.Factor](partition.All(ctx, s, p, factorRecords))
	if err != nil {
		return err
	}
	for _, list := range kept {
		for _, f := range list {
			h.engine.SetFactor(f)
		}
	}
	return nil
}
