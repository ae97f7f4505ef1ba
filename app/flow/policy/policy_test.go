package policy_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// text is the built-in policy, whose successor comes in two stages of an hour, with a word
// that makes it another.
func text(word string) string {
	p, err := profiles.Default()
	if err != nil {
		panic(err)
	}
	return string(p.Text) + "\nevolution: {stages: [50, 100], stage_for: 1h}\n# " + word + "\n"
}

func parse(t *testing.T, text string) *profiles.Policy {
	t.Helper()
	p, err := profiles.Parse("test", []byte(text))
	require.NoError(t, err)
	return p
}

// book is a process: its memory of what is in force.
type book struct {
	policy.Book
	mu     sync.Mutex
	moved  []bool // of each time that rules came in force
	unread []error
	all    directory.Directory
}

func newBook(s store.Store) *book {
	b := &book{}
	b.all.Put(tenant.Tenant{ID: "acme", State: tenant.Live})
	b.all.Put(tenant.Tenant{ID: "bolt", State: tenant.Live})
	b.Store, b.Directory, b.Environment = s, &b.all, func() string { return "production" }
	b.Followed = func(_ policy.Rules, moved bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.moved = append(b.moved, moved)
	}
	b.Unread = func(err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.unread = append(b.unread, err)
	}
	b.Set(policy.Rules{Catalog: catalog.Default()})
	return b
}

// room is the policy's home, served by one of two processes.
type room struct {
	*partitiontest.Home
	store  *memory.Store
	serves *book
	other  *book
}

// open has a first policy in force, read from a file.
func open(t *testing.T) *room {
	t.Helper()
	r := &room{store: memory.New(memory.Options{})}
	r.serves, r.other = newBook(r.store), newBook(r.store)
	r.Home = partitiontest.Open(t, r.store, rollout.Subject, partitiontest.Decider{
		Input: func(tx *partition.Tx, in store.Input) error { return r.serves.Input(tx, in) },
		Timer: func(tx *partition.Tx, _ store.Timer) error { return r.serves.Due(tx) },
	})
	r.reads(t, "one", "first")
	return r
}

func (r *room) reads(t *testing.T, who, word string) {
	t.Helper()
	partitiontest.Pass(time.Second) // another reading, not the same again
	p := parse(t, text(word))
	r.Offer(t, policy.Reading{Who: who, Revision: rollout.Revision{Sha: p.Sha, Text: string(p.Text), Author: "tocsin", Reason: "it was read", Origin: rollout.FromFile}}.Input(time.Now()))
}

func (r *room) edit(t *testing.T, e policy.Edit) (s rollout.State, changed bool, err error) {
	t.Helper()
	err = r.Try(t, func(tx *partition.Tx) (err error) {
		s, changed, err = r.serves.Edit(tx, e)
		return err
	})
	return s, changed, err
}

func (r *room) standing(t *testing.T) rollout.State {
	t.Helper()
	s, err := policy.Read(t.Context(), r.store)
	require.NoError(t, err)
	return s
}

// What was read from files is in force once, whoever reads it again; in another process once
// that follows.
func TestWhatIsReadComesInForceOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		require.Equal(t, 1, r.serves.Rules().Revision)
		require.Equal(t, parse(t, text("first")).Sha, r.serves.Rules().Policy.Sha)
		r.reads(t, "one", "first")
		r.reads(t, "two", "first")
		require.Equal(t, 1, r.standing(t).Standing.Newest)
		r.reads(t, "two", "second")
		require.Equal(t, 2, r.serves.Rules().Revision)
		r.reads(t, "two", "second")
		require.Equal(t, 2, r.standing(t).Standing.Newest)

		require.Zero(t, r.other.Rules().Revision)
		require.NoError(t, r.other.Follow(t.Context(), nil))
		require.Equal(t, 2, r.other.Rules().Revision)
		require.Equal(t, r.serves.Rules().Version, r.other.Rules().Version)
		require.NoError(t, r.other.Follow(t.Context(), nil))
		require.Equal(t, []bool{true}, r.other.moved, "what is no news is told nobody")
		require.NoError(t, r.other.Follow(t.Context(), catalog.Default()))
		require.Len(t, r.other.moved, 2, "a catalog is news")
		list, err := policy.Revisions(t.Context(), r.store)
		require.NoError(t, err)
		require.Equal(t, [2]int{1, 2}, [2]int{list[0].Number, list[1].Number})
		require.Empty(t, r.serves.unread)
	})
}

