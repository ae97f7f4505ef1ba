// Package access knows who may come in: tokens by their hashes, people's sessions, and
// when each was used last.
//
// It keeps them in the store and in memory, and must not know what a route does, nor
// what a caller may see behind it.
package access

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

const tokens = "token" // web.Token by id, in the partition of Subject

// Subject is where tokens and sessions live.
const Subject = "tokens"

// Keeper knows every token's hash. It implements web.Authenticator; a lookup
// costs no store access.
type Keeper struct {
	// Shared says that other processes make and revoke tokens too. Set before use.
	Shared bool
	// Catalog in force: people have sessions for as long as it lists them. Set before use.
	Catalog func() *catalog.Catalog

	store store.Store
	now   func() time.Time
	mu    sync.RWMutex
	byID  map[string]web.Token
	open  map[string]web.Session // of people, by id
	used  sync.Map               // token id to *atomic.Int64, Unix seconds
	// changed counts what was done to byID and open by other means than a listing.
	changed int
}

// New loads the tokens of the store.
func New(ctx context.Context, s store.Store, now func() time.Time) (*Keeper, error) {
	a := &Keeper{store: s, now: now}
	return a, a.Load(ctx)
}

// Load reads the tokens of the store; where they are shared it is called again
// and again, so that what another process revoked ends here too.
func (a *Keeper) Load(ctx context.Context) error {
	a.mu.Lock()
	changed := a.changed
	a.mu.Unlock()
	records, err := partition.All(ctx, a.store, store.PartitionOf(Subject), tokens)
	if err != nil {
		return err
	}
	byID := map[string]web.Token{}
	for _, r := range records {
		var t web.Token
		if err := json.Unmarshal(r.Value, &t); err != nil {
			return problem.Wrap(err, problem.Internal, "a stored token cannot be read")
		}
		byID[t.ID] = t
	}
	open, err := a.loadSessions(ctx)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.changed == changed { // else the listing is older than what is known: the next one
		a.byID, a.open = byID, open
	}
	return nil
}

// fetch looks for a token that another process made.
func (a *Keeper) fetch(ctx context.Context, id string) (t web.Token, ok bool) {
	r, ok, err := a.store.Record(ctx, store.PartitionOf(Subject), tokens, id)
	if err != nil || !ok || json.Unmarshal(r.Value, &t) != nil {
		return t, false
	}
	a.set(t)
	return t, true
}

func (a *Keeper) set(t web.Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.byID[t.ID] = t
	a.changed++
}

// offer has the process that owns the tokens write one, and waits for it.
func (a *Keeper) offer(ctx context.Context, t web.Token, entry ledger.Entry) error {
	raw, err := json.Marshal(t)
	if err != nil {
		return err
	}
	entry.At = a.now()
	job := flow.RecordJob{Collection: tokens, Key: t.ID, Kind: "token", Version: 1, Value: raw, Entry: entry}
	home := store.PartitionOf(Subject)
	if err := a.store.Offer(ctx, home, flow.RecordInput(Subject, "token/"+t.ID, job, a.now())); err != nil {
		return err
	}
	return partition.Await(ctx, func() (bool, error) {
		_, ok, err := a.store.Record(ctx, home, tokens, t.ID)
		return ok, err
	})
}

// Token checks a presented secret.
func (a *Keeper) Token(ctx context.Context, secret string) (web.Principal, error) {
	id := web.TokenID(secret)
	t, ok := a.get(id)
	if !ok && a.Shared && id != "" {
		t, ok = a.fetch(ctx, id)
	}
	if !ok {
		return web.Principal{}, problem.New(problem.Unauthenticated, "the token is not known").WithHint("tocsin token create makes one")
	}
	p, err := t.Check(secret, a.now())
	if err == nil {
		a.use(t.ID)
	}
	return p, err
}

// Session finds whose session a signed cookie names.
func (a *Keeper) Session(ctx context.Context, subject string) (web.Principal, error) {
	if id := web.SessionID(subject); id != "" {
		return a.personSession(ctx, id)
	}
	tokenID, opened := web.ParseTokenSession(subject)
	t, ok := a.get(tokenID)
	if !ok && a.Shared {
		t, ok = a.fetch(ctx, tokenID)
	}
	if !ok {
		return web.Principal{}, problem.New(problem.Unauthenticated, "the session's token was revoked").WithHint("sign in again")
	}
	p, err := t.Session(opened, a.now())
	if err == nil {
		a.use(t.ID)
	}
	return p, err
}

