package oncall

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/channel"
)

// Facts are what a page tells of its incident. The fields are those of the
// incident's own type of this name, so that one converts into the other.
type Facts struct {
	Incident    string
	Number      int
	Headline    string
	Summary     string // what the policy says that the rule's alert means
	Severity    string
	Since       time.Time
	Said        string   // why it fired, where nothing is counted
	Counted     string   // "412 of 420 attempts failed"; empty: nothing was
	Usual       string   // "1.2%"
	Tenants     []string // those with most failures, at most five
	TenantCount int
	Owner       string
	Runbook     string
}

// Links are the addresses in a page; empty ones are left out. Acknowledge is
// bound to this person and page: opening it changes nothing.
type Links struct {
	Incident     string
	Dashboard    string
	Ticket       string
	TicketNumber string // shown also without a link
	Acknowledge  string
}

const (
	maxSubject = 120 // runes
	topTenants = 5
)

// Text writes the page, short lines first things first; it is enough without a
// network. picture may be nil.
func Text(p Page, f Facts, l Links, picture *channel.Picture) channel.Page {
	headline := oneLine(f.Headline)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", headline)
	if f.Summary != "" {
		line("%s", oneLine(f.Summary))
	}
	line("")
	line("Since %s, %s", both(f.Since, p.TimeZone), day(f.Since, p.TimeZone))
	if f.Said != "" {
		line("%s", oneLine(f.Said))
	}
	if f.Counted != "" {
		line("%s", oneLine(f.Counted))
		line("Usual: %s", oneLine(f.Usual))
	}
	if len(f.Tenants) > 0 {
		line("")
		line("Tenants: %d", f.TenantCount)
		shown := f.Tenants[:min(topTenants, len(f.Tenants))]
		for _, t := range shown {
			line("- %s", oneLine(t))
		}
		if more := f.TenantCount - len(shown); more > 0 {
			line("- and %d more", more)
		}
	}
	line("")
	line("Severity: %s", f.Severity)
	line("Why you: %s", oneLine(p.Why))
	if f.Owner != "" {
		line("Why your team: %s", oneLine(f.Owner))
	}
	for _, l := range p.Place.lines(p.TimeZone) {
		line("%s", oneLine(l))
	}
	line("")
	links := []channel.Link{}
	add := func(name, label, url string) {
		if url != "" {
			links = append(links, channel.Link{Name: name, URL: url})
		}
		if text := strings.TrimSpace(label + " " + url); text != "" {
			line("%s: %s", name, text)
		}
	}
	add("Runbook", "", oneLine(f.Runbook))
	add("Dashboard", "", l.Dashboard)
	number := ""
	if l.TicketNumber != "" {
		number = "#" + strings.TrimPrefix(oneLine(l.TicketNumber), "#")
	}
	add("Ticket", number, l.Ticket)
	add("Incident", fmt.Sprintf("%d", f.Number), l.Incident)
	if l.Acknowledge != "" {
		line("")
		line("Acknowledge (opens a page with a button):")
		line("%s", l.Acknowledge)
	}
	return channel.Page{ID: string(p.ID), Key: p.Key, To: p.To, Name: p.PersonName, Subject: cut(headline, maxSubject),
		Text: strings.TrimRight(b.String(), "\n") + "\n", AckURL: l.Acknowledge, Links: links, Picture: picture, ThreadKey: p.Environment + "/" + p.Incident, About: p.about(f.Severity)}
}

func (p Page) about(severity string) channel.About {
	return channel.About{Incident: p.Incident, Number: p.Number, Environment: p.Environment, Severity: severity, Team: string(p.Team), Person: string(p.Person),
		RequestedAt: p.RequestedAt, Step: p.Place.Step, Steps: p.Place.Steps, Round: p.Place.Round, LastResort: p.Place.LastResort}
}

// lines say which step of the escalation the page is, who was asked before and
// what follows.
func (p Place) lines(zone string) []string {
	if p.Step == 0 {
		return nil
	}
	where := fmt.Sprintf("step %d of %d", p.Step, p.Steps)
	if p.Rounds > 1 {
		where += fmt.Sprintf(", round %d of %d", p.Round, p.Rounds)
	}
	if p.LastResort {
		where = "you are the last resort"
	}
	out := []string{"Escalation: " + where}
	for _, a := range p.Asked {
		out = append(out, fmt.Sprintf("Asked before you: %s at %s, %s", a.Name, both(a.At, zone), a.Result))
	}
	if p.Then != "" {
		out = append(out, "Then: "+p.Then)
	}
	return out
}

// span is a duration as a person reads it.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Hours()), ".0") + " h"
}

func day(t time.Time, zone string) string {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	return t.In(loc).Format("Mon 2 Jan")
}

// oneLine keeps what came from outside on its line.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}

func cut(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return s
}
