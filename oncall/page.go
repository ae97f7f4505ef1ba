// Package oncall knows the life of a page (requested, sent, refused, withdrawn,
// acknowledged) and writes its text.
//
// It is pure: no I/O, clock or logger. Who is on call is package rota's
// arithmetic; why an incident wants a page, and channels, it does not know.
package oncall

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// PageID identifies a page: "pg_" and a lower-case ULID.
type PageID string

// Subject is how the ledger and inputs name the page.
func (id PageID) Subject() string { return "page/" + string(id) }

// State is where a page stands.
type State string

// The states. Observed: it would have been sent, were the team live.
const (
	Pending      State = "pending"
	Sent         State = "sent"
	Failed       State = "failed"
	Withdrawn    State = "withdrawn"
	Acknowledged State = "acknowledged"
	Observed     State = "observed"
)

// RecordKind and RecordVersion name the shape of a stored Page.
const (
	RecordKind    = "page"
	RecordVersion = 1
)

// Wanted is the decision that somebody of a team must be called. It has the
// same fields as the decision of the incident, so that one converts into the
// other.
type Wanted struct {
	Incident    string         `json:"incident"`
	Number      int            `json:"number"`
	Environment string         `json:"environment"`
	Tenant      tenant.ID      `json:"tenant"` // the one tenant concerned, or tenant.Product
	Service     string         `json:"service"`
	Team        catalog.TeamID `json:"team"`
	Transition  string         `json:"transition"` // which opening of the incident, "opened/1"
	Reason      string         `json:"reason"`
	Live        bool           `json:"live"`   // false: only record who would have been paged
	Urgent      bool           `json:"urgent"` // false: a warning, which calls in working hours only and asks nobody else
	// Except is who gave the incident back or fell silent: others are asked first.
	Except   catalog.PersonID `json:"except"`
	At       time.Time        `json:"at"`
	NotAfter time.Time        `json:"not_after"` // too late to be of use
}

// Page is the record of one call for one person.
type Page struct {
	ID             PageID            `json:"id"`
	Key            string            `json:"key"` // of the call now under way
	Incident       string            `json:"incident"`
	Number         int               `json:"number"` // of the incident
	Environment    string            `json:"environment"`
	Tenant         tenant.ID         `json:"tenant"`
	Team           catalog.TeamID    `json:"team"`
	Person         catalog.PersonID  `json:"person"`
	PersonName     string            `json:"person_name"`
	TimeZone       string            `json:"time_zone"` // of the person
	Why            string            `json:"why"`       // why this person
	Channel        string            `json:"channel"`
	To             string            `json:"to"`
	Alternatives   []catalog.Contact `json:"alternatives"` // tried when this address is refused for good
	State          State             `json:"state"`
	Attempts       int               `json:"attempts"`
	RequestedAt    time.Time         `json:"requested_at"`
	SentAt         *time.Time        `json:"sent_at"`
	AcknowledgedAt *time.Time        `json:"acknowledged_at"`
	AcknowledgedBy string            `json:"acknowledged_by"` // name
	By             catalog.PersonID  `json:"by"`              // who acknowledged
	Detail         string            `json:"detail"`          // what the carrier last said, or why it was not sent
	Transition     string            `json:"transition"`
	NotAfter       time.Time         `json:"not_after"`
	Place          Place             `json:"place"` // in the escalation
	// Patience is how long, in seconds, an address may leave the page undelivered.
	Patience float64 `json:"patience_seconds"`
	// Unreached says that no address took it in time; the last one is still tried.
	Unreached bool `json:"unreached"`
}

// Place is where in an escalation a page stands, or which drill it is of.
type Place struct {
	Drill      string  `json:"drill"` // id; empty: of an incident
	Step       int     `json:"step"`  // from 1: the person on call; 0: not in an escalation
	Steps      int     `json:"steps"` // of a round, the last resort not counted
	Round      int     `json:"round"` // from 1
	Rounds     int     `json:"rounds"`
	LastResort bool    `json:"last_resort"`
	Asked      []Asked `json:"asked"` // before, oldest first
	Then       string  `json:"then"`  // what follows when nobody acknowledges
}

// First says that the page is the first of its transition, and of no drill.
func (p Place) First() bool {
	return p.Drill == "" && p.Step <= 1 && p.Round <= 1 && !p.LastResort
}

// Asked is somebody who was called before, and what came of it.
type Asked struct {
	Person catalog.PersonID `json:"person"`
	Name   string           `json:"name"`
	Page   PageID           `json:"page"` // empty: was not called, and Result says why
	At     time.Time        `json:"at"`
	Round  int              `json:"round"`
	Result string           `json:"result"`
}

// OnlyIf is the condition of every call, checked just before sending.
const OnlyIf = "incident open and page pending"

// Call is what the deliverer needs. Key hashes environment, tenant or product,
// incident, kind, destination and transition; never a time or an attempt.
type Call struct {
	Page     PageID    `json:"page"`
	Key      string    `json:"key"`
	Incident string    `json:"incident"`
	Channel  string    `json:"channel"` // name of the configured channel
	To       string    `json:"to"`
	NotAfter time.Time `json:"not_after"`
	OnlyIf   string    `json:"only_if"`
}

// Destination names where the call's queue and rate limit live.
func (c Call) Destination() string { return "channel/" + c.Channel }

// PageChange is what a decision about a page brings.
type PageChange struct {
	Page    Page
	Call    *Call // to be made; nil: nothing leaves
	Ledger  []ledger.Entry
	Timers  []store.Timer // set, or removed by a zero At
	Changed bool          // the record must be written
}

// ContactTimer is the kind of the timer after which Undelivered is to be called.
const ContactTimer = "oncall.contact"

// Result is what became of one attempt to make a call.
type Result struct {
	Key       string `json:"key"` // the call's
	Sent      bool   `json:"sent"`
	Withheld  bool   `json:"withheld"`  // MaySend said no; Detail says why
	Detail    string `json:"detail"`    // the carrier's receipt, or what went wrong
	Retryable bool   `json:"retryable"` // the deliverer goes on trying
}

// Actor is who pressed the button.
type Actor struct {
	Person catalog.PersonID
	Name   string
}

func (a Actor) String() string {
	if a.Name != "" {
		return a.Name
	}
	return string(a.Person)
}

// Answer is what a person who acknowledges is told.
type Answer struct {
	First bool      // this press took it
	By    string    // who has it
	Since time.Time // since when
	Text  string    // one sentence
}

func newPageID(now time.Time, key string) PageID {
	sum := sha256.Sum256([]byte("page\x00" + key))
	var u ulid.ULID
	_ = u.SetTime(ulid.Timestamp(now)) // fails after the year 10889 only
	_ = u.SetEntropy(sum[:10])
	return PageID("pg_" + strings.ToLower(u.String()))
}

func key(environment string, t tenant.ID, incident, kind, destination, transition string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{"v1", environment, string(t), incident, kind, destination, transition}, "\x00")))
	return hex.EncodeToString(sum[:16])
}
