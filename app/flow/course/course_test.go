package course_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const acme = tenant.ID("acme")

func open(t *testing.T) (*memory.Store, *partitiontest.Home) {
	t.Helper()
	s := memory.New(memory.Options{})
	return s, partitiontest.Open(t, s, acme.Subject(), partitiontest.Decider{})
}

// add makes revisions of a tenant's profile.
func add(t *testing.T, h *partitiontest.Home, id tenant.ID, n int) {
	t.Helper()
	h.Do(t, func(tx *partition.Tx) error {
		c, err := course.Read(tx, id)
		if err != nil {
			return err
		}
		for range n {
			if _, err := c.Add(tx, id, profiles.Triple{Document: &tenant.Tenant{ID: id}, Author: "ann"}); err != nil {
				return err
			}
		}
		return course.Put(tx, id, c)
	})
}

func change(t *testing.T, h *partitiontest.Home, f func(*course.Course)) {
	t.Helper()
	h.Do(t, func(tx *partition.Tx) error {
		c, err := course.Read(tx, acme)
		if err != nil {
			return err
		}
		f(&c)
		return course.Put(tx, acme, c)
	})
}

func numbers(t *testing.T, h *partitiontest.Home, id tenant.ID) (out []int) {
	t.Helper()
	h.Do(t, func(tx *partition.Tx) error {
		list, err := course.Revisions(tx, id)
		for _, r := range list {
			out = append(out, r.Number)
		}
		return err
	})
	return out
}

// A hundred revisions are kept; one that a person went back to stays for as long as that
// holds, and so do those after it.
func TestTheOldestRevisionGoesUnlessItIsPinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := open(t)
		add(t, h, acme, 100)
		require.Len(t, numbers(t, h, acme), 100)
		add(t, h, acme, 2)
		got := numbers(t, h, acme)
		require.Len(t, got, 100)
		require.Equal(t, [2]int{3, 102}, [2]int{got[0], got[99]})

		change(t, h, func(c *course.Course) { c.Pin = &evolution.Pin{Revision: 4} })
		add(t, h, acme, 10)
		got = numbers(t, h, acme)
		require.Equal(t, [2]int{4, 112}, [2]int{got[0], got[len(got)-1]})
		require.Len(t, got, 109)
		change(t, h, func(c *course.Course) { c.Pin = nil })
		add(t, h, acme, 1)
		require.Len(t, numbers(t, h, acme), 100)

		h.End() // and that is what a start finds
		c, last, err := course.Stored(t.Context(), s, h.At, acme)
		require.NoError(t, err)
		require.Equal(t, [3]int{14, 113, 113}, [3]int{c.Oldest, c.Newest, last.Number})
		require.Equal(t, "ann", last.Author)
	})
}

// What is forgotten of one tenant is not taken from another, whose id begins alike. The
// next who has the id begins at revision 1.
func TestForgettingOneTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := open(t)
		add(t, h, acme, 3)
		add(t, h, "acme-2", 2)
		h.Do(t, func(tx *partition.Tx) error {
			n, err := course.Forget(tx, acme)
			require.Equal(t, 4, n, "three revisions and the course")
			return err
		})
		require.Empty(t, numbers(t, h, acme))
		require.Equal(t, []int{1, 2}, numbers(t, h, "acme-2"))
		add(t, h, acme, 1)
		require.Equal(t, []int{1}, numbers(t, h, acme))
	})
}

// Of a tenant of a release that kept no course it follows from the revisions, for a start
// and for a decision alike. Those of other tenants are not counted.
func TestATenantWithoutACourse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := open(t)
		h.Do(t, func(tx *partition.Tx) error {
			for _, k := range []string{"acm/00000009", "acme/00000002", "acme/00000003", "acme-2/00000007"} {
				var n int
				_, err := fmt.Sscanf(k[len(k)-8:], "%d", &n)
				require.NoError(t, err)
				require.NoError(t, tx.Put("profile", k, "profile", 1, profiles.Triple{Number: n}))
			}
			return nil
		})
		h.Do(t, func(tx *partition.Tx) error {
			c, err := course.Read(tx, acme)
			require.Equal(t, [2]int{2, 3}, [2]int{c.Oldest, c.Newest})
			return err
		})
		c, last, err := course.Stored(t.Context(), s, h.At, acme)
		require.NoError(t, err)
		require.Equal(t, [3]int{2, 3, 3}, [3]int{c.Oldest, c.Newest, last.Number})
		_, none, err := course.Stored(t.Context(), s, h.At, "nobody")
		require.NoError(t, err)
		require.Zero(t, none.Number)
	})
}

