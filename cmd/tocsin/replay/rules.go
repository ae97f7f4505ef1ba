package replay

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/app/backtest/promrules"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
)

// theirs are the rules that are compared with, and what they are asked over.
type theirs struct {
	name string
	file *promrules.File
	data recorded.Stored
}

// rules reads the rule file: what is wrong with it is said before hours of replaying.
func (b Backtest) rules(src recorded.Source) (t theirs, err error) {
	if b.Rules == "" {
		return t, nil
	}
	raw, err := os.ReadFile(b.Rules)
	if err != nil {
		return t, problem.Wrap(err, problem.Invalid, "the rule file cannot be read").WithHint("check --rules")
	}
	t.name = b.Rules
	if t.file, err = promrules.Parse(raw); err != nil {
		return t, err
	}
	var ok bool
	if t.data, ok = src.(recorded.Stored); !ok {
		return t, problem.New(problem.Invalid, "rules can be compared over a Prometheus data directory only").
			WithHint("promtool tsdb create-blocks-from openmetrics makes one of OpenMetrics text")
	}
	return t, nil
}

// pages evaluates the rules over the same time.
func (t theirs) pages(ctx context.Context, w io.Writer, tenantLabel string, from, to time.Time) ([]backtest.Page, error) {
	for _, n := range t.file.Notes {
		fmt.Fprintf(w, "of %s: %s\n", t.name, n)
	}
	rings, err := t.file.Rings(ctx, t.data.Queryable(), from, to)
	if err != nil {
		return nil, err
	}
	return backtest.TheirPages(rings, tenantLabel), nil
}
