package peer

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Collector is a running OpenTelemetry collector.
type Collector struct {
	Address string // of OTLP over gRPC
	Log     string // file of what it prints
}

// StartCollector runs a collector with the configuration (YAML) until the test
// ends. It has the OTLP receiver, the batch processor and the exporters otlp and
// otlphttp; its receiver listens at ${env:OTLP_ADDRESS}.
func StartCollector(t testing.TB, config string) Collector {
	t.Helper()
	bin := built(t, otelcol)
	c := Collector{Address: "127.0.0.1:" + strconv.Itoa(freePort(t))}
	dir := t.TempDir()
	c.Log = filepath.Join(dir, "out.log")
	file := filepath.Join(dir, "otelcol.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "--config", file)
	cmd.Env = append(os.Environ(), "OTLP_ADDRESS="+c.Address)
	p := start(t, cmd, c.Log)
	if err := p.says(c.Log, "Everything is ready"); err != nil {
		t.Fatalf("otelcol: %v", err)
	}
	return c
}

// Telemetrygen runs telemetrygen with the arguments and waits for its end.
func Telemetrygen(t testing.TB, args ...string) {
	t.Helper()
	bin := built(t, telemetrygen)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, bin, args...).CombinedOutput(); err != nil {
		t.Fatalf("telemetrygen: %v\n%s", err, out)
	}
}

// built is the program's binary, or the end of the test.
func built(t testing.TB, p Program) string {
	t.Helper()
	bin, _, err := binary(p)
	if err == nil {
		_, err = os.Stat(bin)
	}
	if err != nil {
		missing(t, "module "+p.Package+"; make test-deps builds it")
	}
	return bin
}

// says waits until a process has written something to its log. That somebody listens says
// less: the receiver does before the pipelines behind it run.
func (p *process) says(log, what string) error {
	return p.until(func() bool {
		b, err := os.ReadFile(log)
		return err == nil && bytes.Contains(b, []byte(what))
	})
}

// until waits until something holds of a process.
func (p *process) until(holds func() bool) error {
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if holds() {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%w: %s", errEnded, p.tail())
		case <-deadline.C:
			return fmt.Errorf("no answer within %s: %s", startTimeout, p.tail())
		case <-tick.C:
		}
	}
}
