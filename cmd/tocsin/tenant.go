package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-alerting/tocsin/app/api"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/tenant"
)

type tenantCmd struct {
	Apply   tenantApply   `cmd:"" help:"Onboard or change the tenants of a YAML list."`
	List    tenantList    `cmd:"" help:"List tenants."`
	Get     tenantGet     `cmd:"" help:"Show a tenant and what is watched for it."`
	Status  tenantStatus  `cmd:"" help:"Show what arrives for a tenant and what was learned."`
	Delete  tenantDelete  `cmd:"" help:"Offboard a tenant."`
	Unknown tenantUnknown `cmd:"" help:"List tenants that send and were never onboarded."`
	Adopt   tenantAdopt   `cmd:"" help:"Onboard tenants that send already."`
}

func tenantPath(id string) string { return "/api/v1/tenants/" + url.PathEscape(id) }

type tenantApply struct {
	File  string `short:"f" required:"" help:"YAML list of tenants; - reads standard input." placeholder:"FILE"`
	Prune bool   `help:"Offboard tenants that the file does not list."`
}

func (t tenantApply) Run(ctx context.Context, c *client) error {
	list, err := readTenants(t.File)
	if err != nil {
		return err
	}
	before, err := all[tenant.Tenant](ctx, c, "/api/v1/tenants")
	if err != nil {
		return err
	}
	revisions := map[tenant.ID]int{}
	for _, b := range before {
		revisions[b.ID] = b.Revision
	}
	rows := [][]string{}
	answers := []api.TenantAnswer{}
	for _, doc := range list {
		var a api.TenantAnswer
		if err := c.call(ctx, http.MethodPut, tenantPath(string(doc.ID)), request(doc), &a); err != nil {
			p := problem.From(err)
			return problem.Wrap(err, p.Kind, "tenant %s was not applied; those before it were", doc.ID).WithHint("%s", p.Message+" "+p.Hint)
		}
		what := "unchanged"
		switch old, known := revisions[a.ID]; {
		case !known:
			what = "onboarded"
		case old != a.Revision:
			what = "changed"
		}
		delete(revisions, a.ID)
		answers = append(answers, a)
		rows = append(rows, []string{string(a.ID), what, fmt.Sprintf("profile revision %d, %d rule(s)", a.Profile.Revision.Number, len(a.Profile.Rules))})
	}
	left := make([]string, 0, len(revisions))
	for id := range revisions {
		left = append(left, string(id))
	}
	slices.Sort(left)
	for _, id := range left {
		what := "not in the file; kept (--prune offboards it)"
		if t.Prune {
			if err := c.call(ctx, http.MethodDelete, tenantPath(id), nil, nil); err != nil {
				return err
			}
			what = "offboarded"
		}
		rows = append(rows, []string{id, what, ""})
	}
	return c.print(answers, []string{"TENANT", "RESULT", "PROFILE"}, rows)
}

func request(t tenant.Tenant) api.TenantRequest {
	r := api.TenantRequest{Name: t.Name, Features: t.Features, Services: t.Services, Countries: t.Countries, Integrations: t.Integrations,
		Timezone: t.Timezone, Currency: t.Currency, ExpectedTPM: t.ExpectedTPM, ValuePerTransaction: t.ValuePerTransaction, Priority: t.Priority,
		State: t.State, Labels: t.Labels, OptIns: t.OptIns}
	if !t.OnboardedAt.IsZero() {
		r.OnboardedAt = t.OnboardedAt.UTC().Format(time.RFC3339)
	}
	return r
}

// readTenants reads a strict YAML list and reports every fault at once.
func readTenants(file string) ([]tenant.Tenant, error) {
	var raw []byte
	var err error
	if file == "-" {
		raw, err = io.ReadAll(os.Stdin)
	} else {
		raw, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the file of tenants cannot be read")
	}
	var list []tenant.Tenant
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(&list); err != nil && !errors.Is(err, io.EOF) {
		return nil, problem.New(problem.Invalid, "%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: ")).WithHint("a list of tenants, each with at least id; nothing was applied")
	}
	var faults []string
	seen := map[tenant.ID]bool{}
	for i, t := range list {
		if _, err := t.Normalise(time.Now()); err != nil {
			faults = append(faults, fmt.Sprintf("entry %d (%s): %v", i+1, t.ID, err))
		}
		if seen[t.ID] {
			faults = append(faults, fmt.Sprintf("entry %d (%s): the id stands twice", i+1, t.ID))
		}
		seen[t.ID] = true
	}
	if len(faults) > 0 {
		return nil, problem.New(problem.Invalid, "%s: %s", file, strings.Join(faults, "; ")).WithHint("nothing was applied")
	}
	return list, nil
}

type tenantList struct{}

