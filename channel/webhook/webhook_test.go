package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/channel/webhook"
	"github.com/tocsin-alerting/tocsin/problem"
)

const key = "0123456789abcdef0123456789abcdef"

var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func page() channel.Page {
	return channel.Page{ID: "pg_1", Key: "k1", To: "+46 1", Name: "Ada", Subject: "payments fail", Text: "payments fail\n", AckURL: "https://tocsin.test/p/capability",
		Links: []channel.Link{{Name: "Incident", URL: "https://tocsin.test/i/1"}}, Picture: &channel.Picture{Name: "i.png", Content: []byte("png"), Alt: "a line"},
		About: channel.About{Incident: "inc_1", Number: 7, Environment: "production", Severity: "critical", Team: "payments", Person: "ada", RequestedAt: now, Step: 2, Steps: 3, Round: 1}}
}

// receiver is a real HTTP server that answers as it is told and keeps what came.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
	bodies   [][]byte
}

func (r *receiver) got() (int, *http.Request, []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.requests)
	if n == 0 {
		return 0, nil, nil
	}
	return n, r.requests[n-1], r.bodies[n-1]
}

func receive(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(r.handler(answer))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) handler(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.requests, r.bodies = append(r.requests, req), append(r.bodies, raw)
		r.mu.Unlock()
		answer(w, req)
	})
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "the receiver's own words")
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func hook(t *testing.T, o webhook.Options) *webhook.Hook {
	t.Helper()
	if o.SecretFile == "" {
		o.SecretFile = file(t, key+"\n")
	}
	o.Now = func() time.Time { return now }
	h, err := webhook.New(o)
	require.NoError(t, err)
	return h
}

// verify is what a receiver does with the signature.
func verify(secret, header string, body []byte, at time.Time) bool {
	parts := strings.Split(header, ",")
	stamp, ok := strings.CutPrefix(parts[0], "t=")
	unix, err := strconv.ParseInt(stamp, 10, 64)
	if !ok || err != nil || at.Sub(time.Unix(unix, 0)).Abs() > 5*time.Minute {
		return false
	}
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(stamp + "."))
	m.Write(body)
	for _, p := range parts[1:] {
		if got, err := hex.DecodeString(strings.TrimPrefix(p, "v1=")); err == nil && hmac.Equal(got, m.Sum(nil)) {
			return true
		}
	}
	return false
}

func TestAPageIsPostedAndSigned(t *testing.T) {
	r := receive(t, status(http.StatusNoContent))
	h := hook(t, webhook.Options{URL: r.URL + "/in?x=1", TokenFile: file(t, "bearer-token\n")})
	receipt, err := h.Send(t.Context(), page())
	require.NoError(t, err)
	require.Equal(t, "204 No Content", receipt.Detail)
	n, req, body := r.got()
	require.Equal(t, 1, n)
	require.Equal(t, "POST /in?x=1", req.Method+" "+req.URL.RequestURI())
	require.Equal(t, "application/json", req.Header.Get("Content-Type"))
	require.Equal(t, "k1", req.Header.Get(webhook.KeyHeader))
	require.Equal(t, "Bearer bearer-token", req.Header.Get("Authorization"))
	signature := req.Header.Get(webhook.SignatureHeader)
	require.True(t, verify(key, signature, body, now))
	require.False(t, verify(key, signature, append(body, ' '), now), "another body")
	require.False(t, verify(strings.ToUpper(key), signature, body, now), "another secret")
	require.False(t, verify(key, signature, body, now.Add(time.Hour)), "an old request")
	var d webhook.Document
	require.NoError(t, json.Unmarshal(body, &d))
	require.Equal(t, webhook.Document{Version: 1, Kind: "page", ID: "pg_1", Key: "k1", RequestedAt: now, Environment: "production", Team: "payments",
		Person: webhook.Person{ID: "ada", Name: "Ada", To: "+46 1"}, Incident: &webhook.Incident{ID: "inc_1", Number: 7, Severity: "critical"},
		Escalation: webhook.Escalation{Step: 2, Steps: 3, Round: 1}, Subject: "payments fail", Text: "payments fail\n",
		AcknowledgeURL: "https://tocsin.test/p/capability", Links: []webhook.Link{{Name: "Incident", URL: "https://tocsin.test/i/1"}}}, d)

	_, err = h.Send(t.Context(), page())
	require.NoError(t, err)
	_, _, again := r.got()
	require.Equal(t, string(body), string(again), "the same page has the same body")
}

