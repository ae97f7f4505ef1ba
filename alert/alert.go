// Package alert holds one rule firing for one tenant (or the product) and one
// slice, with the evidence that made it fire. It is the value that flows from
// evaluate to router; it decides nothing.
package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// ID identifies an alert for ever: the hash of environment, tenant, rule and
// slice. Firing again later is the same alert.
type ID string

// Key is what makes an alert the same alert.
type Key struct {
	Environment string    `json:"environment"`
	Tenant      tenant.ID `json:"tenant"` // tenant.Product for a pooled alert
	Service     string    `json:"service"`
	Rule        string    `json:"rule"`
	Slice       sli.Slice `json:"slice"`
}

// ID hashes the key.
func (k Key) ID() ID {
	sum := sha256.Sum256([]byte(strings.Join([]string{"v1", k.Environment, string(k.Tenant), k.Service, k.Rule, k.Slice.Key()}, "\x00")))
	return ID("alt_" + hex.EncodeToString(sum[:10]))
}

// State is where an alert stands.
type State string

// An alert is firing or resolved; what is merely suspicious is evaluate's own.
const (
	Firing   State = "firing"
	Resolved State = "resolved"
)

// Change is the test that holds what is counted against the hour before.
const Change = "change"

// Evidence is why it fired, in counts: of N events since the onset K failed (were
// declined, took longer than Over), where Usual is the ratio learned for this slice.
// Of traffic N is what came and Expected what usually comes; of a silent source N is
// its tenants.
type Evidence struct {
	N      float64 `json:"n"`
	K      float64 `json:"k"`
	Usual  float64 `json:"usual"`  // ratio 0..1
	Score  float64 `json:"score"`  // log-likelihood evidence, nats
	Needed float64 `json:"needed"` // threshold h the score had to pass, nats
	// ToPage is how much evidence must have come since the onset before the alert may
	// call somebody for its own tenant alone, nats; 0: what fired is enough.
	ToPage float64 `json:"to_page,omitempty"`
	Share  float64 `json:"share"` // N as a share of the service's volume of this tenant (of the product when pooled), 0..1
	// RatePerMinute is the slice's events a minute before the onset.
	RatePerMinute float64 `json:"rate_per_minute"`
	// Tenants lists those that gave evidence to a pooled alert, largest first.
	Tenants []tenant.ID `json:"tenants,omitempty"`
	// Test names the test that fired: "cusum" or "exact"; "change" holds it against the
	// hour before, whose ratio is then Usual.
	Test string `json:"test"`
	// Expected is how many events the tenant usually has in that time.
	Expected float64 `json:"expected,omitempty"`
	// Expecting is why another volume than the usual of the hour is expected; empty: none is.
	Expecting string `json:"expecting,omitempty"`
	// Over is what a slow event takes longer than, in seconds.
	Over float64 `json:"over_seconds,omitempty"`
	// Customers is how many customers newly failed since the onset; nil where nobody says.
	Customers *float64 `json:"customers,omitempty"`
	// Nameless is how many failures since the onset do not say whose they are, where most do.
	Nameless float64 `json:"nameless,omitempty"`
	// Estimated says that there were too many customers to tell each apart: Customers is
	// within some 6% mostly.
	Estimated bool `json:"customers_estimated,omitempty"`
	// Source names the sender that a missing or silent series came by.
	Source string `json:"source,omitempty"`
	// Hard says that at least 60% failed: no settling time is needed.
	Hard bool `json:"hard"`
}

// Alert is one firing with its life so far.
type Alert struct {
	ID ID `json:"id"`
	Key
	// Kind is the rule's; empty in records from before there was more than Errors.
	Kind rule.Kind `json:"kind,omitempty"`
	// SLI is what was counted.
	SLI sli.ID `json:"sli"`
	// Noun says what its events are, see sli.Spec.
	Noun       string        `json:"noun,omitempty"`
	Severity   rule.Severity `json:"severity"`
	Summary    string        `json:"summary"`
	RunbookURL string        `json:"runbook_url"`
	State      State         `json:"state"`
	OnsetAt    time.Time     `json:"onset_at"`  // start of the first bad step
	StartsAt   time.Time     `json:"starts_at"` // when it fired
	EndsAt     *time.Time    `json:"ends_at"`   // nil while firing
	Evidence   Evidence      `json:"evidence"`
	Reason     string        `json:"reason"` // the evidence in a sentence
	// Dropped is why it ended without being over: nothing judges it any more.
	Dropped string `json:"dropped,omitempty"`
	// AsOf is the end of the step that brought the newest transition. A change
	// whose AsOf is not later than the stored one is a replay and is ignored.
	AsOf time.Time `json:"as_of"`
	// Backlog marks an alert that was firing when its source was first seen:
	// listed, never paged.
	Backlog bool `json:"backlog,omitempty"`
	// Traces are worth looking at, and Hop is where the failing ones fail; without
	// spans, or where they do not agree, there is none.
	Traces []Trace `json:"traces,omitempty"`
	Hop    *Hop    `json:"hop,omitempty"`
}

// Trace is one worth looking at.
type Trace struct {
	ID              string    `json:"trace_id"`
	Why             string    `json:"why"` // failing, slow, normal
	Operation       string    `json:"operation"`
	EndedAt         time.Time `json:"ended_at"`
	DurationSeconds float64   `json:"duration_seconds"`
}

// Hop is where calls fail.
type Hop struct {
	Service   string  `json:"service"`
	Operation string  `json:"operation"`
	Kind      string  `json:"kind"`  // service, or peer: one that sends no spans of its own
	Share     float64 `json:"share"` // of the failing traces looked at
}

// Bad is how many of how many are wrong: failures of events; of traffic, what is
// missing or too much of what was expected. Of what does not arrive nothing was counted.
func (a Alert) Bad() (k, n float64) {
	ev := a.Evidence
	switch a.Kind {
	case rule.Source, rule.Absent, rule.PromQL:
		return 0, 0
	case rule.Traffic:
		return math.Min(math.Abs(ev.Expected-ev.N), ev.Expected), ev.Expected
	}
	return ev.K, ev.N
}

// Newer says whether a supersedes the stored state old (nil: none stored).
func (a Alert) Newer(old *Alert) bool { return old == nil || a.AsOf.After(old.AsOf) }