func (tenantList) Run(ctx context.Context, c *client) error {
	list, err := all[tenant.Tenant](ctx, c, "/api/v1/tenants")
	if err != nil {
		return err
	}
	rows := make([][]string, len(list))
	for i, t := range list {
		rows[i] = []string{string(t.ID), t.Name, string(t.State), t.Timezone, t.OnboardedAt.Format(time.RFC3339)}
	}
	return c.print(list, []string{"TENANT", "NAME", "STATE", "ZONE", "ONBOARDED"}, rows)
}

type tenantGet struct {
	ID string `arg:"" help:"Tenant."`
}

func (t tenantGet) Run(ctx context.Context, c *client) error {
	var a api.TenantAnswer
	if err := c.call(ctx, http.MethodGet, tenantPath(t.ID), nil, &a); err != nil {
		return err
	}
	rows := [][]string{{"tenant", fmt.Sprintf("%s (%s), %s, revision %d", a.ID, a.Name, a.State, a.Revision)},
		{"profile", fmt.Sprintf("revision %d of policy revision %d, because %s", a.Profile.Revision.Number, a.Profile.Revision.PolicyRevision, a.Profile.Revision.Cause)}}
	for i, w := range a.Profile.Watches {
		rows = append(rows, []string{"watches", w}, []string{"", "because " + a.Profile.Reasons[i]})
	}
	return c.print(a, nil, rows)
}

type tenantStatus struct {
	ID string `arg:"" help:"Tenant."`
}

func (t tenantStatus) Run(ctx context.Context, c *client) error {
	var s evaluate.Status
	if err := c.call(ctx, http.MethodGet, tenantPath(t.ID)+"/status", nil, &s); err != nil {
		return err
	}
	last := "never"
	if s.LastSampleAt != nil {
		last = s.LastSampleAt.Format(time.RFC3339)
	}
	rows := [][]string{{"series", fmt.Sprintf("%d, %d of them sending", s.Series, s.SeriesLive)}, {"last sample", last},
		{"late samples", fmt.Sprint(s.LateSamples)}, {"blind", fmt.Sprint(s.Blind)}}
	if s.Young {
		until := "24 h of samples"
		if s.YoungUntil != nil {
			until = s.YoungUntil.Format(time.RFC3339)
		}
		rows = append(rows, []string{"young", "only hard faults fire until " + until})
	}
	for _, x := range s.SLIs {
		rows = append(rows, []string{"sli " + x.Name, fmt.Sprintf("%.1f a minute, steps of %gs", x.RatePerMinute, x.StepSeconds)})
		for _, sl := range x.Slices {
			name := sl.Slice.Key()
			if name == "" {
				name = "total"
			}
			rows = append(rows, []string{"  " + name, fmt.Sprintf("%.2f%% fail usually; evidence %.1f of %.1f; %s", 100*sl.Usual, sl.Score, sl.Needed, smallest(sl))})
		}
	}
	return c.print(s, nil, rows)
}

func smallest(s evaluate.SliceStatus) string {
	if s.SmallestFault == nil {
		return "no fault is seen within ten minutes at this volume"
	}
	return fmt.Sprintf("sees %.1f points more failures within ten minutes", 100**s.SmallestFault)
}

type tenantDelete struct {
	ID string `arg:"" help:"Tenant."`
}

func (t tenantDelete) Run(ctx context.Context, c *client) error {
	if err := c.call(ctx, http.MethodDelete, tenantPath(t.ID), nil, nil); err != nil {
		return err
	}
	return c.print(map[string]string{"offboarded": t.ID}, nil, [][]string{{"offboarded " + t.ID}})
}

type tenantUnknown struct{}

func (tenantUnknown) Run(ctx context.Context, c *client) error {
	list, err := all[samples.UnknownTenant](ctx, c, "/api/v1/unknown-tenants")
	if err != nil {
		return err
	}
	rows := make([][]string, len(list))
	for i, u := range list {
		rows[i] = []string{string(u.ID), fmt.Sprint(u.Samples), u.FirstSeen.Format(time.RFC3339), u.LastSeen.Format(time.RFC3339)}
	}
	return c.print(list, []string{"TENANT", "SAMPLES", "FIRST SEEN", "LAST SEEN"}, rows)
}

type tenantAdopt struct {
	IDs []string `arg:"" help:"Tenants, as tocsin tenant unknown lists them."`
}

func (t tenantAdopt) Run(ctx context.Context, c *client) error {
	rows := [][]string{}
	answers := []api.TenantAnswer{}
	for _, id := range t.IDs {
		var a api.TenantAnswer
		if err := c.call(ctx, http.MethodGet, tenantPath(id), nil, &a); err == nil {
			rows = append(rows, []string{id, "was onboarded already"})
			continue
		}
		if err := c.call(ctx, http.MethodPut, tenantPath(id), api.TenantRequest{}, &a); err != nil {
			return err
		}
		answers = append(answers, a)
		rows = append(rows, []string{id, fmt.Sprintf("adopted with profile revision %d", a.Profile.Revision.Number)})
	}
	return c.print(answers, []string{"TENANT", "RESULT"}, rows)
}
