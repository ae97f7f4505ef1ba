package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// Prometheus is a running Prometheus server.
type Prometheus struct {
	URL string // http://127.0.0.1:port
	Dir string // its folder, with prometheus.yml and data
}

// Promtool finds Prometheus' command-line tool.
func Promtool(t testing.TB) string {
	t.Helper()
	bin, _, err := binary(promtool)
	if err == nil {
		_, err = os.Stat(bin)
	}
	if err != nil {
		missing(t, "module github.com/prometheus/prometheus, cmd/promtool; make test-deps builds it")
	}
	return bin
}

// StartPrometheus runs a Prometheus with the configuration (YAML) until the
// test ends; flags are added to its command line. Remote write is flushed
// within a second when it stops, and /-/reload is enabled.
func StartPrometheus(t testing.TB, config string, flags ...string) Prometheus {
	t.Helper()
	bin, _, err := binary(prometheus)
	if err == nil {
		_, err = os.Stat(bin)
	}
	if err != nil {
		missing(t, "module github.com/prometheus/prometheus; make test-deps builds it")
	}
	dir, addr := t.TempDir(), "127.0.0.1:"+strconv.Itoa(freePort(t))
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + addr, "--web.enable-lifecycle", "--storage.remote.flush-deadline=1s",
		"--log.level=warn"}, flags...)
	p := start(t, exec.Command(bin, args...), filepath.Join(dir, "out.log"))
	s := Prometheus{URL: "http://" + addr, Dir: dir}
	if err := p.answers(s.URL+"/-/ready", nil); err != nil {
		t.Fatalf("prometheus: %v", err)
	}
	return s
}
