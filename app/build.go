package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/api"
	"github.com/tocsin-alerting/tocsin/app/api/duty"
	"github.com/tocsin-alerting/tocsin/app/api/health"
	"github.com/tocsin-alerting/tocsin/app/api/incidents"
	"github.com/tocsin-alerting/tocsin/app/api/policies"
	"github.com/tocsin-alerting/tocsin/app/api/records"
	"github.com/tocsin-alerting/tocsin/app/api/tenants"
	"github.com/tocsin-alerting/tocsin/app/api/tickets"
	"github.com/tocsin-alerting/tocsin/app/check"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/links"
	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/app/views"
	"github.com/tocsin-alerting/tocsin/app/views/entry"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/channel/logch"
	"github.com/tocsin-alerting/tocsin/channel/smtp"
	"github.com/tocsin-alerting/tocsin/channel/webhook"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/itsm/register"
	"github.com/tocsin-alerting/tocsin/itsm/rt"
	"github.com/tocsin-alerting/tocsin/journal"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/samples/quota"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// buildRules reads policy and catalog, and finds which policy is in force.
func (a *App) buildRules(ctx context.Context) error {
	p, c, err := check.Before(a.o.Config)
	if err != nil {
		return err
	}
	if err := a.refuseNew(ctx, p, a.o.Config); err != nil {
		return err
	}
	if err := a.readPolicy(ctx, p); err != nil {
		return err
	}
	a.shared = flow.New(a.store)
	a.shared.SetRules(policy.Rules{})
	if err := a.shared.Policy().Follow(ctx, c); err != nil {
		return err
	}
	a.tellMend(a.shared.Rules())
	return nil
}

// LoadRules reads the policy and the catalog that a configuration names, or the
// built-in ones. It checks everything and changes nothing.
func LoadRules(c *config.Config) (*profiles.Policy, *catalog.Catalog, error) { return check.Rules(c) }

func (a *App) buildDoor(context.Context) error {
	c := a.o.Config
	a.intake.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tocsin_app_request_duration_seconds", Help: "HTTP requests by route.", Buckets: []float64{.005, .025, .1, .5, 2.5, 10}}, []string{"method", "route", "status"})
	a.registry.MustRegister(a.intake.requests)
	door, err := samples.New(samples.Options{
		Journal: samples.JournalFunc(func(ctx context.Context, r samples.Record, b *samples.Batch) error {
			return a.keep(ctx, journal.Record{Kind: r.Kind, Version: r.Version, At: r.At, Header: r.Header, Body: r.Body}, b)
		}),
		Known: a.known(), Said: a.said, Now: a.o.Now, Logger: a.log, Registerer: a.registry,
		TenantLabel: c.Labels.Tenant, TenantAttribute: c.Labels.TenantAttribute, EnvironmentLabel: c.Labels.Environment, Environment: c.Environment,
		ReplicaLabels: c.Labels.Replica, ClusterLabels: c.Labels.Cluster, Limits: requestLimits(c.Limits), Timeout: c.Limits.RequestTime,
		Quota: quota.Limits{Series: c.Limits.SeriesPerTenant, OtherSeries: c.Limits.OtherSeries, SamplesPerSecond: c.Limits.SamplesPerSecond},
	})
	a.door = door
	return err
}

func requestLimits(l config.Limits) remotewrite.Limits {
	return remotewrite.Limits{Body: int(l.BodyBytes), Decompressed: int(l.UnpackedBytes), Series: l.SeriesPerRequest, Samples: l.SamplesPerRequest,
		Labels: l.LabelsPerSeries, LabelName: l.LabelNameBytes, LabelValue: l.LabelValueBytes}
}