func TestPicturesAndDrills(t *testing.T) {
	r := receive(t, status(http.StatusOK))
	p := page()
	p.About.Drill, p.About.Incident = true, ""
	_, err := hook(t, webhook.Options{URLFile: file(t, r.URL), Pictures: true}).Send(t.Context(), p)
	require.NoError(t, err)
	_, _, body := r.got()
	var d webhook.Document
	require.NoError(t, json.Unmarshal(body, &d))
	require.Equal(t, "drill", d.Kind)
	require.Nil(t, d.Incident)
	require.Equal(t, "png", string(d.Picture.Content))
}

func TestASecretIsReplacedWithoutAGap(t *testing.T) {
	r := receive(t, status(http.StatusOK))
	secrets := file(t, key)
	h := hook(t, webhook.Options{URL: r.URL, SecretFile: secrets})
	second := strings.Repeat("b", 32)
	require.NoError(t, os.WriteFile(secrets, []byte(key+"\n"+second+"\n"), 0o600))
	_, err := h.Send(t.Context(), page())
	require.NoError(t, err)
	_, req, body := r.got()
	for _, s := range []string{key, second} {
		require.True(t, verify(s, req.Header.Get(webhook.SignatureHeader), body, now))
	}
	for text, want := range map[string]string{"short": "shorter than 16", "": "is empty"} {
		require.NoError(t, os.WriteFile(secrets, []byte(text), 0o600))
		_, err = h.Send(t.Context(), page())
		require.ErrorContains(t, err, want)
		require.False(t, problem.From(err).Retryable)
	}
	require.NoError(t, os.Remove(secrets))
	_, err = h.Send(t.Context(), page())
	require.ErrorContains(t, err, "cannot be read")
	n, _, _ := r.got()
	require.Equal(t, 1, n, "nothing leaves unsigned")
}

func TestWhatAnAnswerMeans(t *testing.T) {
	for _, c := range []struct {
		code  int
		after string
		retry bool
		wait  time.Duration
	}{
		{400, "", false, 0}, {401, "", false, 0}, {403, "", false, 0}, {404, "", false, 0}, {409, "", false, 0}, {410, "", false, 0}, {413, "", false, 0}, {422, "3", false, 0},
		{408, "", true, 0}, {425, "", true, 0}, {429, "", true, 0}, {429, "7", true, 7 * time.Second}, {429, "Mon, 02 Mar 2026 12:01:30 GMT", true, 90 * time.Second},
		{429, "Mon, 02 Mar 2026 11:00:00 GMT", true, 0}, {429, "999999999999", true, time.Hour}, {429, "-5", true, 0}, {429, "soon", true, 0},
		{500, "", true, 0}, {501, "", true, 0}, {502, "", true, 0}, {503, "30", true, 30 * time.Second}, {504, "", true, 0},
		{301, "", false, 0}, {302, "", false, 0}, {307, "", false, 0}, {308, "", false, 0},
	} {
		t.Run(strconv.Itoa(c.code)+" "+c.after, func(t *testing.T) {
			elsewhere := receive(t, status(http.StatusOK))
			r := receive(t, func(w http.ResponseWriter, req *http.Request) {
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				w.Header().Set("Location", elsewhere.URL)
				status(c.code)(w, req)
			})
			_, err := hook(t, webhook.Options{URL: r.URL}).Send(t.Context(), page())
			p := problem.From(err)
			require.Equal(t, c.retry, p.Retryable, "%v", err)
			require.Equal(t, c.wait, p.RetryAfter)
			require.Contains(t, p.Message, strconv.Itoa(c.code))
			require.NotContains(t, err.Error(), "own words", "what a receiver says is not kept: it may repeat the page's links")
			n, _, _ := r.got()
			require.Equal(t, 1, n, "trying again is not the channel's")
			n, _, _ = elsewhere.got()
			require.Zero(t, n, "redirects are not followed")
		})
	}
}

