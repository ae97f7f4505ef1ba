// Package steering has the commands about the policy: planning, rolling out, taking back.
package steering

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/policies"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/web"
)

// Policy has the commands about the policy.
type Policy struct {
	Plan      policyPlan      `cmd:"" help:"Say what a policy would change: for how many tenants, in which way, and for the largest by name. Nothing is stored."`
	Apply     policyApply     `cmd:"" help:"Roll a policy out in stages, each of which is run in shadow first; --now puts it in force at once."`
	Status    policyStatus    `cmd:"" help:"Show the newest rollout: its stages, and the pages that it would have made."`
	Rollback  policyRollback  `cmd:"" help:"Put the policy before, or a named revision, in force for every tenant at once."`
	Resume    policyResume    `cmd:"" help:"Go on with a halted rollout, because its pages are right."`
	Revisions policyRevisions `cmd:"" help:"List the revisions of the policy, and what each changed of the one before."`
	Show      policyShow      `cmd:"" help:"Print the text of the policy in force, or of a revision."`
}

// policyText reads a policy's text; - is standard input.
func policyText(file string) ([]byte, error) {
	text, err := console.Read(file, "the policy's file cannot be read")
	if err != nil {
		return nil, console.Misused(err)
	}
	return text, nil
}

// inFile has the faults of a policy that the daemon refused name the file that it came from.
func inFile(err error, file string) error {
	if file == "-" {
		file = "standard input"
	}
	of := fault.Of(err)
	for i := range of {
		of[i].File = file
	}
	return err
}

// inForce says for whom a policy is in force, and who keeps the profile it has.
func inForce(a policies.RolloutAnswer, after string) string {
	out := fmt.Sprintf("policy revision %d is in force for every tenant", a.InForce)
	if a.Kept == nil || a.Kept.Tenants == 0 {
		return out + after
	}
	out += fmt.Sprintf(" but %d whose profile is frozen or pinned at a revision: they keep theirs until that ends%s", a.Kept.Tenants, after)
	for _, t := range a.Kept.Largest {
		out += "\n  " + named(t) + ": " + t.Why
	}
	if n := a.Kept.Tenants - len(a.Kept.Largest); n > 0 {
		out += fmt.Sprintf("\n  and %d more", n)
	}
	return out
}

// named is a tenant's id, with the name that it has besides.
func named(t rollout.Keep) string {
	if t.Name == "" || t.Name == string(t.ID) {
		return string(t.ID)
	}
	return string(t.ID) + " (" + t.Name + ")"
}

type policyApply struct {
	File   string        `short:"f" required:"" help:"The policy; - reads standard input." placeholder:"FILE"`
	Reason string        `required:"" help:"Why; it stands in the ledger." placeholder:"TEXT"`
	Now    bool          `help:"For every tenant at once, without stages and shadow."`
	Wait   bool          `help:"Wait until every tenant has it, saying how it goes; fails when it is halted or taken back."`
	Every  time.Duration `help:"How often --wait looks." default:"2s" hidden:""`
}

func (k policyApply) Run(ctx context.Context, c *console.Client) error {
	text, err := policyText(k.File)
	if err != nil {
		return err
	}
	var was policies.PolicyAnswer
	if err := c.Call(ctx, http.MethodGet, "/api/v1/policy", nil, &was); err != nil {
		return err
	}
	var a policies.RolloutAnswer
	if err := c.CallIf(ctx, http.MethodPost, "/api/v1/policy", was.Number, policies.PolicyEditRequest{Policy: string(text), Reason: k.Reason, Now: k.Now}, &a); err != nil {
		return inFile(err, k.File)
	}
	switch {
	case !a.Changed && (a.Rollout == nil || !a.Rollout.Open()):
		return c.Say(a, "policy revision %d is this text, and in force already", a.InForce)
	case k.Now:
		return c.Say(a, "%s", inForce(a, "; tocsin policy rollback takes it back"))
	case !k.Wait:
		return tell(c, a)
	}
	return k.follow(ctx, c, a)
}