// buildEffects makes what leaves the process: ticket systems and channels.
func (a *App) buildEffects(ctx context.Context) error {
	key, err := a.linkKey()
	if err != nil {
		return err
	}
	signer := web.Signer{Key: key}
	pages, err := view.New()
	if err != nil {
		return err
	}
	addresses := links.Maker{Base: a.base, Signer: signer, Now: a.o.Now, Rule: a.rule}
	artist := send.Artist{Count: a.count, Rule: a.rule, Catalog: func() *catalog.Catalog { return a.shared.Rules().Catalog }, Now: a.o.Now}
	known := &state.State{Store: a.store, Flow: a.shared, Now: a.o.Now, Environments: a.environments}
	found := &incidents.API{State: known, Blobs: a.blobs, Links: addresses}
	a.server = &api.Server{State: known, Incidents: found, Duty: &duty.API{State: known, Incidents: found, Links: addresses, Signer: signer},
		Tenants: &tenants.API{State: known, Access: a.access, Door: a.door, Purge: a.purge}, Policies: &policies.API{State: known, Incidents: found, Check: a.checkPolicy},
		Health: &health.API{State: known, Door: a.door, Machine: a.machine}, Records: &records.API{State: known, Incidents: found}, Tickets: &tickets.API{State: known},
		Access: a.access, Door: a.door, OTLP: a.otlpDoors(), Query: a.query, Blobs: a.blobs, Artist: artist,
		Links: addresses, Signer: signer, Gatherer: a.registry, Logger: a.log, Ready: a.readiness}
	a.entry = &entry.Entry{State: known, Access: a.access, Incidents: found, Duty: a.server.Duty, Blobs: a.blobs, Pages: pages, Links: addresses, Signer: signer}
	a.server.Started, a.server.Version = a.started, a.o.Version
	if a.replicated() {
		a.server.Cluster, known.Elsewhere = a.replicas, a.replicas.Elsewhere
	}
	if err := a.buildSystems(ctx); err != nil {
		return err
	}
	a.server.Tickets.Systems = func() map[string]itsm.System { return a.targets.Load().systems }
	a.server.Reload = a.Reload
	a.views = views.New(a.server, a.entry)
	channels, err := a.channels(a.o.Config)
	if err != nil {
		return err
	}
	a.sender = send.New(send.Options{Tracer: a.tracer, Mine: a.mine(), Store: a.store, Blobs: a.blobs, Systems: a.targets.Load().systems, Channels: channels, Links: addresses, Pictures: artist,
		Live: func(t catalog.TeamID) bool { return a.shared.Duty().Live(t) }, Now: a.o.Now, Logger: a.log})
	a.buildSignIn()
	return nil
}

func (a *App) buildSystems(ctx context.Context) error {
	systems, err := a.ticketSystems(ctx, a.o.Config, a.shared.Rules().Catalog)
	if err != nil {
		return err
	}
	a.targets.Store(&targets{config: a.o.Config, systems: systems})
	for _, s := range a.o.Config.ITSM.Systems {
		if s.Kind != "register" && s.Mode == "live" {
			check, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			done := make(chan struct{})
			go func() { defer close(done); a.checkSystem(check, s.Name, systems[s.Name]) }()
			a.undo.push("checking "+s.Name, func(context.Context) error { cancel(); <-done; return nil })
		}
	}
	return nil
}

// ticketSystems makes the configured ticket systems; the register is one for the
// life of the process.
func (a *App) ticketSystems(ctx context.Context, c *config.Config, owners *catalog.Catalog) (map[string]itsm.System, error) {
	systems := map[string]itsm.System{}
	for _, s := range c.ITSM.Systems {
		switch s.Kind {
		case "register":
			if a.server.Tickets.Register == nil {
				r, err := register.New(ctx, register.Options{Records: tickets.Records{Store: a.store, Owner: a.shared.Owner, Name: s.Name}, Now: a.o.Now,
					Blob: func(_ context.Context, id string) ([]byte, error) { return a.blobs.Get(id) },
					URL:  func(number string) string { return a.base.JoinPath("tickets", number).String() }})
				if err != nil {
					return nil, err
				}
				a.server.Tickets.Register = r
			}
			systems[s.Name] = a.server.Tickets.Register
		case "rt":
			r, err := rt.New(rt.Options{Name: s.Name, URL: s.URL, Token: secretFile(c.Path(s.TokenFile), "token_file"), Queue: s.Queue, Queues: queues(c, owners, s.Name), Logger: a.log, CorrelationField: s.CorrelationField, ResolutionField: s.ResolutionField, Now: a.o.Now})
			if err != nil {
				return nil, err
			}
			systems[s.Name] = r
		}
	}
	return systems, nil
}

// queues lists those that teams name for a system.
func queues(c *config.Config, owners *catalog.Catalog, system string) []string {
	var out []string
	for _, t := range owners.Teams {
		if cmp.Or(t.ITSM.System, c.ITSM.Default) == system && t.ITSM.Queue != "" && !slices.Contains(out, t.ITSM.Queue) {
			out = append(out, t.ITSM.Queue)
		}
	}
	return out
}

