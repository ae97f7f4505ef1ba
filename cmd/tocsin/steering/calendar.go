package steering

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/policies"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
)

// Calendar lists what was announced.
type Calendar struct {
	Tenant string `arg:"" optional:"" help:"Tenant: only what concerns it, in its zone."`
}

// Run lists the entries in the order of the policy.
func (k Calendar) Run(ctx context.Context, c *console.Client) error {
	path := "/api/v1/calendar"
	if k.Tenant != "" {
		path += "?tenant=" + url.QueryEscape(k.Tenant)
	}
	list, err := console.All[policies.CalendarEntry](ctx, c, path)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return c.Say(list, "nothing is announced")
	}
	var rows [][]string
	for _, e := range list {
		rows = append(rows, []string{e.Name, stands(e), e.Follows, e.When, fmt.Sprintf("%s: %d tenant(s)", e.Whom, e.Concerns), e.Why + " (" + e.By + ")"})
		for _, what := range e.Holding {
			rows = append(rows, []string{"", "", what, "", "", ""})
		}
	}
	return c.Print(list, []string{"ENTRY", "NOW", "WHAT FOLLOWS", "WHEN", "FOR", "BECAUSE"}, rows)
}

func stands(e policies.CalendarEntry) string {
	changes := ""
	if e.ChangesAt != nil {
		changes = e.ChangesAt.UTC().Format(time.RFC3339)
	}
	switch {
	case !e.Holds && changes == "":
		return "is over"
	case !e.Holds:
		return "from " + changes
	}
	out := "holds"
	if changes != "" {
		out += " until " + changes
	}
	if e.Behind != "" {
		out += ", where " + e.Behind + " does not"
	}
	return out
}
