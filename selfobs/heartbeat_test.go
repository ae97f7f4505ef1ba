package selfobs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/selfobs"
)

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

// TestTheHeartbeatStopsWhenTocsinDoes beats at a real listener that refuses for a
// while, and at times when tocsin does not work.
func TestTheHeartbeatStopsWhenTocsinDoes(t *testing.T) {
	var beats, status atomic.Int64
	status.Store(http.StatusOK)
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/secret-id" {
			beats.Add(1)
		}
		w.WriteHeader(int(status.Load()))
	}))
	defer listener.Close()
	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte(listener.URL+"/secret-id\n"), 0o600))

	var dead atomic.Bool
	var log logs
	r := prometheus.NewRegistry()
	h := &selfobs.Heartbeat{URLFile: file, Every: 5 * time.Millisecond, Now: time.Now, Logger: slog.New(slog.NewTextHandler(&log, nil)), Alive: func(context.Context) error {
		if dead.Load() {
			return errors.New("no partition answers")
		}
		return nil
	}}
	h.Register(r)
	count := func(result string) float64 {
		all, err := r.Gather()
		require.NoError(t, err)
		for _, f := range all {
			for _, m := range f.GetMetric() {
				if len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == result {
					return m.GetCounter().GetValue()
				}
			}
		}
		return -1
	}
	require.Zero(t, count("ok"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	grows := func(result string) {
		t.Helper()
		from := count(result)
		require.Eventually(t, func() bool { return count(result) > from+1 }, 10*time.Second, time.Millisecond, result)
	}
	grows("ok")
	dead.Store(true)
	grows("withheld")
	quiet := beats.Load()
	grows("withheld")
	require.Equal(t, quiet, beats.Load(), "a tocsin that does not work is silent")
	dead.Store(false)
	grows("ok")
	status.Store(http.StatusFound)
	grows("failed")
	status.Store(http.StatusOK)
	grows("ok")
	require.NoError(t, os.WriteFile(file, []byte("http://127.0.0.1:1/secret-id"), 0o600))
	grows("failed")
	cancel()
	<-done
	require.Contains(t, log.String(), "no partition answers")
	require.Contains(t, log.String(), "the heartbeat is sent again")
	require.NotContains(t, log.String(), "secret-id", "the address may be a secret")
	require.Positive(t, testutil.CollectAndCount(r, "tocsin_selfobs_heartbeat_success_timestamp_seconds"))
}