// An edit comes beside what is in force, in stages that go on by themselves; asked for again
// it changes nothing, and of a revision that is in force no longer it is refused.
func TestAnEditComesInStages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		next := parse(t, text("second"))
		_, _, err := r.edit(t, policy.Edit{Policy: next, Match: 7, By: "ann", Reason: "quieter"})
		require.True(t, problem.Is(err, problem.Conflict))
		require.ErrorContains(t, err, "revision 1 is in force")
		_, _, err = r.edit(t, policy.Edit{Policy: next, By: "ann"})
		require.Error(t, err, "a reason is asked for")
		require.Equal(t, 1, r.standing(t).Standing.Newest)

		s, changed, err := r.edit(t, policy.Edit{Policy: next, Match: 1, By: "ann", Reason: "quieter"})
		require.NoError(t, err)
		require.True(t, changed)
		require.Equal(t, [2]int{1, 2}, [2]int{s.Rollout.From, s.Rollout.To})
		rules := r.serves.Rules()
		require.Equal(t, 1, rules.Revision)
		require.Equal(t, next.Sha, rules.Next.Policy.Sha)
		require.Len(t, rules.Policies(), 2)
		_, changed, err = r.edit(t, policy.Edit{Policy: next, By: "ann", Reason: "quieter"})
		require.NoError(t, err)
		require.False(t, changed)
		_, _, err = r.edit(t, policy.Edit{Policy: parse(t, text("third")), By: "eve", Reason: "louder"})
		require.Error(t, err, "one at a time")

		// The stages go on by the clock, and every tenant has one policy at a time.
		seen := map[tenant.ID]map[string]bool{"acme": {}, "bolt": {}}
		for range 5 * 60 {
			partitiontest.Pass(time.Minute)
			rules := r.serves.Rules()
			for id := range seen {
				_, number := rules.Of(id)
				_, beside, tries := rules.Beside(id)
				require.False(t, tries && number == beside)
				seen[id][map[bool]string{true: "shadow", false: "force"}[tries]] = true
			}
		}
		require.Equal(t, map[tenant.ID]map[string]bool{"acme": {"shadow": true, "force": true}, "bolt": {"shadow": true, "force": true}}, seen)
		require.Equal(t, 2, r.serves.Rules().Revision)
		require.Nil(t, r.serves.Rules().Next)
		require.Equal(t, [2]int{2, 1}, [2]int{r.standing(t).Standing.InForce, r.standing(t).Standing.Before})
	})
}

// At once means at once, for what is being rolled out too, as the same revision.
func TestAnEditAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		second := policy.Edit{Policy: parse(t, text("second")), By: "ann", Reason: "quieter"}
		_, _, err := r.edit(t, second)
		require.NoError(t, err)
		second.Now = true
		_, changed, err := r.edit(t, second)
		require.NoError(t, err)
		require.True(t, changed)
		require.Equal(t, 2, r.serves.Rules().Revision)
		require.Nil(t, r.serves.Rules().Next)
		require.Equal(t, 2, r.standing(t).Standing.Newest)
		_, changed, err = r.edit(t, second)
		require.NoError(t, err)
		require.False(t, changed)
		_, changed, err = r.edit(t, policy.Edit{Policy: parse(t, text("third")), Now: true, By: "ann", Reason: "quieter"})
		require.NoError(t, err)
		require.True(t, changed)
		require.Equal(t, 3, r.serves.Rules().Revision)
		_, _, err = r.edit(t, policy.Edit{Policy: parse(t, text("fourth")), Now: true, By: "ann"})
		require.Error(t, err, "a reason is asked for")

		r.reads(t, "one", "first") // a start
		require.Equal(t, 3, r.serves.Rules().Revision, "what was applied stays until somebody changes the file")
		r.reads(t, "one", "fourth")
		require.Equal(t, 4, r.serves.Rules().Revision)
	})
}

// Going back is to the revision before, or to one that is named; one that this release cannot
// use is refused, and what is in force stays.
func TestGoingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.reads(t, "one", "second")
		back := func(to int) error {
			return r.Try(t, func(tx *partition.Tx) error {
				_, err := r.serves.RollBack(tx, to, "ann", "it was better", nil)
				return err
			})
		}
		require.NoError(t, back(0))
		require.Equal(t, 1, r.serves.Rules().Revision)
		require.Error(t, back(9))
		require.NoError(t, back(2))
		require.Equal(t, 2, r.serves.Rules().Revision)

		r.Do(t, func(tx *partition.Tx) error {
			return tx.Put(rollout.Revisions, "00000001", rollout.RevisionKind, rollout.RevisionVersion, rollout.Revision{Number: 1, Sha: "x", Text: "version: 99\n"})
		})
		err := back(1)
		require.ErrorContains(t, err, "policy revision 1 cannot be used by this release")
		require.Equal(t, 2, r.standing(t).Standing.InForce)
		require.Equal(t, 2, r.serves.Rules().Revision)
	})
}

