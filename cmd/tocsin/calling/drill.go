package calling

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/duty"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/problem"
)

func teamPath(id, what string) string { return "/api/v1/teams/" + url.PathEscape(id) + "/" + what }

// Drill sends a test page.
type Drill struct {
	Team   string `help:"Team whose person on call gets the test page." placeholder:"TEAM" required:""`
	NoWait bool   `help:"Do not wait for the acknowledgement."`
}

const drillPoll = time.Second

// Run starts a drill and waits until it has passed or failed.
func (d Drill) Run(ctx context.Context, c *console.Client, t console.Terminal) error {
	var at oncall.Drill
	if err := c.Call(ctx, http.MethodPost, teamPath(d.Team, "drills"), nil, &at); err != nil {
		return err
	}
	for !d.NoWait && at.State == oncall.DrillWaiting {
		if at.Detail == "" {
			fmt.Fprintf(t.Err, "%s is called; waiting for the acknowledgement until %s\n", at.PersonName, local(at.EndsAt))
			at.Detail = "waiting"
		}
		select {
		case <-ctx.Done():
			return problem.New(problem.Unavailable, "the drill goes on without being watched").WithHint("it ends at %s at the latest; see /api/v1/drills/%s", local(at.EndsAt), at.ID)
		case <-time.After(drillPoll):
		}
		said := at.Detail
		if err := c.Call(ctx, http.MethodGet, "/api/v1/drills/"+at.ID, nil, &at); err != nil {
			return err
		}
		at.Detail = cmp.Or(at.Detail, said)
	}
	if err := c.Print(at, []string{"DRILL", "TEAM", "PERSON", "RESULT", "DETAIL"}, [][]string{{at.ID, string(at.Team), at.PersonName, string(at.State), at.Detail}}); err != nil {
		return err
	}
	if at.State == oncall.DrillFailed {
		return problem.New(problem.Unavailable, "the drill has failed").WithHint("tocsin why %s tells each attempt", at.Page)
	}
	return nil
}

// Live has a team paged for real.
type Live struct {
	Team   string `arg:"" help:"Team."`
	Force  bool   `help:"Without a passed drill; needs a reason."`
	Reason string `help:"Why." placeholder:"TEXT"`
}

// Run carries the command out.
func (l Live) Run(ctx context.Context, c *console.Client) error {
	return setMode(ctx, c, l.Team, "live", duty.ModeRequest{Force: l.Force, Reason: l.Reason})
}

// Observe has a team paged no longer.
type Observe struct {
	Team   string `arg:"" help:"Team."`
	Reason string `help:"Why." placeholder:"TEXT"`
}

// Run carries the command out.
func (o Observe) Run(ctx context.Context, c *console.Client) error {
	return setMode(ctx, c, o.Team, "observe", duty.ModeRequest{Reason: o.Reason})
}

func setMode(ctx context.Context, c *console.Client, team, what string, in duty.ModeRequest) error {
	var a duty.TeamAnswer
	if err := c.Call(ctx, http.MethodPost, teamPath(team, what), in, &a); err != nil {
		return err
	}
	said := "is observed: nobody of it is paged"
	if a.Live {
		said = "is live: it is paged for real"
	}
	rows := [][]string{{"team " + a.ID + " " + said}}
	if a.Reason != "" {
		rows = append(rows, []string{"because: " + a.Reason})
	}
	return c.Print(a, nil, rows)
}
