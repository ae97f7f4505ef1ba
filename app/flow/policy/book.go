package policy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
)

// Keeping says who would keep the profile it has if a policy came in force.
type Keeping func(p *profiles.Policy, now time.Time) rollout.Keeps

// Book has what is in force. The exported fields are to be set before anything but Set
// and Rules is used. Safe for concurrent use; what takes a Tx decides in the partition of
// rollout.Subject.
type Book struct {
	Store     store.Store
	Directory *directory.Directory
	// Environment is whose calendar entries make a rollout wait.
	Environment func() string
	// Followed is told of rules that came in force by Follow; moved: some tenant may have
	// another policy than before.
	Followed func(r Rules, moved bool)
	// Keeps finds who follows no policy that comes in force; nil: that is not said.
	Keeps func(context.Context) (Keeping, error)
	// Unread is told that what was decided cannot be read.
	Unread func(error)

	rules     atomic.Pointer[Rules]
	following sync.Mutex // one change of rules at a time
	mu        sync.Mutex
	earlier   map[int]*profiles.Policy
}

// Set puts a policy and catalog in force for decisions from now on.
func (b *Book) Set(r Rules) { b.rules.Store(&r) }

// Rules is what is in force.
func (b *Book) Rules() Rules { return *b.rules.Load() }

// Follow puts in force what the store says, when it is news: another
// process may have decided it. A catalog that is not nil comes with it.
func (b *Book) Follow(ctx context.Context, c *catalog.Catalog) error {
	b.following.Lock()
	defer b.following.Unlock()
	old := b.Rules()
	state, err := Read(ctx, b.Store)
	if err != nil {
		return err
	}
	if c == nil && old.Version == state.Standing.Version && old.Revision == state.Standing.InForce {
		return nil
	}
	next := Rules{Catalog: old.Catalog, Revision: state.Standing.InForce, Version: state.Standing.Version}
	if c != nil {
		next.Catalog = c
	}
	if next.Policy, err = b.parsed(ctx, next.Revision); err != nil {
		return err
	}
	if r := state.Rollout; r.Open() {
		next.Next = &Next{Revision: r.To, Rollout: r}
		if next.Next.Policy, err = b.parsed(ctx, r.To); err != nil {
			return err
		}
	}
	b.Set(next)
	b.Followed(next, c != nil || !samePlaces(old, next))
	return nil
}

// parsed is a revision, read unless it is one of those in use.
func (b *Book) parsed(ctx context.Context, number int) (*profiles.Policy, error) {
	now := b.Rules()
	if now.Revision == number && now.Policy != nil {
		return now.Policy, nil
	}
	if now.Next != nil && now.Next.Revision == number {
		return now.Next.Policy, nil
	}
	return parse(ctx, b.Store, number)
}

// At is the policy that a profile was made of: one in use, or read from the store.
func (b *Book) At(ctx context.Context, t profiles.Triple) (*profiles.Policy, error) {
	for _, p := range b.Rules().Policies() {
		if p.Sha == t.PolicySha {
			return p, nil
		}
	}
	b.mu.Lock()
	p := b.earlier[t.PolicyRevision]
	b.mu.Unlock()
	if p != nil && p.Sha == t.PolicySha {
		return p, nil
	}
	p, err := parse(ctx, b.Store, t.PolicyRevision)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.earlier == nil || len(b.earlier) >= mostEarlier {
		b.earlier = map[int]*profiles.Policy{}
	}
	b.earlier[t.PolicyRevision] = p
	return p, nil
}

const mostEarlier = 16 // earlier policies that are kept parsed

// change is Put with what follows from it.
func (b *Book) change(tx *partition.Tx, c rollout.Change) {
	Put(tx, c)
	b.follow(tx)
}

// follow has what a decision changes in force once it is committed.
func (b *Book) follow(tx *partition.Tx) {
	ctx := context.WithoutCancel(tx.Context())
	tx.After(func() {
		if err := b.Follow(ctx, nil); err != nil {
			b.Unread(err)
		}
	})
}
