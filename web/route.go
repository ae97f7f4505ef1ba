package web

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Kind says how a route speaks.
type Kind int

// Document routes speak JSON and RFC 9457; Raw ones have another project's
// body and plain errors; View ones are pages for people; RPC ones print errors as
// google.rpc.Status.
const (
	Document Kind = iota
	Raw
	View
	RPC
)

// Handler answers one request; an error it returns is printed at the edge.
type Handler func(w http.ResponseWriter, r *http.Request, p Principal) error

// Route is one row of the table that makes the mux, the checks and the
// OpenAPI document.
type Route struct {
	Method, Path string
	Summary      string
	Kind         Kind
	Open         bool   // no credential is asked for
	Roles        []Role // who may; Link means a signed link to an incident
	Tenant       string // path parameter that holds a tenant the credential must cover
	Body         int64  // largest body in bytes; 0: 64 KiB
	Request      any    // sample of the JSON body, for the OpenAPI document
	Response     any    // sample of the JSON answer
	Status       int    // of success; 0: 200
	Handle       Handler
	Call         Call // of a gRPC row instead of Handle
	// Fail prints an error of a Raw route in the form its clients read; nil: a line
	// of text.
	Fail func(w http.ResponseWriter, err error)
}

// Authenticator finds who a credential stands for.
type Authenticator interface {
	// Token checks a bearer token.
	Token(ctx context.Context, secret string) (Principal, error)
	// Session finds the principal of what a signed cookie names.
	Session(ctx context.Context, subject string) (Principal, error)
}

// Edge is what the mux needs besides the table.
type Edge struct {
	Auth   Authenticator
	Signer Signer
	Now    func() time.Time
	Logger *slog.Logger
	// Fail prints an error of a View route.
	Fail func(w http.ResponseWriter, r *http.Request, e *problem.Error)
	// Replica says whether a secret is the one that replicas share; nil: there are none.
	Replica func(secret string) bool
	// Forward passes a request on to the replica that must answer it; nil: there are none.
	Forward Forward
	// Observe is told of every answer; pattern, never the path.
	Observe func(method, pattern string, status int, took time.Duration)
	// BodyTime is how long a request's body may take to arrive; 0: no bound.
	BodyTime time.Duration
}

// SessionCookie is the name of the cookie that a sign-in sets; SessionPurpose is the
// signed purpose of its value.
const (
	SessionCookie  = "tocsin_session"
	SessionPurpose = "session"
)

// Mux builds the handler of all routes. Every request passes the one check here.
func (e Edge) Mux(routes []Route) http.Handler {
	mux := http.NewServeMux()
	for _, rt := range routes {
		if rt.Method == GRPC {
			continue // RPC serves it
		}
		mux.Handle(rt.Method+" "+rt.Path, e.handler(rt))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		mux.ServeHTTP(w, r)
	})
}

func (e Edge) handler(rt Route) http.Handler {
	limit := rt.Body
	if limit == 0 {
		limit = 64 << 10
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := e.Now()
		rec := &recorder{ResponseWriter: w}
		defer func() {
			if e.Observe != nil {
				e.Observe(rt.Method, rt.Path, rec.code(), e.Now().Sub(began))
			}
		}()
		defer func() {
			if x := recover(); x != nil && x != http.ErrAbortHandler { //nolint:errorlint // a panic is no chain of errors; one bad request must not look like a broken network
				e.Logger.Error("a request made the program fail", "method", rt.Method, "route", rt.Path, "panic", x, "stack", string(debug.Stack()))
				if rec.status != 0 { // half an answer must not look like a whole one
					panic(http.ErrAbortHandler)
				}
				e.fail(rec, r, rt, problem.New(problem.Internal, "the request could not be answered"))
			} else if x != nil {
				panic(x)
			}
		}()
		if rt.Kind != Raw && rt.Kind != RPC { // a raw door bounds its own body and says how in its own words
			r.Body = http.MaxBytesReader(rec, r.Body, limit)
		}
		bodyWithin(rec, r, e.BodyTime)
		var kept *keeper
		if e.Forward != nil && rt.Kind != RPC && r.ContentLength <= maxForward && r.Body != nil {
			kept = &keeper{ReadCloser: r.Body}
			r.Body = kept
		}
		p, err := e.authorise(rt, r)
		if err == nil {
			err = rt.Handle(rec, r, p)
		}
		if err != nil && kept != nil && rec.status == 0 {
			err = e.forward(rec, r, kept, err)
		}
		if err != nil {
			e.fail(rec, r, rt, err)
		}
	})
}

// forward passes the request on when err says so.
func (e Edge) forward(w http.ResponseWriter, r *http.Request, kept *keeper, err error) error {
	var to *Elsewhere
	if !errors.As(err, &to) {
		return err
	}
	body, ok, rerr := kept.rest()
	switch {
	case rerr != nil:
		return rerr
	case !ok:
		return problem.New(problem.TooLarge, "the body is too large to be passed on to the replica that serves this").WithHint("send it to replica %s", to.Replica)
	}
	return e.Forward(w, r, body, to)
}

func (e Edge) authorise(rt Route, r *http.Request) (Principal, error) {
	if rt.Open {
		return Principal{}, nil
	}
	p, err := e.principal(rt, r)
	if err != nil {
		return p, err
	}
	if !slices.Contains(rt.Roles, p.Role) {
		return p, problem.New(problem.Forbidden, "the role %s may not do this", p.Role)
	}
	if rt.Tenant != "" {
		id, err := tenant.ParseID(r.PathValue(rt.Tenant))
		if err != nil && p.Any {
			return p, err
		}
		if err != nil || !p.Covers(id) { // a foreign tenant looks the same whether it exists or not
			return p, problem.New(problem.Forbidden, "the credential does not cover this tenant")
		}
	}
	if p.Session != "" && r.Method != http.MethodGet && r.Method != http.MethodHead {
		if !hmac.Equal([]byte(r.FormValue("csrf")), []byte(e.Signer.FormToken(p.Session))) {
			return p, problem.New(problem.Forbidden, "the form is not of this session").WithHint("reload the page and try again")
		}
	}
	return p, nil
}

