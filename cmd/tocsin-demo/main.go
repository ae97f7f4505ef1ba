// Command tocsin-demo builds nothing and needs nothing but the tocsin binary:
// it starts the daemon in a temporary folder, plays a payments gateway to it,
// breaks an acquirer, and asserts what comes of it over the public API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tocsin-alerting/tocsin/internal/demo"
)

type flags struct {
	Tocsin   string `help:"The tocsin binary; default: beside this one." type:"path" placeholder:"PATH"`
	Break    bool   `help:"Break an acquirer; without it the demo must fail at the alert." default:"true" negatable:"" env:"BREAK"`
	Whole    bool   `help:"The same as --no-break."`
	Keep     bool   `help:"Leave the daemon and the traffic up until Ctrl-C." env:"KEEP"`
	Pictures string `help:"Folder for the incident's picture." type:"path" default:"${tmp}" placeholder:"DIR"`
	Seed     uint64 `help:"Seed of the simulated gateway." default:"1"`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("tocsin-demo"), kong.Description("Shows tocsin's main job from onboarding to the resolved ticket, and asserts it."),
		kong.UsageOnError(), kong.Vars{"tmp": os.TempDir()})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := tell(ctx, f)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "the demo failed:", err)
		os.Exit(1)
	}
}

// tell runs the daemon and the story, and ends the daemon whatever happened.
func tell(ctx context.Context, f flags) (err error) {
	binary := f.Tocsin
	if binary == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		binary = filepath.Join(filepath.Dir(self), "tocsin")
	}
	dir, err := os.MkdirTemp("", "tocsin-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.MkdirAll(f.Pictures, 0o755); err != nil {
		return err
	}
	d, err := demo.StartDaemon(ctx, demo.DaemonOptions{Binary: binary, Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	err = demo.Run(ctx, demo.Options{
		Server: d.Server, Token: d.Token, TokenFile: d.TokenFile, Started: d.Started,
		Out: os.Stdout, Color: terminal(os.Stdout), Break: f.Break && !f.Whole, Keep: f.Keep, Seed: f.Seed, PictureDir: f.Pictures,
	})
	if err != nil && ctx.Err() == nil {
		settle(d)
		err = fmt.Errorf("%w\n%s", err, d.LastLog())
	}
	return err
}

// settle waits a moment for the last words of a daemon that has just ended.
func settle(d *demo.Daemon) {
	t := time.NewTimer(200 * time.Millisecond)
	defer t.Stop()
	select {
	case <-d.Done():
	case <-t.C:
	}
}

// terminal says whether w shows colours and its user wants them.
func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
