// Package webhook is the channel that posts pages as signed JSON documents to an
// address of yours: a gateway for text messages or calls, a chat, a script.
//
// It knows HTTP and nothing of incidents. What an answer means for trying again
// is decided here; trying again is not. Addresses may be secrets, and so may
// what a receiver answers: neither stands in a receipt or an error.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Headers of a request.
const (
	SignatureHeader = "Tocsin-Signature"
	KeyHeader       = "Idempotency-Key"
)

// Options of the channel. URL or URLFile, SecretFile and Now are needed.
type Options struct {
	URL     string // https, or http to this machine
	URLFile string // instead of URL, when the address is a secret
	// SecretFile holds what requests are signed with, at least 16 bytes. Several
	// lines are several secrets: each signs, so that one can replace another.
	SecretFile string
	TokenFile  string        // sent as a bearer token; empty: none
	CAFile     string        // PEM of who signs the receiver's certificate; empty: the system's
	Pictures   bool          // the picture goes along, as base64
	Timeout    time.Duration // of one attempt; default 15 s
	Now        func() time.Time
}

// Hook posts pages. Safe for concurrent use. Files are read with every page, so
// that their content can be replaced.
type Hook struct {
	o      Options
	client *http.Client
}

const (
	leastSecret   = 16
	longestWait   = time.Hour // of what a receiver asks for
	maxAnswer     = 64 << 10  // read of an answer before the connection is given up
	headerTimeout = 10 * time.Second
)

