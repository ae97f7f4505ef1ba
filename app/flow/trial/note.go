package trial

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// side is whose page it is.
type side string

const (
	oldSide side = "old" // of the policy in force
	newSide side = "new" // of the one in shadow
)

// trial is an alert that pages, or would.
type trial struct {
	Revision int        `json:"revision"` // of the policy in shadow; 0: it is a proposal
	Proposal int        `json:"proposal,omitempty"`
	Side     side       `json:"side"`
	Alert    alert.ID   `json:"alert"`
	Key      alert.Key  `json:"key"`
	OnsetAt  time.Time  `json:"onset_at"`
	StartsAt time.Time  `json:"starts_at"`
	EndsAt   *time.Time `json:"ends_at"`
	Reason   string     `json:"reason"`
	Compared bool       `json:"compared"`
	// Stakes are the most that was at stake; nil: noted by a release that did not weigh.
	Stakes *rollout.Side `json:"stakes"`
}

func (t trial) key() string { return fmt.Sprintf("%s/%s/%s", t.Key.Tenant, t.Side, t.Alert) }

func (t trial) attempt() Attempt { return Attempt{Policy: t.Revision, Proposal: t.Proposal} }

// sided is an alert with whose it is.
type sided struct {
	of    side
	alert alert.Alert
}

// follows says whether it is a later state of what was noted of o, which comes first.
func (v sided) follows(o sided) bool { return v.of == o.of && v.alert.ID == o.alert.ID }

// Note notes what both policies of tenants in a rollout's stage would page. The
// detectors have moved on already, so what the store could not take is kept, and so is
// what was noted in a Tx that was thrown away; the others do not wait for it.
func (b *Bench) Note(tx *partition.Tx, inForce, inShadow []alert.Alert) {
	b.left = append(b.noted.Again(tx), b.left...)
	tries := func(a alert.Alert) bool { return b.Tries(a.Tenant) != Attempt{} }
	for _, a := range inForce {
		if tries(a) {
			b.left = append(b.left, sided{oldSide, a})
		}
	}
	for _, a := range inShadow {
		if tries(a) {
			b.left = append(b.left, sided{newSide, a})
		}
	}
	all := b.left
	b.left = nil
	for _, v := range all {
		if !slices.ContainsFunc(b.left, v.follows) {
			err := b.note(tx, v.of, v.alert)
			if err == nil {
				b.noted.Put(tx, v)
				continue
			}
			b.o.Logger.Error("an alert could not be noted for the rollout yet", slog.String("alert", string(v.alert.ID)), slog.Any("error", err))
		}
		b.left = append(b.left, v)
	}
}

func (b *Bench) note(tx *partition.Tx, of side, a alert.Alert) error {
	tried := b.Tries(a.Tenant)
	if tried == (Attempt{}) || a.Backlog {
		return nil
	}
	v := trial{Revision: tried.Policy, Proposal: tried.Proposal, Side: of, Alert: a.ID, Key: a.Key, OnsetAt: a.OnsetAt, StartsAt: a.StartsAt, EndsAt: a.EndsAt, Reason: a.Reason}
	if a.State == alert.Firing && a.Severity == rule.Critical {
		v.Stakes = b.stakes(of, a, tx.Now())
	}
	var old trial
	known, err := tx.Get(records, v.key(), &old)
	if err != nil {
		return err
	}
	same := known && old.attempt() == tried && old.StartsAt.Equal(a.StartsAt)
	switch {
	case same && old.EndsAt == nil && a.EndsAt == nil && old.grown(v): // more is at stake
		v = old
	case same && (old.EndsAt != nil || a.EndsAt == nil): // newer evidence only
		return nil
	case same:
		v = old
		v.EndsAt = a.EndsAt
	case a.State != alert.Firing || a.Severity != rule.Critical: // it wakes nobody
		return nil
	default:
		compareAt(tx, v, tx.Now().Add(b.knownAfter(tried)))
	}
	return tx.Put(records, v.key(), "trial", 1, v)
}

// stakes is what an alert puts at stake, by the policy that raises it or would.
func (b *Bench) stakes(of side, a alert.Alert, now time.Time) *rollout.Side {
	t, ok := b.o.Directory.Get(a.Tenant)
	if !ok && a.Tenant != tenant.Product {
		return nil
	}
	r := b.o.Rules()
	policy, _ := r.Of(a.Tenant)
	if next, _, ok := r.Beside(a.Tenant); ok && of == newSide {
		policy = next
	}
	stake := incident.Stake{} // all tenants are the whole
	if ok {
		stake = b.o.Scale.Stake(t, now)
	}
	team, _ := r.Catalog.Owner(catalog.ServiceID(a.Service))
	l := whole.Limits(policy, r.Catalog, team, b.o.Directory.Watched(), now)
	l.Held = whole.Held(policy, incident.Incident{Environment: a.Environment, Service: a.Service}, &a, b.o.Directory.Get, now)
	l.Held = cmp.Or(policy.Silent(a.Environment), l.Held)
	return &rollout.Side{Facts: incident.AtStake(a, stake), Limits: l}
}

// grown takes over what is more at stake than before; false: that is not much.
func (t *trial) grown(now trial) bool {
	if t.Compared || t.Stakes == nil || now.Stakes == nil {
		return false
	}
	was := t.Stakes.Facts
	f := was.Or(now.Stakes.Facts)
	f.Weak = now.Stakes.Facts.Weak
	if f.Share <= 1.25*was.Share && f.Sure <= was.Sure && f.LossPerMinute <= 1.25*was.LossPerMinute && (f.Weak == nil) == (was.Weak == nil) {
		return false
	}
	t.Stakes, t.Reason = &rollout.Side{Facts: f, Limits: now.Stakes.Limits}, now.Reason
	return true
}

// knownAfter is how much later what the other policy made of a fault is known.
func (b *Bench) knownAfter(a Attempt) time.Duration {
	if n := b.o.Rules().Next; n != nil && a.Policy == n.Revision {
		return n.Rollout.KnownAfter()
	}
	return Wait
}

func compareAt(tx *partition.Tx, v trial, at time.Time) {
	tx.SetTimer(store.Timer{ID: "trial/" + v.key(), At: at, Subject: v.key(), Kind: Timer})
}
