package course_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/embedded"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Those are found whom a person pinned or froze, whatever is written in a record.
func TestWhomAPersonSteers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := open(t)
		put := func(id tenant.ID, st evolution.State) {
			h.Do(t, func(tx *partition.Tx) error { return course.Put(tx, id, course.Course{State: st}) })
		}
		pin, freeze := &evolution.Pin{Tier: "large", By: "ann", Reason: "x"}, &evolution.Freeze{By: "eve", Reason: `"pin":null,"freeze":null`}
		put("acme", evolution.State{Pin: pin})
		put("bolt", evolution.State{Freeze: freeze})
		put("carl", evolution.State{Tier: "small", Refused: &evolution.Refusal{Reason: `"pin":{}`}})
		put("dora", evolution.State{Pin: pin, Freeze: freeze})
		got, err := course.Steered(t.Context(), s)
		require.NoError(t, err)
		require.Equal(t, map[tenant.ID]course.Course{"acme": {State: evolution.State{Pin: pin}}, "bolt": {State: evolution.State{Freeze: freeze}},
			"dora": {State: evolution.State{Pin: pin, Freeze: freeze}}}, got)
	})
}

// What keeps a profile: a pin at a revision that is kept, a person's before the policy's,
// or a freeze, as long as they hold.
func TestWhyAProfileFollowsNoPolicy(t *testing.T) {
	p := policy(t, "pins: [{tenant: acme, revision: 7, until: 2026-03-02, reason: a trial, by: eve}]\n")
	until := noon.Add(time.Hour)
	has := func(n int) bool { return n < 10 }
	for _, c := range []struct {
		id       tenant.ID
		state    evolution.State
		at       time.Time
		revision int
		why      string
	}{
		{"acme", evolution.State{}, noon, 7, "pinned at revision 7 until 2026-03-02 00:00 UTC by eve: a trial"},
		{"acme", evolution.State{}, noon.AddDate(0, 0, 2), 0, ""},
		{"acme", evolution.State{Pin: &evolution.Pin{Revision: 3, Until: &until, By: "ann", Reason: "x"}}, noon, 3, "pinned at revision 3 until 2026-03-01 13:00 UTC by ann: x"},
		{"acme", evolution.State{Pin: &evolution.Pin{Tier: "large", By: "ann", Reason: "x"}}, noon, 0, ""},
		{"bolt", evolution.State{Pin: &evolution.Pin{Revision: 30, By: "ann", Reason: "x"}}, noon, 0, ""},
		{"bolt", evolution.State{Freeze: &evolution.Freeze{Until: &until, By: "ann", Reason: "x"}}, noon, 0, "frozen until 2026-03-01 13:00 UTC by ann: x"},
		{"bolt", evolution.State{Freeze: &evolution.Freeze{Until: &until, By: "ann", Reason: "x"}}, until, 0, ""},
	} {
		revision, why := course.Kept(course.Course{State: c.state}, p, c.id, c.at, has)
		require.Equal(t, c.why, why)
		require.Equal(t, c.revision, revision)
	}
}

// Ten are told by name, the largest first.
func TestTheLargestAreTold(t *testing.T) {
	var all []tenant.Tenant
	for n := range 30 {
		all = append(all, tenant.Tenant{ID: tenant.ID(fmt.Sprintf("t%02d", n)), Name: fmt.Sprint(n), ExpectedTPM: float64(n / 2)})
	}
	got := course.Largest(all, func(t tenant.Tenant) float64 { return t.ExpectedTPM }, func(t tenant.Tenant) string { return map[bool]string{true: "frozen"}[t.ID != "t29"] })
	require.Equal(t, 29, got.Tenants)
	require.Len(t, got.Largest, 10)
	require.Equal(t, []rollout.Keep{{ID: "t28", Name: "28", Why: "frozen"}, {ID: "t26", Name: "26", Why: "frozen"}, {ID: "t27", Name: "27", Why: "frozen"}}, got.Largest[:3])
	require.NotNil(t, course.Largest(nil, nil, nil).Largest)
}

// BenchmarkSteered reads a hundred thousand tenants' records.
func BenchmarkSteered(b *testing.B) {
	s, err := embedded.Open(b.TempDir(), embedded.Options{})
	require.NoError(b, err)
	defer s.Close()
	for p := range store.Partitions {
		lease, err := s.Acquire(b.Context(), store.Partition(p))
		require.NoError(b, err)
		var puts []store.Record
		for n := range 100_000 / store.Partitions {
			puts = append(puts, store.Record{Collection: "course", Key: fmt.Sprintf("t%d-%d", p, n), Kind: "course", Version: 1, Value: partition.Payload(course.Course{State: evolution.State{Tier: "small", TPM: 8}, Newest: 3, Oldest: 1})})
		}
		require.NoError(b, lease.Commit(b.Context(), store.Batch{Puts: puts}))
	}
	for b.Loop() {
		_, err := course.Steered(b.Context(), s)
		require.NoError(b, err)
	}
}
