package app

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/asked"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/question"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/samples/query"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Rules of kind promql are asked by every process for the tenants it serves: one query
// of its metrics history for all of them. What stands is kept with the tenants.

const (
	askEvery     = time.Minute
	queryTimeout = 30 * time.Second
	mostFound    = 100 // series of one query for one tenant: each is an alert
)

// askQueries asks once a minute.
func (a *App) askQueries(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	last := []string{""} // once at the start, when rules that stood may be gone
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		last = a.ask(ctx, last)
	}
}

// ask asks all queries of the policies in force and hands their answers on. It gives
// what was asked; before is what was asked the time before.
func (a *App) ask(ctx context.Context, before []string) []string {
	exprs := expressions(a.shared.Rules())
	q := a.drawing.Load()
	if q == nil || len(exprs)+len(before) == 0 {
		return before
	}
	now := a.o.Now()
	answers, fence := asked.Answers{}, query.Fence{Any: true, Since: a.shared.Directory().Formers()}
	for _, expr := range exprs {
		within, cancel := context.WithTimeout(ctx, queryTimeout)
		res, err := q.Vector(within, fence, expr, now)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				a.log.Error("a rule's query failed; what stands of it stays", slog.Any("rules", asking(a.shared.Rules(), expr)), slog.Any("error", err))
			}
			continue
		}
		answers[expr] = a.found(expr, res)
	}
	for _, s := range a.seats.list() {
		s.owner.Post(func(tx *partition.Tx) error { return s.handler.Answer(tx, answers, now) })
	}
	return exprs
}

// expressions lists the queries of the policies that any tenant has, each once.
func expressions(rules policy.Rules) (out []string) {
	for _, p := range rules.Policies() {
		for _, r := range p.Rules {
			if r.Kind == string(rule.PromQL) && !slices.Contains(out, r.Expr) {
				out = append(out, r.Expr)
			}
		}
	}
	return out
}

// asking are the names of the rules that ask a query.
func asking(rules policy.Rules, expr string) (names []string) {
	for _, p := range rules.Policies() {
		for _, r := range p.Rules {
			if r.Kind == string(rule.PromQL) && r.Expr == expr && !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	return names
}

// found sorts the answer to a query by tenant.
func (a *App) found(expr string, answer []query.Value) map[tenant.ID][]question.Found {
	out := map[tenant.ID][]question.Found{}
	names, nobody, many := a.o.Config.Labels, 0, 0
	for _, s := range answer {
		f, ok := question.FoundIn(s.Labels, names.Tenant, names.Environment, a.o.Config.Environment)
		switch {
		case !ok:
			nobody++
			continue
		case len(out[f.Tenant]) >= mostFound:
			many++
			continue
		}
		f.Value = s.V
		out[f.Tenant] = append(out[f.Tenant], f)
	}
	if nobody+many > 0 {
		a.log.Warn("a rule's query gave series that are not used", slog.Any("rules", asking(a.shared.Rules(), expr)), "without_label_"+a.o.Config.Labels.Tenant, nobody, "too_many_for_a_tenant", many, slog.Int("limit", mostFound))
	}
	return out
}
