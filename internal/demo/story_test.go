package demo

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// build makes the daemon from the tree under test.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tocsin")
	out, err := exec.Command("go", "build", "-o", bin, "../../cmd/tocsin").CombinedOutput()
	require.NoError(t, err, string(out))
	return bin
}

// told runs the story against a daemon of its own and gives what was printed.
func told(t *testing.T, change func(*Options)) (string, error) {
	t.Helper()
	d, err := StartDaemon(t.Context(), DaemonOptions{Binary: build(t), Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Stop()) })
	var out bytes.Buffer
	o := Options{Server: d.Server, Token: d.Token, TokenFile: d.TokenFile, Started: d.Started, Out: &out, Break: true, PictureDir: t.TempDir()}
	change(&o)
	err = Run(t.Context(), o)
	t.Log("\n" + out.String())
	if err != nil {
		t.Log(d.LastLog())
	}
	return out.String(), err
}

func TestStory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes three minutes")
	}
	var pictures string
	out, err := told(t, func(o *Options) { pictures = o.PictureDir })
	require.NoError(t, err)
	for _, step := range []Step{StepOnboard, StepHistory, StepLive, StepRetry, StepBreak, StepAlert, StepIncident, StepTicket, StepDashboard,
		StepPage, StepAcknowledge, StepMend, StepResolve} {
		require.Contains(t, out, "  "+string(step)+" ", "every step is shown")
	}
	require.NotContains(t, out, "\x1b", "no colour unless asked for")
	files, err := filepath.Glob(filepath.Join(pictures, "*.png"))
	require.NoError(t, err)
	require.Len(t, files, 1)
}

func TestStoryNeedsTheFault(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute and a half")
	}
	out, err := told(t, func(o *Options) { o.Break = false })
	var step *StepError
	require.True(t, errors.As(err, &step), "the story was told although nothing broke: %v", err)
	require.Equal(t, StepAlert, step.Step, err)
	require.Contains(t, out, "left whole")
}

func TestADaemonThatEndsSaysWhy(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "tocsin")
	require.NoError(t, os.WriteFile(bin, []byte("#!/bin/sh\necho \"got $1\"\necho no disk >&2\nexit 3\n"), 0o700))
	_, err := StartDaemon(t.Context(), DaemonOptions{Binary: bin, Dir: t.TempDir()})
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "got serve")
	require.ErrorContains(t, err, "no disk")

	require.NoError(t, os.WriteFile(bin, []byte("#!/bin/sh\necho up\nexec tail -f /dev/null\n"), 0o700))
	began := time.Now()
	_, err = StartDaemon(t.Context(), DaemonOptions{Binary: bin, Dir: t.TempDir(), Ready: 300 * time.Millisecond})
	require.ErrorContains(t, err, "did not become ready")
	require.Less(t, time.Since(began), drainWithin, "and it was ended when it was asked to")
}

func TestTheTailKeepsTheLastLines(t *testing.T) {
	var log tail
	for range logLines {
		_, _ = log.Write([]byte("old\n"))
	}
	_, _ = log.Write([]byte("new\nha"))
	_, _ = log.Write([]byte("lf"))
	last := log.last()
	require.Len(t, last, logLines+1)
	require.Equal(t, []string{"new", "half"}, last[logLines-1:])
	require.Equal(t, logLines-1, strings.Count(strings.Join(last, ","), "old"))
}
