package lesson_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/lesson"
	"github.com/tocsin-alerting/tocsin/app/flow/pools"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/memory"
	"github.com/tocsin-alerting/tocsin/tenant"
)

const (
	env  = "production"
	acme = tenant.ID("acme")
	bolt = tenant.ID("bolt")
)

func firing(id tenant.ID, name string) alert.Alert {
	now := time.Now().UTC()
	k := alert.Key{Environment: env, Tenant: id, Service: "payments", Rule: name, Slice: sli.Slice{}}
	return alert.Alert{ID: k.ID(), Key: k, Kind: rule.Errors, State: alert.Firing, OnsetAt: now.Add(-2 * time.Hour), StartsAt: now, AsOf: now,
		Evidence: alert.Evidence{N: 100, K: 30, Usual: .01}, Reason: "30 of 100 failed"}
}

func judged(v alert.Verdict, version uint64, as ...alert.Alert) incident.Incident {
	now := time.Now().UTC()
	return incident.Incident{ID: "inc_1", Number: 7, Environment: env, Service: "payments", OpenedAt: now.Add(-time.Hour), Version: version, Alerts: as,
		Verdict: &incident.Judgement{Verdict: v, By: incident.Actor{Name: "ann"}, Via: "api", At: now}}
}

func both() []tenant.Tenant { return []tenant.Tenant{{ID: acme}, {ID: bolt}} }

// taught runs the incidents' home for one decision, and gives what then waits for a subject.
func taught(t *testing.T, s store.Store, i incident.Incident, subject string) []store.Input {
	t.Helper()
	h := partitiontest.Open(t, s, "incidents/"+env, partitiontest.Decider{})
	h.Do(t, func(tx *partition.Tx) error { lesson.Teach(tx, i, both); return nil })
	h.End()
	return partitiontest.Arrived(t, s, subject)
}

// room is a tenant's home.
type room struct {
	*partitiontest.Home
	told []bool
	got  []evaluate.Lesson
}

func home(t *testing.T, s store.Store, id tenant.ID, known ...tenant.ID) *room {
	t.Helper()
	r := &room{}
	e := evaluate.New(evaluate.Options{})
	r.Home = partitiontest.Open(t, s, id.Subject(), partitiontest.Decider{Input: func(tx *partition.Tx, in store.Input) error {
		l, told, err := lesson.Learn(tx, in, e, func(id tenant.ID) bool {
			for _, k := range known {
				if k == id {
					return true
				}
			}
			return false
		})
		r.told, r.got = append(r.told, told), append(r.got, l)
		return err
	}})
	return r
}

func (r *room) kept(t *testing.T) []evaluate.Lesson {
	t.Helper()
	return partitiontest.Values[evaluate.Lesson](t, r.Home, "lesson")
}

// A verdict reaches the home of each tenant that an alert is about, once; said otherwise
// later it reaches it again, and what was said last is kept.
func TestAVerdictReachesItsTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		rang := firing(acme, "payment_errors")
		require.Len(t, taught(t, s, judged(alert.VerdictFalse, 3, rang), acme.Subject()), 1)
		require.Len(t, taught(t, s, judged(alert.VerdictFalse, 3, rang), acme.Subject()), 1, "the same decision, made again")
		require.Empty(t, partitiontest.Arrived(t, s, bolt.Subject()))

		r := home(t, s, acme, acme)
		require.Len(t, r.kept(t), 1)
		l := r.kept(t)[0]
		require.Equal(t, alert.VerdictFalse, l.Word)
		require.Equal(t, rang.OnsetAt, l.From)
		require.True(t, l.To.IsZero(), "it still rings")
		require.Equal(t, [3]float64{100, 30, .01}, [3]float64{l.N, l.K, l.Usual})
		require.Equal(t, "ann", l.By)
		require.Equal(t, []bool{true}, r.told, "what runs in shadow hears of it")
		require.Contains(t, r.Ledger(t)[0].Reason, "ann says that it was a false alarm")
		r.End()

		ended := rang
		ends := time.Now().UTC()
		ended.State, ended.EndsAt, ended.OnsetAt = alert.Resolved, &ends, ends.Add(-time.Minute)
		require.Len(t, taught(t, s, judged(alert.VerdictReal, 4, ended), acme.Subject()), 1)
		r = home(t, s, acme, acme)
		require.Len(t, r.kept(t), 1)
		l = r.kept(t)[0]
		require.Equal(t, alert.VerdictReal, l.Word)
		require.Equal(t, ends, l.To)
		require.Equal(t, ends.Add(-time.Hour), l.From, "it rang before in this incident")
		require.Contains(t, r.Ledger(t)[1].Reason, "stays out of what is usual")
	})
}

