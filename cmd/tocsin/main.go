// Command tocsin is the daemon and its command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	_ "time/tzdata" // rotas need their zones on every machine

	"github.com/alecthomas/kong"

	"github.com/tocsin-alerting/tocsin/cmd/tocsin/calling"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/replay"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/steering"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/tenancy"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/problem"
)

// version is set by the linker.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes of every command.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

type cli struct {
	Serve    serveCmd          `cmd:"" help:"Run the daemon."`
	Status   statusCmd         `cmd:"" help:"Show the health of the daemon, or what is known of one tenant."`
	Check    checkCmd          `cmd:"" help:"Say everything that is wrong or unwise in configuration, policy and catalog."`
	Reload   reloadCmd         `cmd:"" help:"Have the daemon read configuration, policy and catalog anew, all or nothing."`
	Schema   schemaCmd         `cmd:"" help:"Print the JSON Schema of a kind of file, for an editor."`
	Policy   steering.Policy   `cmd:"" help:"Plan, roll out and take back the policy."`
	Tenant   tenancy.Tenant    `cmd:"" help:"Onboard tenants and look at them."`
	Profile  tenancy.Profile   `cmd:"" help:"Explain a tenant's profile, override it, and keep it from following."`
	Token    tokenCmd          `cmd:"" help:"Make, list and revoke tokens."`
	Cluster  clusterCmd        `cmd:"" help:"Look at the replicas."`
	Incident incidentCmd       `cmd:"" help:"Say what an incident was."`
	Accept   acceptCmd         `cmd:"" help:"Take what a firing alert shows as its tenant's new normal."`
	Why      whyCmd            `cmd:"" help:"Say why: every decision about an incident, alert, page or tenant, or about the policy."`
	Backtest replay.Backtest   `cmd:"" help:"Run recorded metrics through a policy: which alerts and pages there would have been."`
	Calendar steering.Calendar `cmd:"" help:"List what was announced, what it holds now and for whom."`
	OnCall   calling.OnCall    `cmd:"" name:"oncall" help:"Ask who is on call, and change it."`
	Drill    calling.Drill     `cmd:"" help:"Send a test page to whoever is on call and wait for the acknowledgement."`
	Live     calling.Live      `cmd:"" help:"Page a team for real."`
	Observe  calling.Observe   `cmd:"" help:"Page a team no longer, at once; what would be sent is recorded."`
	ITSM     itsmCmd           `cmd:"" name:"itsm" help:"Look at the ticket systems."`
	Version  versionCmd        `cmd:"" help:"Print the version."`

	Server    string `help:"Address of the daemon." default:"http://127.0.0.1:9480" env:"TOCSIN_SERVER" placeholder:"URL"`
	TokenFile string `help:"File that holds the token; default: admin.token of ./tocsin-data." env:"TOCSIN_TOKEN_FILE" placeholder:"FILE"`
	Output    string `help:"Form of what is printed." enum:"table,json,jsonl" default:"table"`
}

// exited carries kong's wish to exit out of the parser.
type exited int

func run(ctx context.Context, args []string, out, errOut io.Writer) (code int) {
	var c cli
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	parser, err := kong.New(&c, kong.Name("tocsin"), kong.Description("Alerting and incident routing for a product of many tenants."),
		kong.Writers(out, errOut), kong.Exit(func(code int) { panic(exited(code)) }), kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(console.Terminal{Out: out, Err: errOut}))
	if err != nil {
		fmt.Fprintln(errOut, "tocsin:", err)
		return exitUsage
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(errOut, "tocsin: %v\nRun tocsin --help.\n", err)
		return exitUsage
	}
	if err := kctx.Run(&console.Client{Terminal: console.Terminal{Out: out, Err: errOut}, Server: c.Server, TokenFile: c.TokenFile, JSON: c.Output != "table"}); err != nil {
		return report(errOut, err)
	}
	return exitOK
}

// report prints an error for a person and gives the exit code.
func report(w io.Writer, err error) int {
	switch {
	case errors.Is(err, console.ErrSaid):
		return exitFailure
	case errors.Is(err, steering.ErrChanges):
		return steering.ExitChanges
	}
	var p *problem.Error
	if !errors.As(err, &p) {
		fmt.Fprintln(w, "tocsin:", err)
		return exitFailure
	}
	message := p.Message
	if r := (*fault.Refused)(nil); errors.As(err, &r) && r.Problem == p { // as tocsin check tells them
		for _, f := range r.Faults {
			fmt.Fprintln(w, f)
		}
		message = r.Head()
	}
	fmt.Fprintln(w, "tocsin:", message)
	if p.Err != nil {
		fmt.Fprintln(w, "  because:", p.Err)
	}
	if p.Hint != "" {
		fmt.Fprintln(w, "  hint:", p.Hint)
	}
	if errors.Is(err, console.ErrMisuse) {
		return exitUsage
	}
	return exitFailure
}

type versionCmd struct{}

func (versionCmd) Run(t console.Terminal) error {
	_, err := fmt.Fprintln(t.Out, "tocsin", version)
	return err
}
