// Package tenant holds the document that describes one customer of the
// product: what it bought, where it trades, and whether it is live.
//
// It is a value package: it validates and normalises, and knows neither the
// store nor the policy that turns a tenant into a profile.
package tenant

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// ID names a tenant. It is the value of the tenant label on its series.
type ID string

// Subject names the tenant in ledger and messages.
func (id ID) Subject() string { return "tenant/" + string(id) }

// Product is the scope of what names no tenant.
const Product ID = "_product"

// State says how far a tenant's life has come.
type State string

// The states. Only a live or onboarding tenant is evaluated.
const (
	Onboarding State = "onboarding" // judged and learned from; wakes nobody: critical becomes warning
	Live       State = "live"       // judged, tickets and pages as its rules say
	Paused     State = "paused"     // not judged; what was learned is kept
	Retired    State = "retired"    // not judged; what was learned is forgotten
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
	featurePattern  = regexp.MustCompile(`^[a-z0-9_.]{1,100}$`)
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

// Normalise fills defaults, sorts the lists and checks every field; all faults
// come at once. now is the onboarding time of a document that names none.
func (t Tenant) Normalise(now time.Time) (Tenant, error) {
	t = t.filled(now)
	return t, join(t.check())
}

// Begun says whether nothing of a document is to happen only after now.
func (t Tenant) Begun(now time.Time) error { return join(t.early(now)) }

func join(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	texts := make([]string, len(faults))
	for i, f := range faults {
		texts[i] = f.Message
	}
	e := problem.New(problem.Invalid, "%s", strings.Join(texts, "; "))
	if len(faults) == 1 {
		return e.WithHint("%s", faults[0].Hint)
	}
	return e
}

// early names what is in the future.
func (t Tenant) early(now time.Time) (faults []Fault) {
	latest := now.Add(clockSkew)
	if t.OnboardedAt.After(latest) {
		faults = append(faults, Fault{"onboarded_at", "onboarded_at is in the future", "leave it out: the time of the request counts"})
	}
	if slices.ContainsFunc(t.OptIns, func(o OptIn) bool { return o.At.After(latest) }) {
		faults = append(faults, Fault{"opt_ins", "an opt-in is in the future", "opt in when the time has come"})
	}
	return faults
}

func (t Tenant) filled(now time.Time) Tenant {
	if t.Name == "" {
		t.Name = string(t.ID)
	}
	if t.State == "" {
		t.State = Live
	}
	if t.Timezone == "" {
		t.Timezone = "UTC"
	}
	if t.OnboardedAt.IsZero() {
		t.OnboardedAt = now
	}
	t.OnboardedAt = t.OnboardedAt.UTC()
	t.OptIns = optIns(t.OptIns)
	for _, o := range t.OptIns {
		t.Features = append(slices.Clone(t.Features), o.Feature)
	}
	t.Features, t.Services = sorted(t.Features), sorted(t.Services)
	t.Countries, t.Integrations = sorted(t.Countries), sorted(t.Integrations)
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	return t
}

// optIns keeps the first opt-in of each feature, sorted by feature.
func optIns(in []OptIn) []OptIn {
	out := make([]OptIn, len(in))
	for i, o := range in {
		out[i] = OptIn{Feature: o.Feature, At: o.At.UTC()}
	}
	slices.SortFunc(out, func(a, b OptIn) int {
		return cmp.Or(cmp.Compare(a.Feature, b.Feature), a.At.Compare(b.At))
	})
	return slices.CompactFunc(out, func(a, b OptIn) bool { return a.Feature == b.Feature })
}

// Following is t as the next document after old (the zero Tenant when there is
// none): what t does not say of its past is old's. A feature without an opt-in
// was there from the onboarding, or comes now.
func (t Tenant) Following(old Tenant, now time.Time) Tenant {
	existed := old.ID != ""
	if existed && t.OnboardedAt.IsZero() {
		t.OnboardedAt = old.OnboardedAt
		if old.State == Retired && t.State != Retired { // it begins anew
			t.OnboardedAt = now
		}
	}
	if t.OnboardedAt.IsZero() {
		t.OnboardedAt = now
	}
	t.OptIns = slices.Clone(t.OptIns)
	for _, f := range t.Features {
		if slices.ContainsFunc(t.OptIns, func(o OptIn) bool { return o.Feature == f }) {
			continue
		}
		at := t.OnboardedAt
		if i := slices.IndexFunc(old.OptIns, func(o OptIn) bool { return o.Feature == f }); i >= 0 {
			at = old.OptIns[i].At
		} else if existed && !slices.Contains(old.Features, f) {
			at = now
		}
		t.OptIns = append(t.OptIns, OptIn{Feature: f, At: at})
	}
	return t
}

// Fault is one thing that is wrong with a document.
type Fault struct {
	Field   string // as the document spells it
	Message string
	Hint    string
}

const (
	maxList   = 1000            // entries of a list
	maxText   = 200             // bytes of a text
	clockSkew = 5 * time.Minute // how far ahead of now a time may be
)

// check names everything that is wrong with a filled document.
func (t Tenant) check() (faults []Fault) {
	fault := func(field, message, hint string) { faults = append(faults, Fault{field, message, hint}) }
	if _, err := ParseID(string(t.ID)); err != nil {
		p := problem.From(err)
		fault("id", p.Message, p.Hint)
	}
	if len(t.Name) > maxText {
		fault("name", "name is longer than 200 bytes", "")
	}
	if !slices.Contains([]State{Onboarding, Live, Paused, Retired}, t.State) {
		fault("state", "state is not one of onboarding, live, paused, retired", "")
	}
	if _, err := time.LoadLocation(t.Timezone); err != nil || t.Timezone == "Local" {
		fault("timezone", "timezone is not an IANA zone", "for example Europe/Berlin")
	}
	if t.Currency != "" && !currencyPattern.MatchString(t.Currency) {
		fault("currency", "currency is not an ISO 4217 code", "three capital letters, for example EUR")
	}
	for _, n := range []struct {
		field string
		value float64
	}{{"expected_tpm", t.ExpectedTPM}, {"value_per_transaction", t.ValuePerTransaction}} {
		if !(n.value >= 0 && n.value < 1e15) { // also not a number
			fault(n.field, n.field+" must be a number from 0 to 1e15", "")
		}
	}
	for _, f := range t.Features {
		if !featurePattern.MatchString(f) {
			fault("features", "a feature id is not usable", "1 to 100 lower-case letters, digits, _ and .")
			break // the others would say the same
		}
	}
	if slices.ContainsFunc(t.OptIns, func(o OptIn) bool { return o.At.IsZero() }) {
		fault("opt_ins", "an opt-in has no time", "opt_ins: [{feature: refunds, at: 2026-02-01T00:00:00Z}]")
	}
	for _, l := range []struct {
		field string
		list  []string
	}{{"features", t.Features}, {"services", t.Services}, {"countries", t.Countries}, {"integrations", t.Integrations}} {
		if len(l.list) > maxList || slices.ContainsFunc(l.list, func(s string) bool { return s == "" || len(s) > maxText }) {
			fault(l.field, l.field+" has more than 1,000 entries, or one that is empty or longer than 200 bytes", "")
		}
	}
	if len(t.Labels) > 64 {
		fault("labels", "labels has more than 64 entries", "")
	}
	for k, v := range t.Labels {
		if k == "" || len(k) > maxText || len(v) > maxText {
			fault("labels", "labels has a name or value that is empty or longer than 200 bytes", "")
			break
		}
	}
	return faults
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
