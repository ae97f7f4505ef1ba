package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/web"
)

// TestEachSeesItsOwnPartOfASharedIncident looks at an incident of two tenants
// with the eyes of one of them, of a sender and of who has its link; and no
// credential of any of them reaches the log.
func TestEachSeesItsOwnPartOfASharedIncident(t *testing.T) {
	r := start(t, t.TempDir())
	for _, id := range []string{"acme", "bolt", "calm"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{"name":"`+strings.ToUpper(id)+` Ltd"}`)
	}
	in := r.incident(t)
	_, acme := r.token(t, "tenant", time.Time{}, "acme")
	_, calm := r.token(t, "tenant", time.Time{}, "calm")
	_, sender := r.token(t, "sender", time.Time{}, "*")
	path := "/api/v1/incidents/" + in.ID
	secrets := []string{r.admin, acme, calm, sender}

	t.Run("one tenant", func(t *testing.T) {
		got := r.do(t, call{Method: "GET", Path: path, Token: acme})
		require.Equal(t, http.StatusOK, got.Status)
		var seen incidentDoc
		got.into(t, &seen)
		require.Len(t, seen.Tenants, 1)
		require.Equal(t, "acme", seen.Tenants[0].ID)
		require.Len(t, seen.Alerts, 1)
		require.Equal(t, 1, seen.OtherTenants)
		for _, p := range []string{path, "/api/v1/incidents", "/api/v1/alerts", "/api/v1/tenants"} {
			got := r.do(t, call{Method: "GET", Path: p, Token: acme})
			require.Equal(t, http.StatusOK, got.Status, p)
			require.Contains(t, got.Body, "acme", p)
			require.NotContains(t, strings.ToLower(got.Body), "bolt", "%s names another tenant", p)
			require.NotContains(t, got.Body, "cap=", "%s carries a capability", p)
		}
		require.Equal(t, http.StatusForbidden, r.do(t, call{Method: "GET", Path: path + "/picture", Token: acme}).Status, "the picture shows all tenants")
		for _, p := range []string{path, path + "/picture", "/api/v1/incidents/inc_00000000000000000000000000", "/api/v1/incidents/1", "/api/v1/incidents/77"} {
			require.Equal(t, http.StatusForbidden, r.do(t, call{Method: "GET", Path: p, Token: calm}).Status, "%s for a tenant it does not touch", p)
		}
		for _, p := range []string{"/api/v1/incidents", "/api/v1/alerts"} {
			require.JSONEq(t, `{"items":[],"next":""}`, r.do(t, call{Method: "GET", Path: p, Token: calm}).Body)
		}
		for _, suffix := range []string{"/acknowledge", "/resolve", "/notes", "/verdict"} {
			require.Equal(t, http.StatusForbidden, r.do(t, call{Method: "POST", Path: path + suffix, Token: acme, Body: `{"note":"x"}`}).Status, suffix)
		}
	})

	t.Run("a foreign tenant looks like one that does not exist", func(t *testing.T) {
		for _, suffix := range []string{"", "/profile", "/profile/revisions", "/status"} {
			there := r.do(t, call{Method: "GET", Path: "/api/v1/tenants/bolt" + suffix, Token: acme})
			absent := r.do(t, call{Method: "GET", Path: "/api/v1/tenants/nowhere" + suffix, Token: acme})
			require.Equal(t, http.StatusForbidden, there.Status, suffix)
			require.Equal(t, there.Body, absent.Body, suffix)
			require.Equal(t, http.StatusNotFound, r.do(t, call{Method: "GET", Path: "/api/v1/tenants/nowhere" + suffix, Token: r.admin}).Status, suffix)
			require.Equal(t, http.StatusOK, r.do(t, call{Method: "GET", Path: "/api/v1/tenants/acme" + suffix, Token: acme}).Status, suffix)
		}
	})

	t.Run("queries", func(t *testing.T) {
		now := time.Now()
		for _, id := range []string{"acme", "bolt"} {
			require.Equal(t, http.StatusNoContent, r.push(t, sender, "", series(now, 1, "seen", "tenant", id)).Status)
		}
		require.Equal(t, map[string]string{"acme": "1", "bolt": "1"}, r.query(t, r.admin, "", "seen"))
		require.Equal(t, map[string]string{"bolt": "1"}, r.query(t, r.admin, "bolt", "seen"))
		for _, expr := range []string{"seen", `seen{tenant=~".+"}`, `seen{tenant="bolt"} or seen`, `{__name__=~"seen.*"}`} {
			require.Equal(t, map[string]string{"acme": "1"}, r.query(t, acme, "", expr), expr)
		}
		require.Empty(t, r.query(t, acme, "", `seen{tenant="bolt"}`))
		require.Equal(t, map[string]string{"acme": "1", "bolt": "1"}, r.query(t, r.admin, "bolt|acme", "seen"))
		for path, want := range map[string]string{"series?match[]=seen": "acme", "labels": "tenant", "label/tenant/values": "acme", "metadata": "{}", "status/buildinfo": "tocsin"} {
			got := r.do(t, call{Method: "GET", Path: "/prometheus/api/v1/" + path, Token: acme})
			require.Equal(t, http.StatusOK, got.Status, got.Body)
			require.Contains(t, got.Body, want)
			require.NotContains(t, got.Body, "bolt", path)
			got = r.do(t, call{Method: "GET", Path: "/prometheus/api/v1/" + path, Token: acme, Header: map[string]string{"X-Scope-OrgID": "acme|bolt"}})
			require.Equal(t, http.StatusForbidden, got.Status, "one of two that is not covered refuses both")
			require.Contains(t, got.Body, `"errorType":"forbidden"`)
		}
		for _, org := range []string{"bolt", "nowhere", "_product"} {
			got := r.do(t, call{Method: "GET", Path: "/prometheus/api/v1/query?query=seen", Token: acme, Header: map[string]string{"X-Scope-OrgID": org}})
			require.Equal(t, http.StatusForbidden, got.Status, org)
		}
		require.Equal(t, http.StatusForbidden, r.do(t, call{Method: "GET", Path: "/prometheus/api/v1/query?query=seen", Token: sender}).Status, "a sender reads nothing")
		require.Equal(t, http.StatusForbidden, r.push(t, acme, "", series(now, 1, "seen", "tenant", "acme")).Status, "a reader sends nothing")
	})

	t.Run("who has the link", func(t *testing.T) {
		link, err := url.Parse(r.Links().Incident(in.ID))
		require.NoError(t, err)
		capability := link.Query().Get("cap")
		secrets = append(secrets, capability)
		with := func(method, path string) reply {
			glue := "?"
			if strings.Contains(path, "?") {
				glue = "&"
			}
			return r.do(t, call{Method: method, Path: path + glue + url.Values{"cap": {capability}}.Encode(), Body: ""})
		}
		for _, p := range []string{path, "/incidents/" + in.ID, "/dashboards/payment_errors?tenant=acme&incident=" + in.ID} {
			got := with("GET", p)
			require.Equal(t, http.StatusOK, got.Status, "%s: %s", p, got.Body)
		}
		require.NotContains(t, with("GET", "/incidents/"+in.ID).Body, `action="/incidents/`, "it shows no button")
		for _, p := range []string{"/api/v1/incidents/inc_00000000000000000000000000", "/incidents/inc_00000000000000000000000000", "/dashboards/payment_errors?tenant=calm"} {
			require.Equal(t, http.StatusForbidden, with("GET", p).Status, p)
		}
		for _, p := range []string{"/api/v1/incidents", "/api/v1/alerts", "/api/v1/tenants", "/api/v1/pages", "/api/v1/ledger?subject=tenant/acme", "/api/v1/tokens", "/prometheus/api/v1/query?query=seen"} {
			require.Equal(t, http.StatusUnauthorized, with("GET", p).Status, p)
		}
		for _, p := range []string{path + "/acknowledge", path + "/resolve", path + "/notes", path + "/verdict"} {
			require.Equal(t, http.StatusUnauthorized, with("POST", p).Status, p)
		}
		got := with("POST", "/incidents/"+in.ID+"/acknowledge")
		require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, got.Status)
		stranger := r.do(t, call{Method: "GET", Path: "/incidents/" + in.ID})
		require.Equal(t, http.StatusSeeOther, stranger.Status)
		changed := r.do(t, call{Method: "GET", Path: "/incidents/" + in.ID + "?cap=" + capability[:len(capability)-6] + "AAAAAA"})
		require.Equal(t, http.StatusForbidden, changed.Status)
		old := r.SignLink(in.ID, time.Now().Add(-time.Minute))
		require.Equal(t, http.StatusForbidden, r.do(t, call{Method: "GET", Path: path + "?cap=" + old}).Status)
		session := r.do(t, call{Method: "GET", Path: path, Header: map[string]string{"Cookie": web.SessionCookie + "=" + capability}})
		require.Equal(t, http.StatusUnauthorized, session.Status, "a link is no session")
		require.Equal(t, "open", r.state(t, in.ID), "nothing of all this changed anything")
	})

	t.Run("who was paged", func(t *testing.T) {
		var pages struct {
			Items []struct {
				ID     string
				AckURL string `json:"ack_url"`
			}
		}
		r.want(t, http.StatusOK, http.MethodGet, "/api/v1/pages", "").into(t, &pages)
		require.Len(t, pages.Items, 1)
		u, err := url.Parse(pages.Items[0].AckURL)
		require.NoError(t, err)
		secrets = append(secrets, strings.TrimPrefix(u.Path, "/p/"))
		got := r.do(t, call{Method: "GET", Path: u.Path})
		require.Equal(t, http.StatusOK, got.Status)
		require.Equal(t, "open", r.state(t, in.ID), "looking changes nothing")
		require.Equal(t, http.StatusOK, r.do(t, call{Method: "HEAD", Path: u.Path}).Status)
		form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
		require.Equal(t, http.StatusForbidden, r.do(t, call{Method: "POST", Path: u.Path, Header: form, Body: "csrf=guessed"}).Status)
		require.Equal(t, http.StatusForbidden, r.do(t, call{Method: "GET", Path: u.Path + "x"}).Status)
		require.Equal(t, "open", r.state(t, in.ID))
		field := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(got.Body)
		require.NotNil(t, field)
		got = r.do(t, call{Method: "POST", Path: u.Path, Header: form, Body: url.Values{"csrf": {field[1]}}.Encode()})
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		require.Equal(t, "acknowledged", r.state(t, in.ID))
		require.Contains(t, r.do(t, call{Method: "GET", Path: path, Token: r.admin}).Body, `"known":{`)
		require.NotContains(t, strings.ToLower(r.do(t, call{Method: "GET", Path: path, Token: acme}).Body), "bolt", "what was taken names another tenant")
	})

	text := r.log.String()
	require.Contains(t, text, "level=DEBUG", "the log is whole")
	for _, s := range secrets {
		require.NotContains(t, text, s, "a credential stands in the log")
	}
	require.NotContains(t, text, "cap=")
	require.NotContains(t, text, "/p/")
	require.NotRegexp(t, `tsn_[0-9a-f]{12}_`, text)
}

func (r *rig) state(t *testing.T, id string) string {
	t.Helper()
	var doc incidentDoc
	r.want(t, http.StatusOK, http.MethodGet, "/api/v1/incidents/"+id, "").into(t, &doc)
	return doc.State
}

func TestTheDocumentIsServed(t *testing.T) {
	r := start(t, t.TempDir())
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	r.want(t, http.StatusOK, http.MethodGet, "/api/openapi.json", "").into(t, &doc)
	n := 0
	for _, rt := range r.Routes() {
		if rt.Kind != web.Document {
			continue
		}
		n++
		require.Contains(t, doc.Paths[rt.Path], strings.ToLower(rt.Method), "%s %s", rt.Method, rt.Path)
	}
	require.Greater(t, n, 25)
}
