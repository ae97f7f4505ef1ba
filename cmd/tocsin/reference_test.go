package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// TestTheCommandReferenceIsCurrent holds docs/cli.md to the commands; make docs
// writes it.
func TestTheCommandReferenceIsCurrent(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("tocsin"))
	require.NoError(t, err)
	var b strings.Builder
	b.WriteString("<!-- Made by make docs from the commands. -->\n\n# Commands\n\n" +
		"Exit codes: 0 done, 1 failed, 2 wrong use; 3 of `policy plan --exit-code`. Everything but `serve`, `check`, `schema`, `backtest`,\n`version` and `policy plan --tenants` asks the daemon at `--server` with the token in `--token-file`.\n\n")
	b.WriteString("Flags of every command:\n\n")
	flags(&b, parser.Model.Node)
	commands(&b, parser.Model.Node)
	const file = "../../docs/cli.md"
	if os.Getenv("TOCSIN_UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, b.String() == string(got), "docs/cli.md is not what the commands say: make docs")
}

func commands(b *strings.Builder, n *kong.Node) {
	for _, c := range n.Children {
		if c.Hidden {
			continue
		}
		if c.Leaf() {
			fmt.Fprintf(b, "\n## %s\n\n%s\n", c.FullPath(), c.Help)
			if len(c.Positional)+len(c.Flags) > 0 {
				b.WriteString("\n")
			}
			for _, p := range c.Positional {
				fmt.Fprintf(b, "- `%s`: %s\n", p.Summary(), p.Help)
			}
			flags(b, c)
		}
		commands(b, c)
	}
}

func flags(b *strings.Builder, n *kong.Node) {
	for _, f := range n.Flags {
		if f.Hidden || f.Name == "help" {
			continue
		}
		name := "--" + f.Name
		switch {
		case f.Short != 0:
			name = fmt.Sprintf("-%c, %s", f.Short, name)
		case len(f.Aliases) > 0:
			name += ", --" + strings.Join(f.Aliases, ", --")
		}
		fmt.Fprintf(b, "- `%s`: %s", name, f.Help)
		if f.Enum != "" {
			fmt.Fprintf(b, " One of %s.", strings.ReplaceAll(f.Enum, ",", ", "))
		}
		if f.HasDefault && f.Default != "" {
			fmt.Fprintf(b, " Default `%s`.", f.Default)
		}
		if f.Required {
			b.WriteString(" Needed.")
		}
		if len(f.Envs) > 0 {
			fmt.Fprintf(b, " From `%s` too.", strings.Join(f.Envs, "`, `"))
		}
		b.WriteString("\n")
	}
}