// LinkPurpose is the signed purpose of a link to one incident.
const LinkPurpose = "incident"

func (e Edge) principal(rt Route, r *http.Request) (Principal, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, secret, _ := strings.Cut(h, " ")
		switch {
		case strings.EqualFold(scheme, "Replica") && e.Replica != nil:
			if !e.Replica(strings.TrimSpace(secret)) {
				return Principal{}, problem.New(problem.Unauthenticated, "the cluster's secret is another one")
			}
			return Principal{Name: "replica", Role: Replica, Any: true}, nil
		case strings.EqualFold(scheme, "Bearer"):
			return e.Auth.Token(r.Context(), strings.TrimSpace(secret))
		case strings.EqualFold(scheme, "Basic"): // clients that only know a user and a password
			if _, pw, ok := r.BasicAuth(); ok {
				return e.Auth.Token(r.Context(), pw)
			}
		}
		return Principal{}, problem.New(problem.Unauthenticated, "the Authorization header is not understood").WithHint("Authorization: Bearer TOKEN")
	}
	if c := r.URL.Query().Get("cap"); c != "" && slices.Contains(rt.Roles, Link) {
		id, err := e.Signer.Open(LinkPurpose, c, e.Now())
		if err == nil {
			return Principal{Name: "link:" + id, Role: Link, Incident: id}, nil
		}
		if _, none := r.Cookie(SessionCookie); none != nil { // who is signed in needs no link
			return Principal{}, err
		}
	}
	if c, err := r.Cookie(SessionCookie); err == nil {
		id, err := e.Signer.Open(SessionPurpose, c.Value, e.Now())
		if err != nil {
			return Principal{}, problem.New(problem.Unauthenticated, "the session has ended").WithHint("sign in again")
		}
		p, err := e.Auth.Session(r.Context(), id)
		p.Session = c.Value
		return p, err
	}
	return Principal{}, problem.New(problem.Unauthenticated, "a token is needed").WithHint("Authorization: Bearer TOKEN; tocsin token create makes one")
}

func (e Edge) fail(w *recorder, r *http.Request, rt Route, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		err = problem.New(problem.TooLarge, "the body is larger than %d bytes", tooLarge.Limit).WithHint("no request of this kind may have more; docs/limits.md lists what may be raised")
	}
	var to *Elsewhere
	if errors.As(err, &to) { // it cannot be passed on
		err = problem.Wrap(err, problem.Unavailable, "another replica serves this").WithRetryAfter(time.Second)
	}
	if problem.Is(err, problem.Malformed) {
		err = late(err)
	}
	p := problem.From(err)
	if p.Kind == problem.Internal {
		e.Logger.Error("a request failed", "method", rt.Method, "route", rt.Path, "error", err)
	}
	if w.status != 0 { // the handler has answered already
		return
	}
	after := p.RetryAfter
	if rt.Kind == RPC && p.Retryable {
		after = retryAfter(p)
	}
	if after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(max(1, after.Seconds()))))
	}
	switch rt.Kind {
	case RPC:
		if p.Kind == problem.Unauthenticated {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		WriteStatus(w, r, p)
	case View:
		e.Fail(w, r, p)
	case Raw:
		if p.Kind == problem.Unauthenticated {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		if rt.Fail != nil {
			rt.Fail(w, p)
			return
		}
		text := p.Message
		if p.Hint != "" {
			text += " (" + p.Hint + ")"
		}
		http.Error(w, text, p.Kind.Status())
	default:
		if p.Kind == problem.Unauthenticated {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		WriteProblem(w, p, fault.Of(err))
	}
}

// WriteJSON answers with a document.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return problem.Wrap(err, problem.Internal, "the answer cannot be encoded")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n')) // the client may be gone
	return nil
}

// ReadJSON decodes a strict JSON body: one document, no unknown keys.
func ReadJSON(r *http.Request, v any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		var tooLarge *http.MaxBytesError
		var syntax *json.SyntaxError
		var wrong *json.UnmarshalTypeError
		switch {
		case errors.As(err, &tooLarge):
			return err
		case errors.As(err, &wrong):
			return problem.New(problem.Invalid, "the field %s has the wrong type", wrong.Field)
		case errors.As(err, &syntax), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return problem.New(problem.Malformed, "the body is not a JSON document")
		case strings.HasPrefix(err.Error(), "json: unknown field"):
			return problem.New(problem.Invalid, "the body has an %s", strings.TrimPrefix(err.Error(), "json: "))
		}
		return problem.Wrap(err, problem.Malformed, "the body cannot be read")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return problem.New(problem.Malformed, "the body holds more than one JSON document")
	}
	return nil
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(s int) {
	if r.status == 0 {
		r.status = s
	}
	r.ResponseWriter.WriteHeader(s)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// IfMatch is the revision that a request's If-Match names; 0 when any will do.
func IfMatch(r *http.Request) (int, error) {
	h := strings.Trim(r.Header.Get("If-Match"), `"`)
	if h == "" || h == "*" {
		return 0, nil
	}
	n, err := strconv.Atoi(h)
	if err != nil || n < 1 {
		return 0, problem.New(problem.Malformed, "If-Match is not an ETag of this API").WithHint("send the ETag of the last answer as it came")
	}
	return n, nil
}

// ETag is the entity tag of a revision.
func ETag(revision int) string { return fmt.Sprintf("%q", strconv.Itoa(revision)) }
