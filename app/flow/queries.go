package flow

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Answers is what queries of rules of kind promql gave at one time, by expression and
// tenant. A query that failed is not in it: what stands of its rules stays.
type Answers map[string]map[tenant.ID][]evaluate.Found

// asked is the collection of what stands of such rules, by tenant, service and rule.
const (
	asked         = "asked"
	askedInShadow = "asked_shadow" // of rules that run in shadow
)

func askedKey(id tenant.ID, r rule.Rule) string {
	return string(id) + "/" + r.Service + "/" + r.Name
}

// asksFor keeps which queries are asked for a tenant.
func (h *Handler) asksFor(t tenant.Tenant, rules []rule.Rule) {
	delete(h.asks, t.ID)
	if !t.Watched() {
		return
	}
	for _, r := range rules {
		if r.Kind == rule.PromQL && r.Query != nil {
			h.asks[t.ID] = append(h.asks[t.ID], r)
		}
	}
}

// Answer compares what queries gave with what stands, for the tenants of this
// partition. Rules in shadow are asked beside those in force.
func (h *Handler) Answer(tx *partition.Tx, answers Answers, at time.Time) error {
	tried, err := h.answer(tx, askedInShadow, h.tried(), nil, answers, at)
	if err != nil {
		return err
	}
	_, err = h.answer(tx, asked, h.asks, tried, answers, at)
	return err
}

// tried are the queries of rules that run in shadow only.
func (h *Handler) tried() map[tenant.ID][]rule.Rule {
	out := map[tenant.ID][]rule.Rule{}
	for id, rules := range h.trials.Shadows() {
		for _, r := range rules {
			if r.Kind == rule.PromQL && r.Query != nil {
				out[id] = append(out[id], r)
			}
		}
	}
	return out
}

// answer is Answer for the rules of one collection. before is what stood in shadow: a
// rule that comes in force has waited there already. It gives what stood.
func (h *Handler) answer(tx *partition.Tx, collection string, asks map[tenant.ID][]rule.Rule, before map[string]evaluate.Asked, answers Answers, at time.Time) (stood map[string]evaluate.Asked, err error) {
	records, err := tx.List(collection)
	if err != nil {
		return nil, err
	}
	stands := map[string]evaluate.Asked{}
	for _, r := range records {
		if stands[r.Key], err = partition.Decode[evaluate.Asked](r); err != nil {
			return nil, err
		}
	}
	stood = maps.Clone(stands)
	say := func(said []alert.Alert) {
		if collection == askedInShadow {
			h.trials.Note(tx, nil, said)
			return
		}
		h.raised.All(tx, said)
		h.trials.Note(tx, said, nil)
	}
	for _, id := range slices.Sorted(maps.Keys(asks)) {
		for _, r := range asks[id] {
			key := askedKey(id, r)
			old, known := stands[key]
			delete(stands, key)
			byTenant, ok := answers[r.Query.Expr]
			if !ok {
				continue
			}
			if !known {
				old = before[key].Unsaid()
			}
			now, said := old.Look(r, id, byTenant[id], at)
			say(said)
			switch {
			case len(now.Series) == 0 && known:
				tx.Delete(collection, key)
			case !old.Equal(now):
				if err := tx.Put(collection, key, "asked", 1, now); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(stands)) { // of rules the tenant no longer has
		say(stands[key].End(at, "the rule no longer applies to the tenant"))
		tx.Delete(collection, key)
	}
	return stood, nil
}

// endAsked ends what queries say of a tenant that is gone.
func (h *Handler) endAsked(tx *partition.Tx, id tenant.ID, why string) error {
	delete(h.asks, id)
	records, err := tx.List(asked)
	if err != nil {
		return err
	}
	for _, r := range records {
		if !strings.HasPrefix(r.Key, string(id)+"/") {
			continue
		}
		a, err := partition.Decode[evaluate.Asked](r)
		if err != nil {
			return err
		}
		h.raised.All(tx, a.End(tx.Now(), why))
		tx.Delete(asked, r.Key)
	}
	if records, err = tx.ListPrefix(askedInShadow, string(id)+"/"); err != nil {
		return err
	}
	for _, r := range records {
		tx.Delete(askedInShadow, r.Key)
	}
	return nil
}
