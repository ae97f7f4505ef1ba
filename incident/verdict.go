package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/itsm"
)

// Judgement is a person's verdict on an incident: the newest counts.
type Judgement struct {
	Verdict alert.Verdict `json:"verdict"`
	Reason  string        `json:"reason"` // may be empty
	By      Actor         `json:"by"`
	Via     string        `json:"via"` // view, api, ticket
	At      time.Time     `json:"at"`
}

// Judge takes a person's verdict; reason may be empty. Of what nobody has, whoever calls
// it anything but real has it: nobody else is called for that. Said again of the same
// alerts it changes nothing, and said is false.
func Judge(i Incident, by Actor, via string, v alert.Verdict, reason string, now time.Time) (c Change, said bool) {
	was, reason := i.Verdict, cut(reason, maxNoteRunes)
	first := begin(i, now).done()
	if was != nil && was.Verdict == v && (reason == "" || reason == was.Reason) &&
		!slices.ContainsFunc(i.Alerts, func(a alert.Alert) bool { return a.StartsAt.After(was.At) }) {
		return first, false
	}
	if i.State == StateOpen && v != alert.VerdictReal {
		first, _ = Acknowledge(i, by, via, now)
	}
	b := begin(first.Incident, now)
	b.Incident.Verdict = &Judgement{Verdict: v, Reason: reason, By: by, Via: via, At: b.now}
	why := fmt.Sprintf("%s says that it was %s", by, v.Words())
	if was != nil && was.Verdict != v {
		why += fmt.Sprintf(", not %s as %s said", was.Verdict.Words(), was.By)
	}
	if reason != "" {
		why += ": " + cut(reason, 500)
	}
	b.logData("verdict", actorName(by), why, map[string]any{"verdict": v}, teamSubject(i.Team))
	b.note(fmt.Sprintf("verdict/%d", b.Incident.Version+1), why+".", nil)
	b.Changed = true
	return after(first, b.done()), true
}

// TicketJudged takes what the resolution of a ticket says that it was. What a person has
// said here stands: somebody who answered the question knows better than a field that had
// to be filled in to close a ticket.
func TicketJudged(i Incident, seen itsm.Observed, by Actor, v alert.Verdict, now time.Time) (c Change, said bool) {
	if i.ReopenedAt != nil && seen.At.Before(i.ReopenedAt.Truncate(time.Second)) {
		return begin(i, now).done(), false // about the life before it was reopened
	}
	by = observer(seen, by)
	if was := i.Verdict; was != nil && was.Via != viaTicket {
		b := begin(i, now)
		if was.Verdict != v {
			b.log("verdict_kept", actorName(by), fmt.Sprintf("the ticket says %q, which means %s; what %s said here stands: %s", cut(seen.Resolution, 100), v.Words(), was.By, was.Verdict.Words()))
		}
		return b.done(), false
	}
	return Judge(i, by, viaTicket, v, fmt.Sprintf("ticket %s is resolved as %q", seen.Ref.Number, cut(seen.Resolution, 100)), now)
}

// viaTicket is how a word came that was read from the ticket.
const viaTicket = "ticket"

func teamSubject(t catalog.TeamID) string { return "team/" + string(t) }

// Record is how a team was called over a time, by what people said of it since.
type Record struct {
	Called    int `json:"called"` // incidents that somebody was called for, or would have been
	False     int `json:"false"`
	Real      int `json:"real"`
	Expected  int `json:"expected"`
	Duplicate int `json:"duplicate"`
	Unsaid    int `json:"unsaid"` // nobody has said
}

// Recorded counts the incidents of a team that somebody was called for and that opened
// at since or later.
func Recorded(list []Incident, team catalog.TeamID, since time.Time) (r Record) {
	for _, i := range list {
		if i.Team != team || i.OpenedAt.Before(since) || !i.Paged && len(i.Pages) == 0 {
			continue
		}
		r.Called++
		switch {
		case i.Verdict == nil && i.merged():
			r.Duplicate++
		case i.Verdict == nil:
			r.Unsaid++
		case i.Verdict.Verdict == alert.VerdictFalse:
			r.False++
		case i.Verdict.Verdict == alert.VerdictReal:
			r.Real++
		case i.Verdict.Verdict == alert.VerdictExpected:
			r.Expected++
		default:
			r.Duplicate++
		}
	}
	return r
}

// merged says whether it was closed as part of another.
func (i Incident) merged() bool { return strings.HasPrefix(i.ResolutionReason, duplicateOf) }

// Words say it in a sentence, against what the team bears: false pages in that time.
func (r Record) Words(bears float64) string {
	if r.Called == 0 {
		return fmt.Sprintf("nobody was called in four weeks; its budget allows for %.3g false pages in that time", bears)
	}
	was := []string{fmt.Sprintf("%d were false, where the budget allows for %.3g", r.False, bears), fmt.Sprintf("%d real", r.Real)}
	for _, more := range []struct {
		n    int
		what string
	}{{r.Expected, "expected"}, {r.Duplicate, "part of another"}} {
		if more.n > 0 {
			was = append(was, fmt.Sprintf("%d %s", more.n, more.what))
		}
	}
	out := fmt.Sprintf("called %d time(s) in four weeks: by what people said %s", r.Called, strings.Join(was, ", "))
	if r.Unsaid > 0 {
		out += fmt.Sprintf("; of %d nobody has said what it was", r.Unsaid)
	}
	return out
}
