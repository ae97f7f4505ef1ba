package tenancy

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/tenants"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

// Profile has the commands about a tenant's profile.
type Profile struct {
	Explain     profileExplain     `cmd:"" help:"Show a tenant's profile: why it is so, which faults it sees at this hour, what is in shadow, and its revisions."`
	Override    profileOverride    `cmd:"" help:"Change a rule for one tenant until a time."`
	EndOverride profileEndOverride `cmd:"" help:"End an override that was made by this command or the API."`
	Pin         profilePin         `cmd:"" help:"Keep a profile at a tier or a revision."`
	Unpin       profileUnpin       `cmd:"" help:"Let a pinned profile follow again."`
	Rollback    profileRollback    `cmd:"" help:"Take a profile back to a revision and keep it there until it is unpinned."`
	Freeze      profileFreeze      `cmd:"" help:"Let a profile follow nothing: no tier, no opt-in, no policy."`
	Thaw        profileThaw        `cmd:"" help:"Let a frozen profile follow again."`
	Promote     profilePromote     `cmd:"" help:"Put the proposed revision in force."`
	Export      profileExport      `cmd:"" help:"Print how every tenant's profile was over time, a JSON document a line: for backtest --profiles."`
	Waiting     profileWaiting     `cmd:"" help:"List the proposed revisions that only a person can decide about."`
	Refuse      profileRefuse      `cmd:"" help:"Drop the proposed revision; its tier is not proposed again for thirty days."`
}

// explained prints what a decision about a profile brought.
func explained(ctx context.Context, c *console.Client, method, id, path string, body any) error {
	var a tenants.ExplainAnswer
	if err := c.Call(ctx, method, tenantPath(id)+"/profile/"+path, body, &a); err != nil {
		return err
	}
	return c.Print(a, nil, explainRows(a))
}

func explainRows(a tenants.ExplainAnswer) [][]string {
	p := a.Profile
	rows := [][]string{{"profile", fmt.Sprintf("revision %d of policy revision %d, because %s", p.Revision.Number, p.Revision.PolicyRevision, p.Revision.Cause)}}
	for i, w := range a.Standing {
		rows = append(rows, []string{first(i, "stands"), w})
	}
	for i, w := range p.Watches {
		rows = append(rows, []string{"watches", w}, []string{"", "because " + strings.TrimPrefix(p.Reasons[i], p.Rules[i].Name+": ")})
	}
	for _, r := range p.Reasons[min(len(p.Watches), len(p.Reasons)):] {
		rows = append(rows, []string{"but", r})
	}
	for i, r := range a.Record {
		rows = append(rows, []string{first(i, "called"), "team " + r.Team + ", for this tenant: " + r.Words})
	}
	rows = append(rows, seeRows(a)...)
	for i, f := range a.WhoFails {
		rows = append(rows, []string{first(i, "who fails"), fmt.Sprintf("%s (%s): %s", f.SLI, f.Environment, f.Words)})
	}
	for i, r := range a.Revisions {
		by := r.Author + ": "
		if strings.Contains(r.Cause, r.Author) { // it says who
			by = ""
		}
		rows = append(rows, []string{first(i, "revisions"), fmt.Sprintf("%d, %s, %s%s", r.Number, r.At.UTC().Format(time.RFC3339), by, r.Cause)})
		for _, w := range r.Diff.Words {
			rows = append(rows, []string{"", "  " + w})
		}
	}
	return rows
}

// first is a heading that stands once.
func first(i int, heading string) string {
	if i == 0 {
		return heading
	}
	return ""
}

type profileExplain struct {
	ID string `arg:"" help:"Tenant."`
}

func (k profileExplain) Run(ctx context.Context, c *console.Client) error {
	return explained(ctx, c, http.MethodGet, k.ID, "explain", nil)
}

type profileWaiting struct{}

func (profileWaiting) Run(ctx context.Context, c *console.Client) error {
	var a tenants.WaitsAnswer
	if err := c.Call(ctx, http.MethodGet, "/api/v1/profiles/waiting", nil, &a); err != nil {
		return err
	}
	if len(a.Items) == 0 {
		return c.Say(a, "nothing waits for a person")
	}
	rows := make([][]string, len(a.Items))
	for i, w := range a.Items {
		rows[i] = []string{w.Tenant, w.Name, w.Team, w.From + " -> " + w.To, w.Since.UTC().Format(time.RFC3339), w.Cause, w.Held}
	}
	return c.Print(a, []string{"TENANT", "NAME", "TEAM", "TIER", "WAITS SINCE", "PROPOSED BECAUSE", "NOT PROMOTED BECAUSE"}, rows)
}

