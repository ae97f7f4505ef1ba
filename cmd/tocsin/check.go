package main

import (
	"fmt"
	"os"

	"github.com/tocsin-alerting/tocsin/app/check"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/problem"
)

type checkCmd struct {
	Config string `name:"config.file" aliases:"config" help:"Configuration file; without one the defaults are checked." placeholder:"FILE"`
}

// checked is what check found, as it prints it for programs.
type checked struct {
	Faults   fault.List `json:"faults"`
	Errors   int        `json:"errors"`
	Warnings int        `json:"warnings"`
}

// Run prints every fault on a line of its own, as compilers do. Warnings alone
// are no failure.
func (k checkCmd) Run(c *console.Client) error {
	if _, err := os.Stat(k.Config); k.Config != "" && err != nil {
		return console.Misused(problem.New(problem.Invalid, "there is no such configuration file").WithHint("check --config.file"))
	}
	_, faults := check.File(k.Config)
	out := checked{Faults: append(fault.List{}, faults...), Errors: faults.Errors()}
	out.Warnings = len(faults) - out.Errors
	if c.JSON {
		if err := c.Print(out, nil, nil); err != nil {
			return err
		}
	} else {
		for _, f := range faults {
			fmt.Fprintln(c.Out, f)
		}
		fmt.Fprintf(c.Out, "%d error(s), %d warning(s)\n", out.Errors, out.Warnings)
	}
	if out.Errors > 0 {
		return console.ErrSaid
	}
	return nil
}
