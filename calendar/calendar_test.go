package calendar_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/tocsin-alerting/tocsin/calendar"
)

func read(t testing.TB, text string) []calendar.Entry {
	t.Helper()
	var entries []calendar.Entry
	require.NoError(t, yaml.Unmarshal([]byte(text), &entries))
	return entries
}

func made(t testing.TB, text string) calendar.Calendar {
	t.Helper()
	c, faults := calendar.New(read(t, text))
	require.Empty(t, faults)
	return c
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return v
}

const yearOf = `
- {name: maintenance, effect: hold_pages, starts_at: 2026-03-01T22:00:00Z, ends_at: 2026-03-02T02:00:00Z, services: [ledger], why: the bank moves, by: ada}
- {name: nights, effect: deny_changes, weekly: {days: [fri, sat], from: "22:00", to: "06:00", time_zone: Europe/Berlin}, environments: [production], why: nobody is there, by: ada}
- {name: black_friday, effect: widen, factor: 3, dates: {days: ["2026-11-27"], time_zone: America/New_York}, why: sale, by: bo}
- {name: christmas, effect: widen, factor: 0.3, dates: {days: ["12-24..12-26"], time_zone: Europe/Berlin}, countries: [de, at], why: shops are shut, by: bo}
- {name: new_year, effect: hold_revisions, dates: {days: ["12-30..01-02"], from: "08:00", to: "18:00"}, why: a freeze, by: bo}
- {name: leap, effect: widen, factor: 2, dates: {days: ["02-29"]}, tenants: [acme], why: leap sale, by: bo}
- {name: long_sale, effect: widen, factor: 2, tenants: [big], starts_at: 2026-06-01T00:00:00Z, ends_at: 2026-06-08T00:00:00Z, weekly: {days: [mon]}, why: mondays, by: bo}
`

func TestWhatHoldsWhenAndUntilWhen(t *testing.T) {
	c := made(t, yearOf)
	for _, x := range []struct {
		name, at string
		in       bool
		until    string // empty: never
	}{
		{"maintenance", "2026-03-01T21:59:59Z", false, "2026-03-01T22:00:00Z"},
		{"maintenance", "2026-03-01T22:00:00Z", true, "2026-03-02T02:00:00Z"},
		{"maintenance", "2026-03-02T02:00:00Z", false, ""},
		{"nights", "2026-01-09T20:59:59Z", false, "2026-01-09T21:00:00Z"}, // Friday, an hour ahead of UTC
		{"nights", "2026-01-10T04:59:59Z", true, "2026-01-10T05:00:00Z"},
		{"nights", "2026-01-10T05:00:00Z", false, "2026-01-10T21:00:00Z"},
		{"nights", "2026-03-28T21:00:00Z", true, "2026-03-29T04:00:00Z"}, // an hour shorter: clocks go forward
		{"nights", "2026-10-24T20:00:00Z", true, "2026-10-25T05:00:00Z"}, // an hour longer
		{"black_friday", "2026-11-27T04:59:59Z", false, "2026-11-27T05:00:00Z"},
		{"black_friday", "2026-11-28T04:59:59Z", true, "2026-11-28T05:00:00Z"},
		{"black_friday", "2026-11-28T05:00:00Z", false, ""},
		{"black_friday", "2027-11-27T12:00:00Z", false, ""},
		{"christmas", "2026-12-23T23:00:00Z", true, "2026-12-26T23:00:00Z"}, // three days are one
		{"christmas", "2027-12-25T12:00:00Z", true, "2027-12-26T23:00:00Z"},
		{"christmas", "2026-12-26T23:00:00Z", false, "2027-12-23T23:00:00Z"},
		{"new_year", "2026-12-31T12:00:00Z", true, "2026-12-31T18:00:00Z"}, // a part of each day
		{"new_year", "2026-12-31T18:00:00Z", false, "2027-01-01T08:00:00Z"},
		{"new_year", "2027-01-02T17:00:00Z", true, "2027-01-02T18:00:00Z"},
		{"new_year", "2027-01-02T18:00:00Z", false, "2027-12-30T08:00:00Z"},
		{"leap", "2026-02-28T12:00:00Z", false, "2028-02-29T00:00:00Z"},
		{"leap", "2096-02-29T12:00:00Z", true, "2096-03-01T00:00:00Z"},
		{"leap", "2096-03-01T00:00:00Z", false, "2104-02-29T00:00:00Z"}, // 2100 is none
		{"long_sale", "2026-05-25T12:00:00Z", false, "2026-06-01T00:00:00Z"},
		{"long_sale", "2026-06-01T12:00:00Z", true, "2026-06-02T00:00:00Z"},
		{"long_sale", "2026-06-02T00:00:00Z", false, ""}, // the next Monday is after its end
		{"nothing", "2026-06-02T00:00:00Z", false, ""},
	} {
		in, until := c.Holds(x.name, at(t, x.at))
		require.Equal(t, x.in, in, "%s at %s", x.name, x.at)
		if x.until == "" {
			require.Zero(t, until, "%s at %s", x.name, x.at)
			continue
		}
		require.Equal(t, x.until, until.UTC().Format(time.RFC3339), "%s at %s", x.name, x.at)
	}
}

