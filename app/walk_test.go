package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tocsin-alerting/tocsin/app"
	"github.com/tocsin-alerting/tocsin/web"
)

// caller is somebody who walks the routes.
type caller struct {
	name string
	role web.Role // empty: the credential is not good
	auth string
	cap  string
	any  bool
	own  string // the one tenant it covers
}

func walkApp(t *testing.T, log io.Writer) (*app.App, string) {
	t.Helper()
	dir := t.TempDir()
	a, err := app.New(t.Context(), app.Options{StoragePath: dir, ListenAddress: "127.0.0.1:0", OTLPAddress: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	require.NoError(t, err)
	require.NoError(t, a.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, a.Stop(context.Background())) })
	raw, err := os.ReadFile(filepath.Join(dir, "admin.token"))
	require.NoError(t, err)
	return a, strings.TrimSpace(string(raw))
}

func ask(t *testing.T, a *app.App, method, path string, c caller, body string) (int, []byte) {
	t.Helper()
	u := a.URL() + path
	if c.cap != "" {
		u += "?" + url.Values{"cap": {c.cap}}.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), method, u, strings.NewReader(body))
	require.NoError(t, err)
	if c.auth != "" {
		req.Header.Set("Authorization", c.auth)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, raw
}

// askRPC makes an empty call and gives the HTTP status that its code stands for.
func askRPC(t *testing.T, a *app.App, method string, c caller) (int, []byte) {
	t.Helper()
	conn, err := grpc.NewClient(a.OTLPAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	ctx := t.Context()
	if c.auth != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", c.auth)
	}
	if c.cap != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "cap", c.cap)
	}
	err = conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
	s := status.Convert(err)
	code, ok := map[codes.Code]int{codes.OK: http.StatusOK, codes.Unauthenticated: http.StatusUnauthorized, codes.PermissionDenied: http.StatusForbidden,
		codes.InvalidArgument: http.StatusBadRequest, codes.Unimplemented: http.StatusNotFound, codes.Internal: http.StatusInternalServerError}[s.Code()]
	require.True(t, ok, "%s: %v", method, err)
	return code, []byte(s.Message())
}

