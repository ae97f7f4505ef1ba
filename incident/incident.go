// Package incident decides the life of an incident: opened by an alert, joined
// by others, acknowledged, resolved, reopened; when somebody must be paged, and
// what its ticket must say.
//
// Every function takes the incident as it is and gives the incident as it
// becomes, with the reasons: no I/O, no clock, no logger, and no knowledge of
// who is on call, of routing or of any ticket system. What it decides about
// pages leaves as a value (PageWanted).
package incident

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// ID identifies an incident for ever: "inc_" and a lower-case ULID.
type ID string

// NewID makes an id from the opening time and the id of the input that opens
// it, so that deciding again gives the same id.
func NewID(now time.Time, seed string) ID {
	sum := sha256.Sum256([]byte("incident\x00" + seed))
	var u ulid.ULID
	_ = u.SetTime(ulid.Timestamp(now)) // fails after the year 10889 only
	_ = u.SetEntropy(sum[:10])
	return ID("inc_" + strings.ToLower(u.String()))
}

// Before is an id that sorts before those of all incidents that opened at that time or
// later.
func Before(at time.Time) ID {
	var u ulid.ULID
	_ = u.SetTime(ulid.Timestamp(at)) // as in NewID
	return ID("inc_" + strings.ToLower(u.String()))
}

// Subject is how the ledger, timers and inputs name the incident.
func (id ID) Subject() string { return "incident/" + string(id) }

// State is where an incident stands.
type State string

// The states. An acknowledged incident is still open work; nobody is paged for it.
const (
	StateOpen         State = "open"
	StateAcknowledged State = "acknowledged"
	StateResolved     State = "resolved"
)

// RecordKind and RecordVersion name the shape of a stored Incident.
const (
	RecordKind    = "incident"
	RecordVersion = 1
)

// Actor is a person as the catalog or a ticket system knows them. Person is
// empty for somebody only the ticket system knows.
type Actor struct {
	Person   catalog.PersonID `json:"person"`
	Name     string           `json:"name"`
	ITSMUser string           `json:"itsm_user"`
}

// Zero says that nobody is named.
func (a Actor) Zero() bool { return a == Actor{} }

// Same says whether both are the same person.
func (a Actor) Same(b Actor) bool {
	if a.Person != "" || b.Person != "" {
		return a.Person == b.Person
	}
	return a.ITSMUser == b.ITSMUser && a.Name == b.Name
}

// String is the name people read.
func (a Actor) String() string {
	for _, s := range []string{a.Name, string(a.Person), a.ITSMUser} {
		if s != "" {
			return s
		}
	}
	return "somebody"
}

// Tenant is one tenant's part of an incident.
type Tenant struct {
	ID     tenant.ID `json:"id"`
	K      float64   `json:"k"` // failed attempts; 0 of 0 when only the pooled alert names it
	N      float64   `json:"n"` // attempts
	Firing bool      `json:"firing"`
	// Earlier says that it was over before the incident came back: it is no part of this opening.
	Earlier bool `json:"earlier,omitempty"`
}

// Attribute is one change of what the incident is about or whose it is.
type Attribute struct {
	At     time.Time `json:"at"`
	Name   string    `json:"name"` // slice, severity, team, state
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason string    `json:"reason"`
}

// Mirror is how the ticket, a mirror of the incident, stands.
type Mirror struct {
	System    string     `json:"system"`
	Ref       itsm.Ref   `json:"ref"`
	Desired   uint64     `json:"desired_version"`   // Incident.Version that the newest document was made of
	Delivered uint64     `json:"delivered_version"` // what stands there, read back
	Error     string     `json:"error"`             // why the last delivery failed; empty after a success
	Observed  itsm.State `json:"observed_state"`    // as last read; empty: never
	Owner     string     `json:"observed_owner"`    // the ticket system's user, as last read
	// Unasked says that no document was ever asked for, as nothing may be written for the team.
	Unasked bool `json:"unasked,omitempty"`
}

// Dashboard is what is attached.
type Dashboard struct {
	URL   string `json:"url"`
	Blob  string `json:"blob"`  // picture in the blob store
	Error string `json:"error"` // why there is no picture
}

