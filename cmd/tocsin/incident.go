package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/tocsin-alerting/tocsin/app/api/incidents"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
)

type incidentCmd struct {
	Verdict incidentVerdict `cmd:"" help:"Say what an incident was: a false alarm is learned, anything else stays out of what is usual."`
}

type incidentVerdict struct {
	Incident string `arg:"" help:"Incident, by id or number."`
	Verdict  string `arg:"" enum:"false,real,expected,duplicate" help:"false, real, expected or duplicate."`
	Reason   string `help:"Why; it stands in the ledger and goes to the ticket." placeholder:"TEXT"`
	Person   string `help:"Who says so, an id of the catalog; default: whose token it is." placeholder:"PERSON"`
}

func (t incidentVerdict) Run(ctx context.Context, c *console.Client) error {
	var a incidents.IncidentAnswer
	in := incidents.VerdictRequest{Verdict: t.Verdict, Reason: t.Reason, Person: t.Person}
	if err := c.Call(ctx, http.MethodPost, "/api/v1/incidents/"+url.PathEscape(t.Incident)+"/verdict", in, &a); err != nil {
		return err
	}
	return c.Print(a, nil, [][]string{{"incident " + strconv.Itoa(a.Number) + " was " + t.Verdict + "; tocsin why " + strconv.Itoa(a.Number) + " says what that taught"}})
}
