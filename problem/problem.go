// Package problem is tocsin's one error vocabulary: a kind for programs, a
// message for the person who caused it, a hint for the person who can mend it,
// and whether trying again can help.
//
// It knows nothing of HTTP beyond the status that belongs to a kind; how a
// problem is printed (RFC 9457, Alertmanager's JSON string, Prometheus'
// envelope, a CLI line) is decided at the edge that prints it. A rejected value
// never stands in a message: it may be a secret.
package problem

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Kind says what went wrong in a form that programs can branch on.
type Kind string

// The kinds, each with one HTTP status.
const (
	Malformed       Kind = "malformed"       // 400: cannot be read at all
	Unauthenticated Kind = "unauthenticated" // 401: no token, or not one of ours
	Forbidden       Kind = "forbidden"       // 403: a known token that may not; also a foreign tenant
	NotFound        Kind = "not_found"       // 404
	Conflict        Kind = "conflict"        // 409: somebody else changed it first
	TooLarge        Kind = "too_large"       // 413
	Invalid         Kind = "invalid"         // 422: readable, but breaks a rule
	TooMany         Kind = "too_many"        // 429: over a bound; see RetryAfter
	Internal        Kind = "internal"        // 500: ours to mend
	Unavailable     Kind = "unavailable"     // 503: not now
	NoSpace         Kind = "no_space"        // 507: the disk is full or nearly so
)

var status = map[Kind]int{
	Malformed: http.StatusBadRequest, Unauthenticated: http.StatusUnauthorized,
	Forbidden: http.StatusForbidden, NotFound: http.StatusNotFound, Conflict: http.StatusConflict,
	TooLarge: http.StatusRequestEntityTooLarge, Invalid: http.StatusUnprocessableEntity,
	TooMany: http.StatusTooManyRequests, Internal: http.StatusInternalServerError,
	Unavailable: http.StatusServiceUnavailable, NoSpace: http.StatusInsufficientStorage,
}

// Status is the HTTP status of the kind; 500 for one that is not known.
func (k Kind) Status() int {
	if s, ok := status[k]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// Error is a failure with what a program, a user and an operator need.
type Error struct {
	Kind       Kind
	Message    string        // one sentence for whoever asked
	Hint       string        // what to do about it; may be empty
	Retryable  bool          // the same request may succeed later
	RetryAfter time.Duration // with Retryable: not before this long
	Err        error         // the cause, for errors.Is and the log; never printed to a client
}

// Error is the message with its hint and cause, for logs and tests.
func (e *Error) Error() string {
	s := e.Message
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of the kind with a formatted message.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...), Retryable: k == TooMany || k == Unavailable || k == NoSpace}
}

// Wrap is New with a cause.
func Wrap(err error, k Kind, format string, args ...any) *Error {
	e := New(k, format, args...)
	e.Err = err
	return e
}

// WithHint sets the hint and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// WithRetryAfter marks e retryable after d and returns it.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	e.Retryable, e.RetryAfter = true, d
	return e
}

// From finds the Error inside err; what is not one becomes Internal, its text
// kept as the cause only.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: Internal, Message: "internal error", Err: err}
}

// Is reports whether err carries a problem of kind k.
func Is(err error, k Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}
