package access

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/web"
)

const sessions = "session" // web.Session by id, in the partition of Subject

func (a *Keeper) loadSessions(ctx context.Context) (map[string]web.Session, error) {
	kept, err := partition.Values[web.Session](partition.All(ctx, a.store, store.PartitionOf(Subject), sessions))
	if err != nil {
		return nil, err
	}
	open := map[string]web.Session{}
	for _, v := range kept {
		open[v.ID] = v
	}
	return open, nil
}

// personSession finds the person of a stored session, with the teams of now.
func (a *Keeper) personSession(ctx context.Context, id string) (web.Principal, error) {
	a.mu.RLock()
	v, ok := a.open[id]
	a.mu.RUnlock()
	if !ok && a.Shared { // another process opened it
		r, found, err := a.store.Record(ctx, store.PartitionOf(Subject), sessions, id)
		if ok = err == nil && found && json.Unmarshal(r.Value, &v) == nil; ok {
			a.setSession(v)
		}
	}
	if !ok || !v.Live(a.now()) {
		return web.Principal{}, problem.New(problem.Unauthenticated, "the session has ended").WithHint("sign in again")
	}
	c := a.Catalog()
	if _, ok := c.Person(catalog.PersonID(v.Person)); !ok {
		return web.Principal{}, problem.New(problem.Unauthenticated, "the session's person is not in the catalog any more").WithHint("sign in with a token")
	}
	p := web.Principal{Name: "person:" + v.Person, Role: web.Responder, Any: true, Person: v.Person}
	for _, t := range c.TeamsOf(catalog.PersonID(v.Person)) {
		p.Teams = append(p.Teams, string(t))
	}
	return p, nil
}

func (a *Keeper) setSession(v web.Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[v.ID] = v
	a.changed++
}

// OpenSession opens the one session of a link; Conflict when the link was used
// before. A session that was ended stays stored until its time is over, which is
// longer than a link lives: so a link is never good twice.
func (a *Keeper) OpenSession(ctx context.Context, owner *partition.Owner, id string, person catalog.PersonID, age time.Duration) (web.Session, error) {
	v := web.Session{ID: id, Person: string(person)}
	err := owner.Call(ctx, func(tx *partition.Tx) error {
		var used web.Session
		if ok, err := tx.Get(sessions, id, &used); err != nil || ok {
			if ok {
				err = problem.New(problem.Conflict, "this sign-in link was used before").WithHint("ask for a new one")
			}
			return err
		}
		if err := a.forget(tx); err != nil {
			return err
		}
		v.OpenedAt, v.EndsAt = a.now().UTC(), a.now().UTC().Add(age)
		tx.Log(ledger.Entry{Subject: "person/" + v.Person, Kind: "session.opened", Actor: "person:" + v.Person, Reason: "person " + v.Person + " signed in by the link sent to their mail address"})
		tx.After(func() { a.setSession(v) })
		return tx.Put(sessions, id, "session", 1, v)
	})
	return v, err
}

// forget removes sessions whose time is over.
func (a *Keeper) forget(tx *partition.Tx) error {
	list, err := partition.Values[web.Session](tx.List(sessions))
	if err != nil {
		return err
	}
	for _, v := range list {
		if a.now().Before(v.EndsAt) {
			continue
		}
		tx.Delete(sessions, v.ID)
		tx.After(func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			delete(a.open, v.ID)
			a.changed++
		})
	}
	return nil
}

// EndSessions ends those of a person that end says; by is who wants it.
func (a *Keeper) EndSessions(ctx context.Context, owner *partition.Owner, person, by, reason string, end func(web.Session) bool) error {
	return owner.Call(ctx, func(tx *partition.Tx) error {
		list, err := partition.Values[web.Session](tx.List(sessions))
		if err != nil {
			return err
		}
		for _, v := range list {
			if v.Person != person || !v.Live(a.now()) || !end(v) {
				continue
			}
			v.EndedAt = a.now().UTC()
			if err := tx.Put(sessions, v.ID, "session", 1, v); err != nil {
				return err
			}
			tx.After(func() { a.setSession(v) })
		}
		tx.Log(ledger.Entry{Subject: "person/" + person, Kind: "session.ended", Actor: by, Reason: "person " + person + " " + reason})
		return nil
	})
}

// EndGone ends for good the sessions of people who are not in the catalog any more:
// an id that comes back may be somebody else's.
func (a *Keeper) EndGone(ctx context.Context, owner *partition.Owner) error {
	c, gone := a.Catalog(), map[string]bool{}
	a.mu.RLock()
	for _, v := range a.open {
		if _, ok := c.Person(catalog.PersonID(v.Person)); !ok && v.Live(a.now()) {
			gone[v.Person] = true
		}
	}
	a.mu.RUnlock()
	if !owner.Served() {
		return nil
	}
	for person := range gone {
		if err := a.EndSessions(ctx, owner, person, "tocsin", "is not in the catalog any more", func(web.Session) bool { return true }); err != nil {
			return err
		}
	}
	return nil
}

// EndTokenSessions ends every session that was opened with a token until now; the
// token itself stays good.
func (a *Keeper) EndTokenSessions(ctx context.Context, owner *partition.Owner, id, by string) error {
	return owner.Call(ctx, func(tx *partition.Tx) error {
		var t web.Token
		if ok, err := tx.Get(tokens, id, &t); err != nil || !ok {
			if !ok && err == nil {
				err = problem.New(problem.NotFound, "there is no such token")
			}
			return err
		}
		t.SignedOutAt = a.now().UTC()
		tx.Log(ledger.Entry{Subject: "token/" + id, Kind: "session.ended", Actor: by, Reason: "every session of token " + t.Name + " was ended"})
		tx.After(func() { a.set(t) })
		return tx.Put(tokens, id, "token", 1, t)
	})
}
