package app

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/app/check"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
)

// fileReader names this process among those that read policies from files.
func (a *App) fileReader() string {
	if a.replicated() {
		return a.replicas.self.ID
	}
	return "self"
}

// reading is a policy of the files as the policy's home takes it.
func (a *App) reading(p *profiles.Policy, files []string, by, reason string) policy.Reading {
	r := rollout.Revision{Sha: p.Sha, Text: string(p.Text), Author: by, Reason: reason, Origin: rollout.FromFile}
	if len(files) == 0 {
		r.Origin = rollout.BuiltIn
	}
	return policy.Reading{Who: a.fileReader(), Joins: a.replicated(), Revision: r}
}

// readPolicy hands the policy of the files to the store, before anything is
// served. Whoever serves the policy's partition takes it up, or this process
// once nobody does.
func (a *App) readPolicy(ctx context.Context, p *profiles.Policy) error {
	home := store.PartitionOf(rollout.Subject)
	j := a.reading(p, a.o.Config.PolicyFiles, "tocsin", "it was read at the start")
	for {
		lease, err := a.store.Acquire(ctx, home)
		if err == nil {
			return errors.Join(a.takeUpPolicy(ctx, lease, j), lease.Release(context.WithoutCancel(ctx)))
		}
		if !errors.Is(err, store.ErrHeld) || !a.replicated() {
			return err
		}
		if done, err := a.offerPolicy(ctx, home, j); done || err != nil {
			return err
		}
	}
}

func (a *App) takeUpPolicy(ctx context.Context, lease store.Lease, j policy.Reading) error {
	state, err := policy.Read(ctx, a.store)
	if err != nil {
		return err
	}
	now := a.o.Now()
	c, ok, err := j.Decide(state, now,
		func(collection, key string) (store.Record, bool, error) {
			return a.store.Record(ctx, lease.Partition(), collection, key)
		},
		func() ([]store.Record, error) {
			return partition.All(ctx, a.store, lease.Partition(), rollout.Revisions)
		})
	if err != nil {
		return err
	}
	var b store.Batch
	if ok {
		b = policy.Batch(c)
	}
	for i := range b.Ledger {
		b.Ledger[i].At = now.UTC()
	}
	b.Puts = append(b.Puts, policy.FileRecord(j.Who, j.Revision.Sha))
	return lease.Commit(ctx, b)
}

// offerPolicy has whoever serves the policy's partition take it up; done is false
// when nobody serves it any more.
func (a *App) offerPolicy(ctx context.Context, home store.Partition, j policy.Reading) (done bool, err error) {
	if err := a.store.Offer(ctx, home, j.Input(a.o.Now())); err != nil {
		return false, err
	}
	err = partition.Await(ctx, func() (bool, error) {
		r, ok, err := a.store.Record(ctx, home, rollout.Files, j.Who)
		if err != nil {
			return false, err
		}
		var f rollout.File
		if ok && json.Unmarshal(r.Value, &f) == nil && f.Sha == j.Revision.Sha {
			done = true
			return true, nil
		}
		holder, err := a.replicas.members.Holder(ctx, home)
		return holder == "", err
	})
	return done, err
}

// policyMetrics tell which policy is in force, and whether one that follows waits for
// somebody.
func (a *App) policyMetrics() []prometheus.Collector {
	gauge := func(name, help string, value func(policy.Rules) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(a.shared.Rules()) })
	}
	is := func(r policy.Rules, s rollout.Status) float64 {
		if r.Next != nil && r.Next.Rollout.State == s {
			return 1
		}
		return 0
	}
	return []prometheus.Collector{
		gauge("tocsin_policy_revision", "The policy's revision in force.", func(r policy.Rules) float64 { return float64(r.Revision) }),
		gauge("tocsin_policy_rollout_running", "Whether a policy is being rolled out.", func(r policy.Rules) float64 { return is(r, rollout.Shadow) }),
		gauge("tocsin_policy_rollout_halted", "Whether a rollout is halted and waits for somebody.", func(r policy.Rules) float64 { return is(r, rollout.Halted) }),
	}
}

// refuseNew holds the policy of the files to what is asked of a new one, unless the store
// has that very text: what an earlier release took stops no daemon.
func (a *App) refuseNew(ctx context.Context, p *profiles.Policy, c *config.Config) error {
	if len(p.Mend()) == 0 {
		return nil
	}
	taken, err := policy.Revisions(ctx, a.store)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(taken, func(r rollout.Revision) bool { return r.Sha == p.Sha }) {
		return nil
	}
	_, _, err = check.Rules(c)
	return err
}

// tellMend logs what of the policies in use would be refused of a new one.
func (a *App) tellMend(r policy.Rules) {
	for _, m := range r.Mend() {
		for _, f := range m.Faults {
			a.log.Warn("the policy in use has what this release refuses of a new one; it means what it meant: mend it with the next change", "revision", m.Revision, "line", f.Line, "fault", f.Message)
		}
	}
}

// checkPolicy reads a policy that came by the API.
func (a *App) checkPolicy(text []byte) (*profiles.Policy, fault.List) {
	return check.Policy("policy", text, a.config(), a.shared.Rules().Catalog)
}

// busy refuses what would change the policy while another is being rolled out.
func busy(s rollout.State) error {
	if !s.Rollout.Open() {
		return nil
	}
	p := problem.From(rollout.Busy(s.Rollout))
	return problem.New(problem.Conflict, "the policy file changed, and %s", p.Message).WithHint("wait for its end (tocsin policy status) or take it back (tocsin policy rollback); until then put the old file back")
}
