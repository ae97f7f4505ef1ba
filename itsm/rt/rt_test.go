package rt_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/itsm/itsmtest"
	"github.com/tocsin-alerting/tocsin/itsm/rt"
	"github.com/tocsin-alerting/tocsin/problem"
)

// desk is the real Request Tracker as its people use it.
type desk struct{ peer.RT }

// do makes a REST2 call with somebody's token.
func (d desk) do(t testing.TB, token, method, path string, body any, out any) {
	t.Helper()
	var b bytes.Buffer
	if body != nil {
		require.NoError(t, json.NewEncoder(&b).Encode(body))
	}
	req, err := http.NewRequest(method, d.URL+"/REST/2.0"+path, &b)
	require.NoError(t, err)
	req.Header.Set("Authorization", "token "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Less(t, res.StatusCode, 300, "%s %s: %s", method, path, answer)
	if out != nil {
		require.NoError(t, json.Unmarshal(answer, out), "%s", answer)
	}
}

func (d desk) Acknowledge(t testing.TB, ref itsm.Ref, user string) {
	d.do(t, d.People[user], http.MethodPut, "/ticket/"+ref.ID+"/take", map[string]any{}, nil)
	d.do(t, d.People[user], http.MethodPut, "/ticket/"+ref.ID, map[string]any{"Status": "open"}, nil)
	require.Equal(t, "open", d.ticket(t, ref.ID).Status)
}

func (d desk) Resolve(t testing.TB, ref itsm.Ref, user string) {
	d.do(t, d.People[user], http.MethodPut, "/ticket/"+ref.ID, map[string]any{"Status": "resolved"}, nil)
	require.Equal(t, "resolved", d.ticket(t, ref.ID).Status)
}

type shown struct {
	Subject, Status string
	Owner           struct{ ID string }
	CustomFields    []struct {
		Name   string
		Values []string
	}
	Requestor []struct{ ID string }
}

func (s shown) field(name string) string {
	for _, f := range s.CustomFields {
		if f.Name == name && len(f.Values) > 0 {
			return f.Values[0]
		}
	}
	return ""
}

func (d desk) ticket(t testing.TB, id string) shown {
	t.Helper()
	var s shown
	d.do(t, d.RootToken, http.MethodGet, "/ticket/"+id, nil, &s)
	return s
}

func (d desk) See(t testing.TB, ref itsm.Ref) itsmtest.Seen {
	t.Helper()
	tk := d.ticket(t, ref.ID)
	seen := itsmtest.Seen{Title: tk.Subject, State: map[string]itsm.State{"new": itsm.Open, "open": itsm.Acknowledged, "resolved": itsm.Resolved}[tk.Status]}
	if tk.Owner.ID != "Nobody" {
		seen.Owner = tk.Owner.ID
	}
	var list struct{ Items []struct{ ID string } }
	d.do(t, d.RootToken, http.MethodGet, "/ticket/"+ref.ID+"/attachments?per_page=100&orderby=id", nil, &list)
	for _, item := range list.Items {
		var a struct{ Content, ContentType, Filename string }
		d.do(t, d.RootToken, http.MethodGet, "/attachment/"+item.ID, nil, &a)
		b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(a.Content, "\n", ""))
		require.NoError(t, err)
		switch {
		case a.Filename != "":
			seen.Attachments = append(seen.Attachments, b)
		case a.ContentType == "text/plain":
			seen.Texts = append(seen.Texts, string(b))
		}
	}
	return seen
}

func (d desk) Count(t testing.TB, key string) int {
	t.Helper()
	var list struct{ Items []struct{ ID string } }
	query := url.Values{"query": {"'CF.{TocsinKey}' = '" + key + "'"}, "per_page": {"100"}}
	d.do(t, d.RootToken, http.MethodGet, "/tickets?"+query.Encode(), nil, &list)
	return len(list.Items)
}

func (d desk) options() rt.Options {
	return rt.Options{Name: "rt-main", URL: d.URL, Token: d.token(d.Token), Queue: "Incidents"}
}

func (desk) token(s string) func() (string, error) {
	return func() (string, error) { return s + "\n", nil }
}

func client(t testing.TB, opt rt.Options) *rt.Client {
	t.Helper()
	c, err := rt.New(opt)
	require.NoError(t, err)
	return c
}

