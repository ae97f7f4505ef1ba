package rota_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rota"
)

func people(ids ...catalog.PersonID) []catalog.Person {
	var out []catalog.Person
	for _, id := range ids {
		out = append(out, catalog.Person{ID: id, Name: string(id), TimeZone: "UTC"})
	}
	return out
}

func team(zone string, layers ...catalog.Layer) *catalog.Catalog {
	return &catalog.Catalog{Teams: []catalog.Team{{ID: "payments", Schedule: "primary"}}, People: people("anna", "ben", "cleo", "dan"),
		Schedules: []catalog.Schedule{{ID: "primary", TimeZone: zone, Layers: layers}}}
}

func layer(start, unit string, every int, members ...catalog.PersonID) catalog.Layer {
	return catalog.Layer{Start: start, Unit: unit, Every: every, Members: members}
}

func TestWhoIsOnCall(t *testing.T) {
	weekly := layer("2026-01-05T09:00", "week", 1, "anna", "ben", "cleo")
	for _, c := range []struct {
		name   string
		zone   string
		layers []catalog.Layer
		at     string // RFC 3339
		who    catalog.PersonID
		until  string // empty: no end
	}{
		{"the first shift", "Europe/Berlin", []catalog.Layer{weekly}, "2026-01-05T08:00:00Z", "anna", "2026-01-12T08:00:00Z"},
		{"a second before the handover", "Europe/Berlin", []catalog.Layer{weekly}, "2026-01-12T07:59:59Z", "anna", "2026-01-12T08:00:00Z"},
		{"at the handover", "Europe/Berlin", []catalog.Layer{weekly}, "2026-01-12T08:00:00Z", "ben", "2026-01-19T08:00:00Z"},
		{"round and round", "Europe/Berlin", []catalog.Layer{weekly}, "2026-01-26T08:00:00Z", "anna", "2026-02-02T08:00:00Z"},
		// Clocks go forward on 29 March: the week is an hour short, the handover stays at 09:00.
		{"spring, just before", "Europe/Berlin", []catalog.Layer{weekly}, "2026-03-30T06:59:59Z", "cleo", "2026-03-30T07:00:00Z"},
		{"spring, handover", "Europe/Berlin", []catalog.Layer{weekly}, "2026-03-30T07:00:00Z", "anna", "2026-04-06T07:00:00Z"},
		// Clocks go back on 25 October: the week is an hour long.
		{"autumn, just before", "Europe/Berlin", []catalog.Layer{weekly}, "2026-10-26T07:59:59Z", "cleo", "2026-10-26T08:00:00Z"},
		{"autumn, handover", "Europe/Berlin", []catalog.Layer{weekly}, "2026-10-26T08:00:00Z", "anna", "2026-11-02T08:00:00Z"},
		// 02:30 does not exist on 29 March: the moment of the change stands for it.
		{"skipped hour, before", "Europe/Berlin", []catalog.Layer{layer("2026-03-28T02:30", "day", 1, "anna", "ben")}, "2026-03-29T00:59:59Z", "anna", "2026-03-29T01:00:00Z"},
		{"skipped hour, after", "Europe/Berlin", []catalog.Layer{layer("2026-03-28T02:30", "day", 1, "anna", "ben")}, "2026-03-29T01:00:00Z", "ben", "2026-03-30T00:30:00Z"},
		// 02:30 comes twice on 25 October: the first counts.
		{"hour twice, before", "Europe/Berlin", []catalog.Layer{layer("2026-10-24T02:30", "day", 1, "anna", "ben")}, "2026-10-25T00:29:59Z", "anna", "2026-10-25T00:30:00Z"},
		{"hour twice, after", "Europe/Berlin", []catalog.Layer{layer("2026-10-24T02:30", "day", 1, "anna", "ben")}, "2026-10-25T00:30:00Z", "ben", "2026-10-26T01:30:00Z"},
		// Hours are hours that pass: 12 of them across the change are 12.
		{"hours across spring", "Europe/Berlin", []catalog.Layer{layer("2026-03-28T20:00", "hour", 12, "anna", "ben")}, "2026-03-29T06:59:59Z", "anna", "2026-03-29T07:00:00Z"},
		{"hours after spring", "Europe/Berlin", []catalog.Layer{layer("2026-03-28T20:00", "hour", 12, "anna", "ben")}, "2026-03-29T07:00:00Z", "ben", "2026-03-29T19:00:00Z"},
		{"hours across autumn", "Europe/Berlin", []catalog.Layer{layer("2026-10-24T20:00", "hour", 12, "anna", "ben")}, "2026-10-25T06:00:00Z", "ben", "2026-10-25T18:00:00Z"},
		{"every two days", "UTC", []catalog.Layer{layer("2026-01-01T00:00", "day", 2, "anna", "ben")}, "2026-01-04T23:59:59Z", "ben", "2026-01-05T00:00:00Z"},
		{"one member never hands over", "UTC", []catalog.Layer{layer("2026-01-01T00:00", "day", 1, "anna")}, "2026-06-01T00:00:00Z", "anna", ""},
		{"a later layer overrides", "UTC", []catalog.Layer{weekly, layer("2026-01-07T18:00", "day", 1, "dan")}, "2026-01-07T18:00:00Z", "dan", ""},
		{"and ends the shift it overrides", "UTC", []catalog.Layer{weekly, layer("2026-01-07T18:00", "day", 1, "dan")}, "2026-01-07T17:59:59Z", "anna", "2026-01-07T18:00:00Z"},
		{"a zone east of the date line", "Pacific/Auckland", []catalog.Layer{layer("2026-01-05T09:00", "day", 1, "anna", "ben")}, "2026-01-05T20:00:00Z", "ben", "2026-01-06T20:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, c.at)
			require.NoError(t, err)
			d, err := rota.Roster{Catalog: team(c.zone, c.layers...)}.Who("payments", at)
			require.NoError(t, err)
			require.Equal(t, c.who, d.Person.ID)
			require.Equal(t, catalog.ScheduleID("primary"), d.Schedule)
			require.Contains(t, d.Reason, "by schedule primary")
			if c.until == "" {
				require.True(t, d.Until.IsZero())
				return
			}
			require.Equal(t, c.until, d.Until.UTC().Format(time.RFC3339))
		})
	}
}

