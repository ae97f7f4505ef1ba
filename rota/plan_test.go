package rota_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rota"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return v
}

// The handovers of a rota are where its zone's clocks show them, however the
// zone changes them.
func TestHandoversWhereClocksChange(t *testing.T) {
	for _, c := range []struct {
		name, zone, start, unit string
		at                      string // a handover
		before, after           catalog.PersonID
	}{
		{"at the spring change: 02:00 is 03:00", "Europe/Berlin", "2026-03-28T02:00", "day", "2026-03-29T01:00:00Z", "anna", "ben"},
		{"at the hour the spring change ends", "Europe/Berlin", "2026-03-28T03:00", "day", "2026-03-29T01:00:00Z", "anna", "ben"},
		{"at the autumn change: the first 02:00", "Europe/Berlin", "2026-10-24T02:00", "day", "2026-10-25T00:00:00Z", "anna", "ben"},
		{"at the hour the autumn change ends", "Europe/Berlin", "2026-10-24T03:00", "day", "2026-10-25T02:00:00Z", "anna", "ben"},
		{"spring change at midnight", "America/Santiago", "2026-09-05T00:00", "day", "2026-09-06T04:00:00Z", "anna", "ben"},
		{"autumn change at midnight: the first of two", "America/Santiago", "2026-04-03T23:30", "day", "2026-04-05T02:30:00Z", "anna", "ben"},
		{"half an hour skipped", "Australia/Lord_Howe", "2026-10-03T02:15", "day", "2026-10-03T15:30:00Z", "anna", "ben"},
		{"half an hour skipped, the change itself", "Australia/Lord_Howe", "2026-10-03T02:00", "day", "2026-10-03T15:30:00Z", "anna", "ben"},
		{"half an hour twice: the first", "Australia/Lord_Howe", "2026-04-04T01:45", "day", "2026-04-04T14:45:00Z", "anna", "ben"},
		{"a zone of half an hour", "Asia/Kolkata", "2026-03-28T09:00", "day", "2026-03-29T03:30:00Z", "anna", "ben"},
		{"a zone of three quarters", "Asia/Kathmandu", "2026-03-28T09:00", "day", "2026-03-29T03:15:00Z", "anna", "ben"},
		{"a zone without a 30 December 2011", "Pacific/Apia", "2011-12-29T09:00", "day", "2011-12-30T10:00:00Z", "anna", "ben"},
		{"and its next day", "Pacific/Apia", "2011-12-28T09:00", "day", "2011-12-30T19:00:00Z", "anna", "ben"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rota.Roster{Catalog: team(c.zone, layer(c.start, c.unit, 1, "anna", "ben"))}
			when := at(t, c.at)
			d, err := r.Who("payments", when.Add(-time.Second))
			require.NoError(t, err)
			require.Equal(t, c.before, d.Person.ID)
			require.Equal(t, when, d.Until.UTC())
			d, err = r.Who("payments", when)
			require.NoError(t, err)
			require.Equal(t, c.after, d.Person.ID)
		})
	}
}

func weekdays(from, to string) catalog.Hours {
	return catalog.Hours{Days: []string{"mon", "tue", "wed", "thu", "fri"}, From: from, To: to}
}

func restricted(l catalog.Layer, hours ...catalog.Hours) catalog.Layer {
	l.Hours = hours
	return l
}

func TestLayersWithHours(t *testing.T) {
	day := restricted(layer("2026-01-05T09:00", "week", 1, "cleo", "dan"), weekdays("09:00", "17:00"))
	night := layer("2026-01-05T09:00", "week", 1, "anna", "ben")
	r := rota.Roster{Catalog: team("Europe/Berlin", night, day)}
	got, err := r.Shifts("primary", at(t, "2026-03-27T08:00:00Z"), at(t, "2026-03-30T20:00:00Z")) // clocks change on Sunday the 29th
	require.NoError(t, err)
	type row struct {
		who      catalog.PersonID
		from, to string
		layer    int
	}
	var rows []row
	for _, s := range got {
		rows = append(rows, row{s.Person, s.From.UTC().Format("02 15:04"), s.To.UTC().Format("02 15:04"), s.Layer})
	}
	require.Equal(t, []row{
		{"dan", "27 08:00", "27 16:00", 2},
		{"ben", "27 16:00", "30 07:00", 1},
		{"cleo", "30 07:00", "30 15:00", 2},
		{"anna", "30 15:00", "30 20:00", 1},
	}, rows)

	only := rota.Roster{Catalog: team("Europe/Berlin", day)}
	_, err = only.Who("payments", at(t, "2026-03-28T12:00:00Z"))
	require.ErrorContains(t, err, "has nobody at this time")
	require.True(t, problem.Is(err, problem.NotFound))
	gaps, err := only.Shifts("primary", at(t, "2026-03-27T16:00:00Z"), at(t, "2026-03-30T07:00:00Z"))
	require.NoError(t, err)
	require.Len(t, gaps, 1)
	require.Empty(t, gaps[0].Person)
	only.Catalog.Teams[0].OnCall = []catalog.PersonID{"anna"}
	d, err := only.Who("payments", at(t, "2026-03-28T12:00:00Z"))
	require.NoError(t, err)
	require.Equal(t, catalog.PersonID("anna"), d.Person.ID)
	require.Equal(t, at(t, "2026-03-30T07:00:00Z"), d.Until.UTC(), "until the schedule has somebody again")
}