// follow says every change of the rollout until its end.
func (k policyApply) follow(ctx context.Context, c *console.Client, a policies.RolloutAnswer) error {
	tick := time.NewTicker(k.Every)
	defer tick.Stop()
	number, last := a.Rollout.Number, ""
	for {
		if why := fmt.Sprintf("%s: %s", a.Rollout.State, a.Rollout.Why); why != last && !c.JSON {
			fmt.Fprintln(c.Out, why)
			last = why
		}
		switch s := a.Rollout.State; {
		case a.Rollout.Number != number:
			return problem.New(problem.Conflict, "another rollout has begun meanwhile").WithHint("tocsin policy status")
		case s != rollout.Shadow:
			if c.JSON {
				if err := c.Print(a, nil, nil); err != nil {
					return err
				}
			}
			if s == rollout.Done {
				return nil
			}
			return problem.New(problem.Conflict, "the rollout of policy revision %d is %s", a.Rollout.To, strings.ReplaceAll(string(s), "_", " ")).WithHint("%s", after(s))
		}
		select {
		case <-ctx.Done():
			return problem.New(problem.Unavailable, "the wait was ended; the rollout goes on").WithHint("tocsin policy status")
		case <-tick.C:
		}
		if err := c.Call(ctx, http.MethodGet, "/api/v1/policy/rollout", nil, &a); err != nil {
			return err
		}
	}
}

// after is what can be done about a rollout that stands.
func after(s rollout.Status) string {
	if s == rollout.Halted {
		return "tocsin policy status shows the pages; tocsin policy resume goes on, tocsin policy rollback takes it back"
	}
	return "tocsin policy status, tocsin why policy"
}

type policyStatus struct{}

func (policyStatus) Run(ctx context.Context, c *console.Client) error {
	var a policies.RolloutAnswer
	if err := c.Call(ctx, http.MethodGet, "/api/v1/policy/rollout", nil, &a); err != nil {
		return err
	}
	return tell(c, a)
}

// tell shows a rollout.
func tell(c *console.Client, a policies.RolloutAnswer) error {
	if c.JSON {
		return c.Print(a, nil, nil)
	}
	fmt.Fprintf(c.Out, "policy revision %d is in force\n", a.InForce)
	r := a.Rollout
	if r == nil {
		return nil
	}
	fmt.Fprintf(c.Out, "revision %d, begun %s by %s (%s): %s\n  %s\n\n", r.To, r.StartedAt.UTC().Format(time.RFC3339), r.Author, r.Reason, strings.ReplaceAll(string(r.State), "_", " "), r.Why)
	for _, what := range r.Untried {
		fmt.Fprintf(c.Out, "  not tried in shadow: %s\n", what)
	}
	if len(r.Untried) > 0 {
		fmt.Fprintln(c.Out)
	}
	var rows [][]string
	for i, s := range r.Stages {
		row := []string{fmt.Sprintf("%g%%", s.Percent), "", "", "", "", "", r.Says(i)}
		if s.StartedAt != nil {
			row = []string{row[0], fmt.Sprint(s.Tenants), fmt.Sprintf("%d of %d", s.Extra, s.Allowed), fmt.Sprint(s.Agreed), fmt.Sprint(s.Gone), fmt.Sprint(s.Tickets), row[6]}
		}
		rows = append(rows, row)
		if len(s.Teams) > 1 {
			for _, t := range s.Teams {
				rows = append(rows, []string{"", t.Team, fmt.Sprintf("%d of %d", t.Extra, t.Allowed), fmt.Sprint(t.Agreed), fmt.Sprint(t.Gone), fmt.Sprint(t.Tickets), ""})
			}
		}
	}
	if err := c.Print(nil, []string{"STAGE", "TENANTS", "EXTRA PAGES", "SAME", "ONLY THE OLD", "EXTRA TICKETS", "STATE"}, rows); err != nil || len(r.Pages) == 0 {
		return err
	}
	rows = nil
	for _, p := range r.Pages {
		rows = append(rows, []string{string(p.Verdict), p.At.UTC().Format(time.RFC3339), p.Whose(), fmt.Sprint(p.Tenants), p.Team, p.Rule, p.Slice.Key(), strings.Join(p.Sayings(), "; ")})
	}
	fmt.Fprintln(c.Out)
	return c.Print(nil, []string{"PAGE", "AT", "TENANT", "TENANTS", "TEAM", "RULE", "SLICE", "BECAUSE"}, rows)
}

