// Package config reads tocsin.yaml: where things are and how to reach them.
// It is strict: unknown keys are errors, and all faults come at once. It makes
// nothing run; each part of the runtime is built from it by who owns the part.
package config

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Config is tocsin.yaml.
type Config struct {
	ExternalURL  string    `yaml:"external_url"` // every link is made from it
	Environment  string    `yaml:"environment"`  // of samples that name none; default production
	PolicyFiles  []string  `yaml:"policy_files"`
	CatalogFiles []string  `yaml:"catalog_files"`
	Store        Store     `yaml:"store"`
	Cluster      Cluster   `yaml:"cluster"`
	Retention    Retention `yaml:"retention"`
	Limits       Limits    `yaml:"limits"`
	Labels       Labels    `yaml:"labels"`
	ITSM         ITSM      `yaml:"itsm"`
	Channels     []Channel `yaml:"channels"`
	// LiveTeams may be paged and get tickets outside from the start; others are
	// observed: decided and recorded, nothing leaves. The built-in team is live.
	LiveTeams []string `yaml:"live_teams"`
	// Onboarding says what becomes of tenants that send and were never onboarded:
	// manual (default) lists them, automatic onboards them as they are.
	Onboarding string    `yaml:"onboarding"`
	Heartbeat  Heartbeat `yaml:"heartbeat"`
	Tracing    Tracing   `yaml:"tracing"`

	dir string
	doc *fault.Document // nil: no file, or an empty one
}

// Retention says how long data is kept.
type Retention struct {
	Samples time.Duration `yaml:"samples"` // default 360h
	Blobs   time.Duration `yaml:"blobs"`   // default 2160h
	Ledger  time.Duration `yaml:"ledger"`  // default 9600h; the embedded store keeps all
}

// Query bounds what one query of the history may cost.
type Query struct {
	Timeout    time.Duration `yaml:"timeout"`    // default 2m
	Samples    int           `yaml:"samples"`    // in memory at once; default 50,000,000
	Points     int           `yaml:"points"`     // of each series of a range; default 11,000
	Results    int           `yaml:"results"`    // series, label names or values of one answer; default 100,000
	Concurrent int           `yaml:"concurrent"` // queries at once, further ones wait; default 20
}

// Labels names the labels of samples that say whose they are.
type Labels struct {
	Tenant      string   `yaml:"tenant"`      // default tenant
	Environment string   `yaml:"environment"` // default environment
	Cluster     []string `yaml:"cluster"`     // default cluster, prometheus
	Replica     []string `yaml:"replica"`     // default __replica__, prometheus_replica
	// TenantAttribute is the tenant's name in OTLP: an attribute of the data point or
	// of its resource. Default tenant.id.
	TenantAttribute string `yaml:"tenant_attribute"`
}

// Channel carries pages.
type Channel struct {
	Name         string `yaml:"name"`
	Kind         string `yaml:"kind"`    // log, smtp, webhook
	Address      string `yaml:"address"` // smtp: host:port
	From         string `yaml:"from"`
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	TLS          string `yaml:"tls"` // starttls (default), implicit, none

	URL        string        `yaml:"url"`         // webhook: https, or http to this machine
	URLFile    string        `yaml:"url_file"`    // webhook: instead of url, when the address is a secret
	SecretFile string        `yaml:"secret_file"` // webhook: signs requests; needed
	TokenFile  string        `yaml:"token_file"`  // webhook: sent as a bearer token
	CAFile     string        `yaml:"ca_file"`     // webhook: who signs the receiver's certificate
	Pictures   bool          `yaml:"pictures"`    // webhook: the picture goes along
	Timeout    time.Duration `yaml:"timeout"`     // webhook: of one attempt; default 15s
}

// Default is what serve runs without a file.
func Default() *Config {
	c := &Config{}
	c.fill()
	return c
}

// Load reads and checks a file; relative paths in it are relative to it.
func Load(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the configuration file cannot be read").WithHint("check --config.file")
	}
	c, err := Parse(filepath.Base(path), raw)
	if err != nil {
		return nil, err
	}
	c.In(filepath.Dir(path))
	return c, nil
}

// Parse checks the text of a configuration; name stands in the messages.
func Parse(name string, raw []byte) (*Config, error) {
	c, faults := Check(name, raw)
	if err := faults.Problem(name, "compare with docs/examples/tocsin.yaml; tocsin check shows all files' faults"); err != nil {
		return nil, err
	}
	return c, nil
}

// Check is Parse with the faults one by one. The configuration is nil when it
// could not be read into its type.
func Check(name string, raw []byte) (*Config, fault.List) {
	c := &Config{}
	doc, faults := fault.Read(name, raw, c)
	if len(faults) > 0 {
		return nil, faults
	}
	c.fill()
	if doc.Root() != nil {
		c.doc = doc
	}
	return c, doc.SayAll(c.check())
}

