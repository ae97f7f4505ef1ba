// Command install brings the peers that tests run against onto this machine:
// packages of Debian by apt (as root; elsewhere it prints the command), other
// programs built from their modules into the user's cache, and axe-core by npm. What is present is
// left alone.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/tocsin-alerting/tocsin/internal/peer"
)

func main() {
	if err := run(os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "install:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	aptErr := packages(out)
	for _, p := range peer.Programs() {
		bin, err := peer.Build(p, out)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(out, "%s: %s\n", p.Name, bin)
	}
	return errors.Join(aptErr, peer.FetchAxe(out))
}

// packages installs what is missing of the Debian packages.
func packages(out io.Writer) error {
	var missing []string
	for _, name := range append(append(peer.RTPackages(), peer.RedisPackages()...), "chromium", "fonts-dejavu-core") {
		if !installed(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		_, _ = fmt.Fprintln(out, "apt packages: all present")
		return nil
	}
	args := append([]string{"install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"}, missing...)
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		_, _ = fmt.Fprintf(out, "not installed, tests that need them are skipped; as root on Debian:\n  apt-get %s\n", strings.Join(args, " "))
		return nil
	}
	if err := apt(out, "update", "-qq"); err != nil {
		_, _ = fmt.Fprintln(out, "apt-get update failed, going on with the lists there are:", err)
	}
	return apt(out, args...)
}

func installed(name string) bool {
	b, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status}", name).Output()
	return err == nil && string(b) == "installed"
}

func apt(out io.Writer, args ...string) error {
	cmd := exec.Command("apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w", args[0], err)
	}
	return nil
}
