// Package e2e tests the built binary from outside, beside the real programs it
// works with. It knows the command line, the configuration file and the public
// API, and must import nothing of the daemon.
package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tocsin is the binary under test, built once a run.
var tocsin string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tocsin-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tocsin = filepath.Join(dir, "tocsin")
	if out, err := exec.Command("go", "build", "-o", tocsin, "../../cmd/tocsin").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// long marks a test that waits for detectors.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("waits for an alert to fire and to end")
	}
	t.Parallel()
}

// daemon is one installation: its folder and address stay when it is started
// again.
type daemon struct {
	url   string
	token string // the administrator's, once it was started
	dir   string // with tocsin.yaml, tocsin.log and data
	otlp  string // where OTLP over gRPC is served; empty: nowhere

	cmd  *exec.Cmd
	done chan error // what the process ended with
}

// install writes the files (names below the installation's folder) and chooses
// a free port. One of them may be tocsin.yaml.
func install(t *testing.T, files map[string]string) *daemon {
	t.Helper()
	d := &daemon{dir: t.TempDir()}
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d.url = "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	t.Cleanup(func() {
		if d.cmd != nil {
			_ = d.cmd.Process.Kill()
			<-d.done
		}
		if t.Failed() {
			raw, _ := os.ReadFile(filepath.Join(d.dir, "tocsin.log"))
			t.Logf("the daemon's last words:\n%s", raw[max(0, len(raw)-6000):])
		}
	})
	return d
}

// serveOTLP chooses a free port for OTLP over gRPC; before start.
func (d *daemon) serveOTLP(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d.otlp = l.Addr().String()
	require.NoError(t, l.Close())
}

func (d *daemon) data() string { return filepath.Join(d.dir, "data") }

// start runs the daemon until stop, kill or the test's end, and waits until it
// is ready.
func (d *daemon) start(t *testing.T) {
	t.Helper()
	args := []string{"serve", "--storage.path", d.data(), "--web.listen-address", strings.TrimPrefix(d.url, "http://"), "--otlp.listen-address", cmp.Or(d.otlp, "off")}
	if _, err := os.Stat(filepath.Join(d.dir, "tocsin.yaml")); err == nil {
		args = append(args, "--config.file", filepath.Join(d.dir, "tocsin.yaml"))
	}
	log, err := os.OpenFile(filepath.Join(d.dir, "tocsin.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer func() { _ = log.Close() }()
	cmd := exec.Command(tocsin, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.dir, log, log
	require.NoError(t, cmd.Start())
	d.cmd, d.done = cmd, make(chan error, 1)
	go func(done chan error) { done <- cmd.Wait() }(d.done)
	eventually(t, 30*time.Second, "the daemon to be ready", func(c *assert.CollectT) {
		raw, err := os.ReadFile(filepath.Join(d.data(), "admin.token"))
		require.NoError(c, err)
		res, err := http.Get(d.url + "/-/ready")
		require.NoError(c, err)
		_ = res.Body.Close()
		require.Equal(c, http.StatusOK, res.StatusCode)
		d.token = string(bytes.TrimSpace(raw))
	})
}

// stop asks the daemon to drain; it must end well within the time promised.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-d.done:
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		require.Fail(t, "the daemon did not end within 30 s of SIGTERM")
	}
	d.cmd = nil
}

// kill ends the daemon as a power cut would, as far as the process goes.
func (d *daemon) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, d.cmd.Process.Kill())
	<-d.done
	d.cmd = nil
}

// run runs a command of the binary against the daemon and gives what it printed.
func (d *daemon) run(t *testing.T, args ...string) string {
	t.Helper()
	args = append(args, "--server", d.url, "--token-file", filepath.Join(d.data(), "admin.token"))
	var errOut strings.Builder
	cmd := exec.Command(tocsin, args...)
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	require.NoError(t, err, "%v: %s", args, errOut.String())
	return string(out)
}

// raw makes one request to the API as the administrator.
func (d *daemon) raw(t require.TestingT, method, path string, body any, status int) []byte {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(t, err)
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, d.url+path, in)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+d.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, status, res.StatusCode, "%s %s: %s", method, path, out)
	return out
}

func get[T any](t require.TestingT, d *daemon, path string) T {
	var out T
	require.NoError(t, json.Unmarshal(d.raw(t, http.MethodGet, path, nil, http.StatusOK), &out))
	return out
}

// list reads a list of the API, which must fit into one answer.
func list[T any](t require.TestingT, d *daemon, path string) []T {
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	out := get[struct {
		Items []T
		Next  string
	}](t, d, path+sep+"limit=1000")
	require.Empty(t, out.Next)
	return out.Items
}

// sender makes a token that may send for every tenant and nothing else.
func (d *daemon) sender(t *testing.T) string {
	t.Helper()
	var out struct{ Token string }
	in := map[string]any{"name": "prometheus", "role": "sender", "tenants": []string{"*"}}
	require.NoError(t, json.Unmarshal(d.raw(t, http.MethodPost, "/api/v1/tokens", in, http.StatusCreated), &out))
	require.NotEmpty(t, out.Token)
	return out.Token
}

// query runs PromQL at this moment and gives the values by the label.
func (d *daemon) query(t require.TestingT, promql, label string) map[string]float64 {
	type row struct {
		Metric map[string]string
		Value  [2]any
	}
	got := get[struct {
		Status string
		Data   struct{ Result []row }
	}](t, d, "/prometheus/api/v1/query?"+url.Values{"query": {promql}}.Encode())
	require.Equal(t, "success", got.Status)
	out := map[string]float64{}
	for _, r := range got.Data.Result {
		var v float64
		_, err := fmt.Sscan(fmt.Sprint(r.Value[1]), &v)
		require.NoError(t, err)
		require.NotContains(t, out, r.Metric[label], "two results for one %s", label)
		out[r.Metric[label]] = v
	}
	return out
}

// metric adds up a metric of a text exposition over its series.
func metric(t require.TestingT, base, name string) (sum float64, series int) {
	res, err := http.Get(base + "/metrics")
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	for line := range strings.Lines(string(raw)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		var v float64
		_, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' ')+1:], &v)
		require.NoError(t, err)
		sum, series = sum+v, series+1
	}
	return sum, series
}

// eventually waits until check passes; it polls real programs.
func eventually(t *testing.T, within time.Duration, what string, check func(c *assert.CollectT)) {
	t.Helper()
	require.EventuallyWithT(t, check, within, 250*time.Millisecond, what)
}
