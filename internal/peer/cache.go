package peer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Program is a peer that is built from its Go module, through a tools module
// that pins its version.
type Program struct {
	Name    string   // of the binary
	Folder  string   // of its module under tools; empty: the name
	Package string   // what go build is given
	Flags   []string // further build flags
	Recipe  string   // file of the module: what is built is a builder, which makes the program of it
}

// Programs lists what Build can build.
func Programs() []Program { return []Program{mailpit, prometheus, promtool, telemetrygen, otelcol} }

var (
	mailpit      = Program{Name: "mailpit", Package: "github.com/axllent/mailpit"}
	prometheus   = Program{Name: "prometheus", Package: "github.com/prometheus/prometheus/cmd/prometheus", Flags: []string{"-tags=remove_all_sd"}}
	promtool     = Program{Name: "promtool", Folder: "prometheus", Package: "github.com/prometheus/prometheus/cmd/promtool", Flags: []string{"-tags=remove_all_sd"}}
	telemetrygen = Program{Name: "telemetrygen", Package: "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen"}
	otelcol      = Program{Name: "otelcol", Package: "go.opentelemetry.io/collector/cmd/builder", Recipe: "otelcol.yaml"}
)

// Build makes the program unless the cache has it, and returns the path of the
// binary. Safe to call from several processes at once. Needs the Go command,
// and the module proxy for what is not in the module cache.
func Build(p Program, progress io.Writer) (string, error) {
	bin, dir, err := binary(p)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	unlock, err := lock(bin + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	args := append([]string{"build", "-p", "2", "-trimpath", "-buildvcs=false"}, p.Flags...)
	cmd := exec.Command("go", append(args, "-o", bin+".new", p.Package)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	cmd.Stdout, cmd.Stderr = progress, progress
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", p.Name, err)
	}
	if p.Recipe != "" {
		if err := cook(p, bin+".new", dir, progress); err != nil {
			return "", fmt.Errorf("build %s: %w", p.Name, err)
		}
	}
	return bin, os.Rename(bin+".new", bin)
}

// cook has the builder make the program and puts it into the builder's place.
// The recipe says that its output is below the working folder, in out.
func cook(p Program, builder, dir string, progress io.Writer) error {
	work, err := os.MkdirTemp(filepath.Dir(builder), p.Name+"-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	cmd := exec.Command(builder, "--config", filepath.Join(dir, p.Recipe))
	cmd.Dir, cmd.Env = work, append(os.Environ(), "GOWORK=off", "GOFLAGS=-trimpath -p=2 -buildvcs=false")
	cmd.Stdout, cmd.Stderr = progress, progress
	if err := cmd.Run(); err != nil {
		return err
	}
	return os.Rename(filepath.Join(work, "out", p.Name), builder)
}

// binary is where the program's binary lives, present or not, and the folder of
// its tools module. The name carries a hash of what pins the version.
func binary(p Program) (bin, dir string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", "", err
	}
	dir = filepath.Join(root, "tools", cmp.Or(p.Folder, p.Name))
	h := sha256.New()
	pins := []string{"go.mod", "go.sum"}
	if p.Recipe != "" {
		pins = append(pins, p.Recipe)
	}
	for _, name := range pins {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", "", err
		}
		_, _ = h.Write(b)
	}
	for _, flag := range p.Flags {
		_, _ = io.WriteString(h, flag)
	}
	cache, err := cacheDir("bin")
	if err != nil {
		return "", "", err
	}
	return filepath.Join(cache, p.Name+"-"+hex.EncodeToString(h.Sum(nil))[:12]), dir, nil
}

// moduleRoot is the nearest folder upwards that holds both go.mod and tools.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, mod := os.Stat(filepath.Join(dir, "go.mod"))
		_, tools := os.Stat(filepath.Join(dir, "tools"))
		if mod == nil && tools == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("not inside the module: no go.mod beside a tools folder")
		}
		dir = up
	}
}

// cacheDir makes and returns a folder of the user's cache.
func cacheDir(name string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "tocsin-peers", name)
	return dir, os.MkdirAll(dir, 0o755)
}

// lock waits for the file's lock, which also holds against other processes.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
