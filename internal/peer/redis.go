package peer

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// redisPackages are the Debian packages of StartRedis and StartRedisCluster.
var redisPackages = []string{"redis-server", "redis-tools"}

// RedisPackages are the Debian packages that StartRedis needs.
func RedisPackages() []string { return redisPackages }

// Redis is one server; it can be killed and started again with what it kept.
type Redis struct {
	Addr string // host:port
	dir  string
	args []string
	p    *process
}

// StartRedis runs a server that keeps what it accepts, until the test ends;
// settings are added to its command line ("--appendfsync", "no").
func StartRedis(t testing.TB, settings ...string) *Redis {
	t.Helper()
	return startRedis(t, freePort(t), settings...)
}

func startRedis(t testing.TB, port int, settings ...string) *Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		missing(t, "apt package redis-server")
	}
	r := &Redis{Addr: "127.0.0.1:" + strconv.Itoa(port), dir: t.TempDir()}
	r.args = append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "yes",
		"--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--daemonize", "no"}, settings...)
	r.Start(t)
	return r
}

// Start runs a server that was killed again, on the same port and data.
func (r *Redis) Start(t testing.TB) {
	t.Helper()
	r.p = start(t, exec.Command("redis-server", r.args...), filepath.Join(r.dir, fmt.Sprintf("out.%d.log", time.Now().UnixNano())))
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		if r.Command("PING") == "PONG" {
			return
		}
		select {
		case <-r.p.done:
			t.Fatalf("redis-server: %v: %s", errEnded, r.p.tail())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server: no answer: %s", r.p.tail())
		}
	}
}

// Kill ends the server at once, as a crash would.
func (r *Redis) Kill() {
	_ = syscall.Kill(-r.p.cmd.Process.Pid, syscall.SIGKILL)
	<-r.p.done
}

// Signal sends a signal to the server, e.g. SIGSTOP.
func (r *Redis) Signal(s syscall.Signal) { _ = syscall.Kill(r.p.cmd.Process.Pid, s) }

// Command sends one command without spaces in its words and gives the answer, one
// short line without its mark; empty when there is none.
func (r *Redis) Command(words ...string) string {
	c, err := net.DialTimeout("tcp", r.Addr, time.Second)
	if err != nil {
		return ""
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte(strings.Join(words, " ") + "\r\n")); err != nil {
		return ""
	}
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil || n < 1 {
		return ""
	}
	line, rest, _ := strings.Cut(string(buf[1:n]), "\r\n")
	if buf[0] == '$' { // a length, then the text
		line, _, _ = strings.Cut(rest, "\r\n")
	}
	return line
}

// StartRedisCluster runs three masters that share the slots, until the test ends.
func StartRedisCluster(t testing.TB, settings ...string) []*Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-cli"); err != nil {
		missing(t, "apt package redis-tools")
	}
	nodes := make([]*Redis, 3)
	args := []string{"--cluster", "create"}
	for i := range nodes {
		bus := strconv.Itoa(freePort(t))
		nodes[i] = startRedis(t, freePort(t), append([]string{"--cluster-enabled", "yes", "--cluster-port", bus}, settings...)...)
		args = append(args, nodes[i].Addr)
	}
	out, err := exec.Command("redis-cli", append(args, "--cluster-yes")...).CombinedOutput()
	if err != nil {
		t.Fatalf("redis-cli --cluster create: %v: %s", err, out)
	}
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) { // they may still be joining
		ready := 0
		for _, n := range nodes {
			if n.clusterOK() {
				ready++
			}
		}
		if ready == len(nodes) {
			return nodes
		}
		if time.Now().After(deadline) {
			t.Fatalf("the Redis cluster did not come up: %s", out)
		}
	}
}

func (r *Redis) clusterOK() bool {
	host, port, _ := net.SplitHostPort(r.Addr)
	out, err := exec.Command("redis-cli", "-h", host, "-p", port, "cluster", "info").Output()
	return err == nil && strings.Contains(string(out), "cluster_state:ok")
}

// FlushRedis empties servers.
func FlushRedis(t testing.TB, nodes ...*Redis) {
	t.Helper()
	for _, n := range nodes {
		if got := n.Command("FLUSHALL"); got != "OK" {
			t.Fatalf("FLUSHALL: %q", got)
		}
	}
}

// Info gives one field of the server's INFO; empty when there is none.
func (r *Redis) Info(field string) string {
	host, port, _ := net.SplitHostPort(r.Addr)
	out, err := exec.Command("redis-cli", "-h", host, "-p", port, "info", "all").Output()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(out)) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
