package profiles

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/calendar"
)

func TestThePolicyHasTheCalendar(t *testing.T) {
	text := twoTeams + "calendar:\n  - {name: freeze, effect: deny_changes, weekly: {days: [fri]}, why: nobody is there, by: ada}\n"
	p, err := Parse("p", []byte(text))
	require.NoError(t, err)
	friday := time.Date(2026, 1, 9, 12, 0, 0, 0, time.UTC)
	_, ok := p.Calendar().Active(friday, calendar.DenyChanges, calendar.Scope{})
	require.True(t, ok)
	_, ok = p.Calendar().Active(friday, calendar.HoldPages, calendar.Scope{})
	require.False(t, ok)

	_, err = Parse("p", []byte(text+"  - {name: sale, effect: widen, weekly: {days: [fri]}, why: w}\n"))
	require.ErrorContains(t, err, "p:13: calendar[1] (sale): factor must say")
	require.ErrorContains(t, err, "p:13: calendar[1] (sale): by is missing")
}