// New checks the options; it does not connect.
func New(o Options) (*Hook, error) {
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Now == nil {
		return nil, problem.New(problem.Internal, "the webhook channel was given no clock")
	}
	if (o.URL == "") == (o.URLFile == "") || o.SecretFile == "" {
		return nil, problem.New(problem.Invalid, "a webhook channel needs secret_file and either url or url_file")
	}
	if o.URL != "" {
		if _, err := Address(o.URL); err != nil {
			return nil, err
		}
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: headerTimeout}).DialContext, TLSHandshakeTimeout: headerTimeout,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, problem.Wrap(err, problem.Invalid, "the ca_file of a webhook channel cannot be read")
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, problem.New(problem.Invalid, "the ca_file of a webhook channel holds no certificate").WithHint("PEM, as openssl writes it")
		}
	}
	return &Hook{o: o, client: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Address checks the address of a receiver: https, or http to this machine.
func Address(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, problem.New(problem.Invalid, "the url of a webhook channel is not an http or https address").WithHint("for example https://hooks.example.com/tocsin")
	case u.User != nil:
		return nil, problem.New(problem.Invalid, "the url of a webhook channel holds a password").WithHint("use token_file, or url_file when the address is a secret")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, problem.New(problem.Invalid, "pages to another machine must be encrypted: they carry links that act for a person").WithHint("use https")
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Send posts one page. An error after which it may have arrived says so; the key
// tells the receiver that it is the same.
func (h *Hook) Send(ctx context.Context, p channel.Page) (channel.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	req, err := h.request(ctx, p)
	if err != nil {
		return channel.Receipt{}, err
	}
	res, err := h.client.Do(req)
	if err != nil {
		return channel.Receipt{}, h.failure(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	// What the receiver says is nobody's business here; reading it frees the
	// connection for the next page.
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer)
	return h.answered(res)
}

func (h *Hook) request(ctx context.Context, p channel.Page) (*http.Request, error) {
	address := h.o.URL
	if h.o.URLFile != "" {
		var err error
		if address, err = secret(h.o.URLFile, "url_file"); err != nil {
			return nil, err
		}
	}
	u, err := Address(address)
	if err != nil {
		return nil, err
	}
	raw, err := body(p, h.o.Pictures)
	if err != nil {
		return nil, err
	}
	signature, err := h.sign(raw)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(raw))
	if err != nil {
		return nil, problem.New(problem.Invalid, "the url of a webhook channel cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tocsin")
	req.Header.Set(KeyHeader, p.Key)
	req.Header.Set(SignatureHeader, signature)
	if h.o.TokenFile != "" {
		token, err := secret(h.o.TokenFile, "token_file")
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// sign makes "t=UNIX,v1=HEX[,v1=HEX]": each v1 is HMAC-SHA256 over the time, a
// full stop and the body, by one of the secrets.
func (h *Hook) sign(body []byte) (string, error) {
	text, err := secret(h.o.SecretFile, "secret_file")
	if err != nil {
		return "", err
	}
	at := strconv.FormatInt(h.o.Now().Unix(), 10)
	out := "t=" + at
	for _, key := range strings.Fields(text) {
		if len(key) < leastSecret {
			return "", problem.New(problem.Invalid, "a secret of a webhook channel is shorter than %d bytes", leastSecret).WithHint("openssl rand -hex 32 > the secret_file")
		}
		m := hmac.New(sha256.New, []byte(key))
		_, _ = fmt.Fprintf(m, "%s.", at)
		m.Write(body)
		out += ",v1=" + hex.EncodeToString(m.Sum(nil))
	}
	return out, nil
}

func secret(file, key string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", problem.Wrap(err, problem.Invalid, "the %s of a webhook channel cannot be read", key).WithHint("check its path and rights")
	}
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return "", problem.New(problem.Invalid, "the %s of a webhook channel is empty", key)
	}
	return text, nil
}

// answered says what a status means: 408, 425, 429 and 5xx may pass, every other
// refusal will not.
func (h *Hook) answered(res *http.Response) (channel.Receipt, error) {
	text := strings.TrimSpace(strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode))
	switch s := res.StatusCode; {
	case s >= 200 && s < 300:
		return channel.Receipt{Detail: text}, nil
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == http.StatusTooManyRequests, s >= 500:
		e := problem.New(problem.Unavailable, "the receiver answered %s", text)
		e.RetryAfter = h.retryAfter(res.Header.Get("Retry-After"))
		return channel.Receipt{}, e
	case s >= 300 && s < 400:
		return channel.Receipt{}, problem.New(problem.Invalid, "the receiver answered %s, and redirects are not followed", text).WithHint("give the address that it points to as url")
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return channel.Receipt{}, problem.New(problem.Invalid, "the receiver answered %s", text).WithHint("check secret_file and token_file of the channel")
	case s == http.StatusNotFound || s == http.StatusGone:
		return channel.Receipt{}, problem.New(problem.Invalid, "the receiver answered %s", text).WithHint("check url of the channel")
	}
	return channel.Receipt{}, problem.New(problem.Invalid, "the receiver answered %s", text).WithHint("ask whoever runs the receiver")
}

// retryAfter reads seconds or a date; what is not understood asks for nothing.
func (h *Hook) retryAfter(text string) time.Duration {
	var wait time.Duration
	if n, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(n, int(longestWait/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(h.o.Now())
	}
	return min(max(wait, 0), longestWait)
}

// failure says what went wrong on the way, without the address.
func (h *Hook) failure(ctx context.Context, err error) error {
	var address *url.Error
	if errors.As(err, &address) {
		err = address.Err
	}
	var untrusted *tls.CertificateVerificationError
	var dial *net.OpError
	switch {
	case errors.As(err, &untrusted):
		return problem.Wrap(err, problem.Unavailable, "the receiver's certificate is not trusted").WithHint("check url and ca_file of the channel, and the certificate's names")
	case ctx.Err() != nil || os.IsTimeout(err):
		return problem.Wrap(err, problem.Unavailable, "the receiver did not answer within %s; the page may have arrived", h.o.Timeout)
	case errors.As(err, &dial) && dial.Op == "dial":
		return problem.Wrap(err, problem.Unavailable, "the receiver cannot be reached: %s", cause(dial))
	}
	return problem.Wrap(err, problem.Unavailable, "the connection to the receiver was lost; the page may have arrived")
}

// cause is the innermost reason of a failed connection, which names no address.
func cause(dial *net.OpError) string {
	var dns *net.DNSError
	if errors.As(dial.Err, &dns) {
		return "its name is not found"
	}
	var sys *os.SyscallError
	if errors.As(dial.Err, &sys) {
		return sys.Err.Error()
	}
	return "no connection"
}
