// Package lesson is what people say of what rang, and what of it the detectors learn: a verdict
// on an incident, or that what an alert shows is the new normal.
//
// A verdict is stored with the incident and sent to each tenant's home in one commit.
// There, as with what is accepted, it is stored before it is acted on: a start gives it
// to the engine again, so that steps that are replayed are judged as they were.
package lesson

import (
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/pools"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	records = "lesson"           // evaluate.Lesson by tenant/alert; of an alert over all tenants, in each partition
	keptFor = 8 * 24 * time.Hour // after which a lesson has nothing left to teach
)

// Input is the kind of a verdict on its way to a tenant or the tenants of a partition, at
// version 1.
const Input = "lesson"

// job is a verdict on its way to a tenant.
type job struct {
	Lesson   evaluate.Lesson `json:"lesson"`
	Incident string          `json:"incident"` // its subject
	Number   int             `json:"number"`
}

// Teach tells the tenants of an incident what somebody said that it was. all are those
// that there are.
func Teach(tx *partition.Tx, i incident.Incident, all func() []tenant.Tenant) {
	for n := range i.Alerts {
		send(tx, i, all, &i.Alerts[n], i.Verdict.Verdict, i.Verdict.By.String())
	}
}

// send tells the homes of the tenants that an alert is about.
func send(tx *partition.Tx, i incident.Incident, all func() []tenant.Tenant, a *alert.Alert, v alert.Verdict, by string) {
	if a.Kind != "" && !a.Kind.Ratio() && a.Kind != rule.Traffic {
		tx.Log(ledger.Entry{Subject: "alert/" + string(a.ID), Refs: []string{i.ID.Subject()}, Kind: "alert.verdict", Actor: "tocsin",
			Reason: fmt.Sprintf("a rule of kind %s learns nothing, whatever it was", a.Kind)})
		return
	}
	l := evaluate.Lesson{Alert: a.Key, Word: v, From: a.OnsetAt, N: a.Evidence.N, K: a.Evidence.K, Usual: a.Evidence.Usual, Expected: a.Evidence.Expected, By: by}
	if i.OpenedAt.Before(l.From) { // it rang before in this incident
		l.From = i.OpenedAt
	}
	if a.EndsAt != nil {
		l.To = *a.EndsAt
	}
	to := map[store.Partition]string{}
	if a.Tenant != tenant.Product {
		subject := a.Tenant.Subject()
		to[store.PartitionOf(subject)] = subject
	} else {
		for _, t := range all() {
			to[store.PartitionOf(t.ID.Subject())] = t.ID.Subject()
		}
		pool := pools.Subject(a.Environment, a.Service)
		to[store.PartitionOf(pool)] = pool
		tx.Log(ledger.Entry{Subject: "alert/" + string(a.ID), Refs: []string{i.ID.Subject()}, Kind: "alert.verdict", Actor: "tocsin", Reason: shared(v)})
	}
	for p, subject := range to {
		tx.Send(store.Input{ID: fmt.Sprintf("%s/verdict/%d/%s/%d", i.ID, i.Version, a.ID, p), Kind: Input, Version: 1, Subject: subject,
			Payload: partition.Payload(job{Lesson: l, Incident: i.ID.Subject(), Number: i.Number})})
	}
}

// shared says what a word on what rings over all tenants does.
func shared(v alert.Verdict) string {
	if v == alert.VerdictFalse {
		return "over all tenants it is judged by what each of them usually sees, which they learned meanwhile; what an earlier word took out of that is put back"
	}
	return "what each tenant saw of it meanwhile comes out of what is usual of it, as far as that is kept hour by hour"
}

// Learn takes a verdict for the tenants of a partition, whose engine e is; known says who
// there is. It gives the lesson, with told: whether it is to be told here, once, to what
// runs in shadow.
func Learn(tx *partition.Tx, in store.Input, e *evaluate.Engine, known func(tenant.ID) bool) (l evaluate.Lesson, told bool, err error) {
	j, err := partition.DecodeInput[job](in)
	if err != nil {
		return l, false, err
	}
	l = j.Lesson
	now := tx.Now().UTC()
	of := l.Alert.Tenant
	if of != tenant.Product && !known(of) {
		return l, false, nil // it was deleted, and what was learned of it with it
	}
	id := l.Alert.ID()
	key := string(of) + "/" + string(id)
	l.At = e.LessonFrom(l.Alert, now)
	if of != tenant.Product {
		tx.Log(ledger.Entry{Subject: "alert/" + string(id), Refs: []string{of.Subject(), j.Incident}, Kind: "alert.verdict", Actor: "tocsin", Reason: teaches(e, l, now)})
	}
	old, err := tx.ListPrefix(records, string(of)+"/")
	if err != nil {
		return l, false, err
	}
	for _, r := range old {
		if was, err := partition.Decode[evaluate.Lesson](r); err != nil || now.Sub(was.At) > keptFor {
			tx.Delete(records, r.Key)
		}
	}
	if err := tx.Put(records, key, "lesson", 1, l); err != nil {
		return l, false, err
	}
	tx.After(func() { e.Learn(l) })
	return l, of != tenant.Product || in.Subject == pools.Subject(l.Alert.Environment, l.Alert.Service), nil
}

// teaches says what a lesson will do.
func teaches(e *evaluate.Engine, l evaluate.Lesson, now time.Time) string {
	to := l.To
	if to.IsZero() {
		to = now
	}
	if l.Word != alert.VerdictFalse {
		return fmt.Sprintf("%s says that it was %s: the time from %s to %s stays out of what is usual", l.By, l.Word.Words(), stamp(l.From), stamp(to))
	}
	hours := e.Aside(l.Alert, l.From, to)
	if hours == 0 {
		return fmt.Sprintf("%s says that it was a false alarm; nothing of that time is kept aside any more: it is counted and teaches nothing", l.By)
	}
	then := "what is no worse does not ring for some days"
	if l.Beyond() {
		then = fmt.Sprintf("but so many failures ring again: a word makes %.0f points more than usual pass at most", 100*detect.MostTold)
	}
	return fmt.Sprintf("%s says that it was a false alarm: %d hour(s) from %s on are learned after all; %s", l.By, hours, stamp(l.From), then)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
