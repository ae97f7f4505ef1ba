// Package calendar knows what was announced: promotions, holidays, maintenance,
// freezes. An entry says when, what for, by whom, and what follows: another volume
// is to be expected, pages are held, revisions are held, changes are denied.
//
// It answers what holds at an instant for a tenant, countries, a service and an
// environment. It decides nothing: who asks acts, and names the entry as the
// reason. It is a value package and reads no clock.
package calendar

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/rota"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Effect is what follows from an entry while it lasts.
type Effect string

// The effects.
const (
	Widen         Effect = "widen"          // Factor times the usual volume is as usual, and all between
	HoldPages     Effect = "hold_pages"     // nobody is paged; tickets are opened
	HoldRevisions Effect = "hold_revisions" // no profile is proposed or promoted
	DenyChanges   Effect = "deny_changes"   // no change but an emergency may go ahead
)

// Effects lists them.
func Effects() []Effect { return []Effect{Widen, HoldPages, HoldRevisions, DenyChanges} }

// Entry is one line of the calendar: once from StartsAt to EndsAt, or every week, or
// on dates. With the latter two, StartsAt and EndsAt bound it where they are given.
type Entry struct {
	Name     string    `yaml:"name" json:"name"`                    // lower-case letters, digits and _
	Effect   Effect    `yaml:"effect" json:"effect"`                // widen, hold_pages, hold_revisions, deny_changes
	StartsAt time.Time `yaml:"starts_at" json:"starts_at,omitzero"` // included
	EndsAt   time.Time `yaml:"ends_at" json:"ends_at,omitzero"`     // not included
	Weekly   *Weekly   `yaml:"weekly" json:"weekly,omitempty"`      // instead: parts of every week
	Dates    *Dates    `yaml:"dates" json:"dates,omitempty"`        // instead: days of one year or of every year
	Factor   float64   `yaml:"factor" json:"factor,omitempty"`      // widen: what of the usual volume may come, for example 0.5 or 2
	Tenants  []string  `yaml:"tenants" json:"tenants,omitempty"`    // only these; empty: every one, also what is judged over all tenants
	Why      string    `yaml:"why" json:"why"`                      // read by whoever asks why nobody was called
	By       string    `yaml:"by" json:"by"`                        // who answers for it
	Services []string  `yaml:"services" json:"services,omitempty"`  // only these; empty: every one
	// Countries are those it is about; empty: every one. It concerns who is known to
	// trade in one of them.
	Countries    []string `yaml:"countries" json:"countries,omitempty"`
	Environments []string `yaml:"environments" json:"environments,omitempty"` // only these; empty: every one
}

// Volume is between which parts of the usual volume all is as usual while the entry
// holds, and why, for people: 1 and 1 without a reason where it says nothing of that.
func (e Entry) Volume() (low, high float64, why string) {
	if !(e.Factor > 0) {
		return 1, 1, ""
	}
	return math.Min(e.Factor, 1), math.Max(e.Factor, 1), fmt.Sprintf("%.0f%% of the usual may come: %s", 100*e.Factor, e.Reason())
}

// Weekly is a part of some days of every week, in wall-clock time of a zone. A To
// that is not after From lies on the day after.
type Weekly struct {
	Days     []string `yaml:"days" json:"days"`           // mon, tue, … sun; empty: every day
	From     string   `yaml:"from" json:"from"`           // default 00:00
	To       string   `yaml:"to" json:"to"`               // default 24:00
	TimeZone string   `yaml:"time_zone" json:"time_zone"` // default UTC
}

// Dates are days, and the part of each that counts, in wall-clock time of a zone. A
// To that is not after From lies on the day after.
type Dates struct {
	// Days are dates like 2026-11-27, of every year like 12-31, or stretches of
	// either like 12-24..12-26.
	Days     []string `yaml:"days" json:"days"`
	From     string   `yaml:"from" json:"from"`           // default 00:00
	To       string   `yaml:"to" json:"to"`               // default 24:00
	TimeZone string   `yaml:"time_zone" json:"time_zone"` // default UTC
}

