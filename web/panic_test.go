package web

import (
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
