package calendar_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// TestHowEntriesStand: what holds first, then what comes, the next first; who is behind
// whom; and only what concerns a tenant, whatever the service.
func TestHowEntriesStand(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	all := []calendar.Entry{
		{Name: "over", Effect: calendar.HoldPages, StartsAt: day(-9), EndsAt: day(-8), Why: "w", By: "b"},
		{Name: "later", Effect: calendar.HoldPages, StartsAt: day(9), EndsAt: day(10), Why: "w", By: "b", Services: []string{"payments"}},
		{Name: "soon", Effect: calendar.HoldPages, StartsAt: day(1), EndsAt: day(2), Tenants: []string{"acme"}, Why: "w", By: "b"},
		{Name: "friday", Effect: calendar.Widen, Factor: 3, Dates: &calendar.Dates{Days: []string{"11-27"}, TimeZone: "Europe/Berlin"}, Countries: []string{"DE"}, Why: "w", By: "b"},
		{Name: "autumn", Effect: calendar.Widen, Factor: 2, StartsAt: day(-30), EndsAt: day(30), Why: "w", By: "b"},
	}
	c, faults := calendar.New(all)
	require.Empty(t, faults)
	names := func(in []calendar.Standing) (out []string) {
		for _, s := range in {
			out = append(out, s.Name)
		}
		return out
	}
	got := c.Standings(now, nil)
	require.Equal(t, []string{"friday", "autumn", "soon", "later", "over"}, names(got))
	require.Equal(t, [3]any{true, "", false}, [3]any{got[0].Holds, got[0].Behind, got[0].Over()})
	require.Equal(t, time.Date(2026, 11, 27, 23, 0, 0, 0, time.UTC), got[0].ChangesAt.UTC(), "midnight in Berlin")
	require.Equal(t, "friday", got[1].Behind, "of two with the same effect the first listed counts")
	require.True(t, got[4].Over())
	require.Equal(t, []string{"autumn", "later", "over"}, names(c.Standings(now, calendar.Of(tenant.Tenant{ID: "bolt", Countries: []string{"FR"}}, "production"))))
	require.Equal(t, []string{"friday", "autumn", "soon", "later", "over"}, names(c.Standings(now, calendar.Of(tenant.Tenant{ID: "acme", Countries: []string{"de"}}, "production"))))

	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	require.Equal(t, "11-27, 00:00 to 24:00 Europe/Berlin", got[0].When(berlin))
	require.Equal(t, "from 2026-11-28 13:00 Europe/Berlin, until 2026-11-29 13:00 Europe/Berlin", got[2].When(berlin))
	require.Equal(t, "every day, 22:00 to 06:00 UTC", calendar.Entry{Weekly: &calendar.Weekly{From: "22:00", To: "06:00"}}.When(berlin))
	require.Equal(t, "everybody", got[1].Whom())
	require.Equal(t, "country DE", got[0].Whom())
	require.Equal(t, "tenants a, b; service payments", calendar.Entry{Tenants: []string{"a", "b"}, Services: []string{"payments"}}.Whom())
	require.Equal(t, "3 times the usual volume is as usual, and all between", got[0].Follows())
}