// Incident is the record.
type Incident struct {
	ID          ID             `json:"id"`
	Number      int            `json:"number"` // what people say
	Environment string         `json:"environment"`
	Service     string         `json:"service"`
	Slice       sli.Slice      `json:"slice"`
	State       State          `json:"state"`
	Severity    rule.Severity  `json:"severity"` // the worst since the opening
	Team        catalog.TeamID `json:"team"`
	OwnerReason string         `json:"owner_reason"`
	Title       string         `json:"title"`
	RunbookURL  string         `json:"runbook_url"`

	OnsetAt          time.Time  `json:"onset_at"` // the earliest of its alerts in its own slice
	OpenedAt         time.Time  `json:"opened_at"`
	ReopenedAt       *time.Time `json:"reopened_at"`
	AcknowledgedAt   *time.Time `json:"acknowledged_at"`
	AcknowledgedBy   Actor      `json:"acknowledged_by"`
	AcknowledgedVia  string     `json:"acknowledged_via"` // page, view, api, ticket
	ResolvedAt       *time.Time `json:"resolved_at"`
	ResolvedBy       Actor      `json:"resolved_by"` // zero: its alerts ended
	ResolutionReason string     `json:"resolution_reason"`

	Tenants []Tenant      `json:"tenants"` // most failures first
	Alerts  []alert.Alert `json:"alerts"`  // newest of each, sorted by id

	Mirror    Mirror      `json:"ticket"`
	Dashboard Dashboard   `json:"dashboard"`
	Pages     []string    `json:"pages"`   // ids, oldest first
	Notes     []itsm.Note `json:"notes"`   // append-only, oldest first
	History   []Attribute `json:"history"` // oldest first

	Version uint64 `json:"version"` // grows with every change
	// Openings is 1, and one more with every reopening: the transition a page
	// belongs to.
	Openings    int        `json:"openings"`
	Live        bool       `json:"live"`           // false: nothing leaves, "would have paged"
	NoPage      string     `json:"no_page"`        // why this incident may page nobody; empty: it may
	SettleFor   float64    `json:"settle_seconds"` // how long a fault that is not hard must last
	SettleUntil *time.Time `json:"settle_until"`   // waiting to page; nil: not
	// Likely is what called the same team just now and is likely the same fault, at the
	// moment of a decision; nil: nothing did. LikelyUntil is until when the page of this
	// opening waited, or waits, to see whether it is; nil: it did not have to.
	Likely      *Likely    `json:"-"`
	LikelyUntil *time.Time `json:"likely_until,omitempty"`
	Paged       bool       `json:"paged"`        // a page was wanted for this opening
	PagedUrgent bool       `json:"paged_urgent"` // and that for something critical
	// CalledAt is when a page was wanted last; nil: never.
	CalledAt *time.Time `json:"called_at,omitempty"`
	// WarningPages says that a warning calls somebody too, in the working hours.
	WarningPages bool `json:"warning_pages"`
	// SilentAfter is how long whoever has it may leave no trace, in seconds,
	// before others are called; 0: for ever.
	SilentAfter float64 `json:"silent_after_seconds"`
	Releases    int     `json:"releases"` // how often it was given back in this opening
	// Again is how it stands with whoever had it before it came back; nil: it did not, or he
	// left a trace on it since.
	Again *Again `json:"again,omitempty"`
	// Known is what whoever has it took; nil: nobody has it, or took it in an earlier release.
	Known *Known `json:"known,omitempty"`
	// Stakes is whether that is enough to call somebody for; nil: it always is.
	Stakes *Stakes `json:"stakes"`
	// Verdict is what a person said of it; nil: nobody has.
	Verdict *Judgement `json:"verdict"`
}

// Firing says whether any of its alerts fires.
func (i Incident) Firing() bool {
	return slices.ContainsFunc(i.Alerts, func(a alert.Alert) bool { return a.State == alert.Firing })
}

// AlertIDs lists its alerts, and those that fire.
func (i Incident) AlertIDs() (all, firing []alert.ID) {
	for _, a := range i.Alerts {
		all = append(all, a.ID)
		if a.State == alert.Firing {
			firing = append(firing, a.ID)
		}
	}
	return all, firing
}

// Rings lists the slices in which a pooled alert of the incident fires.
func (i Incident) Rings() []sli.Slice {
	var out []sli.Slice
	for _, a := range i.Alerts {
		if a.State == alert.Firing && a.Tenant == tenant.Product {
			out = append(out, a.Slice)
		}
	}
	return out
}

// OfOpening says whether the alert fires, or ended since the incident opened last: of what
// came before, an incident that is back tells nothing.
func (i Incident) OfOpening(a alert.Alert) bool {
	return i.ReopenedAt == nil || a.State == alert.Firing || a.EndsAt == nil || !a.EndsAt.Before(*i.ReopenedAt)
}

// Concerned are the tenants of this opening, most failures first.
func (i Incident) Concerned() []Tenant {
	return slices.DeleteFunc(slices.Clone(i.Tenants), func(t Tenant) bool { return t.Earlier })
}

// scope is the one tenant it concerns, or the product.
func (i Incident) scope() tenant.ID {
	if all := i.Concerned(); len(all) == 1 {
		return all[0].ID
	}
	return tenant.Product
}
