package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/web"
)

type tokenCmd struct {
	Create tokenCreate `cmd:"" help:"Make a token; its text is shown once."`
	List   tokenList   `cmd:"" help:"List tokens."`
	Revoke tokenRevoke `cmd:"" help:"Revoke a token."`
}

type tokenCreate struct {
	Name    string        `help:"What it is for." default:"cli"`
	Role    string        `help:"What it may do." enum:"admin,enabler,responder,product-manager,change-manager,incident-manager,auditor,sender,pipeline,tenant" required:""`
	Tenants []string      `help:"Tenants it covers, or '*'." placeholder:"ID"`
	Team    string        `help:"Team whose incidents a responder acts on." placeholder:"TEAM"`
	Expires time.Duration `help:"How long it is good for; 0: until revoked." placeholder:"DURATION"`
}

func (t tokenCreate) Run(ctx context.Context, c *console.Client) error {
	in := api.TokenRequest{Name: t.Name, Role: web.Role(t.Role), Tenants: t.Tenants, Team: t.Team}
	if t.Expires > 0 {
		in.ExpiresAt = time.Now().Add(t.Expires).UTC().Format(time.RFC3339)
	}
	var a api.TokenAnswer
	if err := c.Call(ctx, http.MethodPost, "/api/v1/tokens", in, &a); err != nil {
		return err
	}
	if c.JSON {
		return c.Print(a, nil, nil)
	}
	_, err := fmt.Fprintln(c.Out, a.Token) // alone on a line: scripts put it into a file
	return err
}

type tokenList struct{}

func (tokenList) Run(ctx context.Context, c *console.Client) error {
	list, err := console.All[web.Token](ctx, c, "/api/v1/tokens")
	if err != nil {
		return err
	}
	rows := make([][]string, len(list))
	for i, t := range list {
		expires := "never"
		if !t.ExpiresAt.IsZero() {
			expires = t.ExpiresAt.Format(time.RFC3339)
		}
		used := "never"
		if !t.LastUsedAt.IsZero() {
			used = t.LastUsedAt.Format(time.RFC3339)
		}
		role := string(t.Role)
		if t.Team != "" {
			role += " of " + t.Team
		}
		rows[i] = []string{t.ID, t.Name, role, strings.Join(t.Tenants, ","), t.CreatedAt.Format(time.RFC3339), expires, used}
	}
	return c.Print(list, []string{"ID", "NAME", "ROLE", "TENANTS", "CREATED", "EXPIRES", "LAST USED"}, rows)
}

type tokenRevoke struct {
	ID string `arg:"" help:"Id of the token, as tocsin token list shows it."`
}

func (t tokenRevoke) Run(ctx context.Context, c *console.Client) error {
	if err := c.Call(ctx, http.MethodDelete, "/api/v1/tokens/"+t.ID, nil, nil); err != nil {
		return err
	}
	return c.Print(map[string]string{"revoked": t.ID}, nil, [][]string{{"revoked " + t.ID}})
}
