// Package replay has the backtest: recorded metrics through a policy.
package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/tenancy"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
)

// Backtest runs recorded metrics through a policy.
type Backtest struct {
	ConfigFile string `name:"config.file" aliases:"config" placeholder:"FILE" help:"tocsin.yaml: names catalog, policy and labels; default: the built-in ones."`
	Policy     string `placeholder:"FILE" help:"Policy to run; default: the configuration's."`
	Tenants    string `required:"" placeholder:"FILE" help:"YAML list of tenants, as tenant apply reads it; onboarded_at and opt_ins count."`
	Input      string `required:"" placeholder:"PATH" help:"A Prometheus data directory, a file of OpenMetrics text, or the address of a Prometheus."`
	From       moment `placeholder:"TIME" help:"Begin here: a day, as 2026-03-02, which begins at 00:00 UTC, or a time in RFC 3339; default: the first sample."`
	To         moment `placeholder:"TIME" help:"End here; default: the last sample."`
	Against    string `placeholder:"FILE" help:"Another policy: say which pages it would add and which would be gone."`
	Rules      string `placeholder:"FILE" help:"A Prometheus rule file: say which of its pages are gone and which are new."`
	Profiles   string `placeholder:"FILE" help:"How the tenants' profiles were, as tocsin profile export writes it; without it tiers follow the recorded volume."`
	Picture    string `placeholder:"FILE" help:"Draw the tenants' lines with alerts, pages, known faults and the other rules' pages: a file that ends in .png or .svg."`
	Incidents  string `placeholder:"CSV" help:"Faults that happened (start,end,name,tenant,service): say which pages were false and which faults were missed."`
}

// Run writes one line per alert to standard output; what is compared and how far
// it is goes to standard error.
func (b Backtest) Run(ctx context.Context, c *console.Client, t console.Terminal) error {
	err := b.run(ctx, c, t)
	if err != nil && ctx.Err() != nil {
		return problem.New(problem.Unavailable, "it was interrupted: what it had found so far is not told")
	}
	return err
}

