package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/duty"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/problem"
)

func teamPath(id, what string) string { return "/api/v1/teams/" + url.PathEscape(id) + "/" + what }

type drillCmd struct {
	Team   string `help:"Team whose person on call gets the test page." placeholder:"TEAM" required:""`
	NoWait bool   `help:"Do not wait for the acknowledgement."`
}

const drillPoll = time.Second

// Run starts a drill and waits until it has passed or failed.
func (d drillCmd) Run(ctx context.Context, c *client, t terminal) error {
	var at oncall.Drill
	if err := c.call(ctx, http.MethodPost, teamPath(d.Team, "drills"), nil, &at); err != nil {
		return err
	}
	for !d.NoWait && at.State == oncall.DrillWaiting {
		if at.Detail == "" {
			fmt.Fprintf(t.err, "%s is called; waiting for the acknowledgement until %s\n", at.PersonName, local(at.EndsAt))
			at.Detail = "waiting"
		}
		select {
		case <-ctx.Done():
			return problem.New(problem.Unavailable, "the drill goes on without being watched").WithHint("it ends at %s at the latest; see /api/v1/drills/%s", local(at.EndsAt), at.ID)
		case <-time.After(drillPoll):
		}
		said := at.Detail
		if err := c.call(ctx, http.MethodGet, "/api/v1/drills/"+at.ID, nil, &at); err != nil {
			return err
		}
		at.Detail = cmp.Or(at.Detail, said)
	}
	if err := c.print(at, []string{"DRILL", "TEAM", "PERSON", "RESULT", "DETAIL"}, [][]string{{at.ID, string(at.Team), at.PersonName, string(at.State), at.Detail}}); err != nil {
		return err
	}
	if at.State == oncall.DrillFailed {
		return problem.New(problem.Unavailable, "the drill has failed").WithHint("tocsin why %s tells each attempt", at.Page)
	}
	return nil
}

type liveCmd struct {
	Team   string `arg:"" help:"Team."`
	Force  bool   `help:"Without a passed drill; needs a reason."`
	Reason string `help:"Why." placeholder:"TEXT"`
}

func (l liveCmd) Run(ctx context.Context, c *client) error {
	return setMode(ctx, c, l.Team, "live", duty.ModeRequest{Force: l.Force, Reason: l.Reason})
}

type observeCmd struct {
	Team   string `arg:"" help:"Team."`
	Reason string `help:"Why." placeholder:"TEXT"`
}

func (o observeCmd) Run(ctx context.Context, c *client) error {
	return setMode(ctx, c, o.Team, "observe", duty.ModeRequest{Reason: o.Reason})
}

func setMode(ctx context.Context, c *client, team, what string, in duty.ModeRequest) error {
	var a duty.TeamAnswer
	if err := c.call(ctx, http.MethodPost, teamPath(team, what), in, &a); err != nil {
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
	return c.print(a, nil, rows)
}
