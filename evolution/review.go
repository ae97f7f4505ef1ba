package evolution

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Wait is a proposal that only a person can decide about.
type Wait struct {
	Tenant string    `json:"tenant"`
	Name   string    `json:"name"`
	Team   string    `json:"team"` // that is told
	Number int       `json:"number"`
	From   string    `json:"from"` // tiers
	To     string    `json:"to"`
	Cause  string    `json:"cause"`
	Held   string    `json:"held"` // why it is not promoted by itself
	Since  time.Time `json:"since"`
}

// Review is the one notice that a team has of all that waits for it.
type Review struct {
	Number  int        `json:"number"`  // of notices so far
	Version uint64     `json:"version"` // grows with every change
	Open    bool       `json:"open"`
	Title   string     `json:"title"`
	Text    string     `json:"text"`
	Notes   []Reminder `json:"notes"` // of this notice, the oldest first
	NextAt  time.Time  `json:"next_at"`
}

// Reminder is what is said of a notice that nobody heeds.
type Reminder struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

const (
	remindEvery = 7 * 24 * time.Hour
	named       = 20 // waits of a notice
	reminders   = 52 // of a notice
)

// Look brings the notice up to date with what waits, the longest first: one is begun
// with the first, kept for as long as there is any, reminded of once a week, and over
// with the last.
func (r Review) Look(waits []Wait, now time.Time) (next Review, changed bool) {
	switch {
	case len(waits) == 0 && !r.Open:
		return r, false
	case len(waits) == 0:
		r.Open, r.NextAt, r.Version = false, time.Time{}, r.Version+1
		r.Text = "Nothing waits any more."
		return r, true
	case !r.Open:
		r = Review{Number: r.Number + 1, Version: r.Version, Open: true, Notes: []Reminder{}, NextAt: now.UTC().Add(remindEvery)}
	case !now.Before(r.NextAt):
		r.NextAt, changed = now.UTC().Add(remindEvery), true
		r.Notes = append(slices.Clone(r.Notes), Reminder{now.UTC(), fmt.Sprintf("%s still, the longest since %s.", waiting(len(waits)), clock(waits[0].Since))})
		r.Notes = r.Notes[max(0, len(r.Notes)-reminders):]
	}
	title, text := waiting(len(waits)), words(waits)
	if !changed && title == r.Title && text == r.Text {
		return r, false
	}
	r.Title, r.Text, r.Version = title, text, r.Version+1
	return r, true
}

func waiting(n int) string {
	if n == 1 {
		return "1 tenant's profile waits for somebody to decide"
	}
	return fmt.Sprintf("%d tenants' profiles wait for somebody to decide", n)
}

func words(waits []Wait) string {
	var b strings.Builder
	b.WriteString("Nothing is broken: these tenants are watched as before until somebody promotes or refuses what is proposed.\n\n")
	for _, w := range waits[:min(len(waits), named)] {
		name := w.Tenant
		if w.Name != "" && w.Name != w.Tenant {
			name += " (" + w.Name + ")"
		}
		fmt.Fprintf(&b, "- %s: tier %s instead of %s, because %s. It waits since %s: %s.\n", name, w.To, w.From, w.Cause, clock(w.Since), w.Held)
	}
	if more := len(waits) - named; more > 0 {
		fmt.Fprintf(&b, "- and %d more: tocsin profile waiting lists them all\n", more)
	}
	b.WriteString("\ntocsin profile explain TENANT shows the record, tocsin profile promote TENANT --reason TEXT puts it in force, tocsin profile refuse TENANT --reason TEXT drops it.\n")
	return b.String()
}
