package flow

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Answers is what queries of rules of kind promql gave at one time, by expression and
// tenant. A query that failed is not in it: what stands of its rules stays.
type Answers map[string]map[tenant.ID][]evaluate.Found

// asked is the collection of what stands of such rules, by tenant, service and rule.
const asked = "asked"

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
// partition.
func (h *Handler) Answer(tx *partition.Tx, answers Answers, at time.Time) error {
	records, err := tx.List(asked)
	if err != nil {
		return err
	}
	stands := map[string]evaluate.Asked{}
	for _, r := range records {
		if stands[r.Key], err = decode[evaluate.Asked](r); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(h.asks)) {
		for _, r := range h.asks[id] {
			key := askedKey(id, r)
			old := stands[key]
			delete(stands, key)
			byTenant, ok := answers[r.Query.Expr]
			if !ok {
				continue
			}
			now, said := old.Look(r, id, byTenant[id], at)
			h.raiseAll(tx, said)
			switch {
			case len(now.Series) == 0 && len(old.Series) > 0:
				tx.Delete(asked, key)
			case !old.Equal(now):
				if err := tx.Put(asked, key, "asked", 1, now); err != nil {
					return err
				}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(stands)) { // of rules the tenant no longer has
		h.raiseAll(tx, stands[key].End(at, "the rule no longer applies to the tenant"))
		tx.Delete(asked, key)
	}
	return nil
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
		a, err := decode[evaluate.Asked](r)
		if err != nil {
			return err
		}
		h.raiseAll(tx, a.End(tx.Now(), why))
		tx.Delete(asked, r.Key)
	}
	return nil
}
