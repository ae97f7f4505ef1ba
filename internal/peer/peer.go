// Package peer starts the real programs that tests talk to: Request Tracker,
// Mailpit, Prometheus, Redis, an OpenTelemetry collector, Chromium. Each listens on
// loopback on a free port, has a folder of its own and is ended by its own process id when the test ends.
//
// It knows how these programs are installed and started, and nothing of tocsin.
// A peer that is not installed skips the test and says what to install; with
// the environment variable CI set it fails the test instead.
package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// startTimeout is generous: a loaded machine takes several times what an idle
// one does (about 2 s for the slowest).
const startTimeout = 60 * time.Second

// missing ends the test: what names the package or command that installs the peer.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("a peer of this test is not installed: %s", what)
	}
	t.Skipf("a peer of this test is not installed: %s", what)
}

// freePort finds a port that nobody listens on at this moment.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("no free port: %v", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// process is one running peer.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed once it has ended
}

// start runs cmd in a process group of its own, its output in log, until the
// test ends.
func start(t testing.TB, cmd *exec.Cmd, log string) *process {
	t.Helper()
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		_ = out.Close()
		t.Fatalf("start %s: %v", filepath.Base(cmd.Path), err)
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		_ = out.Close()
		close(p.done)
	}()
	t.Cleanup(p.stop)
	return p
}

// stop ends the peer and its children: politely, then not.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // workers that outlived it
	<-p.done
}

// tail is the end of what the peer printed.
func (p *process) tail() string {
	b, _ := os.ReadFile(p.log)
	if len(b) > 2000 {
		b = b[len(b)-2000:]
	}
	return string(b)
}

var errEnded = errors.New("it ended before it answered")

// answers waits until a GET of url has the status 200.
func (p *process) answers(url string, header http.Header) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if get(ctx, url, header) == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%w: %s", errEnded, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("no answer within %s: %s", startTimeout, p.tail())
		case <-tick.C:
		}
	}
}

func get(ctx context.Context, url string, header http.Header) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}
