// Package calling has the commands about who is on call: asking, changing, drills, and
// whether a team is paged for real.
package calling

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/duty"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rota"
)

// OnCall has the commands about who is on call.
type OnCall struct {
	Now      oncallNow      `cmd:"" help:"Say who is on call."`
	Next     oncallNext     `cmd:"" help:"Say who is on call next."`
	At       oncallAt       `cmd:"" help:"Say who was, or will be, on call at a time."`
	Shifts   oncallShifts   `cmd:"" help:"List the shifts of a schedule or a person."`
	Override overrideCmd    `cmd:"" help:"Put somebody else on call for a while."`
	Calendar oncallCalendar `cmd:"" help:"Print the secret address of a calendar to subscribe to."`
}

const timeHelp = "RFC 3339, or local like 2026-01-05T09:00"

// instant is a time given on the command line.
type instant struct{ time.Time }

// UnmarshalText reads RFC 3339, or a local date and time.
func (i *instant) UnmarshalText(text []byte) (err error) {
	if i.Time, err = time.Parse(time.RFC3339, string(text)); err == nil {
		return nil
	}
	if i.Time, err = time.ParseInLocation("2006-01-02T15:04", string(text), time.Local); err != nil {
		return problem.New(problem.Invalid, "a time is %s", timeHelp)
	}
	return nil
}

func (i instant) text() string {
	if i.IsZero() {
		return ""
	}
	return i.Format(time.RFC3339)
}

func local(t time.Time) string { return t.Local().Format("Mon 2 Jan 2006 15:04 MST") }

func onCall(ctx context.Context, c *console.Client, team string, at instant) ([]duty.OnCallAnswer, error) {
	return console.All[duty.OnCallAnswer](ctx, c, "/api/v1/oncall?"+url.Values{"team": {team}, "at": {at.text()}}.Encode())
}

// turn is a row of a team.
func turn(a duty.OnCallAnswer, d *duty.TurnAnswer, nobody string) []string {
	called := "observed"
	if a.Live {
		called = "live"
	}
	if d == nil {
		return []string{a.Team, "nobody", "", "", called, nobody}
	}
	until := "no end"
	if d.Until != nil {
		until = local(*d.Until)
	}
	return []string{a.Team, cmp.Or(d.PersonName, d.Person), local(d.From), until, called, d.Reason}
}

var dutyHeader = []string{"TEAM", "ON CALL", "FROM", "UNTIL", "TEAM IS", "WHY"}

type oncallNow struct {
	Team string `help:"One team; default: all." placeholder:"TEAM"`
}

func (o oncallNow) Run(ctx context.Context, c *console.Client) error {
	return oncallAt{Team: o.Team}.Run(ctx, c)
}

type oncallAt struct {
	At   instant `arg:"" help:"Time: RFC 3339, or local like 2026-01-05T09:00."`
	Team string  `help:"One team; default: all." placeholder:"TEAM"`
}

func (o oncallAt) Run(ctx context.Context, c *console.Client) error {
	list, err := onCall(ctx, c, o.Team, o.At)
	if err != nil {
		return err
	}
	rows := make([][]string, len(list))
	for i, a := range list {
		rows[i] = turn(a, a.Now, a.Problem)
	}
	return c.Print(list, dutyHeader, rows)
}

type oncallNext struct {
	Team string `help:"One team; default: all." placeholder:"TEAM"`
}

func (o oncallNext) Run(ctx context.Context, c *console.Client) error {
	list, err := onCall(ctx, c, o.Team, instant{})
	if err != nil {
		return err
	}
	rows := make([][]string, len(list))
	for i, a := range list {
		rows[i] = turn(a, a.Next, "nobody follows")
	}
	return c.Print(list, dutyHeader, rows)
}

type oncallShifts struct {
	Schedule string  `help:"Schedule." placeholder:"SCHEDULE" xor:"what" required:""`
	Person   string  `help:"Person, in every schedule." placeholder:"PERSON" xor:"what" required:""`
	From     instant `help:"Begin of the span; default: now." placeholder:"TIME"`
	To       instant `help:"End of the span; default: four weeks after its begin." placeholder:"TIME"`
}