func (b Backtest) run(ctx context.Context, c *console.Client, t console.Terminal) (err error) {
	cfg, policy, cat, err := b.load()
	if err != nil {
		return err
	}
	list, err := tenancy.Read(b.Tenants)
	if err != nil {
		return err
	}
	incidents, err := b.incidents()
	if err != nil {
		return err
	}
	src, err := recorded.Open(b.Input)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	rules, err := b.rules(src)
	if err != nil {
		return err
	}
	from, to, err := b.span(ctx, src)
	if err != nil {
		return err
	}
	known := len(incidents)
	incidents = backtest.Within(incidents, from, to)
	o := backtest.Options{Policy: policy, Catalog: cat, Tenants: list, Environment: cfg.Environment, TenantLabel: cfg.Labels.Tenant, EnvironmentLabel: cfg.Labels.Environment,
		ClusterLabels: cfg.Labels.Cluster, Follow: true}
	if o.Profiles, err = b.profiles(); err != nil {
		return err
	}
	if b.Picture != "" {
		o.Course = backtest.NewCourse(policy, cfg.Labels.Tenant, from, to)
	}
	if o.Queries, err = ask(ctx, t.Err, src, o, from, to); err != nil {
		return err
	}
	ours, err := backtest.New(o, from)
	if err != nil {
		return err
	}
	picture := backtest.Picture{Course: o.Course, Incidents: incidents, From: from, To: to}
	o.Course = nil
	replays := []*backtest.Replay{ours}
	if b.Against != "" {
		if o.Policy, err = readPolicy(b.Against); err != nil {
			return err
		}
		if o.Queries, err = ask(ctx, t.Err, src, o, from, to); err != nil {
			return err
		}
		other, err := backtest.New(o, from)
		if err != nil {
			return err
		}
		replays = append(replays, other)
	}
	bar := progress{out: t.Err, began: time.Now()}
	err = backtest.Run(ctx, src, from, to, bar.show, replays...)
	bar.end()
	if err != nil {
		return err
	}
	heard := ours.Heard()
	if err := b.nobody(heard, ours.Lines(), cfg.Labels.Tenant, o.Queries != nil); err != nil {
		return err
	}
	if err := printLines(c, t.Out, ours.Lines()); err != nil {
		return err
	}
	w := tabwriter.NewWriter(t.Err, 0, 0, 2, ' ', 0)
	pages := backtest.Pages(ours.Lines())
	fmt.Fprintf(w, "from %s to %s: %s, %s\n", from.Format(time.RFC3339), to.Format(time.RFC3339), several(len(ours.Lines()), "alert"), several(len(pages), "page"))
	b.whose(w, heard, incidents)
	if b.Against != "" {
		picture.Others = backtest.Pages(replays[1].Lines())
		against(w, b.Against, pages, picture.Others, incidents)
	}
	if b.Rules != "" {
		theirs, err := rules.pages(ctx, w, cfg.Labels.Tenant, from, to)
		if err != nil {
			return err
		}
		theirs, others := heard.Of(theirs)
		if others > 0 {
			fmt.Fprintf(w, "%s of %s concern tenants that are not in %s, and do not count\n", several(others, "page"), b.Rules, b.Tenants)
		}
		picture.Others = append(picture.Others, theirs...)
		against(w, b.Rules, pages, theirs, incidents)
	}
	if outside := known - len(incidents); outside > 0 {
		fmt.Fprintf(w, "faults that lie outside of that time, and do not count: %d of %d\n", outside, known)
	}
	if incidents != nil {
		verdict(w, "this policy", backtest.Judge(pages, incidents), len(incidents))
	}
	if err := w.Flush(); err != nil || b.Picture == "" {
		return err
	}
	picture.Lines = ours.Lines()
	picture.Course.Keep(heard.Listed)
	return b.draw(picture, t.Err)
}

// draw writes the picture in the form that the file's name says.
func (b Backtest) draw(p backtest.Picture, out io.Writer) error {
	p.SVG = strings.HasSuffix(b.Picture, ".svg")
	p.Title = "What would have rung"
	if against := strings.Join(slices.DeleteFunc([]string{b.Against, b.Rules}, func(s string) bool { return s == "" }), ", "); against != "" {
		p.Title += ", beside " + filepath.Base(against)
	}
	raw, err := p.Draw()
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.Picture, raw, 0o600); err != nil {
		return problem.Wrap(err, problem.Invalid, "the picture cannot be written").WithHint("check --picture")
	}
	_, err = fmt.Fprintf(out, "the picture is %s\n", b.Picture)
	return err
}

// Validate checks what the flags' types do not: before hours of reading.
func (b Backtest) Validate() error {
	if b.Picture != "" && !strings.HasSuffix(b.Picture, ".png") && !strings.HasSuffix(b.Picture, ".svg") {
		return errors.New("--picture: the file's name ends in .png or .svg")
	}
	if b.Picture != "" {
		if _, err := os.Stat(filepath.Dir(b.Picture)); err != nil {
			return errors.New("--picture: its folder is not there; make it first")
		}
	}
	return nil
}

func (b Backtest) load() (*config.Config, *profiles.Policy, *catalog.Catalog, error) {
	cfg := config.Default()
	if b.ConfigFile != "" {
		var err error
		if cfg, err = config.Load(b.ConfigFile); err != nil {
			return nil, nil, nil, err
		}
	}
	policy, cat, err := app.LoadRules(cfg)
	if err != nil {
		return nil, nil, nil, err
	}
	if b.Policy != "" {
		policy, err = readPolicy(b.Policy)
	}
	return cfg, policy, cat, err
}

func readPolicy(file string) (*profiles.Policy, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the policy file cannot be read").WithHint("check --policy and --against")
	}
	return profiles.Parse(file, raw)
}

