package flow

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/pools"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// A person's verdict on an incident teaches the detectors of its tenants. It is stored
// with the incident and sent to each tenant's home in one commit; there it is stored
// before it is acted on, so that a start gives it to the engine again.

const (
	lessonRecords = "lesson"           // evaluate.Lesson by tenant/alert; of an alert over all tenants, in each partition
	lessonsFor    = 8 * 24 * time.Hour // after which a lesson has nothing left to teach
)

// lessonJob is a verdict on its way to a tenant.
type lessonJob struct {
	Lesson   evaluate.Lesson `json:"lesson"`
	Incident string          `json:"incident"` // its subject
	Number   int             `json:"number"`
}

// teach tells the tenants of an incident what somebody said that it was.
func (s *Shared) teach(tx *partition.Tx, i incident.Incident) {
	for n := range i.Alerts {
		s.sendLesson(tx, i, &i.Alerts[n], i.Verdict.Verdict, i.Verdict.By.String())
	}
}

// sendLesson tells the homes of the tenants that an alert is about.
func (s *Shared) sendLesson(tx *partition.Tx, i incident.Incident, a *alert.Alert, v alert.Verdict, by string) {
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
		for _, t := range s.directory.List() {
			to[store.PartitionOf(t.ID.Subject())] = t.ID.Subject()
		}
		pool := pools.Subject(a.Environment, a.Service)
		to[store.PartitionOf(pool)] = pool
		tx.Log(ledger.Entry{Subject: "alert/" + string(a.ID), Refs: []string{i.ID.Subject()}, Kind: "alert.verdict", Actor: "tocsin", Reason: sharedLesson(v)})
	}
	for p, subject := range to {
		tx.Send(store.Input{ID: fmt.Sprintf("%s/verdict/%d/%s/%d", i.ID, i.Version, a.ID, p), Kind: inputLesson, Version: 1, Subject: subject,
			Payload: partition.Payload(lessonJob{Lesson: l, Incident: i.ID.Subject(), Number: i.Number})})
	}
}

// sharedLesson says what a word on what rings over all tenants does.
func sharedLesson(v alert.Verdict) string {
	if v == alert.VerdictFalse {
		return "over all tenants it is judged by what each of them usually sees, which they learned meanwhile; what an earlier word took out of that is put back"
	}
	return "what each tenant saw of it meanwhile comes out of what is usual of it, as far as that is kept hour by hour"
}

// learn takes a verdict for the tenants of this partition.
func (h *Handler) learn(tx *partition.Tx, in store.Input) error {
	j, err := partition.DecodeInput[lessonJob](in)
	if err != nil {
		return err
	}
	l, now := j.Lesson, tx.Now().UTC()
	of := l.Alert.Tenant
	if _, known := h.s.directory.Get(of); !known && of != tenant.Product {
		return nil // it was deleted, and what was learned of it with it
	}
	id := l.Alert.ID()
	key := string(of) + "/" + string(id)
	l.At = h.engine.LessonFrom(l.Alert, now)
	if of != tenant.Product {
		tx.Log(ledger.Entry{Subject: "alert/" + string(id), Refs: []string{of.Subject(), j.Incident}, Kind: "alert.verdict", Actor: "tocsin", Reason: h.teaches(l, now)})
	}
	old, err := tx.ListPrefix(lessonRecords, string(of)+"/")
	if err != nil {
		return err
	}
	for _, r := range old {
		if was, err := partition.Decode[evaluate.Lesson](r); err != nil || now.Sub(was.At) > lessonsFor {
			tx.Delete(lessonRecords, r.Key)
		}
	}
	if err := tx.Put(lessonRecords, key, "lesson", 1, l); err != nil {
		return err
	}
	tx.After(func() { h.engine.Learn(l) })
	if of == tenant.Product && in.Subject != pools.Subject(l.Alert.Environment, l.Alert.Service) {
		return nil // told once
	}
	return h.heed(tx, in.ID, l)
}

// teaches says what a lesson will do.
func (h *Handler) teaches(l evaluate.Lesson, now time.Time) string {
	to := l.To
	if to.IsZero() {
		to = now
	}
	if l.Word != alert.VerdictFalse {
		return fmt.Sprintf("%s says that it was %s: the time from %s to %s stays out of what is usual", l.By, l.Word.Words(), stamp(l.From), stamp(to))
	}
	hours := h.engine.Aside(l.Alert, l.From, to)
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

// loadLessons gives the engine what was said before a start.
func (h *Handler) loadLessons(ctx context.Context, p store.Partition, s store.Store) error {
	records, err := partition.All(ctx, s, p, lessonRecords)
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Version != 1 {
			return problem.New(problem.Internal, "a lesson of version %d cannot be read by this release", r.Version)
		}
		l, err := partition.Decode[evaluate.Lesson](r)
		if err != nil {
			return err
		}
		h.engine.Learn(l)
	}
	return nil
}

// forgetNoted drops what people said of a tenant's alerts and what was noted of them in
// shadow: its id may become another's.
func forgetNoted(tx *partition.Tx, id tenant.ID) (records int, err error) {
	for _, c := range []string{accepted, lessonRecords, trials} {
		list, err := tx.ListPrefix(c, string(id)+"/")
		if err != nil {
			return records, err
		}
		for _, r := range list {
			tx.Delete(c, r.Key)
			records++
		}
	}
	return records, nil
}
