// Package tenancy has the commands about tenants and their profiles.
package tenancy

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/tenants"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Tenant has the commands about tenants.
type Tenant struct {
	Apply     tenantApply     `cmd:"" help:"Onboard or change the tenants of a YAML list."`
	List      tenantList      `cmd:"" help:"List tenants."`
	Get       tenantGet       `cmd:"" help:"Show a tenant and what is watched for it."`
	Revisions tenantRevisions `cmd:"" help:"Show how a tenant's profile came to be."`
	OptIn     tenantOptIn     `cmd:"" help:"Switch a feature on, with the rules that follow."`
	OptOut    tenantOptOut    `cmd:"" help:"Switch a feature off; what its rules have firing ends."`
	Status    Status          `cmd:"" help:"Show what arrives for a tenant and what was learned."`
	Delete    tenantDelete    `cmd:"" help:"Offboard a tenant."`
	Unknown   tenantUnknown   `cmd:"" help:"List tenants that send and were never onboarded."`
	Adopt     tenantAdopt     `cmd:"" help:"Onboard tenants that send already."`
}

func tenantPath(id string) string { return "/api/v1/tenants/" + url.PathEscape(id) }

func request(t tenant.Tenant) tenants.TenantRequest {
	r := tenants.TenantRequest{Name: t.Name, Features: t.Features, Services: t.Services, Countries: t.Countries, Integrations: t.Integrations,
		Timezone: t.Timezone, Currency: t.Currency, ExpectedTPM: t.ExpectedTPM, ValuePerTransaction: t.ValuePerTransaction, Priority: t.Priority,
		State: t.State, Labels: t.Labels, OptIns: t.OptIns}
	if !t.OnboardedAt.IsZero() {
		r.OnboardedAt = t.OnboardedAt.UTC().Format(time.RFC3339)
	}
	return r
}

type tenantList struct{}

func (tenantList) Run(ctx context.Context, c *console.Client) error {
	list, err := console.All[tenant.Tenant](ctx, c, "/api/v1/tenants")
	if err != nil {
		return err
	}
	rows := make([][]string, len(list))
	for i, t := range list {
		rows[i] = []string{string(t.ID), t.Name, string(t.State), t.Timezone, t.OnboardedAt.Format(time.RFC3339)}
	}
	return c.Print(list, []string{"TENANT", "NAME", "STATE", "ZONE", "ONBOARDED"}, rows)
}

type tenantGet struct {
	ID string `arg:"" help:"Tenant."`
}

func (t tenantGet) Run(ctx context.Context, c *console.Client) error {
	var a tenants.TenantAnswer
	if err := c.Call(ctx, http.MethodGet, tenantPath(t.ID), nil, &a); err != nil {
		return err
	}
	return c.Print(a, nil, tenantRows(a))
}

func tenantRows(a tenants.TenantAnswer) [][]string {
	rows := [][]string{{"tenant", fmt.Sprintf("%s (%s), %s, revision %d", a.ID, a.Name, a.State, a.Revision)}}
	for _, o := range a.OptIns {
		rows = append(rows, []string{"feature", o.Feature + " since " + o.At.Format(time.RFC3339)})
	}
	rows = append(rows, []string{"profile", fmt.Sprintf("revision %d of policy revision %d, because %s", a.Profile.Revision.Number, a.Profile.Revision.PolicyRevision, a.Profile.Revision.Cause)})
	for i, w := range a.Profile.Watches {
		rows = append(rows, []string{"watches", w}, []string{"", "because " + a.Profile.Reasons[i]})
	}
	for _, r := range buts(a.Profile) {
		rows = append(rows, []string{"but", r})
	}
	return rows
}

// buts are the reasons that speak of no rule.
func buts(p tenants.ProfileAnswer) []string {
	return p.Reasons[min(len(p.Watches), len(p.Reasons)):]
}

type tenantRevisions struct {
	ID string `arg:"" help:"Tenant."`
}

func (t tenantRevisions) Run(ctx context.Context, c *console.Client) error {
	list, err := console.All[profiles.Revision](ctx, c, tenantPath(t.ID)+"/profile/revisions")
	if err != nil {
		return err
	}
	rows := [][]string{}
	for _, r := range list {
		rows = append(rows, []string{fmt.Sprint(r.Number), r.At.Format(time.RFC3339), r.Author, r.Cause})
		for _, w := range r.Diff.Words {
			rows = append(rows, []string{"", "", "", "  " + w})
		}
	}
	return c.Print(list, []string{"REVISION", "AT", "BY", "BECAUSE"}, rows)
}

