package view

import (
	"io"
	"time"
)

// CalendarPage is what was announced.
type CalendarPage struct {
	Frame
	// Tenant is whose entries are shown, in words; empty: all.
	Tenant, All string // All links to the rest
	Holding     []Announced
	Coming      []Announced // the next first
	Over        []Announced
}

// Announced is one entry.
type Announced struct {
	Name    string
	Follows string // what follows
	When    string
	Whom    string
	Tenants int       // that it concerns
	At      time.Time // when it ends or begins next; zero: never
	Why, By string
	Behind  string   // the entry that counts where both hold
	Holds   []string // what waits or is silent because of it
}

// Calendar writes the calendar's page.
func (v *Views) Calendar(w io.Writer, p CalendarPage) error { return v.write(w, "calendar", p) }