// Fault makes a fault of a field, at its place in the file.
func (c *Config) Fault(level fault.Level, field, message string) fault.Fault {
	if c.doc == nil {
		return fault.Fault{Field: field, Level: level, Message: message}
	}
	return c.doc.At(level, field, message)
}

// In says which folder the file's relative paths are relative to.
func (c *Config) In(dir string) { c.dir = dir }

// Path resolves a path of the file against the file's folder.
func (c *Config) Path(p string) string {
	if p == "" || filepath.IsAbs(p) || c.dir == "" {
		return p
	}
	return filepath.Join(c.dir, p)
}

func (c *Config) fill() {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&c.Environment, "production")
	def(&c.Onboarding, "manual")
	def(&c.Store.Kind, Embedded)
	def(&c.Labels.Tenant, "tenant")
	def(&c.Labels.Environment, "environment")
	def(&c.Labels.TenantAttribute, "tenant.id")
	if len(c.Labels.Cluster) == 0 {
		c.Labels.Cluster = []string{"cluster", "prometheus"}
	}
	if len(c.Labels.Replica) == 0 {
		c.Labels.Replica = []string{"__replica__", "prometheus_replica"}
	}
	if c.Retention.Samples == 0 {
		c.Retention.Samples = 15 * 24 * time.Hour
	}
	if c.Retention.Blobs == 0 {
		c.Retention.Blobs = 90 * 24 * time.Hour
	}
	if c.Retention.Ledger == 0 {
		c.Retention.Ledger = 400 * 24 * time.Hour
	}
	c.Limits.fill()
	if c.Tracing.Sample == 0 {
		c.Tracing.Sample = 1
	}
	if c.Heartbeat.Every == 0 {
		c.Heartbeat.Every = time.Minute
	}
	def(&c.ITSM.Default, "register")
	if !slices.ContainsFunc(c.ITSM.Systems, func(s System) bool { return s.Kind == "register" }) {
		c.ITSM.Systems = append(c.ITSM.Systems, System{Name: "register", Kind: "register", Mode: "live"})
	}
	for i := range c.ITSM.Systems {
		s := &c.ITSM.Systems[i]
		def(&s.Mode, "observe")
		def(&s.CorrelationField, "TocsinKey")
		if s.Poll == 0 {
			s.Poll = 5 * time.Second
		}
	}
	if !slices.ContainsFunc(c.Channels, func(s Channel) bool { return s.Name == "log" }) {
		c.Channels = append(c.Channels, Channel{Name: "log", Kind: "log"})
	}
	for i := range c.Channels {
		def(&c.Channels[i].TLS, "starttls")
	}
}

func (q *Query) fill() {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if q.Timeout == 0 {
		q.Timeout = 2 * time.Minute
	}
	def(&q.Samples, 50_000_000)
	def(&q.Points, 11_000)
	def(&q.Results, 100_000)
	def(&q.Concurrent, 20)
}

func (c *Config) check() (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if c.ExternalURL != "" {
		if u, err := url.Parse(c.ExternalURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			fault("external_url must be an http or https address, for example https://tocsin.example.com")
		}
	}
	faults = append(faults, c.checkStore()...)
	if c.Retention.Samples < time.Hour || c.Retention.Blobs < time.Hour || c.Retention.Ledger < time.Hour {
		fault("retention must be at least 1h")
	}
	faults = append(faults, c.Limits.check()...)
	if c.Onboarding != "manual" && c.Onboarding != "automatic" {
		fault("onboarding must be manual or automatic")
	}
	if q := c.Limits.Query; q.Timeout < 0 || q.Samples < 0 || q.Points < 0 || q.Results < 0 || q.Concurrent < 0 {
		fault("limits.query: every bound must be positive")
	}
	c.Heartbeat.check(fault)
	c.Tracing.check(fault)
	c.ITSM.check(fault)
	names := map[string]bool{}
	for i, ch := range c.Channels {
		where := fmt.Sprintf("channels[%d] (%s)", i, ch.Name)
		if ch.Name == "" || names[ch.Name] {
			fault("%s: name is missing or used twice", where)
		}
		names[ch.Name] = true
		switch ch.Kind {
		case "log":
		case "smtp":
			if ch.Address == "" || ch.From == "" {
				fault("%s: an smtp channel needs address (host:port) and from", where)
			}
		case "webhook":
			ch.checkWebhook(where, fault)
		default:
			fault("%s: kind must be log, smtp or webhook", where)
		}
		if !slices.Contains([]string{"starttls", "implicit", "none"}, ch.TLS) {
			fault("%s: tls must be starttls, implicit or none", where)
		}
	}
	return faults
}
