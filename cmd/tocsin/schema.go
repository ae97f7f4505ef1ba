package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/docs/schemas"
	"github.com/tocsin-alerting/tocsin/problem"
)

type schemaCmd struct {
	Kind string `arg:"" help:"Kind of file: config, catalog, policy or tenants."`
}

// Run prints the schema as it is, whatever --output says: it is for a file.
func (k schemaCmd) Run(t console.Terminal) error {
	if !slices.Contains(schemas.Kinds(), k.Kind) {
		return console.Misused(problem.New(problem.Invalid, "there is no such kind of file").WithHint("one of %s", strings.Join(schemas.Kinds(), ", ")))
	}
	raw, err := schemas.Files.ReadFile(k.Kind + ".json")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.Out, "%s", raw)
	return err
}