func TestWhatNeverHoldsAgainIsOver(t *testing.T) {
	c := made(t, yearOf+`
- {name: far, effect: hold_pages, dates: {days: ["2060-01-01"]}, why: w, by: b}
- {name: missed, effect: hold_pages, dates: {days: ["12-24"]}, starts_at: 2026-01-01T00:00:00Z, ends_at: 2026-12-01T00:00:00Z, why: w, by: b}
`)
	now := at(t, "2026-11-29T00:00:00Z")
	for name, want := range map[string]bool{"black_friday": true, "long_sale": true, "missed": true, "far": false, "leap": false, "christmas": false, "nights": false, "none": false} {
		require.Equal(t, want, c.Over(name, now), name)
	}
	require.False(t, c.Over("black_friday", at(t, "2026-11-28T04:59:59Z")))
}

// TestWalkingFromChangeToChange compares the changes with asking every half hour, over
// the clocks' changes and the turn of the year.
func TestHowMuchIsAsUsual(t *testing.T) {
	for factor, want := range map[float64][2]float64{.5: {.5, 1}, 2: {1, 2}, 0: {1, 1}} {
		e := calendar.Entry{Name: "sale", Factor: factor, By: "anna", Why: "a promotion"}
		low, high, why := e.Volume()
		require.Equal(t, want, [2]float64{low, high})
		require.Equal(t, factor > 0, why != "")
	}
	_, _, why := calendar.Entry{Name: "sale", Factor: 2, By: "anna", Why: "a promotion"}.Volume()
	require.Equal(t, "200% of the usual may come: calendar entry sale, anna: a promotion", why)
}

func TestWalkingFromChangeToChange(t *testing.T) {
	c := made(t, yearOf)
	for _, begin := range []string{"2026-10-22T00:00:00Z", "2026-12-22T00:00:00Z", "2027-03-25T00:00:00Z"} {
		from := at(t, begin)
		for _, e := range c.Entries() {
			in, until := c.Holds(e.Name, from)
			for now := from; now.Before(from.AddDate(0, 0, 14)); now = now.Add(30 * time.Minute) {
				if !until.IsZero() && !now.Before(until) {
					in, until = c.Holds(e.Name, until)
				}
				got, _ := c.Holds(e.Name, now)
				require.Equal(t, in, got, "%s at %s", e.Name, now)
			}
		}
	}
}

func TestWhomAnEntryConcerns(t *testing.T) {
	c := made(t, yearOf)
	noon := at(t, "2026-12-25T12:00:00Z")
	e, ok := c.Active(noon, calendar.Widen, calendar.Scope{Tenant: "acme", Countries: []string{"FR", "DE"}})
	require.True(t, ok, "countries are compared without regard to case")
	require.Equal(t, "christmas", e.Name)
	require.Equal(t, "calendar entry christmas, bo: shops are shut", e.Reason())
	for _, on := range []calendar.Scope{{Tenant: "acme", Countries: []string{"FR"}}, {Tenant: "acme"}, {}} {
		_, ok = c.Active(noon, calendar.Widen, on)
		require.False(t, ok, "%+v", on)
	}
	_, ok = c.Active(noon, calendar.HoldPages, calendar.Scope{Countries: []string{"de"}})
	require.False(t, ok, "another effect")

	night := at(t, "2026-03-01T23:00:00Z")
	_, ok = c.Active(night, calendar.HoldPages, calendar.Scope{Tenant: "acme", Service: "ledger"})
	require.True(t, ok)
	_, ok = c.Active(night, calendar.HoldPages, calendar.Scope{Tenant: "acme", Service: "payments"})
	require.False(t, ok)
	_, ok = c.Active(at(t, "2028-02-29T12:00:00Z"), calendar.Widen, calendar.Scope{Tenant: "acme"})
	require.True(t, ok)
	_, ok = c.Active(at(t, "2028-02-29T12:00:00Z"), calendar.Widen, calendar.Scope{Tenant: "other"})
	require.False(t, ok)

	next := c.Next(noon, calendar.Widen, calendar.Scope{Tenant: "acme", Countries: []string{"de"}})
	require.Equal(t, "2026-12-26T23:00:00Z", next.UTC().Format(time.RFC3339))
	require.Zero(t, c.Next(night.AddDate(1, 0, 0), calendar.HoldPages, calendar.Scope{Service: "ledger"}))
	var none calendar.Calendar
	_, ok = none.Active(noon, calendar.Widen, calendar.Scope{})
	require.False(t, ok)
}

func TestTheFirstEntryListedCounts(t *testing.T) {
	c := made(t, `
- {name: one, effect: widen, factor: 2, dates: {days: ["12-24"]}, why: w, by: b}
- {name: two, effect: widen, factor: 3, dates: {days: ["12-24"]}, why: w, by: b}`)
	e, _ := c.Active(at(t, "2026-12-24T12:00:00Z"), calendar.Widen, calendar.Scope{})
	require.Equal(t, "one", e.Name)
}

func TestEveryFaultIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{name: Bad Name, effect: hold_pages, weekly: {}, why: w, by: b}":                                                      "name must be lower-case",
		"{name: a, effect: silence, weekly: {}, why: w, by: b}":                                                                "effect must be widen, hold_pages",
		"{name: a, effect: widen, weekly: {}, why: w, by: b}":                                                                  "factor must say",
		"{name: a, effect: widen, factor: 1, weekly: {}, why: w, by: b}":                                                       "factor must say",
		"{name: a, effect: widen, factor: -2, weekly: {}, why: w, by: b}":                                                      "factor must say",
		"{name: a, effect: hold_pages, factor: 2, weekly: {}, why: w, by: b}":                                                  "factor is for effect widen",
		"{name: a, effect: hold_pages, why: w, by: b}":                                                                         "it needs starts_at and ends_at, or weekly, or dates",
		"{name: a, effect: hold_pages, starts_at: 2026-01-01T00:00:00Z, why: w, by: b}":                                        "it needs starts_at and ends_at",
		"{name: a, effect: hold_pages, starts_at: 2026-01-02T00:00:00Z, ends_at: 2026-01-01T00:00:00Z, why: w, by: b}":         "ends_at must be after starts_at",
		"{name: a, effect: hold_pages, weekly: {}, dates: {days: [12-24]}, why: w, by: b}":                                     "weekly and dates exclude",
		"{name: a, effect: hold_pages, weekly: {days: [monday]}, why: w, by: b}":                                               "weekly.days: a day must be one of",
		"{name: a, effect: hold_pages, weekly: {from: noon}, why: w, by: b}":                                                   "weekly.from must be a time of day",
		"{name: a, effect: hold_pages, weekly: {to: '25:00'}, why: w, by: b}":                                                  "weekly.to must be a time of day",
		"{name: a, effect: hold_pages, weekly: {time_zone: Mars/Crater}, why: w, by: b}":                                       "weekly.time_zone is not known",
		"{name: a, effect: hold_pages, dates: {}, why: w, by: b}":                                                              "dates.days is empty",
		"{name: a, effect: hold_pages, dates: {days: ['2026-02-30']}, why: w, by: b}":                                          "dates.days[0]: there is no such day: February has 28",
		"{name: a, effect: hold_pages, dates: {days: ['02-30']}, why: w, by: b}":                                               "dates.days[0]: there is no such day: February has 29",
		"{name: a, effect: hold_pages, dates: {days: ['12-24', '06-31..07-02']}, why: w, by: b}":                               "dates.days[1]: there is no such day: June has 30",
		"{name: a, effect: hold_pages, dates: {days: ['13-01']}, why: w, by: b}":                                               "dates.days[0]: there is no such month",
		"{name: a, effect: hold_pages, dates: {days: ['']}, why: w, by: b}":                                                    "dates.days[0]: a day must be like",
		"{name: a, effect: hold_pages, dates: {days: ['12-24..']}, why: w, by: b}":                                             "dates.days[0]: a day must be like",
		"{name: a, effect: hold_pages, dates: {days: [friday]}, why: w, by: b}":                                                "dates.days[0]: a day must be like",
		"{name: a, effect: hold_pages, dates: {days: ['2026-12-24..12-26']}, why: w, by: b}":                                   "dates.days[0]: both days must be of one year each",
		"{name: a, effect: hold_pages, dates: {days: ['2026-12-26..2026-12-24']}, why: w, by: b}":                              "dates.days[0]: the first day lies after the last",
		"{name: a, effect: hold_pages, weekly: {}, by: b}":                                                                     "why is missing",
		"{name: a, effect: hold_pages, weekly: {}, why: w}":                                                                    "by is missing",
		"{name: a, effect: hold_pages, weekly: {}, why: ' ', by: b}":                                                           "why is missing",
		"{name: a, effect: hold_pages, weekly: {}, why: w, by: '  '}":                                                          "by is missing",
		"{name: a, effect: hold_pages, weekly: {}, why: w, by: b, tenants: ['']}":                                              "tenants holds an empty name",
		"{name: a, effect: hold_pages, weekly: {}, why: w, by: b}\n- {name: a, effect: hold_pages, weekly: {}, why: w, by: b}": "calendar[1] (a): name is used twice",
		"{name: a, effect: hold_pages, weekly: {}, why: w, by: b}" + strings.Repeat("\n- {effect: widen}", 1000):               "calendar has more than",
	} {
		c, faults := calendar.New(read(t, "- "+text))
		require.Contains(t, strings.Join(faults, "\n"), want, text)
		require.Empty(t, c.Entries(), "nothing of a faulty calendar is used")
	}
}

func BenchmarkActive(b *testing.B) {
	c := made(b, yearOf)
	now := at(b, "2026-10-20T00:00:00Z")
	for b.Loop() {
		c.Active(now, calendar.Widen, calendar.Scope{Tenant: "acme", Countries: []string{"de"}})
	}
}