func (d desk) broken(t testing.TB) []itsmtest.Broken {
	with := func(change func(*rt.Options)) itsm.System {
		opt := d.options()
		change(&opt)
		return client(t, opt)
	}
	return []itsmtest.Broken{
		{Name: "wrong token", System: with(func(o *rt.Options) { o.Token = d.token("1-27-" + strings.Repeat("0", 32)) }),
			Kind: problem.Unauthenticated, Mention: "token"},
		{Name: "no token", System: with(func(o *rt.Options) { o.Token = d.token("") }), Kind: problem.Unauthenticated, Mention: "token"},
		{Name: "missing queue", System: with(func(o *rt.Options) { o.Queue = "Nowhere" }), Kind: problem.NotFound, Mention: "Nowhere"},
		{Name: "missing field", System: with(func(o *rt.Options) { o.CorrelationField = "Other Key" }), Kind: problem.Invalid, Mention: "Other Key"},
		{Name: "a further queue without the field", System: with(func(o *rt.Options) { o.Queues = []string{"Plain"} }), Kind: problem.Invalid, Mention: "Plain"},
		{Name: "wrong address", System: with(func(o *rt.Options) { o.URL += "/elsewhere" }), Kind: problem.NotFound, Mention: "REST2"},
		{Name: "nobody there", System: with(func(o *rt.Options) { o.URL = "http://127.0.0.1:1" }), Kind: problem.Unavailable, Mention: "reached"},
	}
}

func TestConformance(t *testing.T) {
	d := desk{peer.StartRT(t)}
	open := func(t testing.TB) itsm.System { return client(t, d.options()) }
	itsmtest.Run(t, itsmtest.Fixture{
		Open: open, Pair: func(t testing.TB) []itsm.System { return []itsm.System{open(t), open(t)} },
		Other: d, People: [2]string{"ada", "bo"}, Broken: d.broken(t),
	})
}

func ticket(key string) itsm.Ticket {
	return itsm.Ticket{Key: key, Version: 1, Title: "payments fail", Description: "43 of 60", Severity: "critical",
		State: itsm.Open, Requestor: "watch@example.com", Notes: []itsm.Note{{Key: "n1", At: time.Now(), Text: "first note"}}}
}

func TestTicket(t *testing.T) {
	d := desk{peer.StartRT(t)}
	for name, test := range map[string]func(*testing.T, desk){
		"fields":                       fieldsOfTheTicket,
		"a merge is followed":          followsMerge,
		"a known id is doubted":        doubtsKnownID,
		"notes over several pages":     manyNotes,
		"queue without version":        withoutVersionField,
		"queue without key":            withoutCorrelationField,
		"a deleted ticket is replaced": replacesDeleted,
		"how it was resolved":          readsResolutions,
	} {
		t.Run(name, func(t *testing.T) { test(t, d) })
	}
}

// People say how a ticket was resolved before, while or after they resolve it.
func readsResolutions(t *testing.T, d desk) {
	opt := d.options()
	opt.ResolutionField = "Resolution"
	c := client(t, opt)
	require.NoError(t, c.Check(t.Context()))
	_, cursor, err := c.Changes(t.Context(), "")
	require.NoError(t, err)
	want := ticket("inc_resolution")
	res, err := c.Sync(t.Context(), want, itsm.Ref{})
	require.NoError(t, err)
	said := func(user string, fields map[string]any) []itsm.Observed {
		d.do(t, d.People[user], http.MethodPut, "/ticket/"+res.Ref.ID, fields, nil)
		var list []itsm.Observed
		list, cursor, err = c.Changes(t.Context(), cursor)
		require.NoError(t, err)
		return list
	}
	field := func(value string) map[string]any {
		return map[string]any{"CustomFields": map[string]any{"Resolution": value}}
	}

	got := said("ada", field("Nothing found"))
	require.Len(t, got, 1)
	require.Equal(t, "inc_resolution", got[0].Key)
	require.Equal(t, "Nothing found", got[0].Resolution)
	require.Equal(t, "ada", got[0].Actor)
	require.Empty(t, got[0].State, "nobody moved it")

	got = said("bo", map[string]any{"Status": "open"})
	require.Len(t, got, 1)
	require.Equal(t, itsm.Acknowledged, got[0].State)
	require.Empty(t, got[0].Resolution, "said before, not with this")

	got = said("bo", map[string]any{"Status": "resolved"})
	require.Len(t, got, 1)
	require.Equal(t, itsm.Resolved, got[0].State)
	require.Equal(t, "Nothing found", got[0].Resolution)

	got = said("ada", field("Repaired"))
	require.Len(t, got, 1)
	require.Equal(t, "Repaired", got[0].Resolution, "thought better of")
	require.Empty(t, got[0].State)

	require.Empty(t, said("ada", map[string]any{"CustomFields": map[string]any{"Severity": "info"}}), "another field says nothing")
	want.Version, want.State = 2, itsm.Resolved
	_, err = c.Sync(t.Context(), want, res.Ref)
	require.NoError(t, err)
	require.Equal(t, "Repaired", d.ticket(t, res.Ref.ID).field("Resolution"), "only people write it")

	opt.ResolutionField = "Outcome"
	err = client(t, opt).Check(t.Context())
	require.True(t, problem.Is(err, problem.Invalid))
	require.ErrorContains(t, err, "Outcome")
}