// A verdict on what all tenants share reaches every partition that has some of them, and
// its pool, each once; only the pool's tells what runs in shadow.
func TestAVerdictOnWhatAllShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		i := judged(alert.VerdictFalse, 3, firing(tenant.Product, "payment_errors"))
		pool := pools.Subject(env, "payments")
		require.Len(t, taught(t, s, i, acme.Subject()), 1)
		require.Len(t, partitiontest.Arrived(t, s, bolt.Subject()), 1)
		in := partitiontest.Arrived(t, s, pool)
		require.Len(t, in, 1)
		require.Equal(t, pool, in[0].Subject)
		r := home(t, s, acme)
		require.Equal(t, []bool{false}, r.told)
		require.Len(t, r.kept(t), 1, "also where nobody of the partition is named")
		e := evaluate.New(evaluate.Options{})
		at := partitiontest.Open(t, s, pool, partitiontest.Decider{Input: func(tx *partition.Tx, in store.Input) error {
			_, told, err := lesson.Learn(tx, in, e, func(tenant.ID) bool { return false })
			require.True(t, told)
			return err
		}})
		require.Len(t, partitiontest.Values[evaluate.Lesson](t, at, "lesson"), 1)
	})
}

// A rule that learns nothing is told nothing, and the ledger says so.
func TestAVerdictOnWhatLearnsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		a := firing(acme, "no_data")
		a.Kind = rule.Absent
		h := partitiontest.Open(t, s, "incidents/"+env, partitiontest.Decider{})
		h.Do(t, func(tx *partition.Tx) error { lesson.Teach(tx, judged(alert.VerdictFalse, 3, a), both); return nil })
		require.Empty(t, partitiontest.Arrived(t, s, acme.Subject()))
		require.Equal(t, "a rule of kind absent learns nothing, whatever it was", h.Ledger(t)[0].Reason)
	})
}

// A tenant that was deleted meanwhile is taught nothing: its id may become another's.
func TestAVerdictOnSomebodyWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		taught(t, s, judged(alert.VerdictFalse, 3, firing(acme, "payment_errors")), acme.Subject())
		r := home(t, s, acme)
		require.Equal(t, []bool{false}, r.told)
		require.Empty(t, r.kept(t))
		require.Empty(t, r.Ledger(t))
	})
}

// What has nothing left to teach goes with the next word of the same tenant.
func TestALessonIsKeptForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		say := func(name string) []evaluate.Lesson {
			taught(t, s, judged(alert.VerdictFalse, 3, firing(acme, name)), acme.Subject())
			r := home(t, s, acme, acme)
			defer r.End()
			return r.kept(t)
		}
		say("first")
		time.Sleep(8*24*time.Hour - time.Minute)
		require.Len(t, say("second"), 2)
		time.Sleep(2 * time.Minute)
		require.Len(t, say("third"), 2)
	})
}

// What is forgotten of one tenant is not taken from another, whose id begins alike.
func TestForgettingOneTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := partitiontest.Open(t, memory.New(memory.Options{}), acme.Subject(), partitiontest.Decider{})
		h.Do(t, func(tx *partition.Tx) error {
			for _, k := range []string{"acme/a", "acme/b", "acme-2/a"} {
				for _, c := range []string{"lesson", "accepted"} {
					require.NoError(t, tx.Put(c, k, "x", 1, struct{}{}))
				}
			}
			return nil
		})
		h.Do(t, func(tx *partition.Tx) error {
			n, err := lesson.Forget(tx, acme)
			require.Equal(t, 4, n)
			return err
		})
		h.Do(t, func(tx *partition.Tx) error {
			mine, err := lesson.Of(tx, acme)
			require.NoError(t, err)
			require.Empty(t, mine)
			others, err := lesson.Of(tx, "acme-2")
			require.Len(t, others, 1)
			return err
		})
		require.Len(t, partitiontest.Values[any](t, h, "accepted"), 1)
	})
}

// A lesson of a later release stops the start: to judge otherwise than was said is worse.
func TestALessonOfALaterRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		for n, c := range []string{"lesson", "accepted"} {
			subject := fmt.Sprintf("tenant/late-%d", n)
			h := partitiontest.Open(t, s, subject, partitiontest.Decider{})
			h.Do(t, func(tx *partition.Tx) error { return tx.Put(c, "late/a", c, 2, struct{}{}) })
			h.End()
			require.ErrorContains(t, lesson.Load(t.Context(), h.At, s, evaluate.New(evaluate.Options{})), "version 2 cannot be read by this release", c)
		}
	})
}
