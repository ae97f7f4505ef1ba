// Package tenant holds the document that describes one customer of the
// product: what it bought, where it trades, and whether it is live.
//
// It is a value package: it validates and normalises, and knows neither the
// store nor the policy that turns a tenant into a profile.
package tenant

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// ID names a tenant. It is the value of the tenant label on its series.
type ID string

// Product is the scope of what names no tenant.
const Product ID = "_product"

// State says how far a tenant's life has come.
type State string

// The states. Only a live or onboarding tenant is evaluated.
const (
	Onboarding State = "onboarding"
	Live       State = "live"
	Paused     State = "paused"
	Retired    State = "retired"
)

// OptIn records when a feature was switched on.
type OptIn struct {
	Feature string    `json:"feature" yaml:"feature"`
	At      time.Time `json:"at" yaml:"at"`
}

// Tenant is the onboarding document. Empty lists mean "all of the product's".
type Tenant struct {
	ID                  ID                `json:"id" yaml:"id"`
	Name                string            `json:"name" yaml:"name"`
	Features            []string          `json:"features" yaml:"features"`
	Services            []string          `json:"services" yaml:"services"`
	Countries           []string          `json:"countries" yaml:"countries"`
	Integrations        []string          `json:"integrations" yaml:"integrations"`
	Timezone            string            `json:"timezone" yaml:"timezone"`         // IANA name; UTC when empty
	Currency            string            `json:"currency" yaml:"currency"`         // ISO 4217
	ExpectedTPM         float64           `json:"expected_tpm" yaml:"expected_tpm"` // transactions a minute promised at onboarding
	ValuePerTransaction float64           `json:"value_per_transaction" yaml:"value_per_transaction"`
	Priority            bool              `json:"priority" yaml:"priority"` // may wake somebody on its own at night
	State               State             `json:"state" yaml:"state"`
	Labels              map[string]string `json:"labels" yaml:"labels"`
	OnboardedAt         time.Time         `json:"onboarded_at" yaml:"onboarded_at"`
	OptIns              []OptIn           `json:"opt_ins" yaml:"opt_ins"`
	Revision            int               `json:"revision" yaml:"-"` // grows with every accepted write; the ETag
}

var (
	// Mimir's alphabet for X-Scope-OrgID, without what only a query may carry.
	idPattern       = regexp.MustCompile(`^[0-9a-zA-Z!\-_.*'()]{1,150}$`)
	featurePattern  = regexp.MustCompile(`^[a-z0-9_.]+$`)
	currencyPattern = regexp.MustCompile(`^[A-Z]{3}$`)
)

// ParseID checks s as a tenant id.
func ParseID(s string) (ID, error) {
	if !idPattern.MatchString(s) || s == "." || s == ".." || strings.HasPrefix(s, "_") {
		return "", problem.New(problem.Invalid, "the tenant id is not usable").
			WithHint("1 to 150 of 0-9 a-z A-Z ! - _ . * ' ( ), not starting with _")
	}
	return ID(s), nil
}

// Normalise fills defaults, sorts the lists and checks every field. now is the
// onboarding time of a document that names none.
func (t Tenant) Normalise(now time.Time) (Tenant, error) {
	if _, err := ParseID(string(t.ID)); err != nil {
		return t, err
	}
	if t.Name == "" {
		t.Name = string(t.ID)
	}
	if len(t.Name) > 200 {
		return t, problem.New(problem.Invalid, "name is longer than 200 bytes")
	}
	if t.State == "" {
		t.State = Live
	}
	if !slices.Contains([]State{Onboarding, Live, Paused, Retired}, t.State) {
		return t, problem.New(problem.Invalid, "state is not one of onboarding, live, paused, retired")
	}
	if t.Timezone == "" {
		t.Timezone = "UTC"
	}
	if _, err := time.LoadLocation(t.Timezone); err != nil {
		return t, problem.New(problem.Invalid, "timezone is not an IANA zone").WithHint("for example Europe/Berlin")
	}
	if t.Currency != "" && !currencyPattern.MatchString(t.Currency) {
		return t, problem.New(problem.Invalid, "currency is not an ISO 4217 code").WithHint("three capital letters, for example EUR")
	}
	if t.ExpectedTPM < 0 || t.ValuePerTransaction < 0 {
		return t, problem.New(problem.Invalid, "expected_tpm and value_per_transaction must not be negative")
	}
	for _, f := range t.Features {
		if !featurePattern.MatchString(f) {
			return t, problem.New(problem.Invalid, "a feature id is not usable").WithHint("lower-case letters, digits, _ and .")
		}
	}
	if t.OnboardedAt.IsZero() {
		t.OnboardedAt = now.UTC()
	}
	t.Features, t.Services = sorted(t.Features), sorted(t.Services)
	t.Countries, t.Integrations = sorted(t.Countries), sorted(t.Integrations)
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	if t.OptIns == nil {
		t.OptIns = []OptIn{}
	}
	return t, nil
}

// Watched says whether the tenant's traffic is evaluated.
func (t Tenant) Watched() bool { return t.State == Live || t.State == Onboarding }

func sorted(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	out = slices.Compact(out)
	if out == nil {
		out = []string{}
	}
	return out
}
