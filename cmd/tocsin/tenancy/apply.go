package tenancy

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/api/tenants"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

type tenantApply struct {
	File  string `short:"f" required:"" help:"YAML list of tenants; - reads standard input." placeholder:"FILE"`
	Prune bool   `help:"Offboard tenants that the file does not list; lists them, and does it with --yes only."`
	Yes   bool   `help:"Do what --prune listed."`
}

// Applied is what became of one tenant.
type Applied struct {
	Tenant  tenant.ID              `json:"tenant"`
	Result  string                 `json:"result"` // created, changed, unchanged, kept, offboarded
	Profile *tenants.ProfileAnswer `json:"profile,omitempty"`
}

func (t tenantApply) Run(ctx context.Context, c *console.Client) error {
	list, err := Read(t.File)
	if err != nil {
		return err
	}
	before, err := console.All[tenant.Tenant](ctx, c, "/api/v1/tenants")
	if err != nil {
		return err
	}
	left := leftOver(before, list)
	if t.Prune && !t.Yes && len(left) > 0 {
		return mustBeSure(left)
	}
	done, err := applyAll(ctx, c, list, before)
	if err != nil {
		return err
	}
	for _, old := range left {
		what := "kept"
		if t.Prune {
			if err := c.CallIf(ctx, http.MethodDelete, tenantPath(string(old.ID)), old.Revision, nil, nil); err != nil {
				return err
			}
			what = "offboarded"
		}
		done = append(done, Applied{Tenant: old.ID, Result: what})
	}
	rows := make([][]string, 0, len(done))
	for _, d := range done {
		row := []string{string(d.Tenant), d.Result, ""}
		switch {
		case d.Profile != nil:
			row[2] = fmt.Sprintf("profile revision %d, %d rule(s)", d.Profile.Revision.Number, len(d.Profile.Rules))
		case d.Result == "kept":
			row[2] = "not in the file (--prune offboards it)"
		}
		rows = append(rows, row)
		if d.Profile != nil {
			for _, but := range buts(*d.Profile) {
				rows = append(rows, []string{"", "but", but})
			}
		}
	}
	return c.Print(done, []string{"TENANT", "RESULT", ""}, rows)
}

// Read reads a YAML list of tenants; - is standard input.
func Read(file string) ([]tenant.Tenant, error) {
	text, err := console.Read(file, "the file of tenants cannot be read")
	if err != nil {
		return nil, err
	}
	return tenant.ParseList(file, text, time.Now())
}

// leftOver lists the tenants that the file does not name.
func leftOver(before, list []tenant.Tenant) []tenant.Tenant {
	return slices.DeleteFunc(slices.Clone(before), func(b tenant.Tenant) bool {
		return slices.ContainsFunc(list, func(t tenant.Tenant) bool { return t.ID == b.ID })
	})
}

// mustBeSure lists what --prune would offboard.
func mustBeSure(left []tenant.Tenant) error {
	text := ""
	for _, t := range left {
		text += fmt.Sprintf("\n  %s (%s, %s)", t.ID, t.Name, t.State)
	}
	return problem.New(problem.Invalid, "--prune would offboard %d tenant(s) that the file does not list:%s", len(left), text).
		WithHint("say --yes if that is what you want; nothing was done")
}

// applyAll writes every document; one that somebody else changes meanwhile is
// refused and not overwritten.
func applyAll(ctx context.Context, c *console.Client, list, before []tenant.Tenant) ([]Applied, error) {
	revisions := map[tenant.ID]int{}
	for _, b := range before {
		revisions[b.ID] = b.Revision
	}
	done := []Applied{}
	for _, doc := range list {
		var a tenants.TenantAnswer
		if err := c.CallIf(ctx, http.MethodPut, tenantPath(string(doc.ID)), revisions[doc.ID], request(doc), &a); err != nil {
			p := problem.From(err)
			return nil, problem.Wrap(err, p.Kind, "tenant %s was not applied; the %d before it were", doc.ID, len(done)).WithHint("%s", p.Message+" "+p.Hint)
		}
		what := "unchanged"
		switch old, known := revisions[a.ID]; {
		case !known:
			what = "created"
		case old != a.Revision:
			what = "changed"
		}
		done = append(done, Applied{Tenant: a.ID, Result: what, Profile: &a.Profile})
	}
	return done, nil
}