// Scope is what is asked about. What is left empty is not known: an entry that
// names some of it does not concern it.
type Scope struct {
	Tenant      tenant.ID
	Countries   []string // without regard to case
	Service     string
	Environment string
}

// Calendar is a checked list of entries. The zero value is empty. It is immutable
// and safe for concurrent use.
type Calendar struct{ entries []compiled }

// compiled is an entry made ready for arithmetic.
type compiled struct {
	Entry
	zone     *time.Location
	hours    catalog.Hours // of the week, or of each of the days
	days     []stretch
	from, to time.Duration // of each of the days; to may pass midnight
}

// Entries lists them in the order of the file.
func (c Calendar) Entries() []Entry {
	out := make([]Entry, len(c.entries))
	for i, e := range c.entries {
		out[i] = e.Entry
	}
	return out
}

// Active gives the first entry with the effect that holds at the instant for what
// is asked about.
func (c Calendar) Active(at time.Time, e Effect, on Scope) (Entry, bool) {
	for i := range c.entries {
		if v := &c.entries[i]; v.Effect == e && v.concerns(on) {
			if in, _ := v.holds(at, today); in {
				return v.Entry, true
			}
		}
	}
	return Entry{}, false
}

// Next is when the answer of Active may change after the instant; zero: never.
func (c Calendar) Next(at time.Time, e Effect, on Scope) (next time.Time) {
	for i := range c.entries {
		v := &c.entries[i]
		if v.Effect != e || !v.concerns(on) {
			continue
		}
		if _, change := v.holds(at, ahead); !change.IsZero() && (next.IsZero() || change.Before(next)) {
			next = change
		}
	}
	return next
}

// Holds says whether the entry of that name holds at the instant, and when that
// may change; zero: never. It is asked by what shows the calendar.
func (c Calendar) Holds(name string, at time.Time) (in bool, until time.Time) {
	for i := range c.entries {
		if c.entries[i].Name == name {
			return c.entries[i].holds(at, ahead)
		}
	}
	return false, time.Time{}
}

// Over says whether an entry will never hold again.
func (c Calendar) Over(name string, now time.Time) bool {
	i := slices.IndexFunc(c.entries, func(e compiled) bool { return e.Name == name })
	if i < 0 {
		return false
	}
	e := &c.entries[i]
	in, until := e.holds(now, ahead)
	far := number(now.AddDate(0, 0, ahead))
	return !in && until.IsZero() && !slices.ContainsFunc(e.days, func(s stretch) bool { return !s.yearly && s.last >= far })
}

// Reason names the entry as the reason of a decision.
func (e Entry) Reason() string {
	return fmt.Sprintf("calendar entry %s, %s: %s", e.Name, e.By, e.Why)
}

func (e Entry) concerns(on Scope) bool {
	named := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	return named(e.Tenants, string(on.Tenant)) && named(e.Services, on.Service) && named(e.Environments, on.Environment) &&
		(len(e.Countries) == 0 || slices.ContainsFunc(on.Countries, func(c string) bool {
			return slices.ContainsFunc(e.Countries, func(o string) bool { return strings.EqualFold(c, o) })
		}))
}

// holds says whether the entry holds at the instant, and when that may change;
// zero: never again, or later than so many days ahead.
func (e *compiled) holds(at time.Time, ahead int) (in bool, until time.Time) {
	switch {
	case !e.EndsAt.IsZero() && !at.Before(e.EndsAt):
		return false, time.Time{}
	case at.Before(e.StartsAt):
		return false, e.StartsAt
	case e.Weekly != nil:
		in, until = rota.Within([]catalog.Hours{e.hours}, e.zone, at)
	case e.Dates != nil:
		in, until = e.onDates(at, ahead)
	default:
		return true, e.EndsAt
	}
	if e.EndsAt.IsZero() || !until.IsZero() && until.Before(e.EndsAt) {
		return in, until
	}
	if !in { // it would begin again after it is over
		return false, time.Time{}
	}
	return true, e.EndsAt
}
