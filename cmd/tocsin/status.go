package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/health"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/tenancy"
)

type statusCmd struct {
	Tenant string `arg:"" optional:"" help:"Tenant; without one the daemon."`
}

// Run shows the daemon's health on one screen, or one tenant's.
func (s statusCmd) Run(ctx context.Context, c *console.Client) error {
	if s.Tenant != "" {
		return tenancy.Status{ID: s.Tenant}.Run(ctx, c)
	}
	var a health.StatusAnswer
	if err := c.Call(ctx, http.MethodGet, "/api/v1/status", nil, &a); err != nil {
		return err
	}
	return c.Print(a, nil, statusRows(a, time.Now()))
}

func statusRows(a health.StatusAnswer, now time.Time) [][]string {
	t := a.Tenants
	yes := func(ok bool, is, isNot string) string {
		if ok {
			return is
		}
		return isNot
	}
	rows := [][]string{
		{"daemon", fmt.Sprintf("version %s, %s since %s", a.Version, yes(a.Ready, "serves", "does not serve yet"), a.StartedAt.Format(time.RFC3339))},
		{"intake", fmt.Sprintf("%.1f samples a second; %d wait for evaluation%s", a.SamplesPerSecond, a.WaitingSamples, console.Refused(a.Refused))},
		{"tenants", fmt.Sprintf("%d live, %d onboarding, %d paused, %d retired", t.Live, t.Onboarding, t.Paused, t.Retired)},
		{"", fmt.Sprintf("%d blind, %d never sent, %d young, %d unknown", t.Blind, t.NeverSent, t.Young, t.Unknown)},
		{"alerts", fmt.Sprintf("%d firing", a.Firing)},
		{"incidents", fmt.Sprintf("%d open, %d acknowledged", a.Incidents.Open, a.Incidents.Acknowledged)},
	}
	for i, r := range a.Called {
		rows = append(rows, []string{map[bool]string{true: "teams"}[i == 0], r.Team + ": " + r.Words})
	}
	if len(a.Undelivered) == 0 {
		rows = append(rows, []string{"deliveries", "nothing waits"})
	}
	for i, b := range a.Undelivered {
		name := ""
		if i == 0 {
			name = "deliveries"
		}
		text := fmt.Sprintf("%d wait for %s, the oldest for %s", b.Waiting, b.Destination, now.Sub(b.Oldest).Round(time.Second))
		if b.LastError != "" {
			text += ": " + b.LastError
		}
		rows = append(rows, []string{name, text})
	}
	rows = append(rows,
		[]string{"journal", fmt.Sprintf("%s of %s", size(float64(a.Journal.Used)), size(float64(a.Journal.Limit)))},
		[]string{"disk", fmt.Sprintf("%s of %s free: %s", size(float64(a.Disk.Free)), size(float64(a.Disk.Total)), yes(a.Disk.TakesIn, "takes samples in", "too little to take samples in"))},
		[]string{"history", yes(a.HistoryOpen, "open", "still opening")})
	for i, text := range a.Troubles {
		name := ""
		if i == 0 {
			name = "look at"
		}
		rows = append(rows, []string{name, text})
	}
	return rows
}

func size(n float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if n < 1024 {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1024
	}
	return fmt.Sprintf("%.3g TiB", n)
}
