// Package catalog knows who owns what: teams, services, integrations, people
// and the schedules that say who is on call. The owner of an incident is found
// here, not configured per route.
//
// It is a value package: it parses and checks; who is on call at an instant is
// oncall's arithmetic.
package catalog

import (
	"time"

	"github.com/tocsin-alerting/tocsin/rule"
)

// TeamID, ServiceID, PersonID, ScheduleID and IntegrationID name entries.
type (
	TeamID        string
	ServiceID     string
	PersonID      string
	ScheduleID    string
	IntegrationID string
)

// Team owns services and is paged for them.
type Team struct {
	ID                TeamID     `yaml:"id" json:"id"`
	Name              string     `yaml:"name" json:"name"`
	Kind              string     `yaml:"kind" json:"kind"` // product, operations, enabler, specialist
	Schedule          ScheduleID `yaml:"schedule" json:"schedule"`
	Escalation        []Step     `yaml:"escalation" json:"escalation"`
	OnCall            []PersonID `yaml:"oncall" json:"oncall"` // without a schedule: always the first of these
	FalsePagesPerWeek float64    `yaml:"false_pages_per_week" json:"false_pages_per_week"`
	// Sensitivity is how much the team wants to hear: quiet, balanced (also when empty) or
	// early. It holds for rules of its services that say nothing themselves, where the
	// tenant's tier says nothing either.
	Sensitivity rule.Sensitivity `yaml:"sensitivity" json:"sensitivity"`
	ITSM        TeamITSM         `yaml:"itsm" json:"itsm"`
	// EscalationRounds is how often the person on call and all steps are gone
	// through before the last resort; default 1.
	EscalationRounds int        `yaml:"escalation_rounds" json:"escalation_rounds"`
	LastResort       LastResort `yaml:"last_resort" json:"last_resort"`
	// UnreachableAfter is how long a page may stay undelivered before the person's
	// next contact, and after the last one the next step, is tried; default 2m.
	UnreachableAfter time.Duration `yaml:"unreachable_after" json:"unreachable_after"`
	// SilentAfter is how long whoever acknowledged may leave no trace on an
	// incident that goes on before others are called again; 0: for ever.
	SilentAfter time.Duration `yaml:"silent_after" json:"silent_after"`
	// WorkingHours are when a warning may call somebody; without them no warning does.
	WorkingHours WorkingHours `yaml:"working_hours" json:"working_hours"`
}

// WorkingHours are parts of the week in wall-clock time of a zone.
type WorkingHours struct {
	TimeZone string  `yaml:"time_zone" json:"time_zone"` // default UTC
	Hours    []Hours `yaml:"hours" json:"hours"`
}

// Hours are a part of some days of the week, in wall-clock time. A To that is
// not after From lies on the day after.
type Hours struct {
	Days []string `yaml:"days" json:"days"` // mon, tue, … sun; empty: every day
	From string   `yaml:"from" json:"from"` // 09:00
	To   string   `yaml:"to" json:"to"`     // 17:00; 24:00 is the day's end
}

// Step is who is called when the one before did not acknowledge within After.
type Step struct {
	After    time.Duration `yaml:"after" json:"after"`
	Schedule ScheduleID    `yaml:"schedule" json:"schedule"`
	Person   PersonID      `yaml:"person" json:"person"`
}

// LastResort is who is called when all steps are through or nobody can be
// reached: a person, or whoever of another team is on call. Zero: nobody.
type LastResort struct {
	// After is how long the last step has to acknowledge; default: as the last
	// step itself waited, without steps 10m.
	After  time.Duration `yaml:"after" json:"after"`
	Person PersonID      `yaml:"person" json:"person"`
	Team   TeamID        `yaml:"team" json:"team"`
}

// Zero says that there is none.
func (l LastResort) Zero() bool { return l.Person == "" && l.Team == "" }

// TeamITSM is where a team's tickets go; empty means the default system.
type TeamITSM struct {
	System string `yaml:"system" json:"system"`
	Queue  string `yaml:"queue" json:"queue"`
}

// Service is owned by exactly one team.
type Service struct {
	ID             ServiceID       `yaml:"id" json:"id"`
	Team           TeamID          `yaml:"team" json:"team"`
	Kind           string          `yaml:"kind" json:"kind"` // digital, cots, foundational
	OperatingModel string          `yaml:"operating_model" json:"operating_model"`
	Runbook        string          `yaml:"runbook" json:"runbook"`
	Dashboard      string          `yaml:"dashboard" json:"dashboard"`
	Calls          []IntegrationID `yaml:"calls" json:"calls"`
}

// Integration is an external party a service calls.
type Integration struct {
	ID         IntegrationID `yaml:"id" json:"id"`
	Team       TeamID        `yaml:"team" json:"team"`
	VendorDesk string        `yaml:"vendor_desk" json:"vendor_desk"`
	StatusPage string        `yaml:"status_page" json:"status_page"`
	Fallback   string        `yaml:"fallback" json:"fallback"`
	Runbook    string        `yaml:"runbook" json:"runbook"`
}