// What the home is told of a revision that is being rolled out is counted, once; what is of
// another is left out.
func TestWhatARolloutIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		_, _, err := r.edit(t, policy.Edit{Policy: parse(t, text("second")), By: "ann", Reason: "quieter"})
		require.NoError(t, err)
		partitiontest.Pass(time.Minute)
		h := partitiontest.Open(t, r.store, tenant.ID("acme").Subject(), partitiontest.Decider{})
		tell := func(revision int, id string) {
			h.Do(t, func(tx *partition.Tx) error {
				policy.Page{Revision: revision, Page: rollout.Page{Verdict: rollout.Agreed, Team: "payments", Tenant: "acme", Service: "payments", Rule: "payment_errors", At: tx.Now()}}.Send(tx, id)
				return nil
			})
			synctest.Wait()
		}
		was := r.standing(t).Standing.Version
		tell(7, "other")
		require.Equal(t, was, r.standing(t).Standing.Version)
		tell(2, "a")
		tell(2, "a")
		s := r.standing(t)
		require.Len(t, s.Rollout.Pages, 1)
		require.Equal(t, was+1, s.Standing.Version)
		require.Equal(t, s.Standing.Version, r.serves.Rules().Version, "memory follows")
		require.False(t, r.serves.moved[len(r.serves.moved)-1], "no tenant has another policy by that")
	})
}

// A release that kept no standing had its newest revision in force. A revision that is not
// there is an error that says what to do, and texts of the version before are read.
func TestRecordsOfAnEarlierRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		h := partitiontest.Open(t, s, rollout.Subject, partitiontest.Decider{})
		none, err := policy.Read(t.Context(), s)
		require.NoError(t, err)
		require.Zero(t, none.Standing.InForce)
		h.Do(t, func(tx *partition.Tx) error {
			for _, n := range []string{"00000001", "00000002"} {
				require.NoError(t, tx.Put(rollout.Revisions, n, rollout.RevisionKind, 1, rollout.Revision{Number: int(n[7] - '0'), Text: strings.ToLower(n)}))
			}
			return nil
		})
		st, err := policy.Read(t.Context(), s)
		require.NoError(t, err)
		require.Equal(t, [3]int{2, 1, 2}, [3]int{st.Standing.InForce, st.Standing.Before, st.Standing.Newest})
		v, err := policy.Revision(t.Context(), s, 1)
		require.NoError(t, err)
		require.Equal(t, rollout.FromFile, v.Origin)
		_, err = policy.Revision(t.Context(), s, 3)
		require.True(t, problem.Is(err, problem.NotFound))
		require.Contains(t, problem.From(err).Hint, "tocsin policy revisions")
	})
}

// Texts are kept for long, but not for ever; those that are in force or could be gone back to
// are.
func TestWhichTextsAreKept(t *testing.T) {
	of := func(number, inForce, before int) []store.RecordKey {
		return policy.Batch(rollout.Change{State: rollout.State{Standing: rollout.Standing{InForce: inForce, Before: before}}, Revision: &rollout.Revision{Number: number}}).Deletes
	}
	require.Empty(t, of(1000, 1000, 999))
	require.Equal(t, []store.RecordKey{{Collection: rollout.Revisions, Key: "00000001"}}, of(1001, 1001, 1000))
	require.Empty(t, of(1001, 1, 1000))
	require.Empty(t, of(1001, 1001, 1))
}

func TestNoPageMoreIsABudgetToo(t *testing.T) {
	builtIn, err := profiles.Default()
	require.NoError(t, err)
	none, err := profiles.Parse("p", append(bytes.Clone(builtIn.Text), "\nevolution: {shadow_pages_per_week: 0}\n"...))
	require.NoError(t, err)
	for p, want := range map[*profiles.Policy]float64{builtIn: 2, none: 0} {
		got := policy.Settings(p, p, catalog.Default()).Teams
		require.Len(t, got, 1)
		for _, pages := range got {
			require.Equal(t, want, pages, "the team's, unless the policy says another")
		}
	}
}
