package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// screen is written by serve while a test reads it.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *screen) has(text string) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(s.buf.String(), text)
	}
}

// TestServeReloadsOnAHangup does as an operator does: edit, signal, look at the log.
func TestServeReloadsOnAHangup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	file := filepath.Join(dir, "tocsin.yaml")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write("onboarding: manual\n")
	var log screen
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"serve", "--config.file", file, "--storage.path", filepath.Join(dir, "data"), "--web.listen-address", "127.0.0.1:0", "--otlp.listen-address", "off"}, &log, &log)
	}()
	require.Eventually(t, log.has("tocsin serves"), 30*time.Second, 10*time.Millisecond)
	hangup := func() { require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP)) }
	write("onboarding: [\n")
	hangup()
	require.Eventually(t, log.has("the configuration was not reloaded"), 30*time.Second, 10*time.Millisecond)
	write("onboarding: automatic\n")
	hangup()
	require.Eventually(t, log.has("changed=onboarding"), 30*time.Second, 10*time.Millisecond)
	require.True(t, log.has("by=signal:SIGHUP")())
	cancel()
	require.Equal(t, exitOK, <-done)
}
