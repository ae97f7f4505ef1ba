package rt_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/itsm/rt"
	"github.com/tocsin-alerting/tocsin/problem"
)

// liar stands before the real Request Tracker and misbehaves as told.
type liar struct {
	*httptest.Server
	mode   atomic.Value // of string
	writes atomic.Int64 // that reached the real one
}

const (
	honest     = "honest"
	swallow    = "swallow"     // writes are answered with success and dropped
	foreignID  = "foreign id"  // as swallow; creates name a ticket that exists
	cutCreate  = "cut create"  // a create is committed, its answer never arrives
	cutComment = "cut comment" // likewise a comment
	cutUpdate  = "cut update"  // likewise an update
	broken     = "broken"      // 503
	rubbish    = "rubbish"     // success that is no JSON
)

func lie(t testing.TB, d desk) *liar {
	t.Helper()
	target, err := url.Parse(d.URL)
	require.NoError(t, err)
	l := &liar{}
	l.mode.Store(honest)
	proxy := httputil.NewSingleHostReverseProxy(target)
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		write, create, comment := r.Method != http.MethodGet, r.URL.Path == "/REST/2.0/ticket", strings.HasSuffix(r.URL.Path, "/comment")
		mode := l.mode.Load().(string)
		cut := (mode == cutCreate && create) || (mode == cutComment && comment) || (mode == cutUpdate && r.Method == http.MethodPut)
		switch {
		case mode == broken:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		case mode == rubbish:
			_, _ = w.Write([]byte("<html>welcome</html>"))
		case write && (mode == swallow || mode == foreignID):
			l.swallow(w, mode, create, comment)
		case cut:
			l.writes.Add(1)
			proxy.ServeHTTP(httptest.NewRecorder(), r) // committed there
			panic(http.ErrAbortHandler)                // cut here
		default:
			if write {
				l.writes.Add(1)
			}
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *liar) swallow(w http.ResponseWriter, mode string, create, comment bool) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	switch {
	case create && mode == foreignID:
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprint(w, `{"type":"ticket","id":"1","_url":"http://127.0.0.1/REST/2.0/ticket/1"}`)
	case create:
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprint(w, `{"type":"ticket","id":"4711","_url":"http://127.0.0.1/REST/2.0/ticket/4711"}`)
	case comment:
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprint(w, `["Comments added"]`)
	default:
		_, _ = fmt.Fprint(w, `["Ticket 1: Status changed from 'new' to 'open'"]`)
	}
}

func (l *liar) options(d desk) rt.Options {
	opt := d.options()
	opt.URL = l.URL
	return opt
}

func TestSwallowedWritesAreNoticed(t *testing.T) {
	d := desk{peer.StartRT(t)}
	l := lie(t, d)
	c := client(t, l.options(d))
	bystander, err := c.Sync(t.Context(), ticket("inc_bystander"), itsm.Ref{})
	require.NoError(t, err)
	require.Equal(t, "1", bystander.Ref.ID)
	fails := func(want itsm.Ticket, known itsm.Ref, field string) {
		t.Helper()
		_, err := c.Sync(t.Context(), want, known)
		require.ErrorContains(t, err, field)
		require.True(t, problem.From(err).Retryable, "%v", err)
		require.NotContains(t, err.Error(), d.Token)
	}

	want := ticket("inc_swallowed")
	for _, mode := range []string{swallow, foreignID} {
		l.mode.Store(mode)
		fails(want, itsm.Ref{}, "ticket")
		require.Zero(t, d.Count(t, want.Key))
	}
	l.mode.Store(honest)
	res, err := c.Sync(t.Context(), want, itsm.Ref{})
	require.NoError(t, err)
	require.True(t, res.Created)
	require.Equal(t, 1, d.Count(t, want.Key))
	require.Equal(t, "inc_bystander", d.ticket(t, "1").field("TocsinKey"))

	want.Version, want.State, want.Owner, want.Title = 2, itsm.Acknowledged, "ada", "worse"
	want.Notes = append(want.Notes, itsm.Note{Key: "n2", Text: "second note"})
	l.mode.Store(swallow)
	fails(want, res.Ref, "Status")
	fails(want, res.Ref, "Owner")
	fails(want, res.Ref, "Subject")
	l.mode.Store(honest)
	_, err = c.Sync(t.Context(), want, res.Ref)
	require.NoError(t, err)

	want.Notes = append(want.Notes, itsm.Note{Key: "n3", Text: "third note"})
	l.mode.Store(swallow)
	fails(want, res.Ref, "comment")
	l.mode.Store(honest)
	_, err = c.Sync(t.Context(), want, res.Ref)
	require.NoError(t, err)
	seen := d.See(t, res.Ref)
	require.Equal(t, itsm.Acknowledged, seen.State)
	require.Equal(t, "ada", seen.Owner)
	require.Equal(t, "worse", seen.Title)
	for _, text := range []string{"first note", "second note", "third note"} {
		require.Equal(t, 1, strings.Count(strings.Join(seen.Texts, "\n"), text), text)
	}
	require.Equal(t, 1, d.Count(t, want.Key))

	before := l.writes.Load()
	_, err = c.Sync(t.Context(), want, res.Ref)
	require.NoError(t, err)
	require.Equal(t, before, l.writes.Load(), "a ticket that equals what is wanted is not written")
}

