package oncall

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/rota"
	"github.com/tocsin-alerting/tocsin/store"
)

// DrillKind and DrillVersion name the shape of a stored Drill.
const (
	DrillKind    = "drill"
	DrillVersion = 1
)

// DrillTimer is the kind of the timer after which DrillOver is to be called; its
// subject is the drill's id.
const DrillTimer = "oncall.drill"

// DrillTime is how long a drill waits for the acknowledgement.
const DrillTime = 15 * time.Minute

// DrillState is where a drill stands.
type DrillState string

// The states.
const (
	DrillWaiting DrillState = "waiting"
	DrillPassed  DrillState = "passed"
	DrillFailed  DrillState = "failed"
)

// Drill is a test of the way to whoever is on call: a marked page through the
// real channels, also of a team that is observed, and its acknowledgement.
type Drill struct {
	ID          string           `json:"id"` // "drl_" and a lower-case ULID
	Environment string           `json:"environment"`
	Team        catalog.TeamID   `json:"team"`
	Person      catalog.PersonID `json:"person"`
	PersonName  string           `json:"person_name"`
	Page        PageID           `json:"page"`
	State       DrillState       `json:"state"`
	StartedAt   time.Time        `json:"started_at"`
	StartedBy   string           `json:"started_by"`
	EndsAt      time.Time        `json:"ends_at"` // not acknowledged until then: failed
	FinishedAt  *time.Time       `json:"finished_at"`
	Detail      string           `json:"detail"` // how it went
}

// DrillChange is what a decision about a drill brings.
type DrillChange struct {
	Drill   Drill
	Page    *PageChange // nil: the page stays as it is
	Ledger  []ledger.Entry
	Timers  []store.Timer
	Changed bool
}

// StartDrill begins one for the person on duty.
func StartDrill(environment string, d rota.Duty, by string, patience time.Duration, channels []string, now time.Time) DrillChange {
	now = now.UTC()
	c := DrillChange{Changed: true, Drill: Drill{ID: newDrillID(now, string(d.Team)+by), Environment: environment, Team: d.Team, Person: d.Person.ID, PersonName: d.Person.Name,
		State: DrillWaiting, StartedAt: now, StartedBy: by, EndsAt: now.Add(DrillTime)}}
	p := Request(Wanted{Environment: environment, Team: d.Team, Transition: "drill/" + c.Drill.ID, Reason: "a drill, asked for by " + by, Live: true, At: now, NotAfter: c.Drill.EndsAt},
		d, Place{Drill: c.Drill.ID}, patience, channels, now)
	c.Page, c.Drill.Page = &p, p.Page.ID
	c.Timers = []store.Timer{{ID: "drill/" + c.Drill.ID, At: c.Drill.EndsAt, Subject: c.Drill.ID, Kind: DrillTimer}}
	c.log("drill.started", by, fmt.Sprintf("drill for team %s: %s is called by every contact in order; %s", d.Team, p.Page.PersonName, d.Reason))
	if p.Page.State == Failed {
		c.finish(DrillFailed, "tocsin", p.Page.Detail+"; add the channel to tocsin.yaml or a contact to the catalog", now)
	}
	return c
}

func newDrillID(now time.Time, seed string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "drill\x00%s\x00%d", seed, now.UnixNano()))
	var u ulid.ULID
	_ = u.SetTime(ulid.Timestamp(now)) // fails after the year 10889 only
	_ = u.SetEntropy(sum[:10])
	return "drl_" + strings.ToLower(u.String())
}

func (c *DrillChange) log(kind, actor, reason string) {
	d := c.Drill
	c.Ledger = append(c.Ledger, ledger.Entry{Subject: "team/" + string(d.Team), Refs: []string{"drill/" + d.ID, d.Page.Subject(), "person/" + string(d.Person)}, Kind: kind, Actor: actor, Reason: reason})
}

func (c *DrillChange) finish(s DrillState, actor, detail string, now time.Time) {
	at := now.UTC()
	c.Drill.State, c.Drill.FinishedAt, c.Drill.Detail, c.Changed = s, &at, detail, true
	c.Timers = append(c.Timers, store.Timer{ID: "drill/" + c.Drill.ID, Subject: c.Drill.ID, Kind: DrillTimer})
	c.log("drill."+string(s), actor, detail)
}

// Drilled takes how its page stands: acknowledged, the drill has passed;
// failed, or not delivered by any contact in time, the drill has failed.
func Drilled(d Drill, p Page, now time.Time) DrillChange {
	c := DrillChange{Drill: d}
	switch {
	case d.State != DrillWaiting:
	case p.State == Acknowledged:
		c.finish(DrillPassed, "person:"+string(p.By), fmt.Sprintf("%s acknowledged by %s, %s after it began", p.AcknowledgedBy, p.Channel, span(now.Sub(d.StartedAt))), now)
	case p.State == Failed, p.Unreached:
		c.finish(DrillFailed, "tocsin", fmt.Sprintf("%s could not be reached: %s", p.PersonName, p.Detail), now)
	}
	return c
}

// DrillOver is called by the timer: nobody acknowledged. The page, when it was
// not sent yet, is withdrawn.
func DrillOver(d Drill, p Page, now time.Time) DrillChange {
	c := DrillChange{Drill: d}
	if d.State != DrillWaiting {
		return c
	}
	c.finish(DrillFailed, "tocsin", fmt.Sprintf("%s did not acknowledge within %s; the page is %s", p.PersonName, span(now.Sub(d.StartedAt)), p.State), now)
	w := Withdraw(p, "the drill is over", now)
	c.Page = &w
	return c
}

// DrillText writes a drill's page. It says first of all that it is one.
func DrillText(p Page, acknowledge string) channel.Page {
	subject := "DRILL for team " + string(p.Team) + ": nothing is broken, please acknowledge"
	lines := []string{subject, "", "This is a test of the way to you. It was asked for at " + both(p.RequestedAt, p.TimeZone) + ".", "Why you: " + oneLine(p.Why), "",
		"Acknowledge (opens a page with a button):", acknowledge, ""}
	a := p.about("")
	a.Drill, a.Incident = true, ""
	return channel.Page{ID: string(p.ID), Key: p.Key, To: p.To, Name: p.PersonName, Subject: cut(subject, maxSubject), Text: strings.Join(lines, "\n"),
		AckURL: acknowledge, Links: []channel.Link{}, ThreadKey: "drill/" + p.Place.Drill, About: a}
}