func (o oncallShifts) Run(ctx context.Context, c *console.Client) error {
	q := url.Values{"schedule": {o.Schedule}, "person": {o.Person}, "from": {o.From.text()}, "to": {o.To.text()}}
	var list struct {
		Items []duty.ShiftAnswer `json:"items"`
	}
	if err := c.Call(ctx, http.MethodGet, "/api/v1/oncall/shifts?"+q.Encode(), nil, &list); err != nil {
		return err
	}
	rows := make([][]string, len(list.Items))
	for i, s := range list.Items {
		rows[i] = []string{s.Schedule, cmp.Or(s.PersonName, s.Person, "nobody"), local(s.From), local(s.To), s.Reason}
	}
	return c.Print(list.Items, []string{"SCHEDULE", "ON CALL", "FROM", "TO", "WHY"}, rows)
}

type overrideCmd struct {
	Add    overrideAdd    `cmd:"" help:"Put somebody on call in a schedule."`
	Remove overrideRemove `cmd:"" help:"Take an override back; one under way ends now."`
	List   overrideList   `cmd:"" help:"List overrides, those of the catalog included."`
}

type overrideAdd struct {
	Schedule string  `help:"Schedule." placeholder:"SCHEDULE" xor:"where" required:""`
	Team     string  `help:"The schedule of this team." placeholder:"TEAM" xor:"where" required:""`
	Person   string  `help:"Who is on call." placeholder:"PERSON" required:""`
	Instead  string  `help:"In place of this person only; default: of whoever would be." placeholder:"PERSON"`
	From     instant `help:"Begin; default: now." placeholder:"TIME"`
	To       instant `help:"End: RFC 3339, or local like 2026-01-05T09:00." placeholder:"TIME" required:""`
	Reason   string  `help:"Why." placeholder:"TEXT" required:""`
}

func (o overrideAdd) Run(ctx context.Context, c *console.Client) error {
	var made rota.Override
	in := duty.OverrideRequest{Schedule: o.Schedule, Team: o.Team, Person: o.Person, Instead: o.Instead, From: o.From.text(), To: o.To.text(), Reason: o.Reason}
	if err := c.Call(ctx, http.MethodPost, "/api/v1/oncall/overrides", in, &made); err != nil {
		return err
	}
	return c.Print(made, overrideHeader, [][]string{overrideRow(made)})
}

var overrideHeader = []string{"OVERRIDE", "SCHEDULE", "ON CALL", "IN PLACE OF", "FROM", "TO", "WHY", "BY"}

func overrideRow(o rota.Override) []string {
	return []string{o.ID, string(o.Schedule), string(o.Person), cmp.Or(string(o.Instead), "whoever would be"), local(o.From), local(o.To), o.Reason, o.Author}
}

type overrideRemove struct {
	ID string `arg:"" help:"Override."`
}

func (o overrideRemove) Run(ctx context.Context, c *console.Client) error {
	if err := c.Call(ctx, http.MethodDelete, "/api/v1/oncall/overrides/"+url.PathEscape(o.ID), nil, nil); err != nil {
		return err
	}
	return c.Print(map[string]string{"removed": o.ID}, nil, [][]string{{"removed " + o.ID}})
}

type overrideList struct {
	Schedule string `help:"One schedule; default: all." placeholder:"SCHEDULE"`
	All      bool   `help:"Those that are over too."`
}

func (o overrideList) Run(ctx context.Context, c *console.Client) error {
	q := url.Values{"schedule": {o.Schedule}}
	if o.All {
		q.Set("all", "true")
	}
	list, err := console.All[rota.Override](ctx, c, "/api/v1/oncall/overrides?"+q.Encode())
	if err != nil {
		return err
	}
	rows := make([][]string, len(list))
	for i, x := range list {
		rows[i] = overrideRow(x)
	}
	return c.Print(list, overrideHeader, rows)
}

type oncallCalendar struct {
	Schedule string `help:"Schedule." placeholder:"SCHEDULE" xor:"what" required:""`
	Person   string `help:"Person, in every schedule." placeholder:"PERSON" xor:"what" required:""`
}

func (o oncallCalendar) Run(ctx context.Context, c *console.Client) error {
	var made duty.CalendarAnswer
	if err := c.Call(ctx, http.MethodPost, "/api/v1/oncall/calendars", duty.CalendarRequest{Schedule: o.Schedule, Person: o.Person}, &made); err != nil {
		return err
	}
	return c.Print(made, nil, [][]string{{made.URL}})
}