func (b Backtest) incidents() (list []backtest.Incident, err error) {
	if b.Incidents == "" {
		return nil, nil
	}
	f, err := os.Open(b.Incidents)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the incidents' file cannot be read").WithHint("check --incidents")
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	list, err = backtest.ReadIncidents(f)
	if list == nil {
		list = []backtest.Incident{}
	}
	return list, err
}

// profiles reads the record of the tenants' profiles.
func (b Backtest) profiles() (list []backtest.Record, err error) {
	if b.Profiles == "" {
		return nil, nil
	}
	f, err := os.Open(b.Profiles)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the profiles' record cannot be read").WithHint("check --profiles; tocsin profile export writes it")
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return backtest.ReadRecords(f)
}

// ask evaluates the queries that a policy has as rules, where the source can be asked.
func ask(ctx context.Context, out io.Writer, src recorded.Source, o backtest.Options, from, to time.Time) (*backtest.Queries, error) {
	stored, ok := src.(recorded.Stored)
	switch {
	case !backtest.Asks(o.Policy):
		return nil, nil
	case !ok:
		fmt.Fprintln(out, "rules of kind promql are left out: they need a Prometheus data directory")
		return nil, nil
	}
	return backtest.Ask(ctx, stored, o, from, to)
}

func printLines(c *console.Client, out io.Writer, lines []backtest.Line) error {
	if c.JSON {
		enc := json.NewEncoder(out)
		for _, l := range lines {
			if err := enc.Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][]string, len(lines))
	for i, l := range lines {
		end, pages := "", ""
		if l.EndsAt != nil {
			end = l.EndsAt.Sub(l.StartsAt).Round(time.Second).String()
		}
		if l.Pages {
			pages = "pages"
		}
		rows[i] = []string{l.StartsAt.Format(time.RFC3339), end, l.Severity, pages, fmt.Sprint(l.Incident), l.Tenant, l.Rule, l.Reason}
	}
	return c.Print(lines, []string{"FIRED", "FOR", "SEVERITY", "PAGES", "INCIDENT", "TENANT", "RULE", "WHY"}, rows)
}

// shown is how many pages of a kind are listed.
const shown = 20

func against(w io.Writer, name string, ours, theirs []backtest.Page, incidents []backtest.Incident) {
	d := backtest.Compare(ours, theirs)
	fmt.Fprintf(w, "against %s: %s there, %d of which this policy makes too, %d gone; %d added\n", name, several(len(theirs), "page"), len(theirs)-len(d.Gone), len(d.Gone), len(d.Added))
	list(w, "added", d.Added)
	list(w, "gone", d.Gone)
	if incidents != nil {
		verdict(w, name, backtest.Judge(theirs, incidents), len(incidents))
	}
}

// several counts things in words.
func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func list(w io.Writer, what string, pages []backtest.Page) {
	for i, p := range pages {
		if i == shown {
			fmt.Fprintf(w, "  %s\tand %d more\n", what, len(pages)-shown)
			return
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", what, p.At.Format(time.RFC3339), p.Tenant, p.Rule, p.Reason)
	}
}

func verdict(w io.Writer, name string, s backtest.Score, all int) {
	fmt.Fprintf(w, "%s: %s, %d of them false; %d of %d faults found", name, several(s.Pages, "page"), len(s.False), s.Found, all)
	if s.Found > 0 {
		fmt.Fprintf(w, ", first page after %s (median), %s (95%%)", backtest.Quantile(s.Delays, 0.5).Round(time.Second), backtest.Quantile(s.Delays, 0.95).Round(time.Second))
	}
	fmt.Fprintln(w)
	list(w, "false", s.False)
	for _, m := range s.Missed {
		fmt.Fprintf(w, "  missed\t%s\t%s\t%s\n", m.From.Format(time.RFC3339), m.Tenant, m.Name)
	}
}
