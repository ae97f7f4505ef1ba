package web

import (
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestARouteThatPanicsAnswers(t *testing.T) {
	e := Edge{Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
	seen := 0
	e.Observe = func(_, _ string, status int, _ time.Duration) { seen = status }
	srv := httptest.NewServer(e.Mux([]Route{{Method: "GET", Path: "/bad", Open: true, Handle: func(http.ResponseWriter, *http.Request, Principal) error { panic("secret of the request") }}}))
	defer srv.Close()
	res, err := http.Get(srv.URL + "/bad")
	require.NoError(t, err, "the connection is answered, not cut")
	defer res.Body.Close()
	require.Equal(t, http.StatusInternalServerError, res.StatusCode)
	require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
	require.Equal(t, http.StatusInternalServerError, seen)
}

// TestHalfAnAnswerIsCut: what was begun before a panic does not end like a whole answer.
func TestHalfAnAnswerIsCut(t *testing.T) {
	e := Edge{Now: time.Now, Logger: slog.New(slog.DiscardHandler)}
	srv := httptest.NewUnstartedServer(e.Mux([]Route{{Method: "GET", Path: "/bad", Open: true, Handle: func(w http.ResponseWriter, _ *http.Request, _ Principal) error {
		_, _ = w.Write([]byte("the first"))
		w.(interface{ Unwrap() http.ResponseWriter }).Unwrap().(http.Flusher).Flush()
		panic("before the second")
	}}}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	defer srv.Close()
	res, err := http.Get(srv.URL + "/bad")
	require.NoError(t, err)
	defer res.Body.Close()
	_, err = io.ReadAll(res.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
