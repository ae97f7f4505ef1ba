package main

import (
	"context"
	"net/http"

	"github.com/tocsin-alerting/tocsin/app/api"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
)

type reloadCmd struct{}

// Run asks the daemon to read its files anew and says what that changed.
func (reloadCmd) Run(ctx context.Context, c *console.Client) error {
	var a api.ReloadAnswer
	if err := c.Call(ctx, http.MethodPost, "/api/v1/reload", nil, &a); err != nil {
		return err
	}
	rows := make([][]string, 0, len(a.Changed))
	for _, k := range a.Changed {
		rows = append(rows, []string{k})
	}
	if len(rows) == 0 {
		rows = [][]string{{"nothing changed"}}
	}
	return c.Print(a, []string{"CHANGED"}, rows)
}
