package tenancy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/tenant"
)

type profileExport struct{}

// Run writes one line for each tenant, for tocsin backtest --profiles.
func (profileExport) Run(ctx context.Context, c *console.Client) error {
	list, err := console.All[tenant.Tenant](ctx, c, "/api/v1/tenants")
	if err != nil {
		return err
	}
	e := exporter{c: c, policies: map[int]*profiles.Policy{}}
	out := json.NewEncoder(c.Out)
	for _, t := range list {
		r, err := e.record(ctx, t.ID)
		if err == nil {
			err = out.Encode(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exporter keeps the policies that it has asked for.
type exporter struct {
	c        *console.Client
	policies map[int]*profiles.Policy
}

func (e exporter) record(ctx context.Context, id tenant.ID) (backtest.Record, error) {
	out := backtest.Record{Tenant: id, Turns: []backtest.Turn{}}
	revisions, err := console.All[profiles.Revision](ctx, e.c, tenantPath(string(id))+"/profile/revisions")
	if err != nil {
		return out, err
	}
	slices.SortFunc(revisions, func(a, b profiles.Revision) int { return a.Number - b.Number })
	for _, r := range revisions {
		turn := backtest.Turn{At: r.At, Tier: r.Observation.Tier, Overrides: []profiles.Override{}}
		for _, o := range r.Observation.Overrides {
			if !e.ofPolicy(ctx, r.PolicyRevision, o) { // those the policy has are the policy's to say
				turn.Overrides = append(turn.Overrides, o)
			}
		}
		if n := len(out.Turns); n == 0 || out.Turns[n-1].Tier != turn.Tier || !slices.Equal(out.Turns[n-1].Overrides, turn.Overrides) {
			out.Turns = append(out.Turns, turn)
		}
	}
	return out, nil
}

// ofPolicy says whether a revision of the policy has the override. One that is not kept,
// or that this release cannot read, has none.
func (e exporter) ofPolicy(ctx context.Context, number int, o profiles.Override) bool {
	p, known := e.policies[number]
	if !known {
		var r rollout.Revision
		if err := e.c.Call(ctx, http.MethodGet, fmt.Sprintf("/api/v1/policy/revisions/%d", number), nil, &r); err == nil {
			p, _ = profiles.Stored("policy", []byte(r.Text))
		}
		e.policies[number] = p
	}
	return p != nil && slices.ContainsFunc(p.Overrides, func(v profiles.Override) bool {
		same := v.Until.Equal(o.Until)
		v.Until = o.Until
		return same && v == o
	})
}
