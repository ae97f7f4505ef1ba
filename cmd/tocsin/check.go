package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/tocsin-alerting/tocsin/app/check"
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

// errUsage makes the command exit as for wrong use.
var errUsage = errors.New("wrong use")

func errUsageOf(err error) error { return errors.Join(errUsage, err) }

// Run prints every fault on a line of its own, as compilers do. Warnings alone
// are no failure.
func (k checkCmd) Run(c *client) error {
	if _, err := os.Stat(k.Config); k.Config != "" && err != nil {
		return errUsageOf(problem.New(problem.Invalid, "there is no such configuration file").WithHint("check --config.file"))
	}
	_, faults := check.File(k.Config)
	out := checked{Faults: append(fault.List{}, faults...), Errors: faults.Errors()}
	out.Warnings = len(faults) - out.Errors
	if c.json {
		if err := c.print(out, nil, nil); err != nil {
			return err
		}
	} else {
		for _, f := range faults {
			fmt.Fprintln(c.out, f)
		}
		fmt.Fprintf(c.out, "%d error(s), %d warning(s)\n", out.Errors, out.Warnings)
	}
	if out.Errors > 0 {
		return errSaid
	}
	return nil
}

// errSaid makes the command fail without another word: all was printed.
var errSaid = errors.New("said")
