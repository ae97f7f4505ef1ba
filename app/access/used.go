package access

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/web"
)

// keepUse is how far a token's stored last use may lag behind: each sender asks
// many times a second, and a write for each would cost more than it tells.
const keepUse = time.Hour

// use notes that a token was presented just now.
func (a *Keeper) use(id string) {
	at, ok := a.used.Load(id)
	if !ok {
		at, _ = a.used.LoadOrStore(id, new(atomic.Int64))
	}
	at.(*atomic.Int64).Store(a.now().Unix())
}

func (a *Keeper) usedAt(t web.Token) time.Time {
	if at, ok := a.used.Load(t.ID); ok {
		if s := time.Unix(at.(*atomic.Int64).Load(), 0).UTC(); s.After(t.LastUsedAt) {
			return s
		}
	}
	return t.LastUsedAt
}

// KeepUse makes durable when tokens were used last, of those whose stored time
// lags by an hour. Another process's tokens are kept by their owner.
func (a *Keeper) KeepUse(ctx context.Context, owner *partition.Owner) error {
	var due []web.Token
	for _, t := range a.List() {
		if stored, ok := a.get(t.ID); ok && t.LastUsedAt.Sub(stored.LastUsedAt) >= keepUse {
			due = append(due, t)
		}
	}
	if len(due) == 0 || !owner.Served() {
		return nil
	}
	return owner.Call(ctx, func(tx *partition.Tx) error {
		for _, t := range due {
			var stored web.Token
			ok, err := tx.Get(tokens, t.ID, &stored)
			if err != nil {
				return err
			}
			if !ok { // revoked meanwhile
				continue
			}
			stored.LastUsedAt = t.LastUsedAt
			if err := tx.Put(tokens, t.ID, "token", 1, stored); err != nil {
				return err
			}
			tx.After(func() {
				a.mu.Lock()
				defer a.mu.Unlock()
				if _, ok := a.byID[stored.ID]; ok {
					a.byID[stored.ID] = stored
					a.changed++
				}
			})
		}
		return nil
	})
}
