// Package delivery decides what is sent to a destination and when: a queue per
// destination, retries with growing waits, a breaker for one that is down.
//
// It is pure: the caller stores the Delivery, does the sending, and feeds the
// result back. A call (a page) belongs to one transition and may become too
// late; a mirror (a ticket, a picture) is a document with a version of which
// only the newest is delivered. It knows nothing of what is inside a payload.
package delivery

import (
	"encoding/json"
	"hash/fnv"
	"time"
)

// Kind says how a delivery behaves.
type Kind string

// The two kinds of effect.
const (
	Call   Kind = "call"
	Mirror Kind = "mirror"
)

// Delivery is one effect on its way. Its record lives in the partition of its
// destination under Key.
type Delivery struct {
	// Key hashes environment, tenant, incident, kind, destination and (for a
	// call) transition; never time or attempt.
	Key         string          `json:"key"`
	Kind        Kind            `json:"kind"`
	Destination string          `json:"destination"`
	Verb        string          `json:"verb"`               // "page", "ticket", "dashboard"
	Subject     string          `json:"subject"`            // who is told the outcome
	Ref         string          `json:"ref"`                // the incident or page it is for
	Trace       string          `json:"trace,omitempty"`    // W3C traceparent of what asked for it
	Incident    int             `json:"incident,omitempty"` // its number, for people; 0: none, or an older release's
	Version     uint64          `json:"version"`            // of a mirror's document
	Payload     json.RawMessage `json:"payload"`
	NotBefore   time.Time       `json:"not_before"` // zero: at once
	NotAfter    time.Time       `json:"not_after"`  // zero: never too late
	CreatedAt   time.Time       `json:"created_at"`

	Attempts  int       `json:"attempts"` // begun so far, of this version
	Sending   uint64    `json:"sending"`  // version+1 being sent now; 0: none
	NextAt    time.Time `json:"next_at"`
	LastError string    `json:"last_error,omitempty"`
}

// Destination is the breaker's state of one destination.
type Destination struct {
	Failures  int       `json:"failures"` // in a row
	OpenUntil time.Time `json:"open_until"`
}

// Result is what the sender saw of one attempt.
type Result struct {
	Key     string `json:"key"`
	Version uint64 `json:"version"`
	Attempt int    `json:"attempt"`
	OK      bool   `json:"ok"`
	// Withdrawn says that the call's condition no longer held: nothing was sent.
	Withdrawn  bool            `json:"withdrawn,omitempty"`
	Retryable  bool            `json:"retryable,omitempty"`
	RetryAfter time.Duration   `json:"retry_after_ns,omitempty"`
	Error      string          `json:"error,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"` // what the adapter returned
}

// Outcome is told to the Subject. One that is not Final reports trouble while
// the delivery goes on.
type Outcome struct {
	Key       string          `json:"key"`
	Verb      string          `json:"verb"`
	Ref       string          `json:"ref"`
	Version   uint64          `json:"version"`
	Final     bool            `json:"final"`
	OK        bool            `json:"ok"`
	Withdrawn bool            `json:"withdrawn,omitempty"`
	Attempts  int             `json:"attempts"`
	Error     string          `json:"error,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
}

const (
	firstWait   = time.Second
	longestWait = time.Minute
	refusedWait = 5 * time.Minute // a mirror that was refused: somebody must mend it first
	breakAfter  = 5
)

// Accept merges an effect into the queue. old is the stored delivery of the
// same key, or nil. changed is false when there is nothing to store or do.
func Accept(old *Delivery, in Delivery, now time.Time) (d Delivery, changed bool) {
	if old == nil {
		in.CreatedAt, in.NextAt = now, now
		if in.NotBefore.After(now) {
			in.NextAt = in.NotBefore
		}
		return in, true
	}
	if in.Kind == Call || in.Version <= old.Version {
		return *old, false
	}
	d = *old
	d.Version, d.Payload, d.Trace = in.Version, in.Payload, in.Trace
	d.Attempts = 0
	if d.NextAt.After(now) && d.LastError == "" {
		d.NextAt = now
	}
	return d, true
}

// Start says whether an attempt may begin now; if not, when to ask again. A
// zero time means that the result of a running attempt must come first.
func Start(d Delivery, dest Destination, now time.Time) (next Delivery, begin bool, askAt time.Time) {
	switch {
	case d.Sending != 0:
		return d, false, time.Time{}
	case now.Before(d.NextAt):
		return d, false, d.NextAt
	case now.Before(dest.OpenUntil):
		return d, false, dest.OpenUntil
	}
	d.Sending = d.Version + 1
	d.Attempts++
	return d, true, time.Time{}
}

// Interrupted takes a delivery that was being sent when the process ended: the
// attempt's outcome is not known, so it is made again.
func Interrupted(d Delivery, now time.Time) Delivery {
	if d.Sending != 0 {
		d.Sending, d.NextAt = 0, now
		d.LastError = "the daemon stopped while this was being sent; it is sent again under the same key"
	}
	return d
}

// TooLate says whether a call's time has passed.
func TooLate(d Delivery, now time.Time) bool { return !d.NotAfter.IsZero() && now.After(d.NotAfter) }

// Stale says whether a result does not belong to the running attempt.
func Stale(d Delivery, r Result) bool {
	return d.Sending == 0 || d.Sending != r.Version+1 || d.Attempts != 0 && r.Attempt != 0 && r.Version == d.Version && r.Attempt != d.Attempts
}

// Finish takes the result of an attempt. next is nil when the delivery is over.
// A stale result changes nothing.
func Finish(d Delivery, dest Destination, r Result, now time.Time) (next *Delivery, after Destination, out *Outcome) {
	if Stale(d, r) {
		return &d, dest, nil
	}
	d.Sending = 0
	o := Outcome{Key: d.Key, Verb: d.Verb, Ref: d.Ref, Version: r.Version, OK: r.OK, Withdrawn: r.Withdrawn, Attempts: d.Attempts, Error: r.Error, Data: r.Data}
	newer := d.Kind == Mirror && r.Version < d.Version
	if r.OK || r.Withdrawn {
		o.Final = true
		if newer {
			d.NextAt, d.LastError = now, ""
			return &d, Destination{}, &o
		}
		return nil, Destination{}, &o
	}
	dest.Failures++
	wait := backoff(d.Key, d.Attempts)
	switch {
	case r.RetryAfter > 0:
		wait = max(wait, r.RetryAfter)
	case !r.Retryable && d.Kind == Mirror:
		wait = refusedWait
	}
	if r.Retryable && dest.Failures >= breakAfter {
		dest.OpenUntil = now.Add(wait)
	}
	d.NextAt, d.LastError = now.Add(wait), r.Error
	if d.Kind == Call && (!r.Retryable || TooLate(d, d.NextAt)) {
		o.Final = true
		return nil, dest, &o
	}
	if d.Attempts == 1 || !r.Retryable {
		return &d, dest, &o
	}
	return &d, dest, nil
}

// backoff doubles from a second to a minute, moved by up to a fifth by the key
// so that deliveries that failed together do not return together.
func backoff(key string, attempts int) time.Duration {
	wait := firstWait
	for i := 1; i < attempts && wait < longestWait; i++ {
		wait *= 2
	}
	wait = min(wait, longestWait)
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return wait + wait*time.Duration(h.Sum32()%100)/500
}
