package flow_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// gateway onboards two hundred tenants: one does most of everything, one a little more
// than the part that calls by day, and the others less than half a thousandth each.
func (l *life) gateway(t *testing.T) {
	t.Helper()
	put := func(doc tenant.Tenant) {
		require.NoError(t, l.shared.Decide(t.Context(), doc.ID.Subject(), func(tx *partition.Tx, h *flow.Handler) error {
			_, _, _, err := l.shared.PutTenant(tx, h, doc, 0, "test")
			return err
		}))
	}
	put(tenant.Tenant{ID: "large", ExpectedTPM: 10_000})
	put(tenant.Tenant{ID: "mid", ExpectedTPM: 90})
	put(tenant.Tenant{ID: "vip", ExpectedTPM: 10, Priority: true})
	for n := range 197 {
		put(tenant.Tenant{ID: tenant.ID(fmt.Sprintf("small-%d", n)), ExpectedTPM: 4})
	}
	after(2 * time.Minute) // what all of them do is added up once a minute
}

// whole is a fault of everything that a tenant does.
func whole(id tenant.ID, l *life, t *testing.T) {
	t.Helper()
	a := fault(id)
	a.Slice = nil
	a.ID, a.Evidence.Share = a.Key.ID(), 1
	l.offer(t, fmt.Sprintf("%s/%d", id, time.Now().UnixNano()), a)
}

// zoned is a world whose team lives in a zone. A bubble's time begins at midnight, UTC.
func zoned(t *testing.T, zone string) *world {
	t.Helper()
	w := newWorld(t)
	c := *catalog.Default()
	c.Teams = slices.Clone(c.Teams)
	for n := range c.Teams {
		c.Teams[n].WorkingHours = catalog.WorkingHours{TimeZone: zone, Hours: []catalog.Hours{{From: "09:00", To: "17:00"}}}
	}
	w.catalog = &c
	return w
}

const (
	night   = "Europe/Berlin"   // one o'clock
	evening = "America/Halifax" // eight in the evening
)

func TestACertainFaultOfASmallTenantAtNightIsATicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := zoned(t, night)
		l := w.begin(t)
		defer l.end()
		l.gateway(t)

		whole("small-1", l, t)
		after(time.Minute)
		i := l.incidents(t)[0]
		require.Empty(t, w.mail.carried(), "at one at night nobody gets up for half a thousandth of the volume")
		require.NotEmpty(t, i.Mirror.Ref.ID, "the ticket is there")
		require.Equal(t, "critical", string(i.Severity))
		require.Contains(t, i.Stakes.Reason, "certain but small: 0.037% of all volume, 1 tenant; a call at night (22:00-07:00 Europe/Berlin) needs 0.9% of all volume, 0.18% lost, 5 tenants")

		for n := 2; n <= 4; n++ {
			whole(tenant.ID(fmt.Sprintf("small-%d", n)), l, t)
		}
		after(time.Minute)
		require.Empty(t, w.mail.carried(), "four are not enough at night")
		whole("small-5", l, t)
		after(time.Minute)
		require.Len(t, w.mail.carried(), 1, "the fifth is")
		require.Len(t, l.incidents(t), 1)
		require.Contains(t, l.incidents(t)[0].Stakes.Reason, "5 tenants are affected, 5 are enough")
	})
}

func TestWhoWakesSomebodyAlone(t *testing.T) {
	for _, tt := range []struct {
		who   tenant.ID
		zone  string
		pages bool
	}{{"vip", night, true}, {"large", night, true}, {"mid", night, true}, {"small-7", night, false}, {"mid", evening, true}, {"small-7", evening, false}} {
		t.Run(string(tt.who), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := zoned(t, tt.zone)
				l := w.begin(t)
				defer l.end()
				l.gateway(t)
				whole(tt.who, l, t)
				after(time.Minute)
				require.Equal(t, tt.pages, len(w.mail.carried()) == 1, "%s", l.incidents(t)[0].Stakes.Reason)
			})
		})
	}
}