func TestWithin(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for _, c := range []struct {
		name  string
		hours []catalog.Hours
		at    string
		in    bool
		until string
	}{
		{"at the start", []catalog.Hours{weekdays("09:00", "17:00")}, "2026-03-02T08:00:00Z", true, "2026-03-02T16:00:00Z"},
		{"at the end", []catalog.Hours{weekdays("09:00", "17:00")}, "2026-03-02T16:00:00Z", false, "2026-03-03T08:00:00Z"},
		{"over the week-end and a change of clocks", []catalog.Hours{weekdays("09:00", "17:00")}, "2026-03-27T16:00:00Z", false, "2026-03-30T07:00:00Z"},
		{"through the night", []catalog.Hours{{From: "22:00", To: "06:00"}}, "2026-03-03T01:00:00Z", true, "2026-03-03T05:00:00Z"},
		{"through the short night", []catalog.Hours{{From: "22:00", To: "02:30"}}, "2026-03-28T23:00:00Z", true, "2026-03-29T01:00:00Z"},
		{"into Monday", []catalog.Hours{{Days: []string{"sun"}, From: "22:00", To: "06:00"}}, "2026-03-02T04:59:59Z", true, "2026-03-02T05:00:00Z"},
		{"hours that touch are one", []catalog.Hours{{From: "09:00", To: "12:00"}, {From: "12:00", To: "24:00"}}, "2026-03-02T10:00:00Z", true, "2026-03-02T23:00:00Z"},
		{"a week to wait", []catalog.Hours{{Days: []string{"mon"}, From: "09:00", To: "10:00"}}, "2026-03-02T09:00:00Z", false, "2026-03-09T08:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, until := rota.Within(c.hours, berlin, at(t, c.at))
			require.Equal(t, c.in, in)
			require.Equal(t, at(t, c.until), until.UTC())
		})
	}
	in, until := rota.Within(nil, berlin, at(t, "2026-03-02T09:00:00Z"))
	require.True(t, in && until.IsZero())
	_, _, words := rota.Working(catalog.WorkingHours{TimeZone: "Europe/Berlin", Hours: []catalog.Hours{weekdays("09:00", "17:00")}}, at(t, "2026-03-02T09:00:00Z"))
	require.Equal(t, "mon, tue, wed, thu, fri 09:00-17:00 Europe/Berlin", words)
}

func over(t *testing.T, id string, person, instead catalog.PersonID, from, to string) rota.Override {
	t.Helper()
	return rota.Override{ID: id, Schedule: "primary", Person: person, Instead: instead, From: at(t, from), To: at(t, to), Reason: "ill", Author: "token:admin"}
}

func TestOverrides(t *testing.T) {
	c := team("Europe/Berlin", layer("2026-01-05T09:00", "week", 1, "anna", "ben"))
	c.Schedules[0].Overrides = []catalog.Override{{Person: "dan", From: "2026-01-06T09:00", To: "2026-01-07T09:00", Reason: "swap"}}
	r := rota.Roster{Catalog: c, Overrides: []rota.Override{
		over(t, "o1", "cleo", "anna", "2026-01-10T00:00:00Z", "2026-01-14T00:00:00Z"), // Anna is away; Ben, from the 12th, is not
		over(t, "o2", "dan", "anna", "2026-01-11T00:00:00Z", "2026-01-11T12:00:00Z"),  // half a day of it by Dan
		{ID: "o3", Schedule: "another", Person: "dan", From: at(t, "2026-01-05T00:00:00Z"), To: at(t, "2026-02-05T00:00:00Z")},
	}}
	got, err := r.Shifts("primary", at(t, "2026-01-05T08:00:00Z"), at(t, "2026-01-19T08:00:00Z"))
	require.NoError(t, err)
	var rows []string
	for _, s := range got {
		id := ""
		if s.Override != nil {
			id = s.Override.ID
		}
		rows = append(rows, s.From.UTC().Format("02 15:04 ")+string(s.Person)+" "+id)
	}
	require.Equal(t, []string{"05 08:00 anna ", "06 08:00 dan catalog/primary/1", "07 08:00 anna ", "10 00:00 cleo o1", "11 00:00 dan o2", "11 12:00 cleo o1", "12 08:00 ben "}, rows)
	d, err := r.Who("payments", at(t, "2026-01-10T00:00:00Z"))
	require.NoError(t, err)
	require.Equal(t, "on call for team payments by an override of schedule primary until Sun 11 Jan 01:00 CET (ill, by token:admin)", d.Reason)
	next, begins, ok := r.Next(d)
	require.True(t, ok)
	require.Equal(t, catalog.PersonID("dan"), next.Person.ID)
	require.Equal(t, d.Until, begins)
	require.Equal(t, "cleo is on call in schedule primary in place of anna from Sat 10 Jan 01:00 CET until Wed 14 Jan 01:00 CET: ill", r.Says(r.Overrides[0]))

	cut, err := r.Shifts("primary", at(t, "2026-01-12T08:00:00Z"), at(t, "2026-01-13T00:00:00Z"))
	require.NoError(t, err)
	require.Equal(t, "by schedule primary until Mon 19 Jan 09:00 CET", cut[0].Reason, "also where an override begins or ends that does not concern the shift")

	one := rota.Roster{Catalog: team("UTC", layer("2026-01-05T09:00", "week", 1, "anna"))}
	d, err = one.Who("payments", at(t, "2026-01-10T00:00:00Z"))
	require.NoError(t, err)
	_, _, ok = one.Next(d)
	require.False(t, ok, "nobody follows")
}

