package oncall

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rota"
	"github.com/tocsin-alerting/tocsin/store"
)

// EscalationKind and EscalationVersion name the shape of a stored Escalation.
const (
	EscalationKind    = "escalation"
	EscalationVersion = 1
)

// EscalateTimer is the kind of the timer after which Escalate is to be called;
// its subject is the incident's id.
const EscalateTimer = "oncall.escalate"

// Phase is where an escalation stands.
type Phase string

// The phases. Waiting: for the team's working hours. Through: everybody was
// asked, and the incident is still nobody's.
const (
	Waiting Phase = "waiting"
	Calling Phase = "calling"
	Through Phase = "through"
	Ended   Phase = "ended"
)

// Escalation is how far the calls for one transition of an incident have gone.
// Who a step calls is found when it is taken.
type Escalation struct {
	Wanted Wanted    `json:"wanted"`
	Phase  Phase     `json:"phase"`
	Round  int       `json:"round"` // from 1
	Step   int       `json:"step"`  // taken last; 1 is the person on call, 0: none yet
	Last   bool      `json:"last"`  // the last resort was called
	Asked  []Asked   `json:"asked"` // oldest first
	Page   PageID    `json:"page"`  // the newest
	NextAt time.Time `json:"next_at"`
	Why    string    `json:"why"` // what the next step waits for, or why there is none
}

// Book is what deciding whom to call needs beside the escalation.
type Book struct {
	Roster   rota.Roster
	Channels []string // names of those configured
	Live     bool     // the team is paged for real at this moment; else it is only recorded
}

// Calls is what a decision about an escalation brings. Everything in it belongs
// in one commit.
type Calls struct {
	Escalation Escalation
	Pages      []PageChange // new ones, in order
	Ledger     []ledger.Entry
	Timers     []store.Timer // set, or removed by a zero At
	Notes      []Note        // for the ticket
	// Nobody says, when not empty, that nobody is left to call, and what to do.
	Nobody  string
	Changed bool
}

// Note is a line for the ticket; Key makes it stand there once.
type Note struct{ Key, Text string }

type callBuild struct {
	Calls
	book Book
	team catalog.Team
	now  time.Time
}

func build(e Escalation, b Book, now time.Time) *callBuild {
	e.Asked = slices.Clone(e.Asked)
	team, _ := b.Roster.Catalog.Team(e.Wanted.Team)
	return &callBuild{Calls: Calls{Escalation: e}, book: b, team: team, now: now.UTC()}
}

func (b *callBuild) log(kind, reason string, refs ...string) {
	e := &b.Escalation
	b.Ledger = append(b.Ledger, ledger.Entry{At: b.now, Subject: "incident/" + e.Wanted.Incident, Refs: append(refs, "team/"+string(e.Wanted.Team)), Kind: "escalation." + kind, Reason: reason})
}

// timer sets the escalation's timer to NextAt; a zero NextAt takes it away.
func (b *callBuild) timer() {
	b.Timers = append(b.Timers, store.Timer{ID: "incident/" + b.Escalation.Wanted.Incident + "/escalate", At: b.Escalation.NextAt, Subject: b.Escalation.Wanted.Incident, Kind: EscalateTimer})
	b.Changed = true
}

// Begin takes the wish that somebody of a team is called. What is urgent calls
// at once; a warning calls in the team's working hours, else waits for them.
func Begin(w Wanted, book Book, now time.Time) Calls {
	b := build(Escalation{Wanted: w, Phase: Calling, Round: 1, Asked: []Asked{}}, book, now)
	if w.Except != "" && len(b.team.Escalation) == 0 && b.team.LastResort.Zero() {
		b.Escalation.Wanted.Except = "" // there is nobody else to ask
	}
	if x := b.Escalation.Wanted.Except; x != "" {
		b.Escalation.Asked = append(b.Escalation.Asked, Asked{Person: x, Name: b.name(x), At: b.now, Round: 1, Result: w.Reason})
	}
	b.hours()
	return b.Calls
}

// hours calls the first, unless it is a warning outside the working hours.
func (b *callBuild) hours() {
	e := &b.Escalation
	if !e.Wanted.Urgent {
		in, until, words := rota.Working(b.team.WorkingHours, b.now)
		if !in {
			e.Phase, e.NextAt = Waiting, until.UTC()
			e.Why = fmt.Sprintf("severity warning calls only in the working hours of team %s (%s)", e.Wanted.Team, words)
			when := "they never begin"
			if !until.IsZero() {
				when = "it waits until " + day(until, b.team.WorkingHours.TimeZone) + ", " + both(until, b.team.WorkingHours.TimeZone)
			}
			b.log("waits", e.Why+": "+when)
			b.Notes = append(b.Notes, Note{"escalation/" + e.Wanted.Transition + "/waits", "Nobody is called yet: " + e.Why + "; " + when + "."})
			b.timer()
			return
		}
	}
	e.Phase = Calling
	b.advance("")
}

