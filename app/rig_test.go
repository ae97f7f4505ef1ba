package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// rig is a running app and its administrator.
type rig struct {
	*app.App
	dir   string
	admin string
	log   *logs
}

// logs keeps everything that is logged, at every level.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func start(t *testing.T, dir string) *rig {
	t.Helper()
	return startWith(t, dir, func(*config.Config) {})
}

// startWith is start with a changed configuration.
func startWith(t *testing.T, dir string, change func(*config.Config)) *rig {
	t.Helper()
	r := &rig{dir: dir, log: &logs{}}
	c := config.Default()
	change(c)
	var err error
	r.App, err = app.New(t.Context(), app.Options{Config: c, StoragePath: dir, ListenAddress: "127.0.0.1:0",
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, r.Stop(context.Background())) })
	raw, err := os.ReadFile(filepath.Join(dir, "admin.token"))
	require.NoError(t, err)
	r.admin = strings.TrimSpace(string(raw))
	return r
}

// call is one request; the zero value of everything but Method and Path works.
type call struct {
	Method, Path string
	Token        string
	Header       map[string]string
	Body         string
}

// reply is the answer to a call.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

func (r *rig) do(t *testing.T, c call) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), c.Method, r.URL()+c.Path, strings.NewReader(c.Body))
	require.NoError(t, err)
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for k, v := range c.Header {
		req.Header.Set(k, v)
	}
	client := http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	require.NoError(t, err)
	return readReply(t, res)
}

func readReply(t *testing.T, res *http.Response) reply {
	t.Helper()
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return reply{res.StatusCode, res.Header, string(raw)}
}

// want sends as the administrator and requires the status.
func (r *rig) want(t *testing.T, status int, method, path, body string) reply {
	t.Helper()
	got := r.do(t, call{Method: method, Path: path, Token: r.admin, Body: body})
	require.Equal(t, status, got.Status, "%s %s: %s", method, path, got.Body)
	return got
}

func (r reply) into(t *testing.T, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(r.Body), v), "%s", r.Body)
}

func (r *rig) token(t *testing.T, role string, expires time.Time, tenants ...string) (id, secret string) {
	t.Helper()
	in := map[string]any{"name": role, "role": role, "tenants": tenants}
	if !expires.IsZero() {
		in["expires_at"] = expires.Format(time.RFC3339)
	}
	raw, err := json.Marshal(in)
	require.NoError(t, err)
	var out struct{ ID, Token string }
	r.want(t, http.StatusCreated, http.MethodPost, "/api/v1/tokens", string(raw)).into(t, &out)
	return out.ID, out.Token
}

// series is a sample of a counter with these labels.
func series(at time.Time, v float64, metric string, pairs ...string) simulate.Sample {
	return simulate.Sample{Labels: labels.FromStrings(append([]string{"__name__", metric}, pairs...)...), T: at, Value: v}
}

// push sends remote write 1.0.
func (r *rig) push(t *testing.T, token, org string, samples ...simulate.Sample) reply {
	t.Helper()
	body, err := simulate.EncodeV1(samples)
	require.NoError(t, err)
	h := map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
	if org != "" {
		h["X-Scope-OrgID"] = org
	}
	return r.do(t, call{Method: http.MethodPost, Path: "/api/v1/push", Token: token, Header: h, Body: string(body)})
}

// query asks the history and gives the tenant label of each series with its value.
func (r *rig) query(t *testing.T, token, org, expr string) map[string]string {
	t.Helper()
	c := call{Method: http.MethodPost, Path: "/prometheus/api/v1/query", Token: token, Body: "query=" + strings.NewReplacer("+", "%2B", "&", "%26").Replace(expr),
		Header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}
	if org != "" {
		c.Header["X-Scope-OrgID"] = org
	}
	var got reply
	require.Eventually(t, func() bool {
		got = r.do(t, c)
		return got.Status != http.StatusServiceUnavailable // the history opens behind the serving daemon
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, http.StatusOK, got.Status, got.Body)
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	got.into(t, &answer)
	out := map[string]string{}
	for _, s := range answer.Data.Result {
		out[s.Metric["tenant"]] = s.Value[1].(string)
	}
	return out
}

// firing is a hard fault of acquirer alpha at one tenant.
func firing(id tenant.ID, at time.Time) alert.Alert {
	k := alert.Key{Environment: "production", Tenant: id, Service: "payments", Rule: "payment_errors", Slice: sli.Slice{{Label: "acquirer", Value: "alpha"}}}
	return alert.Alert{ID: k.ID(), Key: k, Severity: rule.Critical, State: alert.Firing, OnsetAt: at.Add(-time.Minute), StartsAt: at, AsOf: at,
		Evidence: alert.Evidence{N: 100, K: 90, Usual: .01, Score: 40, Needed: 12, Share: .5, RatePerMinute: 100, Test: "cusum", Hard: true, Tenants: []tenant.ID{id}},
		Reason:   "90 of 100 failed"}
}

type incidentDoc struct {
	ID           string
	Number       int
	State, Title string
	Tenants      []struct{ ID string }
	Alerts       []struct{ Tenant string }
	OtherTenants int `json:"other_tenants"`
	Pages        []string
	Ticket       struct{ Ref struct{ Number string } }
}

// incident fires at acme and bolt and waits for the one incident with its
// ticket, picture and page.
func (r *rig) incident(t *testing.T) incidentDoc {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	for _, id := range []tenant.ID{"acme", "bolt"} {
		require.NoError(t, r.Fire(t.Context(), firing(id, now)))
	}
	var out incidentDoc
	require.Eventually(t, func() bool {
		var list struct{ Items []incidentDoc }
		r.want(t, http.StatusOK, http.MethodGet, "/api/v1/incidents", "").into(t, &list)
		if len(list.Items) != 1 {
			return false
		}
		out = list.Items[0]
		return len(out.Tenants) == 2 && out.Ticket.Ref.Number != "" && strings.Contains(r.log.String(), "msg=page ")
	}, 30*time.Second, 50*time.Millisecond, "an incident with ticket and page")
	return out
}

// tryStart makes an app that is expected to refuse.
func tryStart(t *testing.T, dir string, change func(*config.Config)) error {
	t.Helper()
	c := config.Default()
	change(c)
	a, err := app.New(t.Context(), app.Options{Config: c, StoragePath: dir, ListenAddress: "127.0.0.1:0"})
	if err == nil {
		require.NoError(t, a.Stop(context.Background()))
	}
	return err
}
