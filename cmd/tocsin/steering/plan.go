package steering

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/api/policies"
	"github.com/tocsin-alerting/tocsin/app/check"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/app/plan"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/tenancy"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// ExitChanges tells scripts that a planned policy changes something.
const ExitChanges = 3

// ErrChanges is that a planned policy changes something.
var ErrChanges = errors.New("changes")

type policyPlan struct {
	File     string `short:"f" required:"" help:"The policy; - reads standard input." placeholder:"FILE"`
	ExitCode bool   `name:"exit-code" help:"Exit with 3 when anything would change: a tenant's profile, a rule or a setting."`
	Tenants  string `help:"Without a daemon: a YAML list of tenants." placeholder:"FILE"`
	Against  string `help:"With --tenants: the policy to compare with; without it the built-in one." placeholder:"FILE"`
	Config   string `name:"config.file" aliases:"config" help:"With --tenants: a configuration, for its catalog." placeholder:"FILE"`
}

func (k policyPlan) Run(ctx context.Context, c *console.Client) error {
	text, err := policyText(k.File)
	if err != nil {
		return err
	}
	if k.Tenants == "" && (k.Against != "" || k.Config != "") {
		return console.Misused(problem.New(problem.Invalid, "--against and --config.file are for plans without a daemon").WithHint("say with --tenants which tenants there are"))
	}
	var a policies.PlanAnswer
	if k.Tenants == "" {
		err = c.Call(ctx, http.MethodPost, "/api/v1/policy/plan", policies.PolicyRequest{Policy: string(text)}, &a)
		err = inFile(err, k.File)
	} else {
		a.Plan, err = k.offline(text)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = c.Print(a, nil, nil)
	} else {
		err = showPlan(c, a, k.Tenants == "")
	}
	if err == nil && k.ExitCode && a.Differs() {
		return ErrChanges
	}
	return err
}

// offline plans without a daemon: by files alone.
func (k policyPlan) offline(text []byte) (plan.Plan, error) {
	after, err := profiles.Parse(k.File, text)
	if err != nil {
		return plan.Plan{}, console.Misused(err)
	}
	before, err := profiles.Default()
	if k.Against != "" {
		var old []byte
		if old, err = policyText(k.Against); err == nil {
			before, err = profiles.Stored(k.Against, old)
		}
	}
	if err != nil {
		return plan.Plan{}, console.Misused(err)
	}
	owners := catalog.Default()
	if k.Config != "" {
		files, faults := check.File(k.Config)
		if err := faults.Problem("the configuration", "correct them all"); err != nil {
			return plan.Plan{}, console.Misused(err)
		}
		owners = files.Catalog
	}
	tenants, err := tenancy.Read(k.Tenants)
	if err != nil {
		return plan.Plan{}, console.Misused(err)
	}
	now := time.Now()
	return plan.Make(plan.Input{Before: before, After: after, Tenants: tenants, Now: now,
		Observe: func(p *profiles.Policy, t tenant.Tenant) profiles.Observation {
			o := whole.Observe(p, owners, len(tenants))
			o.Overrides = p.InForce(t.ID, now)
			if n, ok := p.Pinned(t.ID, now); ok {
				o.Tier = n.Tier
			}
			return o
		}}), nil
}

// showPlan prints a plan for people.
func showPlan(c *console.Client, a policies.PlanAnswer, served bool) error {
	w := tabwriter.NewWriter(c.Out, 0, 4, 2, ' ', 0)
	against := ""
	if served {
		against = fmt.Sprintf(", against policy revision %d", a.Against)
	}
	fmt.Fprintf(w, "%d of %d tenant(s) would have another profile%s\n", a.Changed, a.Tenants, against)
	block(w, "RULES", a.Rules)
	block(w, "SETTINGS", a.Settings)
	if len(a.Changes) > 0 {
		fmt.Fprintln(w, "\nTENANTS\tWHAT CHANGES")
		for _, ch := range a.Changes {
			fmt.Fprintf(w, "%d\t%s\n", ch.Tenants, ch.Words)
		}
		if a.More > 0 {
			fmt.Fprintf(w, "\tand %d more\n", a.More)
		}
	}
	if len(a.Largest) > 0 {
		fmt.Fprintln(w, "\nLARGEST\tNAME\tA MINUTE\tWHAT CHANGES")
		for _, t := range a.Largest {
			words := t.Words
			if len(words) == 0 {
				words = []string{"nothing"}
			}
			if t.Stays != "" {
				words = append(words, "it is "+t.Stays)
			}
			for i, what := range words {
				if i == 0 {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.ID, t.Name, alert.Count(t.TPM), what)
				} else {
					fmt.Fprintf(w, "\t\t\t%s\n", what)
				}
			}
		}
	}
	block(w, "STAYS WHERE A PERSON OR THE POLICY KEEPS IT", stays(a.Stays))
	var ends []string
	for _, e := range a.Ends {
		ends = append(ends, strings.TrimSpace(fmt.Sprintf("%s of %s %s", e.Rule, e.Tenant, e.Slice.Key())))
	}
	block(w, "ENDS, THOUGH IT FIRES NOW", ends)
	block(w, "WARNINGS", a.Warnings)
	block(w, "NOT TRIED IN SHADOW", a.Untried)
	if len(a.Stages) > 0 {
		var stages []string
		for _, s := range a.Stages {
			stages = append(stages, fmt.Sprintf("up to %g%%: %d tenant(s)", s.Percent, s.Tenants))
		}
		block(w, fmt.Sprintf("STAGES, EACH IN SHADOW FOR %s FIRST", rollout.Plainly(time.Duration(a.StageFor*float64(time.Second)))), stages)
	}
	return w.Flush()
}

// stays lists who stays where it is.
func stays(k rollout.Keeps) (out []string) {
	for _, t := range k.Largest {
		out = append(out, named(t)+": "+t.Why)
	}
	if n := k.Tenants - len(k.Largest); n > 0 {
		out = append(out, fmt.Sprintf("and %d tenant(s) more", n))
	}
	return out
}

// block prints lines below a heading; nothing when there are none.
func block(w *tabwriter.Writer, heading string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(w, "\n"+heading)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}