// Escalate is called by the timer, while nobody has the incident: the working
// hours have begun, or whoever was asked last did not acknowledge in time.
func Escalate(e Escalation, book Book, now time.Time) Calls {
	b := build(e, book, now)
	switch {
	case e.NextAt.IsZero() || b.now.Before(e.NextAt):
		// moved or taken away since
	case e.Phase == Waiting:
		b.hours()
	case e.Phase == Calling:
		b.advance("nobody acknowledged" + b.since())
	}
	return b.Calls
}

func (b *callBuild) since() string {
	if n := len(b.Escalation.Asked); n > 0 {
		return " within " + span(b.now.Sub(b.Escalation.Asked[n-1].At))
	}
	return ""
}

// Unreached takes that a page could not be delivered: the next step is taken at
// once, when it is the newest page.
func Unreached(e Escalation, p Page, book Book, now time.Time) Calls {
	b := build(e, book, now)
	if e.Phase != Calling || e.Page != p.ID {
		return b.Calls
	}
	for n := range b.Escalation.Asked {
		if b.Escalation.Asked[n].Page == p.ID {
			b.Escalation.Asked[n].Result = "could not be reached"
		}
	}
	b.advance(p.PersonName + " could not be reached by " + p.Channel)
	return b.Calls
}

// End takes that somebody has the incident, or that it is over: nobody else is
// asked.
func End(e Escalation, why string, now time.Time) Calls {
	b := build(e, Book{Roster: rota.Roster{Catalog: &catalog.Catalog{}}}, now)
	if e.Phase == Ended {
		return b.Calls
	}
	b.Escalation.Phase, b.Escalation.NextAt, b.Escalation.Why = Ended, time.Time{}, why
	b.timer()
	return b.Calls
}

// advance takes the next step that reaches for somebody; why says what ended
// the one before, empty for the first.
func (b *callBuild) advance(why string) {
	e := &b.Escalation
	for b.step() {
		d, reason, err := b.duty()
		if err != nil {
			p := problem.From(err)
			b.log("skipped", fmt.Sprintf("%s calls nobody: %s (%s)", b.place(), p.Message, p.Hint))
			continue
		}
		if before, asked := b.asked(d.Person.ID); asked && !e.Last {
			b.log("skipped", fmt.Sprintf("%s would be %s, who was asked already at %s: %s", b.place(), b.name(d.Person.ID), both(before.At, "UTC"), before.Result), "person/"+string(d.Person.ID))
			continue
		}
		if b.call(d, reason, why) {
			return
		}
		why = "no contact of " + b.name(d.Person.ID) + " can be used"
	}
	e.Phase, e.NextAt = Through, time.Time{}
	e.Why = "everybody was asked"
	if e.Page == "" || why != "" && !strings.HasPrefix(why, "nobody acknowledged") {
		b.Nobody = strings.TrimPrefix(why+"; ", "; ") + "there is nobody left to call; list a last_resort, more steps or more contacts in the catalog"
	}
	b.log("through", strings.TrimPrefix(why+"; ", "; ")+"everybody was asked; the incident stays open and waits for somebody to see it")
	if b.Nobody == "" {
		b.Notes = append(b.Notes, Note{"escalation/" + e.Wanted.Transition + "/through", "Everybody was called and nobody has it. It waits for somebody to see it."})
	}
	b.timer()
}

// step moves to the next step of the round, of the next round, or to the last
// resort; false when there is none.
func (b *callBuild) step() bool {
	e := &b.Escalation
	switch {
	case e.Last:
		return false
	case e.Step < 1+len(b.team.Escalation):
		e.Step++
	case e.Wanted.Urgent && e.Round < b.team.EscalationRounds:
		e.Round, e.Step = e.Round+1, 1
	case e.Wanted.Urgent && !b.team.LastResort.Zero():
		e.Last = true
	default:
		return false
	}
	return true
}

// following is what comes after the present step, which calls a person, and how
// long that one has; empty when nothing follows. Who was asked already is left
// out of the words.
func (b *callBuild) following(called catalog.PersonID) (after time.Duration, words string) {
	next := *b
	if !next.Escalation.Wanted.Urgent || !next.step() {
		return 0, ""
	}
	e, steps := next.Escalation, b.team.Escalation
	switch {
	case e.Last:
		after = b.team.LastResort.After
	case e.Step >= 2:
		after = steps[e.Step-2].After
	case len(steps) > 0: // another round
		after = steps[len(steps)-1].After
	}
	after = cmp.Or(after, catalog.DefaultAfter)
	for {
		d, _, err := next.duty()
		_, asked := next.asked(d.Person.ID)
		asked = asked || d.Person.ID == called && next.Escalation.Round == b.Escalation.Round
		if err == nil && (!asked || next.Escalation.Last) {
			return after, fmt.Sprintf("%s, %s, is called when nobody acknowledges within %s", next.name(d.Person.ID), next.place(), span(after))
		}
		if !next.step() {
			return 0, ""
		}
	}
}