// checkSystem says at the start what is wrong with a ticket system; tickets are
// retried all the same.
func (a *App) checkSystem(ctx context.Context, name string, s itsm.System) {
	if err := s.Check(ctx); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		a.log.Error("the ticket system cannot be used as configured", "system", name, "error", err)
	}
}

// secretFile reads a secret anew at every use, so that it can be rotated.
func secretFile(path, key string) func() (string, error) {
	return func() (string, error) {
		raw, err := os.ReadFile(path)
		if err != nil {
			return "", problem.Wrap(err, problem.Invalid, "a secret's file cannot be read").WithHint("check %s in tocsin.yaml", key)
		}
		return strings.TrimSpace(string(raw)), nil
	}
}

// channels makes the configured ways to page.
func (a *App) channels(c *config.Config) (map[string]channel.Channel, error) {
	out := map[string]channel.Channel{}
	for _, ch := range c.Channels {
		made, err := a.channel(ch, c.Path)
		if err != nil {
			return nil, err
		}
		out[ch.Name] = made
	}
	return out, nil
}

func (a *App) channel(c config.Channel, path func(string) string) (channel.Channel, error) {
	switch c.Kind {
	case "log":
		return logch.New(a.log), nil
	case "webhook":
		return webhook.New(webhook.Options{URL: c.URL, URLFile: path(c.URLFile), SecretFile: path(c.SecretFile), TokenFile: path(c.TokenFile), CAFile: path(c.CAFile),
			Pictures: c.Pictures, Timeout: c.Timeout, Now: a.o.Now})
	}
	return smtp.New(smtp.Options{Address: c.Address, From: c.From, Username: c.Username, PasswordFile: path(c.PasswordFile), TLS: smtp.TLSMode(c.TLS), Now: a.o.Now})
}

// buildFlow fills in what the partitions' handlers share.
func (a *App) buildFlow(context.Context) error {
	c, s := a.o.Config, a.shared
	s.Logger, s.Sender, s.Metrics = a.log, a.sender, flow.NewMetrics(a.registry, a.o.Now)
	a.registry.MustRegister(newBacklog(a))
	a.registry.MustRegister(a.policyMetrics()...)
	s.Tracer = a.tracer
	s.Evaluate = evaluate.Options{Environment: c.Environment}
	s.JournalEnd = a.intake.handed
	s.Followed = func(r policy.Rules) {
		a.spans.door.SetCut(a.spanCut(r.Policies()...))
		a.tellMend(r)
	}
	if a.replicated() {
		s.Journal, s.Contribute, s.GlanceElsewhere = a.replicas.self.ID, a.replicas.contribute, a.replicas.glances
	}
	s.Traces = a.spans.traces.Find
	s.Settings = flow.Settings{
		Environment: c.Environment,
		Channels: func() []string {
			var names []string
			for _, ch := range a.config().Channels {
				names = append(names, ch.Name)
			}
			return names
		},
		Live: func(t catalog.TeamID) bool {
			c := a.config()
			return len(c.CatalogFiles) == 0 || slices.Contains(c.LiveTeams, string(t))
		},
		Ticket: func(t catalog.Team) (system, queue string, live bool) {
			c := a.config()
			system = cmp.Or(t.ITSM.System, c.ITSM.Default)
			for _, x := range c.ITSM.Systems {
				if x.Name == system {
					// The built-in register is inside: what an observed team gets there has not left.
					return system, t.ITSM.Queue, x.Mode == "live" && (x.Kind == "register" || s.Duty().Live(t.ID))
				}
			}
			return system, t.ITSM.Queue, false
		},
		IncidentURL: a.server.Links.Incident,
		MaxTenants:  c.Limits.Tenants,
	}
	return nil
}

func (a *App) rule(name string) (rule.Rule, bool) { return state.Rule(a.shared.Rules(), name) }

// environments lists those that can have incidents: the default one, then the
// policy's others, then what samples named besides.
func (a *App) environments() []string {
	out := []string{a.o.Config.Environment}
	for _, e := range append(slices.Clone(a.shared.Rules().Policy.Environments), a.shared.Environments()...) {
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// observedID makes the report of a change idempotent.
func observedID(o itsm.Observed, v alert.Verdict) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%s|%s|%s|%s", o.Key, o.State, o.Owner, o.Actor, o.At.UTC().Format(time.RFC3339Nano), o.Resolution, v))
	return "observed/" + hex.EncodeToString(sum[:12])
}
