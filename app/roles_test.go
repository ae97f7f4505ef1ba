package app_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/web"
)

// TestAResponderActsOnTheOwnTeamsIncidents: another team's are seen, not touched.
func TestAResponderActsOnTheOwnTeamsIncidents(t *testing.T) {
	r, write := reloadRig(t)
	write("catalog.yaml", "teams: [{id: payments, oncall: [ada]}, {id: fraud, oncall: [ada]}]\nservices: [{id: payments, team: payments}]\npeople: [{id: ada, contacts: [{channel: log}]}]\n")
	r.reload(t, http.StatusOK)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/acme", `{}`)
	r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/bolt", `{}`)
	in := r.incident(t)
	make := func(team string, status int) string {
		var out struct{ Token string }
		got := r.want(t, status, http.MethodPost, "/api/v1/tokens", fmt.Sprintf(`{"name":"r","role":"responder","team":%q}`, team))
		if status == http.StatusCreated {
			got.into(t, &out)
		}
		return out.Token
	}
	make("", http.StatusUnprocessableEntity)
	make("nobody", http.StatusUnprocessableEntity)
	own, other := make("payments", http.StatusCreated), make("fraud", http.StatusCreated)
	path := "/api/v1/incidents/" + in.ID
	require.Equal(t, http.StatusOK, r.do(t, call{Method: "GET", Path: path, Token: other}).Status)
	for _, act := range []string{"/acknowledge", "/notes", "/resolve", "/release"} {
		got := r.do(t, call{Method: "POST", Path: path + act, Token: other, Body: `{"note":"x"}`})
		require.Equal(t, http.StatusForbidden, got.Status, act)
		require.Contains(t, got.Body, "another team")
	}
	require.Equal(t, http.StatusForbidden, r.do(t, call{Method: "POST", Path: path + "/verdict", Token: other, Body: `{"verdict":"false"}`}).Status)
	require.Equal(t, "open", r.state(t, in.ID))
	require.Equal(t, http.StatusOK, r.do(t, call{Method: "POST", Path: path + "/verdict", Token: own, Body: `{"verdict":"real"}`}).Status)
	require.Equal(t, "open", r.state(t, in.ID), "somebody must still have it")
	for _, body := range []string{`{"verdict":"maybe"}`, `{"verdict":""}`} {
		got := r.do(t, call{Method: "POST", Path: path + "/verdict", Token: own, Body: body})
		require.Equal(t, http.StatusUnprocessableEntity, got.Status)
		require.Contains(t, got.Body, "real, false, expected, duplicate")
		require.NotContains(t, got.Body, "maybe")
	}
	require.Equal(t, http.StatusOK, r.do(t, call{Method: "POST", Path: path + "/acknowledge", Token: own, Body: `{}`}).Status)
	require.Equal(t, "acknowledged", r.state(t, in.ID))
}

func TestATokensLastUseIsListed(t *testing.T) {
	r := start(t, t.TempDir())
	id, secret := r.token(t, "auditor", time.Time{}, "*")
	used := func() string {
		var out struct {
			Items []struct {
				ID   string
				Last string `json:"last_used_at"`
			}
		}
		r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tokens", "").into(t, &out)
		for _, k := range out.Items {
			if k.ID == id {
				return k.Last
			}
		}
		t.Fatal("the token is not listed")
		return ""
	}
	require.Equal(t, "0001-01-01T00:00:00Z", used(), "never")
	require.Equal(t, http.StatusOK, r.do(t, call{Method: "GET", Path: "/api/v1/incidents", Token: secret}).Status)
	at, err := time.Parse(time.RFC3339, used())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
}