// duty is who the present step calls, and why that person.
func (b *callBuild) duty() (d rota.Duty, reason string, err error) {
	e, r := b.Escalation, b.book.Roster
	if e.Last {
		l := b.team.LastResort
		if l.Team != "" {
			d, err = r.Who(l.Team, b.now)
			return d, "last resort of team " + string(b.team.ID) + ": " + d.Reason, err
		}
		return b.person(l.Person, "last resort of team "+string(b.team.ID))
	}
	if e.Step == 1 {
		d, err = r.Who(e.Wanted.Team, b.now)
		return d, d.Reason, err
	}
	s := b.team.Escalation[e.Step-2]
	if s.Schedule != "" {
		d, err = r.OnSchedule(e.Wanted.Team, s.Schedule, b.now)
		return d, d.Reason, err
	}
	return b.person(s.Person, "named by the escalation of team "+string(b.team.ID))
}

func (b *callBuild) person(id catalog.PersonID, reason string) (rota.Duty, string, error) {
	p, ok := b.book.Roster.Catalog.Person(id)
	if !ok {
		return rota.Duty{}, "", problem.New(problem.NotFound, "the person is not in the catalog").WithHint("add the person to people, then reload")
	}
	return rota.Duty{Team: b.team.ID, Person: p, Reason: reason}, reason, nil
}

func (b *callBuild) asked(id catalog.PersonID) (Asked, bool) {
	n := slices.IndexFunc(b.Escalation.Asked, func(a Asked) bool { return a.Person == id && a.Round == b.Escalation.Round })
	if n < 0 {
		return Asked{}, false
	}
	return b.Escalation.Asked[n], true
}

// call asks for the page of the present step; false when the person cannot be
// reached at all.
func (b *callBuild) call(d rota.Duty, reason, why string) bool {
	e := &b.Escalation
	w := e.Wanted
	w.Live = w.Live && b.book.Live // what opened observed stays so, and what is observed by now is too
	w.At, w.NotAfter = b.now, b.now.Add(w.NotAfter.Sub(w.At))
	if why != "" {
		w.Reason = why
	}
	if e.Step > 1 || e.Round > 1 || e.Last {
		w.Transition += fmt.Sprintf("/round/%d/step/%d", e.Round, e.Step)
	}
	if e.Last {
		w.Transition += "/last"
	}
	d.Team, d.Reason = w.Team, reason
	after, then := b.following(d.Person.ID)
	if then == "" && w.Urgent {
		then = "nobody is called after you"
	}
	p := Request(w, d, Place{Step: e.Step, Steps: 1 + len(b.team.Escalation), Round: e.Round, Rounds: max(1, b.team.EscalationRounds), LastResort: e.Last, Asked: e.Asked, Then: then},
		cmp.Or(b.team.UnreachableAfter, catalog.DefaultUnreachable), b.book.Channels, b.now)
	b.Pages = append(b.Pages, p)
	result := "no answer"
	reached := p.Page.State != Failed
	switch p.Page.State {
	case Failed:
		result = "could not be reached"
	case Observed:
		result = "would have been called"
	}
	e.Asked = append(e.Asked, Asked{Person: d.Person.ID, Name: p.Page.PersonName, Page: p.Page.ID, At: b.now, Round: e.Round, Result: result})
	e.Page = p.Page.ID
	if why != "" {
		b.log("step", fmt.Sprintf("%s: %s is called, because %s", b.place(), p.Page.PersonName, why), p.Page.ID.Subject(), "person/"+string(d.Person.ID))
		b.Notes = append(b.Notes, Note{"escalation/" + w.Transition, "Escalated, because " + why + ": " + p.Page.PersonName + ", " + b.place() + "."})
	}
	if !reached {
		return false
	}
	e.NextAt, e.Why = time.Time{}, then
	if after > 0 {
		e.NextAt = b.now.Add(after)
	}
	b.timer()
	return true
}

// place names the present step.
func (b *callBuild) place() string {
	e := b.Escalation
	if e.Last {
		return "the last resort"
	}
	s := fmt.Sprintf("step %d of %d", e.Step, 1+len(b.team.Escalation))
	if b.team.EscalationRounds > 1 {
		s += fmt.Sprintf(" in round %d of %d", e.Round, b.team.EscalationRounds)
	}
	return s
}

func (b *callBuild) name(id catalog.PersonID) string {
	if p, ok := b.book.Roster.Catalog.Person(id); ok && p.Name != "" {
		return p.Name
	}
	return string(id)
}