// Person can be paged.
type Person struct {
	ID       PersonID  `yaml:"id" json:"id"`
	Name     string    `yaml:"name" json:"name"`
	TimeZone string    `yaml:"time_zone" json:"time_zone"`
	ITSMUser string    `yaml:"itsm_user" json:"itsm_user"`
	Contacts []Contact `yaml:"contacts" json:"contacts"`
}

// Contact is one way to reach a person: a configured channel and an address in it.
type Contact struct {
	Channel string `yaml:"channel" json:"channel"`
	To      string `yaml:"to" json:"to"`
}

// Schedule is a rota in wall-clock time of its zone.
type Schedule struct {
	ID       ScheduleID `yaml:"id" json:"id"`
	TimeZone string     `yaml:"time_zone" json:"time_zone"`
	Layers   []Layer    `yaml:"layers" json:"layers"` // a later layer overrides an earlier one
	// Overrides go before every layer, a later one before an earlier one.
	Overrides []Override `yaml:"overrides" json:"overrides"`
}

// Override puts a person on call for a while, in place of whoever would be or
// of one person only.
type Override struct {
	Person  PersonID `yaml:"person" json:"person"`
	Instead PersonID `yaml:"instead" json:"instead"` // empty: whoever would be on call
	From    string   `yaml:"from" json:"from"`       // local date and time, as a layer's start
	To      string   `yaml:"to" json:"to"`
	Reason  string   `yaml:"reason" json:"reason"`
}

// Layer rotates its members: each is on call for Every units from Start on.
type Layer struct {
	Start   string     `yaml:"start" json:"start"` // local date and time, 2006-01-02T15:04
	Unit    string     `yaml:"unit" json:"unit"`   // hour, day, week
	Every   int        `yaml:"every" json:"every"`
	Members []PersonID `yaml:"members" json:"members"`
	// Hours restrict the layer to parts of the week; outside them the layers
	// below it count. Empty: it always counts.
	Hours []Hours `yaml:"hours" json:"hours"`
}

// SourceOf says which service a sender of samples belongs to: who is paged when it falls
// silent.
type SourceOf struct {
	Name    string    `yaml:"name" json:"name"` // its cluster label, else its token's name
	Service ServiceID `yaml:"service" json:"service"`
}

// Catalog is a checked, immutable whole.
type Catalog struct {
	Teams        []Team        `yaml:"teams" json:"teams"`
	Services     []Service     `yaml:"services" json:"services"`
	Sources      []SourceOf    `yaml:"sources" json:"sources"`
	Integrations []Integration `yaml:"integrations" json:"integrations"`
	People       []Person      `yaml:"people" json:"people"`
	Schedules    []Schedule    `yaml:"schedules" json:"schedules"`

	places map[string][]place // where each list's entries stand; nil: not from files
}

// Service finds a service by id.
func (c *Catalog) Service(id ServiceID) (Service, bool) {
	return find(c.Services, func(s Service) bool { return s.ID == id })
}

// Team finds a team by id.
func (c *Catalog) Team(id TeamID) (Team, bool) {
	return find(c.Teams, func(t Team) bool { return t.ID == id })
}

// Integration finds an integration by id.
func (c *Catalog) Integration(id IntegrationID) (Integration, bool) {
	return find(c.Integrations, func(i Integration) bool { return i.ID == id })
}

// Person finds a person by id.
func (c *Catalog) Person(id PersonID) (Person, bool) {
	return find(c.People, func(p Person) bool { return p.ID == id })
}

// Schedule finds a schedule by id.
func (c *Catalog) Schedule(id ScheduleID) (Schedule, bool) {
	return find(c.Schedules, func(s Schedule) bool { return s.ID == id })
}

// SourceOwner names the team that a silent source is paged to, the service it belongs to
// where the catalog says so, and why in a sentence.
func (c *Catalog) SourceOwner(name string) (Team, ServiceID, string) {
	if s, ok := find(c.Sources, func(s SourceOf) bool { return s.Name == name }); ok {
		if t, why := c.Owner(s.Service); t.ID != "" {
			return t, s.Service, "source " + name + " belongs to service " + string(s.Service) + "; " + why
		}
	}
	if t, ok := find(c.Teams, func(t Team) bool { return t.Kind == "operations" }); ok {
		return t, "", "source " + name + " is not in the catalog: the first operations team listed takes it"
	}
	if len(c.Teams) > 0 {
		return c.Teams[0], "", "source " + name + " is not in the catalog, which lists no operations team: the first team listed takes it"
	}
	return Team{}, "", "the catalog lists no team"
}

// Owner names the team that owns a service, and why in a sentence. A service
// that is not in the catalog belongs to the first team, said so.
func (c *Catalog) Owner(id ServiceID) (Team, string) {
	if s, ok := c.Service(id); ok {
		if t, ok := c.Team(s.Team); ok {
			return t, "team " + string(t.ID) + " owns service " + string(id)
		}
	}
	if len(c.Teams) > 0 {
		return c.Teams[0], "service " + string(id) + " is not in the catalog: the first team listed takes it"
	}
	return Team{}, "the catalog lists no team"
}

func find[T any](in []T, is func(T) bool) (T, bool) {
	for _, v := range in {
		if is(v) {
			return v, true
		}
	}
	var zero T
	return zero, false
}