// TestOffboardingEndsATenantsTokens that cover nobody else: who has the id next is
// somebody else.
func TestOffboardingEndsATenantsTokens(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	onboard := func() { r.want(t, http.StatusCreated, "PUT", "/api/v1/tenants/acme", `{}`) }
	onboard()
	id, own := r.token(t, "tenant", time.Time{}, "acme")
	_, group := r.token(t, "tenant", time.Time{}, "acme", "bolt")
	_, all := r.token(t, "tenant", time.Time{}, "*")
	_, other := r.token(t, "tenant", time.Time{}, "bolt")
	_, sender := r.token(t, "sender", time.Time{}, "acme")
	status := func(token, path string) int { return r.do(t, call{Method: "GET", Path: path, Token: token}).Status }
	require.Equal(t, http.StatusOK, status(own, "/api/v1/tenants/acme"))
	got := r.do(t, call{Method: "DELETE", Path: "/api/v1/tenants/acme", Token: r.admin, Header: map[string]string{"If-Match": `"9"`}})
	require.Equal(t, http.StatusConflict, got.Status)
	require.Equal(t, http.StatusOK, status(own, "/api/v1/tenants/acme"), "it was not offboarded")

	r.want(t, http.StatusNoContent, "DELETE", "/api/v1/tenants/acme", "")
	onboard()
	require.Equal(t, http.StatusUnauthorized, status(own, "/api/v1/tenants/acme"))
	require.Equal(t, http.StatusUnauthorized, r.push(t, sender, "", series(time.Now(), 1, "up")).Status)
	for _, token := range []string{group, all} {
		require.Equal(t, http.StatusOK, status(token, "/api/v1/tenants/acme"))
	}
	require.Equal(t, http.StatusOK, status(other, "/api/v1/tenants"))
	require.NotContains(t, r.want(t, http.StatusOK, "GET", "/api/v1/tokens", "").Body, id)
	require.Eventually(t, func() bool {
		return strings.Contains(r.want(t, http.StatusOK, "GET", "/api/v1/ledger?subject=token/"+id, "").Body, "covered only tenant acme, which was offboarded")
	}, 10*time.Second, 20*time.Millisecond)

	_, next := r.token(t, "tenant", time.Time{}, "acme")
	require.Equal(t, http.StatusOK, status(next, "/api/v1/tenants/acme"))
	r.want(t, http.StatusOK, "DELETE", "/api/v1/tenants/acme?purge=true", "")
	require.Equal(t, http.StatusUnauthorized, status(next, "/api/v1/tenants"))

	require.NoError(t, r.Stop(t.Context()))
	r = start(t, dir)
	require.Equal(t, http.StatusUnauthorized, status(own, "/api/v1/tenants"))
	require.Equal(t, http.StatusOK, status(other, "/api/v1/tenants"))
}

// TestTheRolesTableIsCurrent holds docs/roles.md to the route table; make docs
// writes it.
func TestTheRolesTableIsCurrent(t *testing.T) {
	r := start(t, t.TempDir())
	var b strings.Builder
	b.WriteString("<!-- Made by make docs from the route table. -->\n\n# Who may do what\n\n" +
		"Every request passes one check, which reads this table. `tocsin token create --role ROLE`\nmakes a token; a responder's has a `--team`, whose incidents it acts on. Tokens of `sender`,\n" +
		"`pipeline` and `tenant` cover the tenants they name; all others cover every tenant. A foreign\ntenant answers 403, whether it exists or not. `link` is a signed link to one incident, read-only.\nA person who signs in by a [link in the mail](pages.md#signing-in-by-a-link) is a responder of every team that\nmay call them, and acts under their own name only.\n\n")
	columns := append(web.Roles(), web.Link)
	b.WriteString("| route |")
	for _, c := range columns {
		b.WriteString(" " + string(c) + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat(":-:|", len(columns)) + "\n")
	for _, rt := range r.Routes() {
		if slices.Contains(rt.Roles, web.Replica) && len(rt.Roles) == 1 {
			continue // between the replicas of one cluster
		}
		fmt.Fprintf(&b, "| `%s %s` |", rt.Method, rt.Path)
		for _, c := range columns {
			switch {
			case rt.Open:
				b.WriteString(" open |")
			case slices.Contains(rt.Roles, c):
				b.WriteString(" yes |")
			default:
				b.WriteString(" |")
			}
		}
		b.WriteString("\n")
	}
	const file = "../docs/roles.md"
	if os.Getenv("TOCSIN_UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, b.String() == string(got), "docs/roles.md is not what the route table says: make docs")
}
