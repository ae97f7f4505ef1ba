package rt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-alerting/tocsin/problem"
)

// maxResponse bounds what is read of an answer: RT's largest attachment is
// 10 MiB by default, a third more in base64.
const maxResponse = 32 << 20

// operatorDelay is how long to leave a fault alone that a person has to mend.
const operatorDelay = 5 * time.Minute

var errPrecondition = errors.New("the ticket was changed meanwhile")

// request is one call of REST2.
type request struct {
	method, path string
	query        url.Values
	body         any    // sent as JSON when not nil
	ifMatch      string // ETag that must still hold
	what         string // noun for messages: "queue", "ticket", …
}

func (c *Client) token() (string, error) {
	token, err := c.opt.Token()
	if err != nil {
		return "", problem.Wrap(err, problem.Unauthenticated, "the token of %s cannot be read", c.opt.Name).
			WithHint("see token_file and its permissions").WithRetryAfter(operatorDelay)
	}
	token = strings.TrimSpace(token)
	if token == "" || strings.ContainsAny(token, " \r\n\t") {
		return "", problem.New(problem.Unauthenticated, "the token of %s is empty or more than one word", c.opt.Name).
			WithHint("token_file holds one line, the token").WithRetryAfter(operatorDelay)
	}
	return token, nil
}

// call makes the request and decodes a 2xx answer into out unless that is nil.
func (c *Client) call(ctx context.Context, r request, out any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.RequestTimeout)
	defer cancel()
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "%s cannot be reached", c.opt.Name).WithHint("see its address and whether it is up")
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "%s broke off its answer", c.opt.Name)
	}
	if len(b) > maxResponse {
		return nil, problem.New(problem.TooLarge, "the answer of %s is longer than %d MiB", c.opt.Name, maxResponse>>20)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, c.refusal(r, res)
	}
	if out == nil {
		return res.Header, nil
	}
	if err := json.Unmarshal(asUTF8(b), out); err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "the answer of %s about the %s is not the JSON it should be", c.opt.Name, r.what).
			WithHint("is it Request Tracker 5, and is nothing in between?")
	}
	return res.Header, nil
}

func (c *Client) request(ctx context.Context, r request) (*http.Request, error) {
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, problem.Wrap(err, problem.Internal, "a request to %s cannot be written", c.opt.Name)
		}
		body = bytes.NewReader(b)
	}
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, problem.Wrap(err, problem.Internal, "a request to %s cannot be made", c.opt.Name)
	}
	req.Header.Set("Authorization", "token "+token)
	req.Header.Set("Accept", "application/json")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.ifMatch != "" {
		req.Header.Set("If-Match", r.ifMatch)
	}
	return req, nil
}

// refusal turns a status into a problem. RT's own words stay in the cause only
// by number: they may repeat what we sent.
func (c *Client) refusal(r request, res *http.Response) error {
	name, cause := c.opt.Name, fmt.Errorf("%s %s: status %d", r.method, r.path, res.StatusCode)
	switch code := res.StatusCode; {
	case code == http.StatusUnauthorized:
		return problem.Wrap(cause, problem.Unauthenticated, "%s does not accept the token", name).
			WithHint("make a new one for the service user under Settings, Auth Tokens, and put it into token_file").WithRetryAfter(operatorDelay)
	case code == http.StatusForbidden:
		return problem.Wrap(cause, problem.Forbidden, "%s does not let the service user see or change the %s", name, r.what).
			WithHint("does the %s exist, and has the user rights on it?", r.what).WithRetryAfter(operatorDelay)
	case code == http.StatusNotFound:
		return problem.Wrap(cause, problem.NotFound, "%s has no such %s", name, r.what)
	case code == http.StatusPreconditionFailed:
		e := problem.Wrap(errPrecondition, problem.Conflict, "the %s in %s was changed meanwhile", r.what, name)
		e.Retryable = true
		return e
	case code == http.StatusConflict:
		e := problem.Wrap(cause, problem.Conflict, "%s reports a conflict about the %s", name, r.what)
		e.Retryable = true
		return e
	case code == http.StatusRequestEntityTooLarge:
		return problem.Wrap(cause, problem.TooLarge, "the %s is too large for %s", r.what, name)
	case code == http.StatusTooManyRequests:
		return problem.Wrap(cause, problem.TooMany, "%s asks for fewer requests", name).WithRetryAfter(retryAfter(res, 30*time.Second))
	case code >= 500:
		return problem.Wrap(cause, problem.Unavailable, "%s failed on the %s", name, r.what).
			WithRetryAfter(retryAfter(res, 0))
	case code >= 300 && code < 400:
		return problem.Wrap(cause, problem.Invalid, "%s redirects to another address", name).
			WithHint("set url to the address it redirects to; the token is not sent on")
	default:
		return problem.Wrap(cause, problem.Invalid, "%s cannot use the request about the %s", name, r.what).
			WithHint("its log says why")
	}
}

// retryAfter reads the header, in seconds, at most an hour.
func retryAfter(res *http.Response, otherwise time.Duration) time.Duration {
	s, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || s < 0 {
		return otherwise
	}
	return min(time.Duration(s)*time.Second, time.Hour)
}

// asUTF8 mends collections that RT sends as Latin-1 when they hold no character
// beyond it.
func asUTF8(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	out := make([]byte, 0, len(b)+len(b)/8)
	for _, c := range b {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}
