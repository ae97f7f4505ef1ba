package backtest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/question"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// askEvery is how often rules of kind promql are asked, as live.
const askEvery = time.Minute

// Queries are what the rules of kind promql of a policy gave over the recorded time.
type Queries struct {
	from  time.Time
	given map[string][]given // by expression
}

// given is one series of an answer.
type given struct {
	question.Found
	points []promql.FPoint // ascending
}

// Asks says whether a policy has rules of kind promql.
func Asks(p *profiles.Policy) bool {
	return slices.ContainsFunc(p.Rules, func(r profiles.RuleDoc) bool { return r.Kind == string(rule.PromQL) })
}

// Ask evaluates the queries of o's policy over recorded data, once a minute.
func Ask(ctx context.Context, src recorded.Stored, o Options, from, to time.Time) (*Queries, error) {
	const points = 10_000
	o.TenantLabel, o.EnvironmentLabel = cmp.Or(o.TenantLabel, "tenant"), cmp.Or(o.EnvironmentLabel, "environment")
	q := query.New(src.Queryable(), query.Options{TenantLabel: o.TenantLabel})
	out := &Queries{from: from, given: map[string][]given{}}
	for _, r := range o.Policy.Rules {
		if _, done := out.given[r.Expr]; done || r.Kind != string(rule.PromQL) {
			continue
		}
		all := map[uint64]*given{}
		for at := from; !at.After(to); at = at.Add(askEvery * points) {
			end := at.Add(askEvery * (points - 1))
			if end.After(to) {
				end = to
			}
			res, err := q.Range(ctx, query.Fence{Any: true}, query.Ask{Query: r.Expr}, at, end, askEvery)
			if err != nil {
				return nil, problem.Wrap(err, problem.From(err).Kind, "rule %s", r.Name)
			}
			m, _ := res.Value.(promql.Matrix)
			for _, s := range m {
				f, ok := question.FoundIn(s.Metric, o.TenantLabel, o.EnvironmentLabel, cmp.Or(o.Environment, "production"))
				if !ok {
					continue
				}
				h := s.Metric.Hash()
				if all[h] == nil {
					all[h] = &given{Found: f}
				}
				all[h].points = append(all[h].points, s.Floats...)
			}
		}
		out.given[r.Expr] = []given{}
		for _, h := range slices.Sorted(maps.Keys(all)) {
			out.given[r.Expr] = append(out.given[r.Expr], *all[h])
		}
	}
	return out, nil
}

// at gives what an expression had at a time that was asked.
func (q *Queries) at(expr string, id tenant.ID, ms int64) (out []question.Found) {
	for _, g := range q.given[expr] {
		if g.Tenant != id {
			continue
		}
		i, ok := slices.BinarySearchFunc(g.points, ms, func(p promql.FPoint, ms int64) int { return cmp.Compare(p.T, ms) })
		if ok {
			f := g.Found
			f.Value = g.points[i].F
			out = append(out, f)
		}
	}
	return out
}

// asking is what stands of a replay's rules of kind promql.
type asking struct {
	next   time.Time
	rules  map[tenant.ID][]rule.Rule
	stands map[askedRule]question.Asked
}

type askedRule struct {
	tenant        tenant.ID
	service, name string
}

// asksFor keeps which queries are asked for a tenant; what stands of others ends.
func (r *Replay) asksFor(id tenant.ID, rules []rule.Rule, now time.Time) {
	if r.o.Queries == nil {
		return
	}
	a := &r.asking
	if a.rules == nil {
		a.next, a.rules, a.stands = r.o.Queries.from, map[tenant.ID][]rule.Rule{}, map[askedRule]question.Asked{}
	}
	old := a.rules[id]
	a.rules[id] = slices.DeleteFunc(slices.Clone(rules), func(x rule.Rule) bool { return x.Kind != rule.PromQL })
	for _, was := range old {
		key := askedRule{id, was.Service, was.Name}
		if !slices.ContainsFunc(a.rules[id], func(x rule.Rule) bool { return x.Name == was.Name && x.Service == was.Service }) {
			r.chain.take(a.stands[key].End(now, "the rule no longer applies to the tenant"), now)
			delete(a.stands, key)
		}
	}
}

// ask compares what the queries gave until end with what stands.
func (r *Replay) ask(end time.Time) {
	a := &r.asking
	if a.rules == nil {
		return
	}
	for ; !a.next.After(end); a.next = a.next.Add(askEvery) {
		for _, id := range slices.Sorted(maps.Keys(a.rules)) {
			for _, x := range a.rules[id] {
				key := askedRule{id, x.Service, x.Name}
				now, said := a.stands[key].Look(x, id, r.o.Queries.at(x.Query.Expr, id, a.next.UnixMilli()), a.next)
				a.stands[key] = now
				r.chain.take(said, a.next)
			}
		}
	}
}