func replacesDeleted(t *testing.T, d desk) {
	c := client(t, d.options())
	first, err := c.Sync(t.Context(), ticket("inc_deleted"), itsm.Ref{})
	require.NoError(t, err)
	d.do(t, d.RootToken, http.MethodPut, "/ticket/"+first.Ref.ID, map[string]any{"Status": "deleted"}, nil)
	res, err := c.Sync(t.Context(), ticket("inc_deleted"), first.Ref)
	require.NoError(t, err)
	require.NotEqual(t, first.Ref.ID, res.Ref.ID)
	require.Equal(t, 1, d.Count(t, "inc_deleted"))
}

func fieldsOfTheTicket(t *testing.T, d desk) {
	c := client(t, d.options())
	want := ticket("inc_fields")
	want.Owner = "nobody-knows-them" // not a user of RT: left out
	began := time.Now()
	res, err := c.Sync(t.Context(), want, itsm.Ref{})
	require.NoError(t, err)
	t.Logf("create with a note: %s", time.Since(began))
	require.Equal(t, d.URL+"/Ticket/Display.html?id="+res.Ref.ID, res.Ref.URL)
	seen := d.ticket(t, res.Ref.ID)
	require.Equal(t, "inc_fields", seen.field("TocsinKey"))
	require.Equal(t, "1", seen.field("TocsinVersion"))
	require.Equal(t, "critical", seen.field("Severity"))
	require.Equal(t, "watch@example.com", seen.Requestor[0].ID)
	require.Equal(t, "Nobody", seen.Owner.ID)

	want.Version, want.Severity = 2, "warning"
	began = time.Now()
	_, err = c.Sync(t.Context(), want, res.Ref)
	require.NoError(t, err)
	t.Logf("change: %s", time.Since(began))
	require.Equal(t, "warning", d.ticket(t, res.Ref.ID).field("Severity"))
	began = time.Now()
	_, err = c.Sync(t.Context(), want, res.Ref)
	require.NoError(t, err)
	t.Logf("nothing to do: %s", time.Since(began))

	// A value the field does not allow is refused in a 200; Sync says which.
	want.Version, want.Severity = 3, "dreadful"
	_, err = c.Sync(t.Context(), want, res.Ref)
	require.ErrorContains(t, err, "Severity")
	require.True(t, problem.From(err).Retryable)
}

func followsMerge(t *testing.T, d desk) {
	c := client(t, d.options())
	elder, err := c.Sync(t.Context(), ticket("inc_elder"), itsm.Ref{})
	require.NoError(t, err)
	younger, err := c.Sync(t.Context(), ticket("inc_younger"), itsm.Ref{})
	require.NoError(t, err)
	d.do(t, d.People["ada"], http.MethodPut, "/ticket/"+younger.Ref.ID, map[string]any{"MergeInto": json.Number(elder.Ref.ID)}, nil)

	want := ticket("inc_younger")
	want.Version, want.Title = 7, "not for the elder's ticket"
	want.Notes = append(want.Notes, itsm.Note{Key: "n2", Text: "after the merge"})
	for range 2 {
		res, err := c.Sync(t.Context(), want, younger.Ref)
		require.NoError(t, err)
		require.Equal(t, elder.Ref, res.Ref)
		require.False(t, res.Created)
	}
	seen := d.See(t, elder.Ref)
	require.Equal(t, "payments fail", seen.Title)
	require.Equal(t, 1, strings.Count(strings.Join(seen.Texts, "\n"), "after the merge"))
	require.Equal(t, "inc_elder", d.ticket(t, elder.Ref.ID).field("TocsinKey"))
}