func (a *Keeper) get(id string) (web.Token, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	t, ok := a.byID[id]
	return t, ok
}

// List gives the stored tokens, the oldest first; no secrets are in them.
func (a *Keeper) List() []web.Token {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make([]web.Token, 0, len(a.byID))
	for _, t := range a.byID {
		t.LastUsedAt = a.usedAt(t)
		out = append(out, t)
	}
	slices.SortFunc(out, func(x, y web.Token) int { return x.CreatedAt.Compare(y.CreatedAt) })
	return out
}

// Create stores a token's hash and gives the secret once it is durable.
func (a *Keeper) Create(ctx context.Context, owner *partition.Owner, w web.Wish) (web.Token, string, error) {
	t, secret, err := w.Token(a.now())
	if err != nil {
		return t, "", err
	}
	entry := ledger.Entry{Subject: "token/" + t.ID, Kind: "token.created", Actor: w.By, Reason: "token " + t.Name + " of role " + string(t.Role) + " for tenants " + strings.Join(t.Tenants, ", ")}
	if owner.Served() || !a.Shared {
		err = owner.Call(ctx, func(tx *partition.Tx) error {
			tx.Log(entry)
			return tx.Put(tokens, t.ID, "token", 1, t)
		})
	} else {
		err = a.offer(ctx, t, entry)
	}
	if err != nil {
		return t, "", err
	}
	a.set(t)
	return t, secret, nil
}

// Revoke ends a token; sessions opened with it end too.
func (a *Keeper) Revoke(ctx context.Context, owner *partition.Owner, id, by string) error {
	t, ok := a.get(id)
	if !ok {
		return problem.New(problem.NotFound, "there is no such token")
	}
	err := owner.Call(ctx, func(tx *partition.Tx) error {
		tx.Delete(tokens, id)
		tx.Log(ledger.Entry{Subject: "token/" + id, Kind: "token.revoked", Actor: by, Reason: "token " + t.Name + " was revoked"})
		return nil
	})
	if err != nil {
		return err
	}
	a.drop(id)
	return nil
}

// EndOf ends, with the decision that offboards a tenant, every token that covers it and
// nobody else: who has the id next is somebody else.
func (a *Keeper) EndOf(tx *partition.Tx, id tenant.ID, by string) {
	for _, t := range a.List() {
		if len(t.Tenants) == 0 || slices.ContainsFunc(t.Tenants, func(of string) bool { return of != string(id) }) {
			continue
		}
		job := flow.RecordJob{Collection: tokens, Key: t.ID, Kind: "token", Version: 1, Delete: true, Entry: ledger.Entry{At: tx.Now(), Subject: "token/" + t.ID,
			Kind: "token.revoked", Actor: by, Reason: "token " + t.Name + " covered only tenant " + string(id) + ", which was offboarded"}}
		tx.Send(flow.RecordInput(Subject, "token/"+t.ID+"/end", job, tx.Now()))
		tx.After(func() { a.drop(t.ID) })
	}
}

func (a *Keeper) drop(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byID, id)
	a.changed++
}

// EnsureAdmin makes the administrator's token at the first start and writes it
// to dir/admin.token, readable by the owner only. A file whose token the store
// no longer knows is replaced.
func (a *Keeper) EnsureAdmin(ctx context.Context, owner *partition.Owner, dir string) (path string, made bool, err error) {
	path = filepath.Join(dir, "admin.token")
	if raw, err := os.ReadFile(path); err == nil {
		if _, err := a.Token(ctx, strings.TrimSpace(string(raw))); err == nil {
			return path, false, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return path, false, problem.Wrap(err, problem.Unavailable, "the administrator's token file cannot be read").WithHint("check the rights on admin.token below --storage.path")
	}
	_, secret, err := a.Create(ctx, owner, web.Wish{Name: "admin", Role: web.Admin, By: "tocsin"})
	if err != nil {
		return path, false, err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(secret+"\n"), 0o600); err != nil {
		return path, false, problem.Wrap(err, problem.Unavailable, "the administrator's token cannot be written")
	}
	return path, true, os.Rename(tmp, path)
}
