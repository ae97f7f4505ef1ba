package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
)

type clusterCmd struct {
	Status clusterStatus `cmd:"" help:"Who lives, who serves how much, and what waits."`
}

type clusterStatus struct{}

// Run fails when a partition is served by nobody, so that scripts can wait.
func (clusterStatus) Run(ctx context.Context, c *console.Client) error {
	var a api.ClusterAnswer
	if err := c.Call(ctx, http.MethodGet, "/api/v1/cluster", nil, &a); err != nil {
		return err
	}
	rows := make([][]string, 0, len(a.Members))
	for _, m := range a.Members {
		state := "serves"
		switch {
		case m.Leaving:
			state = "leaves"
		case m.Self:
			state = "serves, answered this"
		}
		rows = append(rows, []string{m.ID, m.URL, state, fmt.Sprint(m.Partitions), fmt.Sprint(m.Waiting), fmt.Sprintf("%.1fs", m.LagSeconds), m.Started.Format(time.RFC3339), m.Version})
	}
	if err := c.Print(a, []string{"MEMBER", "ADDRESS", "STATE", "PARTITIONS", "WAITING", "LAG", "STARTED", "VERSION"}, rows); err != nil {
		return err
	}
	if a.Unserved > 0 {
		return fmt.Errorf("%d of %d partitions are served by nobody at this moment", a.Unserved, a.Partitions)
	}
	return nil
}