type policyRollback struct {
	To     int    `help:"The revision to go back to; without it the one before." placeholder:"N"`
	Reason string `required:"" help:"Why; it stands in the ledger." placeholder:"TEXT"`
}

func (k policyRollback) Run(ctx context.Context, c *console.Client) error {
	var a policies.RolloutAnswer
	if err := c.Call(ctx, http.MethodPost, "/api/v1/policy/rollback", policies.RollbackRequest{To: k.To, Reason: k.Reason}, &a); err != nil {
		return err
	}
	return c.Say(a, "%s", inForce(a, ""))
}

type policyResume struct {
	Reason string `required:"" help:"Why its pages are right; it stands in the ledger." placeholder:"TEXT"`
}

func (k policyResume) Run(ctx context.Context, c *console.Client) error {
	var a policies.RolloutAnswer
	if err := c.Call(ctx, http.MethodPost, "/api/v1/policy/rollout/resume", web.ReasonRequest{Reason: k.Reason}, &a); err != nil {
		return err
	}
	return tell(c, a)
}

type policyRevisions struct{}

func (policyRevisions) Run(ctx context.Context, c *console.Client) error {
	list, err := console.All[policies.RevisionAnswer](ctx, c, "/api/v1/policy/revisions")
	if err != nil {
		return err
	}
	var now policies.PolicyAnswer
	if err := c.Call(ctx, http.MethodGet, "/api/v1/policy", nil, &now); err != nil {
		return err
	}
	var rows [][]string
	for _, r := range list {
		mark := ""
		if r.Number == now.Number {
			mark = "in force"
		} else if now.Rollout != nil && r.Number == now.Rollout.To {
			mark = "being rolled out"
		}
		rows = append(rows, []string{fmt.Sprint(r.Number), r.Sha, r.At.UTC().Format(time.RFC3339), string(r.Origin), r.Author, mark, r.Reason})
		for _, what := range changes(r) {
			rows = append(rows, []string{"", "", "", "", "", "", "  " + what})
		}
	}
	return c.Print(list, []string{"REVISION", "SHA", "AT", "FROM", "BY", "", "BECAUSE"}, rows)
}

const sentencesShown = 10 // of what a revision changed

// changes says what a revision changed of the one before, and how much of it is left out.
func changes(r policies.RevisionAnswer) []string {
	if r.Changed == nil {
		return nil
	}
	out := r.Changed.Words()
	if n := len(out) - sentencesShown; n > 0 {
		out = append(out[:sentencesShown:sentencesShown], fmt.Sprintf("and %d more: --output json lists them", n))
	}
	return out
}

type policyShow struct {
	Revision int `help:"Of which revision; without it that in force." placeholder:"N"`
}

func (k policyShow) Run(ctx context.Context, c *console.Client) error {
	path := "/api/v1/policy"
	if k.Revision > 0 {
		path = fmt.Sprintf("/api/v1/policy/revisions/%d", k.Revision)
	}
	var r rollout.Revision
	if err := c.Call(ctx, http.MethodGet, path, nil, &r); err != nil {
		return err
	}
	if c.JSON {
		return c.Print(r, nil, nil)
	}
	_, err := io.WriteString(c.Out, r.Text)
	return err
}
