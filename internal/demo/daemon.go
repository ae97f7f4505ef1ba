package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// DaemonOptions say how to start tocsin. Binary and Dir are needed.
type DaemonOptions struct {
	Binary string   // the built tocsin
	Dir    string   // an existing folder for its data
	Args   []string // more arguments for serve
	Ready  time.Duration
}

// Daemon is a tocsin started for a story, on its embedded defaults.
type Daemon struct {
	Server    string // base address
	Token     string // the administrator's
	TokenFile string
	Started   time.Time

	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when the process has ended
	err  error         // why; to be read after done
}

const (
	drainWithin = 25 * time.Second
	logLines    = 40
)

// StartDaemon runs `tocsin serve` with its data in o.Dir on a free port of the
// loopback and waits until it is ready. A daemon that does not become ready is
// stopped; the error carries the end of its log.
func StartDaemon(ctx context.Context, o DaemonOptions) (*Daemon, error) {
	if o.Ready <= 0 {
		o.Ready = 30 * time.Second
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(o.Dir, "data")
	args := append([]string{"serve", "--storage.path", data, "--web.listen-address", address, "--otlp.listen-address", "off"}, o.Args...)
	d := &Daemon{Server: "http://" + address, TokenFile: filepath.Join(data, "admin.token"), log: &tail{}, done: make(chan struct{}), Started: time.Now()}
	d.cmd = exec.Command(o.Binary, args...)
	d.cmd.Dir = o.Dir // a tocsin.yaml where the demo is called must not be picked up
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	// A group of its own: Ctrl-C is for the demo, which then ends the daemon.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("tocsin cannot be started: %w", err)
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.done)
	}()
	if err := d.ready(ctx, time.Now().Add(o.Ready)); err != nil {
		err = fmt.Errorf("%w\n%s", err, d.LastLog())
		return nil, errors.Join(err, d.Stop())
	}
	return d, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (d *Daemon) ready(ctx context.Context, deadline time.Time) error {
	client := &http.Client{Timeout: 2 * time.Second}
	for {
		if raw, err := os.ReadFile(d.TokenFile); err == nil && len(bytes.TrimSpace(raw)) > 0 && answers(ctx, client, d.Server+"/-/ready") {
			d.Token = string(bytes.TrimSpace(raw))
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("tocsin did not become ready")
		}
		t := time.NewTimer(50 * time.Millisecond)
		select {
		case <-t.C:
		case <-d.done:
			t.Stop()
			return fmt.Errorf("tocsin ended before it was ready: %v", d.err)
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

func answers(ctx context.Context, c *http.Client, address string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	res, err := c.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxBody))
	return res.StatusCode == http.StatusOK
}

// Done is closed when the daemon has ended, whoever ended it.
func (d *Daemon) Done() <-chan struct{} { return d.done }

// Stop asks the daemon to drain and waits; one that does not end in time is
// killed, which is an error. Stopping again does nothing.
func (d *Daemon) Stop() error {
	select {
	case <-d.done:
		return nil
	default:
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may just have ended
	t := time.NewTimer(drainWithin)
	defer t.Stop()
	select {
	case <-d.done:
		if d.err != nil {
			return fmt.Errorf("tocsin was asked to end and said: %w\n%s", d.err, d.LastLog())
		}
		return nil
	case <-t.C:
		_ = d.cmd.Process.Kill()
		<-d.done
		return fmt.Errorf("tocsin did not end within %.0f s of being asked\n%s", drainWithin.Seconds(), d.LastLog())
	}
}

// LastLog is the end of what the daemon wrote.
func (d *Daemon) LastLog() string {
	return "the daemon's last words:\n  " + strings.Join(d.log.last(), "\n  ")
}

// tail keeps the last lines written to it.
type tail struct {
	mu    sync.Mutex
	lines []string
	rest  []byte
}

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rest = append(t.rest, b...)
	for {
		line, rest, found := bytes.Cut(t.rest, []byte("\n"))
		if !found {
			break
		}
		t.lines = append(t.lines, string(line))
		t.rest = bytes.Clone(rest)
	}
	if over := len(t.lines) - logLines; over > 0 {
		t.lines = append([]string(nil), t.lines[over:]...)
	}
	return len(b), nil
}

func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := append([]string(nil), t.lines...)
	if len(t.rest) > 0 {
		out = append(out, string(t.rest))
	}
	if len(out) == 0 {
		out = []string{"(none)"}
	}
	return out
}
