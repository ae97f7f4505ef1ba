package main

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/incidents"
	"github.com/tocsin-alerting/tocsin/app/api/records"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
)

type whyCmd struct {
	ID string `arg:"" help:"Incident (id or number), alert, page or tenant."`
}

func (t whyCmd) Run(ctx context.Context, c *console.Client) error {
	var a records.WhyAnswer
	if err := c.Call(ctx, http.MethodGet, "/api/v1/why/"+url.PathEscape(t.ID), nil, &a); err != nil {
		return err
	}
	rows := [][]string{}
	for _, e := range a.Entries {
		rows = append(rows, []string{e.At.UTC().Format(time.DateTime), e.Kind, e.Actor, e.Reason})
	}
	return c.Print(a, []string{"WHEN (UTC)", "WHAT", "WHO", "WHY"}, rows)
}

type acceptCmd struct {
	Alert string `arg:"" help:"Id of a firing alert (alt_...)."`
}

func (t acceptCmd) Run(ctx context.Context, c *console.Client) error {
	var a incidents.AlertAnswer
	if err := c.Call(ctx, http.MethodPost, "/api/v1/alerts/"+url.PathEscape(t.Alert)+"/accept", nil, &a); err != nil {
		return err
	}
	return c.Print(a, nil, [][]string{{"accepted as the new normal of " + string(a.Tenant) + ": " + a.Reason}})
}

type itsmCmd struct {
	Check itsmCheck `cmd:"" help:"Say whether a ticket system can be used as configured."`
}

type itsmCheck struct {
	Name string `arg:"" help:"Name under itsm.systems."`
}

func (t itsmCheck) Run(ctx context.Context, c *console.Client) error {
	if err := c.Call(ctx, http.MethodPost, "/api/v1/itsm/"+url.PathEscape(t.Name)+"/check", nil, nil); err != nil {
		return err
	}
	return c.Print(map[string]string{"usable": t.Name}, nil, [][]string{{t.Name + " can be used"}})
}