func mint(t *testing.T, a *app.App, admin, role, tenants, expires string) (id, secret string) {
	t.Helper()
	in := map[string]any{"name": "walk " + role, "role": role, "tenants": strings.Split(tenants, ",")}
	if role == string(web.Responder) {
		in["team"] = "payments"
	}
	if expires != "" {
		in["expires_at"] = expires
	}
	raw, err := json.Marshal(in)
	require.NoError(t, err)
	status, body := ask(t, a, "POST", "/api/v1/tokens", caller{auth: "Bearer " + admin}, string(raw))
	require.Equal(t, http.StatusCreated, status, "%s", body)
	var out struct{ ID, Token string }
	require.NoError(t, json.Unmarshal(body, &out))
	return out.ID, out.Token
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// TestEveryRouteIsWalkedWithEveryRole holds each row of the table to what it
// says, for good and bad credentials, own and foreign tenants.
func TestEveryRouteIsWalkedWithEveryRole(t *testing.T) {
	var log bytes.Buffer
	a, admin := walkApp(t, &log)
	for _, id := range []string{"own", "foreign"} {
		status, _ := ask(t, a, "PUT", "/api/v1/tenants/"+id, caller{auth: "Bearer " + admin}, `{}`)
		require.Equal(t, http.StatusCreated, status)
	}
	_, sender := mint(t, a, admin, "sender", "*", "")
	_, reader := mint(t, a, admin, "tenant", "own", "")
	_, expired := mint(t, a, admin, "admin", "*", time.Now().Add(-time.Minute).UTC().Format(time.RFC3339))
	gone, revoked := mint(t, a, admin, "admin", "*", "")
	status, _ := ask(t, a, "DELETE", "/api/v1/tokens/"+gone, caller{auth: "Bearer " + admin}, "")
	require.Equal(t, http.StatusNoContent, status)
	link := a.SignLink("inc_01", time.Now().Add(time.Hour))

	callers := []caller{
		{name: "admin", role: web.Admin, auth: "Bearer " + admin, any: true},
		{name: "sender", role: web.Sender, auth: "Bearer " + sender, any: true},
		{name: "tenant", role: web.Tenant, auth: "Bearer " + reader, own: "own"},
		{name: "link", role: web.Link, cap: link},
		{name: "nobody"}, {name: "wrong token", auth: "Bearer tsn_123456789012_nonsense"}, {name: "no bearer", auth: "Digest x"},
		{name: "expired", auth: "Bearer " + expired}, {name: "revoked", auth: "Bearer " + revoked},
		{name: "changed link", cap: link[:len(link)-4] + "AAAA"}, {name: "old link", cap: a.SignLink("inc_01", time.Now().Add(-time.Hour))},
	}
	pipelines, pipeline := mint(t, a, admin, "pipeline", "own", "")
	require.NotEmpty(t, pipelines)
	callers = append(callers, caller{name: "pipeline", role: web.Pipeline, auth: "Bearer " + pipeline, own: "own"})
	secrets := []string{admin, sender, reader, expired, revoked, link, pipeline}
	for _, role := range web.Roles() {
		if role.Staff() && role != web.Admin {
			_, secret := mint(t, a, admin, string(role), "*", "")
			callers, secrets = append(callers, caller{name: string(role), role: role, auth: "Bearer " + secret, any: true}), append(secrets, secret)
		}
	}
	for _, role := range web.Roles() {
		require.True(t, slices.ContainsFunc(callers, func(c caller) bool { return c.role == role }), "%s walks too", role)
	}
	walked := 0
	for _, rt := range a.Routes() {
		for _, target := range []string{"own", "foreign", "never-onboarded"} {
			if rt.Tenant == "" && target != "own" || rt.Method == "DELETE" && target == "own" {
				continue
			}
			path := placeholder.ReplaceAllString(strings.TrimSuffix(rt.Path, "{$}"), "x")
			if rt.Tenant != "" {
				path = strings.Replace(rt.Path, "{"+rt.Tenant+"}", target, 1)
				path = placeholder.ReplaceAllString(path, "x")
			}
			for _, c := range callers {
				if rt.Method == "DELETE" && c.any && slices.Contains(rt.Roles, c.role) && rt.Tenant != "" {
					continue // it would succeed and take the tenant from those after it
				}
				var status int
				var body []byte
				if rt.Method == web.GRPC {
					status, body = askRPC(t, a, rt.Path, c)
				} else {
					status, body = ask(t, a, rt.Method, path, c, "")
				}
				where := strings.Join([]string{rt.Method, rt.Path, "as", c.name, "on", target}, " ")
				require.NotEqual(t, http.StatusInternalServerError, status, "%s: %s", where, body)
				walked++
				refused := status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusSeeOther && rt.Kind == web.View && !rt.Open && rt.Path != "/{$}"
				switch {
				case rt.Open && rt.Path == "/login" && rt.Method == "POST": // it takes its token from the form, and there is none
					require.Equal(t, http.StatusUnauthorized, status, where)
				case rt.Open:
					require.NotEqual(t, http.StatusUnauthorized, status, where)
				case c.role == "" || c.role == web.Link && !slices.Contains(rt.Roles, web.Link):
					require.True(t, refused || rt.Path == "/{$}" && status == http.StatusSeeOther, "%s: %d", where, status)
				case !slices.Contains(rt.Roles, c.role):
					require.Equal(t, http.StatusForbidden, status, where)
				case rt.Tenant != "" && !c.any && c.own != target:
					require.Equal(t, http.StatusForbidden, status, "%s: a foreign tenant looks the same whether it exists or not", where)
				case c.role == web.Link:
					require.Contains(t, []int{http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity}, status, where) // its incident does not exist
				case c.role == web.Tenant && rt.Tenant == "" && strings.Contains(rt.Path, "{id}"):
					require.Equal(t, http.StatusForbidden, status, "%s: what it does not cover looks the same whether it exists or not", where)
				default:
					require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, status, "%s: %s", where, body)
				}
			}
		}
	}
	require.Greater(t, walked, 400)
	for _, secret := range secrets {
		require.NotContains(t, log.String(), secret, "a credential stands in the log")
	}
}

// TestATenantsTokenSeesItsOwnOnly looks at what comes back, not only whether.
func TestATenantsTokenSeesItsOwnOnly(t *testing.T) {
	a, admin := walkApp(t, io.Discard)
	for _, id := range []string{"own", "foreign"} {
		ask(t, a, "PUT", "/api/v1/tenants/"+id, caller{auth: "Bearer " + admin}, `{}`)
	}
	_, reader := mint(t, a, admin, "tenant", "own", "")
	status, body := ask(t, a, "GET", "/api/v1/tenants", caller{auth: "Bearer " + reader}, "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(body), `"own"`)
	require.NotContains(t, string(body), "foreign")
	status, body = ask(t, a, "GET", "/api/v1/incidents", caller{auth: "Bearer " + reader}, "")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"items":[],"next":""}`, string(body))
}

// TestASessionNeedsItsForm: a cookie alone changes nothing.
func TestASessionNeedsItsForm(t *testing.T) {
	a, admin := walkApp(t, io.Discard)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.PostForm(a.URL()+"/login", url.Values{"token": {admin}, "next": {"//evil.example"}})
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	require.Equal(t, "/", res.Header.Get("Location"), "never to another host")
	require.Len(t, res.Cookies(), 1)
	cookie := res.Cookies()[0]
	require.True(t, cookie.HttpOnly)
	post := func(path string, form url.Values) int {
		req, err := http.NewRequestWithContext(t.Context(), "POST", a.URL()+path, strings.NewReader(form.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.AddCookie(cookie)
		res, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	require.Equal(t, http.StatusForbidden, post("/logout", nil))
	require.Equal(t, http.StatusForbidden, post("/incidents/inc_1/acknowledge", url.Values{"csrf": {"guessed"}}))
	require.Equal(t, http.StatusForbidden, post("/api/v1/tokens", nil), "nor through the API")
	res, err = client.PostForm(a.URL()+"/login", url.Values{"token": {"tsn_123456789012_wrong"}})
	require.NoError(t, err)
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	require.NotContains(t, string(raw), "tsn_123456789012_wrong")
}