// Every instant of two years has exactly one person, shifts never overlap, and
// Until is the instant at which the next begins.
func TestTheRotaHasNoGaps(t *testing.T) {
	for _, l := range []catalog.Layer{layer("2026-01-05T02:30", "day", 1, "anna", "ben", "cleo"), layer("2026-01-05T09:00", "week", 2, "anna", "ben"),
		layer("2026-01-05T03:00", "hour", 7, "anna", "ben", "cleo", "dan")} {
		c := team("Europe/Berlin", l)
		at := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
		turn := -1
		for at.Year() < 2028 {
			d, err := rota.Roster{Catalog: c}.Who("payments", at)
			require.NoError(t, err)
			index := 0
			for n, m := range l.Members {
				if m == d.Person.ID {
					index = n
				}
			}
			if turn >= 0 {
				require.Equal(t, (turn+1)%len(l.Members), index, "%s at %s", l.Unit, at)
			}
			turn = index
			require.True(t, d.Until.After(at))
			last, err := rota.Roster{Catalog: c}.Who("payments", d.Until.Add(-time.Nanosecond))
			require.NoError(t, err)
			require.Equal(t, d.Person.ID, last.Person.ID, "%s until %s", l.Unit, d.Until)
			at = d.Until
		}
	}
}

func TestNobodyOnCallSaysWhatToDo(t *testing.T) {
	jan := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	none := &catalog.Catalog{Teams: []catalog.Team{{ID: "payments"}}}
	_, err := rota.Roster{Catalog: none}.Who("payments", jan)
	require.ErrorContains(t, err, "neither a schedule nor people under oncall")
	require.NotEmpty(t, problem.From(err).Hint)
	_, err = rota.Roster{Catalog: none}.Who("refunds", jan)
	require.ErrorContains(t, err, "not in the catalog")
	c := team("UTC", layer("2026-02-01T00:00", "day", 1, "anna"))
	_, err = rota.Roster{Catalog: c}.Who("payments", jan)
	require.ErrorContains(t, err, "no layer of its schedule primary has begun")
	c.Teams[0].OnCall = []catalog.PersonID{"ben"}
	d, err := rota.Roster{Catalog: c}.Who("payments", jan)
	require.NoError(t, err)
	require.Equal(t, catalog.PersonID("ben"), d.Person.ID)
	require.Contains(t, d.Reason, "no layer of its schedule primary has begun")
	for _, broken := range []catalog.Layer{layer("soon", "day", 1, "anna"), layer("2026-01-01T00:00", "month", 1, "anna"), layer("2026-01-01T00:00", "day", 0, "anna"),
		layer("2026-01-01T00:00", "day", 1), layer("2026-01-01T00:00", "day", 1, "zoe")} {
		_, err = rota.Roster{Catalog: team("UTC", broken)}.Who("payments", jan)
		require.Error(t, err)
		require.NotEmpty(t, problem.From(err).Hint)
	}
	_, err = rota.Roster{Catalog: team("Moon/Base")}.Who("payments", jan)
	require.ErrorContains(t, err, "time zone")

	d, err = rota.Roster{Catalog: catalog.Default()}.Who("payments", jan)
	require.NoError(t, err)
	require.Equal(t, catalog.PersonID("oncall"), d.Person.ID)
}
