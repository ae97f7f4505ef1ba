package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// killable is a tocsin that is killed and started again on the same storage and
// port.
type killable struct {
	dir, address string
	args         []string
	log          *os.File

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
	kills []time.Time     // when it was killed
	down  []time.Duration // from each kill until it was ready again
}

func newKillable(t *testing.T, dir string, args ...string) *killable {
	t.Helper()
	return newKillableAt(t, dir, killFree(t), args...)
}

func newKillableAt(t *testing.T, dir, address string, args ...string) *killable {
	t.Helper()
	k := &killable{dir: dir, address: address}
	k.args = append([]string{"serve", "--storage.path", k.storage(), "--web.listen-address", k.address, "--otlp.listen-address", "off"}, args...)
	var err error
	k.log, err = os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	require.NoError(t, k.start(t.Context()))
	t.Cleanup(func() {
		k.mu.Lock()
		cmd, ended := k.cmd, k.ended
		k.mu.Unlock()
		if cmd != nil {
			_ = cmd.Process.Kill() // it may have ended
			<-ended
		}
		if t.Failed() {
			raw, _ := os.ReadFile(k.log.Name())
			t.Logf("the end of the daemon's log:\n%s", raw[max(0, len(raw)-6000):])
		}
		_ = k.log.Close()
	})
	return k
}

func killFree(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

func (k *killable) storage() string { return filepath.Join(k.dir, "data") }

func (k *killable) url() string { return "http://" + k.address }

// start runs the daemon and waits until it is ready. Somebody's outgoing
// connection may hold the port for a moment: then it is tried again.
func (k *killable) start(ctx context.Context) error {
	deadline := time.Now().Add(60 * time.Second)
	for attempt := 1; ; attempt++ {
		cmd := exec.Command(tocsin, k.args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = k.dir, k.log, k.log
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			return err
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		k.mu.Lock()
		k.cmd, k.ended = cmd, ended
		k.mu.Unlock()
		err := k.ready(ctx, ended, deadline)
		if err == nil || !errors.Is(err, errKillEnded) || attempt == 5 {
			return err
		}
	}
}

var errKillEnded = errors.New("the daemon ended before it was ready")

func (k *killable) ready(ctx context.Context, ended chan struct{}, deadline time.Time) error {
	client := &http.Client{Timeout: 2 * time.Second}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		res, err := client.Get(k.url() + "/-/ready")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ended:
			return errKillEnded
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			return errors.New("the daemon did not become ready")
		}
	}
}

// kill ends the daemon by SIGKILL to its process id and starts it again.
func (k *killable) kill(ctx context.Context) error {
	k.mu.Lock()
	cmd, ended := k.cmd, k.ended
	k.kills = append(k.kills, time.Now())
	k.mu.Unlock()
	if err := syscall.Kill(cmd.Process.Pid, syscall.SIGKILL); err != nil {
		return err
	}
	began := time.Now()
	<-ended
	if err := k.start(ctx); err != nil {
		return err
	}
	k.down = append(k.down, time.Since(began).Round(time.Millisecond))
	return nil
}

// stop asks the daemon to drain.
func (k *killable) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, k.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-k.ended:
		require.True(t, k.cmd.ProcessState.Success(), "a drain ends well: %s", k.cmd.ProcessState)
	case <-time.After(30 * time.Second):
		t.Fatal("the daemon did not drain")
	}
}

// killClient asks again while the daemon is down.
type killClient struct {
	base, token string
	http        *http.Client
}

const killPatience = 60 * time.Second

func (c *killClient) send(ctx context.Context, method, target, kind string, body []byte) (int, []byte, error) {
	if target[0] == '/' {
		target = c.base + target
	}
	for deadline := time.Now().Add(killPatience); ; {
		req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
		if err != nil {
			return 0, nil, err
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		if kind != "" {
			req.Header.Set("Content-Type", kind)
		}
		res, err := c.http.Do(req)
		if err == nil {
			raw, rerr := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if rerr == nil && res.StatusCode != http.StatusServiceUnavailable {
				return res.StatusCode, raw, nil
			}
			if err = rerr; err == nil {
				err = fmt.Errorf("%d %s", res.StatusCode, raw)
			}
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return 0, nil, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// do sends JSON and decodes the answer, which must be a success.
func (c *killClient) do(t *testing.T, method, path string, in, out any) {
	t.Helper()
	var body []byte
	kind := ""
	if in != nil {
		var err error
		body, err = json.Marshal(in)
		require.NoError(t, err)
		kind = "application/json"
	}
	status, raw, err := c.send(t.Context(), method, path, kind, body)
	require.NoError(t, err, "%s %s", method, path)
	require.Equal(t, 2, status/100, "%s %s: %d %s", method, path, status, raw)
	if out != nil {
		require.NoError(t, json.Unmarshal(raw, out), "%s", raw)
	}
}

// killList reads a whole list.
func killList[T any](t *testing.T, c *killClient, path string, query url.Values) []T {
	t.Helper()
	var all []T
	for q := query; ; {
		var part struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		c.do(t, http.MethodGet, path+"?"+q.Encode(), nil, &part)
		all = append(all, part.Items...)
		if part.Next == "" {
			return all
		}
		next := url.Values{"cursor": {part.Next}}
		for k, v := range query {
			next[k] = v
		}
		q = next
	}
}

// killEventually polls a condition that tells why it does not hold yet.
func killEventually(t *testing.T, within time.Duration, what string, holds func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for %s: %v", within, what, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