func doubtsKnownID(t *testing.T, d desk) {
	c := client(t, d.options())
	first, err := c.Sync(t.Context(), ticket("inc_one"), itsm.Ref{})
	require.NoError(t, err)
	want := ticket("INC_ONE") // RT's search ignores case
	second, err := c.Sync(t.Context(), want, first.Ref)
	require.NoError(t, err)
	require.NotEqual(t, first.Ref.ID, second.Ref.ID)
	require.Equal(t, "inc_one", d.ticket(t, first.Ref.ID).field("TocsinKey"))
	require.Equal(t, "INC_ONE", d.ticket(t, second.Ref.ID).field("TocsinKey"))
}

func manyNotes(t *testing.T, d desk) {
	want := ticket("inc_many")
	for i := range 105 {
		want.Notes = append(want.Notes, itsm.Note{Key: fmt.Sprintf("more%d", i), Text: fmt.Sprintf("note number %d.", i)})
	}
	res, err := client(t, d.options()).Sync(t.Context(), want, itsm.Ref{})
	require.NoError(t, err)
	_, err = client(t, d.options()).Sync(t.Context(), want, res.Ref)
	require.NoError(t, err)
	var history struct{ Total int }
	d.do(t, d.RootToken, http.MethodGet, "/transactions?query="+url.QueryEscape("TicketId = "+res.Ref.ID+" AND Type = 'Comment'"), nil, &history)
	require.Equal(t, len(want.Notes), history.Total)
}

func withoutVersionField(t *testing.T, d desk) {
	opt := d.options()
	opt.VersionField, opt.SeverityField = "No Such Version", "No Such Severity"
	c := client(t, opt)
	require.NoError(t, c.Check(t.Context()))
	want := ticket("inc_plain")
	want.Version = 9
	res, err := c.Sync(t.Context(), want, itsm.Ref{})
	require.NoError(t, err)
	old := want
	old.Version, old.Title = 8, "older"
	got, err := c.Sync(t.Context(), old, res.Ref)
	require.NoError(t, err)
	require.Equal(t, uint64(9), got.Version)
	require.Equal(t, "payments fail", d.ticket(t, res.Ref.ID).Subject)
}

func withoutCorrelationField(t *testing.T, d desk) {
	want := ticket("inc_nofield")
	want.Queue = "Plain"
	_, err := client(t, d.options()).Sync(t.Context(), want, itsm.Ref{})
	require.True(t, problem.Is(err, problem.Invalid), "%v", err)
	require.ErrorContains(t, err, "TocsinKey")
	var list struct{ Items []struct{ ID string } }
	d.do(t, d.RootToken, http.MethodGet, "/tickets?query="+url.QueryEscape("Queue = 'Plain'"), nil, &list)
	require.Empty(t, list.Items)
}

func TestOptionsAreChecked(t *testing.T) {
	good := rt.Options{URL: "https://rt.example.com/rt/", Token: func() (string, error) { return "x", nil }, Queue: "Incidents"}
	_, err := rt.New(good)
	require.NoError(t, err)
	for name, spoil := range map[string]func(*rt.Options){
		"no url":         func(o *rt.Options) { o.URL = "rt.example.com" },
		"user in url":    func(o *rt.Options) { o.URL = "https://me:secret@rt.example.com" },
		"no token":       func(o *rt.Options) { o.Token = nil },
		"no queue":       func(o *rt.Options) { o.Queue = "" },
		"quote in queue": func(o *rt.Options) { o.Queues = []string{"a' OR id > '0"} },
		"brace in field": func(o *rt.Options) { o.CorrelationField = "a}" },
	} {
		opt := good
		spoil(&opt)
		_, err := rt.New(opt)
		require.True(t, problem.Is(err, problem.Invalid), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "secret")
	}
}