func TestAnOverrideIsChecked(t *testing.T) {
	r := rota.Roster{Catalog: team("UTC", layer("2026-01-05T09:00", "week", 1, "anna", "ben"))}
	now := at(t, "2026-01-10T00:00:00Z")
	require.NoError(t, r.Check(over(t, "o", "ben", "", "2026-01-10T00:00:00Z", "2026-01-11T00:00:00Z"), now))
	for want, change := range map[string]func(*rota.Override){
		"schedule is not": func(o *rota.Override) { o.Schedule = "none" },
		"person is not":   func(o *rota.Override) { o.Person = "zoe" },
		"instead is not":  func(o *rota.Override) { o.Instead = "zoe" },
		"themselves":      func(o *rota.Override) { o.Instead = "ben" },
		"before it":       func(o *rota.Override) { o.To = o.From },
		"a year":          func(o *rota.Override) { o.To = o.From.AddDate(2, 0, 0) },
		"in the past":     func(o *rota.Override) { o.From = now.Add(-time.Hour) },
		"needs a reason":  func(o *rota.Override) { o.Reason = "" },
		"longer than":     func(o *rota.Override) { o.Reason = string(make([]byte, 501)) },
	} {
		o := over(t, "o", "ben", "", "2026-01-10T00:00:00Z", "2026-01-11T00:00:00Z")
		change(&o)
		err := r.Check(o, now)
		require.ErrorContains(t, err, want)
		require.NotEmpty(t, problem.From(err).Hint)
	}
}

// Whatever the zone and the layers: shifts follow each other without a gap, and
// each instant of a shift has the person that the shift names.
func TestShiftsAgreeWithEveryInstant(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 2))
	zones := []string{"Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata", "Africa/Casablanca", "Pacific/Chatham", "America/St_Johns", "UTC"}
	times := []string{"00:00", "00:30", "01:15", "02:00", "02:30", "03:00", "09:00", "23:45"}
	pick := func(in []string) string { return in[rnd.IntN(len(in))] }
	for range 8 {
		var layers []catalog.Layer
		for range 1 + rnd.IntN(3) {
			l := layer("2026-0"+string(rune('1'+rnd.IntN(3)))+"-05T"+pick(times), pick([]string{"hour", "day", "week"}), 1+rnd.IntN(3), "anna", "ben", "cleo")
			if rnd.IntN(2) == 0 {
				l.Hours = []catalog.Hours{{From: pick(times), To: pick(times)}, weekdays(pick(times), pick(times))}
			}
			layers = append(layers, l)
		}
		r := rota.Roster{Catalog: team(pick(zones), layers...)}
		begin := time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
		for from := begin; from.Before(begin.AddDate(0, 9, 0)); from = from.AddDate(0, 2, 0) {
			to := from.AddDate(0, 0, 20)
			shifts, err := r.Shifts("primary", from, to)
			require.NoError(t, err)
			last := from
			for _, s := range shifts {
				require.Equal(t, last, s.From)
				require.True(t, s.To.After(s.From))
				for _, when := range []time.Time{s.From, s.To.Add(-time.Nanosecond), s.From.Add(time.Duration(rnd.Int64N(int64(s.To.Sub(s.From)))))} {
					one, err := r.On("primary", when)
					require.NoError(t, err)
					require.Equal(t, s.Person, one.Person, "%+v at %s", r.Catalog.Schedules, when)
				}
				last = s.To
			}
			require.Equal(t, to, last)
		}
	}
}
