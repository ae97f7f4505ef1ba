package trial

import (
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/lesson"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rollout"
)

// What somebody says of an incident is also said of what runs in shadow meanwhile: whether
// a page that it would not have made, or would have made besides, was worth it. The word
// may come before the two sides are compared, or after.

// wordOf is what a lesson says.
func wordOf(l evaluate.Lesson, now time.Time) alert.Word {
	to := l.To
	if to.IsZero() {
		to = now
	}
	return alert.Word{Service: l.Alert.Service, Slice: l.Alert.Slice, From: l.From.Add(-Wait), To: to.Add(Wait), Said: l.Word, By: l.By}
}

// Heed tells what a tenant tries in shadow what somebody said; id is the input's.
func (b *Bench) Heed(tx *partition.Tx, id string, l evaluate.Lesson) error {
	k := l.Alert
	w := wordOf(l, tx.Now())
	switch tried := b.Tries(k.Tenant); {
	case tried.Policy != 0:
		policy.Word{Revision: tried.Policy, Word: rollout.Word{Tenant: k.Tenant, Word: w}}.Send(tx, id)
	case tried.Proposal != 0:
		c, err := course.Read(tx, k.Tenant)
		if err != nil {
			return err
		}
		change := evolution.Judged(c.State, w)
		if !change.Changed {
			return nil
		}
		c.State = change.State
		course.Log(tx, k.Tenant, change.Ledger)
		return course.Put(tx, k.Tenant, c)
	}
	return nil
}

// spoken is what somebody has said already of the fault of a trial; empty: nothing.
func spoken(tx *partition.Tx, v trial) (said alert.Verdict, by string, err error) {
	list, err := lesson.Of(tx, v.Key.Tenant)
	if err != nil {
		return "", "", err
	}
	var newest time.Time
	for _, l := range list {
		if l.Alert.Environment == v.Key.Environment && wordOf(l, tx.Now()).About(v.Key.Service, v.Key.Slice, v.StartsAt) && !l.At.Before(newest) {
			said, by, newest = l.Word, l.By, l.At
		}
	}
	return said, by, nil
}