// A record of a later release is refused, not read as something else.
func TestARecordOfALaterRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := open(t)
		h.Do(t, func(tx *partition.Tx) error { return tx.Put("course", "acme", "course", 9, course.Course{}) })
		require.Error(t, h.Try(t, func(tx *partition.Tx) error { _, err := course.Read(tx, acme); return err }))
		_, _, err := course.Stored(t.Context(), s, h.At, acme)
		require.Error(t, err)
	})
}

func policy(t *testing.T, more string) *profiles.Policy {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	p, err = profiles.Parse("test", append([]byte(more), p.Text...))
	require.NoError(t, err)
	return p
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A person's pin goes before the policy's, for as long as it holds and not a moment longer:
// in between nothing may follow the volume.
func TestWhichPinHolds(t *testing.T) {
	p := policy(t, "pins: [{tenant: acme, revision: 7, until: 2026-03-02, reason: a trial, by: eve}]\n")
	until := noon.Add(time.Hour)
	c := course.Course{State: evolution.State{Pin: &evolution.Pin{Tier: "many", Until: &until, By: "ann"}}}
	by := func(c course.Course, at time.Time) string {
		pin, ok := course.PinOf(c, p, acme, at)
		if !ok {
			return ""
		}
		return pin.By
	}
	require.Equal(t, "ann", by(c, noon))
	require.False(t, course.Fixed(c, p, acme, noon), "a tier is no revision")
	require.Equal(t, "eve", by(c, until), "the person's is over")
	require.True(t, course.Fixed(c, p, acme, until))
	require.Equal(t, "eve", by(course.Course{}, noon))
	require.Empty(t, by(c, noon.Add(24*time.Hour)))
	require.False(t, course.Fixed(c, p, acme, noon.Add(24*time.Hour)))
	require.True(t, course.Fixed(course.Course{State: evolution.State{Freeze: &evolution.Freeze{}}}, p, "bolt", noon))
	c.Pin.Until = nil
	require.Equal(t, "ann", by(c, noon.Add(1000*time.Hour)))
}

// Why a tier may not change: a pin, a calendar entry that holds revisions, a tenant that
// is not watched.
func TestWhatHoldsATier(t *testing.T) {
	p := policy(t, "calendar: [{name: year_end, effect: hold_revisions, starts_at: 2026-03-01T00:00:00Z, ends_at: 2026-03-02T00:00:00Z, why: no changes, by: eve}]\n")
	live := tenant.Tenant{ID: acme, State: tenant.Live}
	require.Equal(t, "the calendar entry year_end holds revisions: no changes", course.HeldTier(live, course.Course{}, p, "production", noon))
	after := noon.Add(48 * time.Hour)
	require.Empty(t, course.HeldTier(live, course.Course{}, p, "production", after))
	require.Equal(t, "the tenant is paused", course.HeldTier(tenant.Tenant{ID: acme, State: tenant.Paused}, course.Course{}, p, "production", after))
	pinned := course.Course{State: evolution.State{Pin: &evolution.Pin{Tier: "many", By: "ann", Reason: "too loud"}}}
	require.Contains(t, course.HeldTier(live, pinned, p, "production", noon), "too loud")
}

// What ends first is looked at first, and what has ended counts no longer, to the instant.
func TestOverridesEndAtTheirTime(t *testing.T) {
	at := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	c := course.Course{Overrides: []profiles.Override{{Rule: "b", Until: at(2)}, {Rule: "a", Until: at(1)}}}
	require.Equal(t, at(1), c.Next())
	freeze := at(0)
	c.Freeze = &evolution.Freeze{Until: &freeze}
	require.Equal(t, at(0), c.Next())
	require.True(t, course.Course{}.Next().IsZero())
	require.Len(t, course.InForce(c.Overrides, at(1).Add(-1)), 2)
	left := course.InForce(c.Overrides, at(1))
	require.Len(t, left, 1)
	require.Equal(t, "b", left[0].Rule)
}

// Entries of a decision are the tenant's.
func TestADecisionIsEnteredForItsTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := open(t)
		h.Do(t, func(tx *partition.Tx) error {
			course.Log(tx, acme, []ledger.Entry{{Kind: "profile.pinned"}, {Kind: "profile.thawed"}})
			return nil
		})
		list, err := s.Ledger(t.Context(), store.PartitionOf(acme.Subject()), acme.Subject(), 0, 0)
		require.NoError(t, err)
		require.Len(t, list, 2)
	})
}
