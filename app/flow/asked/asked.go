// Package asked is what stands of rules whose verdict is a query's: what the queries gave is
// compared with what stood, tenant by tenant.
package asked

import (
	"maps"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/raise"
	"github.com/tocsin-alerting/tocsin/app/flow/trial"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/question"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Answers is what queries of rules of kind promql gave at one time, by expression and
// tenant. A query that failed is not in it: what stands of its rules stays.
type Answers map[string]map[tenant.ID][]question.Found

// Options of a Set; all are needed.
type Options struct {
	Raised *raise.Queue
	Trials *trial.Bench
}

// Set has what is asked for the tenants of one partition. To be used by its owner only.
type Set struct {
	o    Options
	asks map[tenant.ID][]rule.Rule // of kind promql
}

// New makes an empty set.
func New(o Options) *Set { return &Set{o: o, asks: map[tenant.ID][]rule.Rule{}} }

// Collections of a tenant's partition: question.Asked by tenant, service and rule.
const (
	records  = "asked"
	inShadow = "asked_shadow" // of rules that run in shadow
)

func key(id tenant.ID, r rule.Rule) string {
	return string(id) + "/" + r.Service + "/" + r.Name
}

// Watch keeps which queries are asked for a tenant.
func (s *Set) Watch(t tenant.Tenant, rules []rule.Rule) {
	delete(s.asks, t.ID)
	if !t.Watched() {
		return
	}
	if of := queries(rules); len(of) > 0 {
		s.asks[t.ID] = of
	}
}

// queries are those of some rules whose verdict is a query's.
func queries(rules []rule.Rule) (out []rule.Rule) {
	for _, r := range rules {
		if r.Kind == rule.PromQL && r.Query != nil {
			out = append(out, r)
		}
	}
	return out
}

// Answer compares what queries gave with what stands, for the tenants of this
// partition. Rules in shadow are asked beside those in force.
func (s *Set) Answer(tx *partition.Tx, answers Answers, at time.Time) error {
	tried, err := s.answer(tx, inShadow, s.tried(), nil, answers, at)
	if err != nil {
		return err
	}
	_, err = s.answer(tx, records, s.asks, tried, answers, at)
	return err
}

// tried are the queries of rules that run in shadow only.
func (s *Set) tried() map[tenant.ID][]rule.Rule {
	out := map[tenant.ID][]rule.Rule{}
	for id, rules := range s.o.Trials.Shadows() {
		if of := queries(rules); len(of) > 0 {
			out[id] = of
		}
	}
	return out
}

// answer is Answer for the rules of one collection. before is what stood in shadow: a
// rule that comes in force has waited there already. It gives what stood.
func (s *Set) answer(tx *partition.Tx, collection string, asks map[tenant.ID][]rule.Rule, before map[string]question.Asked, answers Answers, at time.Time) (stood map[string]question.Asked, err error) {
	list, err := tx.List(collection)
	if err != nil {
		return nil, err
	}
	stands := map[string]question.Asked{}
	for _, r := range list {
		if stands[r.Key], err = partition.Decode[question.Asked](r); err != nil {
			return nil, err
		}
	}
	stood = maps.Clone(stands)
	say := func(said []alert.Alert) {
		if collection == inShadow {
			s.o.Trials.Note(tx, nil, said)
			return
		}
		s.o.Raised.All(tx, said)
		s.o.Trials.Note(tx, said, nil)
	}
	for _, id := range slices.Sorted(maps.Keys(asks)) {
		for _, r := range asks[id] {
			name := key(id, r)
			old, known := stands[name]
			delete(stands, name)
			byTenant, ok := answers[r.Query.Expr]
			if !ok {
				continue
			}
			if !known {
				old = before[name].Unsaid()
			}
			now, said := old.Look(r, id, byTenant[id], at)
			say(said)
			switch {
			case len(now.Series) == 0 && known:
				tx.Delete(collection, name)
			case !old.Equal(now):
				if err := tx.Put(collection, name, "asked", 1, now); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(stands)) { // of rules the tenant no longer has
		say(stands[name].End(at, "the rule no longer applies to the tenant"))
		tx.Delete(collection, name)
	}
	return stood, nil
}

// End ends what queries say of a tenant that is gone with the commit.
func (s *Set) End(tx *partition.Tx, id tenant.ID, why string) error {
	tx.After(func() { delete(s.asks, id) })
	list, err := tx.ListPrefix(records, string(id)+"/")
	if err != nil {
		return err
	}
	for _, r := range list {
		a, err := partition.Decode[question.Asked](r)
		if err != nil {
			return err
		}
		if err := s.o.Raised.End(tx, a.End(tx.Now(), why)); err != nil {
			return err
		}
		tx.Delete(records, r.Key)
	}
	_, err = tx.DeletePrefix(inShadow, string(id)+"/")
	return err
}