// A tenant's part of the budget follows what it turns over at the next full hour; a
// frozen profile keeps its own.
func TestATenantsPartFollowsItsTurnover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.only = []string{tenant.ID("large").Subject(), tenant.ID("mid").Subject(), tenant.ID("kiosk").Subject(), tenant.ID("frozen").Subject()}
		l := w.begin(t)
		defer l.end()
		put := func(doc tenant.Tenant) {
			require.NoError(t, l.shared.Decide(t.Context(), doc.ID.Subject(), func(tx *partition.Tx, h *flow.Handler) error {
				_, _, _, err := l.shared.PutTenant(tx, h, doc, 0, "test")
				return err
			}))
		}
		put(tenant.Tenant{ID: "large", ExpectedTPM: 100_000})
		put(tenant.Tenant{ID: "mid", ExpectedTPM: 10_000})
		put(tenant.Tenant{ID: "kiosk", ExpectedTPM: 1})
		put(tenant.Tenant{ID: "frozen", ExpectedTPM: 1})
		require.NoError(t, l.shared.Decide(t.Context(), tenant.ID("frozen").Subject(), func(tx *partition.Tx, h *flow.Handler) error {
			return h.Profiles().Steer(tx, "frozen", "ada", func(c course.Course) (evolution.Change, error) {
				return evolution.FreezeFor(c.State, evolution.Freeze{By: "ada", Reason: "an audit"}, tx.Now())
			})
		}))
		after(2 * time.Hour)
		last := func(id tenant.ID) profiles.Triple {
			list := readAt[profiles.Triple](t, l.store, store.PartitionOf(id.Subject()), "profile")
			list = slices.DeleteFunc(list, func(v profiles.Triple) bool { return v.Document == nil || v.Document.ID != id })
			return list[len(list)-1]
		}
		require.Equal(t, 1.0/64, last("kiosk").Observation.Weight)
		require.Equal(t, 1.0/64, last("frozen").Observation.Weight)
		put(tenant.Tenant{ID: "large", ExpectedTPM: 1})
		put(tenant.Tenant{ID: "mid", ExpectedTPM: 1})
		after(2 * time.Hour)
		require.Zero(t, last("kiosk").Observation.Weight, "all are alike: an equal share")
		require.Equal(t, "the tenant's part of the turnover changed: it has 12% of its teams' budgets now, before: 1.6%", last("kiosk").Cause)
		require.Equal(t, 1.0/64, last("frozen").Observation.Weight)
	})
}

func TestACalendarEntryHoldsPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := zoned(t, night)
		l := w.begin(t)
		defer l.end()
		l.gateway(t)
		r := l.shared.Rules()
		p, err := profiles.Default()
		require.NoError(t, err)
		text := fmt.Sprintf("%s\ncalendar:\n  - {name: migration, effect: hold_pages, starts_at: %s, ends_at: %s, tenants: [large], why: its gateway moves, by: ops}\n",
			p.Text, time.Now().UTC().Format(time.RFC3339), time.Now().Add(10*time.Minute).UTC().Format(time.RFC3339))
		r.Policy, err = profiles.Parse("policy", []byte(text))
		require.NoError(t, err)
		l.shared.SetRules(r)

		whole("large", l, t)
		after(time.Minute)
		require.Empty(t, w.mail.carried())
		require.Equal(t, "the calendar entry migration holds pages: its gateway moves", l.incidents(t)[0].Stakes.Reason)
		announced, err := l.shared.Announcements(t.Context(), nil, time.Now())
		require.NoError(t, err)
		require.Equal(t, []string{"incident 1 calls nobody"}, announced[0].Holding)
		whole("vip", l, t)
		after(time.Minute)
		require.Len(t, w.mail.carried(), 1, "others are not held")
	})
}
