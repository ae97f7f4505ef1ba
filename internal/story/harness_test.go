// Package story tells tocsin's main job against real parts: the built binary, a
// real Prometheus pair, a real Request Tracker, a real mail server.
package story

import (
	"bytes"
	"context"
	"encoding/json"
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
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var built struct {
	sync.Once
	path string
	err  error
}

// binary builds tocsin once for all tests of the package.
func binary(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		dir, err := os.MkdirTemp("", "tocsin-story-")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "tocsin")
		out, err := exec.Command("go", "build", "-trimpath", "-o", built.path, "../../cmd/tocsin").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	require.NoError(t, built.err)
	return built.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}

// daemon is a tocsin that can be killed and started again.
type daemon struct {
	t    *testing.T
	dir  string
	addr string
	args []string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
}

func newDaemon(t *testing.T, config string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d.addr = l.Addr().String()
	require.NoError(t, l.Close())
	d.args = []string{"serve", "--storage.path", filepath.Join(d.dir, "data"), "--web.listen-address", d.addr}
	if config != "" {
		file := filepath.Join(d.dir, "tocsin.yaml")
		require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
		d.args = append(d.args, "--config.file", file)
	}
	d.log, err = os.Create(filepath.Join(d.dir, "log"))
	require.NoError(t, err)
	d.start()
	t.Cleanup(func() {
		d.stop(syscall.SIGTERM)
		if t.Failed() {
			raw, _ := os.ReadFile(d.log.Name())
			t.Logf("the daemon said:\n%s", raw[max(0, len(raw)-6000):])
		}
	})
	return d
}

func (d *daemon) start() {
	d.t.Helper()
	cmd := exec.Command(binary(d.t), d.args...)
	cmd.Stdout, cmd.Stderr = d.log, d.log
	require.NoError(d.t, cmd.Start())
	d.cmd, d.done = cmd, make(chan struct{})
	go func(done chan struct{}) { _ = cmd.Wait(); close(done) }(d.done)
	d.eventually(20*time.Second, "the daemon serves", func() bool {
		res, err := http.Get("http://" + d.addr + "/-/ready")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func (d *daemon) stop(sig syscall.Signal) {
	_ = d.cmd.Process.Signal(sig)
	select {
	case <-d.done:
	case <-time.After(25 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.done
		d.t.Error("the daemon did not stop")
	}
}

// kill ends the process as a power cut would, and starts it again.
func (d *daemon) killAndStart() {
	d.t.Helper()
	d.stop(syscall.SIGKILL)
	d.start()
}

func (d *daemon) url(path string) string { return "http://" + d.addr + path }

func (d *daemon) admin() string {
	raw, err := os.ReadFile(filepath.Join(d.dir, "data", "admin.token"))
	require.NoError(d.t, err)
	return strings.TrimSpace(string(raw))
}

// call sends a request as the administrator; out may be nil.
func (d *daemon) call(method, path string, in, out any) int {
	d.t.Helper()
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		require.NoError(d.t, err)
		body = bytes.NewReader(raw)
	}
	status, raw := send(d.t, method, d.url(path), "Bearer "+d.admin(), body)
	if out != nil && status < 300 {
		require.NoError(d.t, json.Unmarshal(raw, out), "%s", raw)
	}
	return status
}

func send(t *testing.T, method, url, auth string, body io.Reader) (int, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	require.NoError(t, err)
	req.Header.Set("Authorization", auth)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, raw
}

func (d *daemon) eventually(within time.Duration, what string, f func() bool) {
	d.t.Helper()
	require.Eventually(d.t, f, within, 100*time.Millisecond, what)
}

// What is read of the API.
type (
	incidentDoc struct {
		ID    string `json:"id"`
		Title string `json:"title"`
		State string `json:"state"`
		Slice map[string]string
		Via   string `json:"acknowledged_via"`
		By    struct {
			Person string `json:"person"`
		} `json:"acknowledged_by"`
		Ticket struct {
			Ref struct {
				ID string `json:"id"`
			} `json:"ref"`
			Error     string `json:"error"`
			Desired   uint64 `json:"desired_version"`
			Delivered uint64 `json:"delivered_version"`
			Observed  string `json:"observed_state"`
		} `json:"ticket"`
		Dashboard struct {
			Blob string `json:"blob"`
		} `json:"dashboard"`
		Pages []string `json:"pages"`
	}
	pageDoc struct {
		ID     string `json:"id"`
		Person string `json:"person"`
		To     string `json:"to"`
		State  string `json:"state"`
		AckURL string `json:"ack_url"`
	}
)

func list[T any](d *daemon, path string) []T {
	d.t.Helper()
	var page struct {
		Items []T `json:"items"`
	}
	d.call(http.MethodGet, path, nil, &page)
	return page.Items
}

func (d *daemon) incidents() []incidentDoc { return list[incidentDoc](d, "/api/v1/incidents") }

// incident waits for the only one, and for more to be true of it.
func (d *daemon) incident(within time.Duration, what string, is func(incidentDoc) bool) incidentDoc {
	d.t.Helper()
	var got incidentDoc
	d.eventually(within, what, func() bool {
		all := d.incidents()
		if len(all) == 0 {
			return false
		}
		require.Len(d.t, all, 1, "one fault is one incident")
		got = all[0]
		return is(got)
	})
	return got
}

func (d *daemon) senderToken() string {
	var made struct {
		Token string `json:"token"`
	}
	require.Equal(d.t, http.StatusCreated, d.call(http.MethodPost, "/api/v1/tokens", map[string]any{"name": "s", "role": "sender", "tenants": []string{"*"}}, &made))
	return made.Token
}