// Faults on the way can be tried again, and say whether the page may have arrived.
func TestFaultsOnTheWay(t *testing.T) {
	fails := func(t *testing.T, o webhook.Options, want string) {
		t.Helper()
		_, err := hook(t, o).Send(t.Context(), page())
		require.ErrorContains(t, err, want)
		require.True(t, problem.From(err).Retryable)
		require.NotContains(t, err.Error(), "secret-path", "an address may be a secret")
	}
	t.Run("slow", func(t *testing.T) {
		r := receive(t, func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
		fails(t, webhook.Options{URL: r.URL + "/secret-path", Timeout: 100 * time.Millisecond}, "did not answer within 100ms; the page may have arrived")
	})
	t.Run("slow body", func(t *testing.T) {
		r := receive(t, func(w http.ResponseWriter, req *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-req.Context().Done()
		})
		_, err := hook(t, webhook.Options{URL: r.URL, Timeout: 200 * time.Millisecond}).Send(t.Context(), page())
		require.NoError(t, err, "the status is the answer")
	})
	t.Run("cancelled", func(t *testing.T) {
		r := receive(t, status(http.StatusOK))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := hook(t, webhook.Options{URL: r.URL}).Send(ctx, page())
		require.True(t, problem.From(err).Retryable)
	})
	t.Run("reset", func(t *testing.T) {
		r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		})
		fails(t, webhook.Options{URL: r.URL + "/secret-path"}, "the connection to the receiver was lost; the page may have arrived")
	})
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		fails(t, webhook.Options{URL: "http://" + l.Addr().String() + "/secret-path"}, "cannot be reached: connection refused")
	})
	t.Run("no HTTP", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(c, "220 mail.example.com ESMTP\r\n")
				_ = c.Close()
			}
		}()
		fails(t, webhook.Options{URL: "http://" + l.Addr().String() + "/secret-path"}, "the connection to the receiver was lost")
	})
}

func TestTLS(t *testing.T) {
	r := &receiver{}
	r.Server = httptest.NewTLSServer(r.handler(status(http.StatusOK)))
	t.Cleanup(r.Close)
	_, err := hook(t, webhook.Options{URL: r.URL}).Send(t.Context(), page())
	require.ErrorContains(t, err, "certificate is not trusted")
	require.True(t, problem.From(err).Retryable, "somebody mends it")
	ca := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})))
	_, err = hook(t, webhook.Options{URL: r.URL, CAFile: ca}).Send(t.Context(), page())
	require.NoError(t, err)
	_, err = hook(t, webhook.Options{URL: strings.Replace(r.URL, "127.0.0.1", "localhost", 1), CAFile: ca}).Send(t.Context(), page())
	require.ErrorContains(t, err, "certificate is not trusted", "a name it does not have")
	n, _, _ := r.got()
	require.Equal(t, 1, n)
}

func TestOptionsAreChecked(t *testing.T) {
	secret := file(t, key)
	for want, o := range map[string]webhook.Options{
		"needs secret_file":         {URL: "https://hooks.example.com"},
		"either url or url_file":    {URL: "https://hooks.example.com", URLFile: "f", SecretFile: secret},
		"not an http or https":      {URL: "hooks.example.com", SecretFile: secret},
		"holds a password":          {URL: "https://a:b@hooks.example.com", SecretFile: secret},
		"must be encrypted":         {URL: "http://hooks.example.com", SecretFile: secret},
		"ca_file":                   {URL: "https://hooks.example.com", SecretFile: secret, CAFile: "/nowhere"},
		"holds no certificate":      {URL: "https://hooks.example.com", SecretFile: secret, CAFile: secret},
		"webhook channel needs sec": {},
	} {
		o.Now = time.Now
		_, err := webhook.New(o)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "a:b")
	}
	_, err := hook(t, webhook.Options{URLFile: file(t, "http://hooks.example.com/secret-path")}).Send(t.Context(), page())
	require.ErrorContains(t, err, "must be encrypted", "an address from a file is checked when it is used")
	require.NotContains(t, err.Error(), "secret-path")
}