func TestLostAnswersDoubleNothing(t *testing.T) {
	d := desk{peer.StartRT(t)}
	l := lie(t, d)
	want := ticket("inc_cut")
	c := client(t, l.options(d))
	for _, mode := range []string{cutCreate, cutComment, cutUpdate} {
		if mode == cutUpdate {
			want.Version, want.State = 2, itsm.Resolved
		}
		l.mode.Store(mode)
		_, err := c.Sync(t.Context(), want, itsm.Ref{})
		require.Error(t, err, mode)
		require.True(t, problem.From(err).Retryable, "%s: %v", mode, err)
		l.mode.Store(honest)
		c = client(t, l.options(d)) // it crashed and remembers nothing
		if mode == cutCreate {
			require.Equal(t, 1, d.Count(t, want.Key))
			continue // the note is still missing, its answer is lost next
		}
		res, err := c.Sync(t.Context(), want, itsm.Ref{})
		require.NoError(t, err, mode)
		require.False(t, res.Created)
		require.Equal(t, want.State, res.State)
		require.Equal(t, 1, d.Count(t, want.Key))
		require.Equal(t, 1, strings.Count(strings.Join(d.See(t, res.Ref).Texts, "\n"), "first note"))
	}
}

func TestFaultsOfTheServer(t *testing.T) {
	d := desk{peer.StartRT(t)}
	l := lie(t, d)
	c := client(t, l.options(d))
	l.mode.Store(broken)
	_, err := c.Sync(t.Context(), ticket("inc_x"), itsm.Ref{})
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	require.Equal(t, 7*time.Second, problem.From(err).RetryAfter)
	l.mode.Store(rubbish)
	for _, err := range []error{c.Check(t.Context()), second(c.Sync(t.Context(), ticket("inc_x"), itsm.Ref{}))} {
		require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
		require.ErrorContains(t, err, "JSON")
	}
}

func second(_ itsm.Result, err error) error { return err }

// A server that answers after the request's time: the call ends in time.
func TestASlowServerDoesNotHold(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(release); s.Close() })
	c := client(t, rt.Options{URL: s.URL, Token: desk{}.token("1-2-3"), Queue: "Incidents", RequestTimeout: 50 * time.Millisecond})
	_, err := c.Sync(t.Context(), ticket("inc_slow"), itsm.Ref{})
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
}

// The token is not carried to where a redirect points.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(other.Close)
	s := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	t.Cleanup(s.Close)
	c := client(t, rt.Options{URL: s.URL, Token: desk{}.token("1-2-3"), Queue: "Incidents"})
	err := c.Check(t.Context())
	require.True(t, problem.Is(err, problem.Invalid), "%v", err)
	require.Zero(t, asked.Load())
}