// ends are the flags of what ends at a time.
type ends struct {
	Until string        `help:"When it ends: a day, as 2026-12-24, which begins at 00:00 UTC, or a time in RFC 3339." placeholder:"TIME"`
	For   time.Duration `help:"Or how long it holds, for example 72h."`
}

// at is when it ends; empty when nothing was said.
func (e ends) at(now time.Time) (string, error) {
	switch {
	case e.For < 0 || e.For > 0 && e.Until != "":
		return "", console.Misused(problem.New(problem.Invalid, "give either --until or --for, and no negative time"))
	case e.For > 0:
		return now.Add(e.For).UTC().Format(time.RFC3339), nil
	case e.Until == "":
		return "", nil
	}
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if until, err := time.Parse(form, e.Until); err == nil {
			return until.UTC().Format(time.RFC3339), nil
		}
	}
	return "", console.Misused(problem.New(problem.Invalid, "--until is no day and no time").WithHint("write 2026-12-24 or 2026-12-24T18:00:00+01:00"))
}

// why is the flag of a reason.
type why struct {
	Reason string `required:"" help:"Why; it stands in the ledger and in the profile." placeholder:"TEXT"`
}

type profileOverride struct {
	ID          string `arg:"" help:"Tenant."`
	Rule        string `help:"The rule; without it every rule." placeholder:"NAME"`
	Severity    string `help:"critical, warning or info." placeholder:"WORD"`
	Sensitivity string `help:"quiet, balanced or early." placeholder:"WORD"`
	Off         bool   `help:"The tenant has no such rule meanwhile."`
	ends
	why
}

func (k profileOverride) Run(ctx context.Context, c *console.Client) error {
	until, err := k.at(time.Now())
	if err != nil {
		return err
	}
	return explained(ctx, c, http.MethodPost, k.ID, "overrides", tenants.RuleOverrideRequest{Rule: k.Rule, Severity: k.Severity, Sensitivity: k.Sensitivity, Off: k.Off, Until: until, Reason: k.Reason})
}

type profileEndOverride struct {
	ID   string `arg:"" help:"Tenant."`
	Rule string `help:"The rule of the override; without it those of every rule." placeholder:"NAME"`
}

func (k profileEndOverride) Run(ctx context.Context, c *console.Client) error {
	path := "overrides"
	if k.Rule != "" {
		path += "?rule=" + url.QueryEscape(k.Rule)
	}
	return explained(ctx, c, http.MethodDelete, k.ID, path, nil)
}

type profilePin struct {
	ID       string `arg:"" help:"Tenant."`
	Tier     string `help:"Keep it in this tier." placeholder:"NAME"`
	Revision int    `help:"Or at this revision of the profile." placeholder:"NUMBER"`
	ends
	why
}

func (k profilePin) Run(ctx context.Context, c *console.Client) error {
	until, err := k.at(time.Now())
	if err != nil {
		return err
	}
	return explained(ctx, c, http.MethodPost, k.ID, "pin", tenants.PinRequest{Tier: k.Tier, Revision: k.Revision, Until: until, Reason: k.Reason})
}

type profileRollback struct {
	ID string `arg:"" help:"Tenant."`
	To int    `help:"The revision; without it the one before." placeholder:"NUMBER"`
	why
}

func (k profileRollback) Run(ctx context.Context, c *console.Client) error {
	return explained(ctx, c, http.MethodPost, k.ID, "rollback", tenants.ReturnRequest{To: k.To, Reason: k.Reason})
}

type profileFreeze struct {
	ID string `arg:"" help:"Tenant."`
	ends
	why
}

func (k profileFreeze) Run(ctx context.Context, c *console.Client) error {
	until, err := k.at(time.Now())
	if err != nil {
		return err
	}
	return explained(ctx, c, http.MethodPost, k.ID, "freeze", tenants.FreezeRequest{Until: until, Reason: k.Reason})
}

// steered is a decision that needs a reason only.
type steered struct {
	ID string `arg:"" help:"Tenant."`
	why
}

func (k steered) decide(ctx context.Context, c *console.Client, verb string) error {
	return explained(ctx, c, http.MethodPost, k.ID, verb, web.ReasonRequest{Reason: k.Reason})
}

type (
	profileUnpin   struct{ steered }
	profileThaw    struct{ steered }
	profilePromote struct{ steered }
	profileRefuse  struct{ steered }
)

func (k profileUnpin) Run(ctx context.Context, c *console.Client) error {
	return k.decide(ctx, c, "unpin")
}
func (k profileThaw) Run(ctx context.Context, c *console.Client) error {
	return k.decide(ctx, c, "thaw")
}
func (k profilePromote) Run(ctx context.Context, c *console.Client) error {
	return k.decide(ctx, c, "promote")
}
func (k profileRefuse) Run(ctx context.Context, c *console.Client) error {
	return k.decide(ctx, c, "refuse")
}