type tenantOptIn struct {
	ID      string `arg:"" help:"Tenant."`
	Feature string `arg:"" help:"Feature, for example refunds or country.de."`
}

func (t tenantOptIn) Run(ctx context.Context, c *console.Client) error {
	return opt(ctx, c, http.MethodPost, t.ID, url.PathEscape(t.Feature))
}

type tenantOptOut struct {
	ID      string `arg:"" help:"Tenant."`
	Feature string `arg:"" help:"Feature."`
	Reason  string `help:"Why; it stands in the ledger, in the profile and in the incident that ends." placeholder:"TEXT"`
}

func (t tenantOptOut) Run(ctx context.Context, c *console.Client) error {
	path := url.PathEscape(t.Feature)
	if t.Reason != "" {
		path += "?reason=" + url.QueryEscape(t.Reason)
	}
	return opt(ctx, c, http.MethodDelete, t.ID, path)
}

func opt(ctx context.Context, c *console.Client, method, id, path string) error {
	var a tenants.TenantAnswer
	if err := c.Call(ctx, method, tenantPath(id)+"/features/"+path, nil, &a); err != nil {
		return err
	}
	return c.Print(a, nil, tenantRows(a))
}

type tenantDelete struct {
	ID    string `arg:"" help:"Tenant."`
	Purge bool   `help:"Also erase its series, records and pictures; this cannot be undone and needs --yes."`
	Yes   bool   `help:"Do not ask."`
}

func (t tenantDelete) Run(ctx context.Context, c *console.Client) error {
	if !t.Purge {
		if err := c.Call(ctx, http.MethodDelete, tenantPath(t.ID), nil, nil); err != nil {
			return err
		}
		return c.Print(map[string]string{"offboarded": t.ID}, nil, [][]string{{"offboarded " + t.ID}})
	}
	if !t.Yes {
		return problem.New(problem.Invalid, "everything that is kept of the tenant would be erased").WithHint("say --yes if that is what you want; nothing was done")
	}
	var e directory.Erased
	if err := c.Call(ctx, http.MethodDelete, tenantPath(t.ID)+"?purge=true", nil, &e); err != nil {
		return err
	}
	return c.Print(e, nil, [][]string{{"erased", string(e.Tenant)}, {"series", fmt.Sprint(e.Series)}, {"records", fmt.Sprint(e.Records)},
		{"incidents", fmt.Sprintf("%d erased, %d kept until they are over", e.Incidents, e.Kept)}, {"pictures", fmt.Sprint(e.Pictures)}})
}

type tenantUnknown struct{}

func (tenantUnknown) Run(ctx context.Context, c *console.Client) error {
	list, err := console.All[samples.UnknownTenant](ctx, c, "/api/v1/unknown-tenants")
	if err != nil {
		return err
	}
	rows := make([][]string, len(list))
	for i, u := range list {
		rows[i] = []string{string(u.ID), fmt.Sprint(u.Samples), u.FirstSeen.Format(time.RFC3339), u.LastSeen.Format(time.RFC3339)}
	}
	return c.Print(list, []string{"TENANT", "SAMPLES", "FIRST SEEN", "LAST SEEN"}, rows)
}

type tenantAdopt struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Tenants, as tocsin tenant unknown lists them."`
	All bool     `help:"All that send now."`
}

func (t tenantAdopt) Run(ctx context.Context, c *console.Client) error {
	if t.All == (len(t.IDs) > 0) {
		return problem.New(problem.Invalid, "name the tenants, or say --all").WithHint("tocsin tenant unknown lists them")
	}
	if t.All {
		list, err := console.All[samples.UnknownTenant](ctx, c, "/api/v1/unknown-tenants")
		if err != nil {
			return err
		}
		for _, u := range list {
			t.IDs = append(t.IDs, string(u.ID))
		}
	}
	rows := [][]string{}
	answers := []tenants.TenantAnswer{}
	for _, id := range t.IDs {
		var a tenants.TenantAnswer
		err := c.Call(ctx, http.MethodGet, tenantPath(id), nil, &a)
		switch {
		case err == nil:
			rows = append(rows, []string{id, "was onboarded already"})
			continue
		case !problem.Is(err, problem.NotFound):
			return err
		}
		if err := c.Call(ctx, http.MethodPut, tenantPath(id), tenants.TenantRequest{}, &a); err != nil {
			return err
		}
		answers = append(answers, a)
		rows = append(rows, []string{id, fmt.Sprintf("adopted with profile revision %d", a.Profile.Revision.Number)})
	}
	return c.Print(answers, []string{"TENANT", "RESULT"}, rows)
}
