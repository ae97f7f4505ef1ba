// Package disk holds what must be asked of a disk before it is trusted with
// durable state: whether there is room left, and whether the folder is ours.
//
// It knows folders and bytes, nothing of what is stored in them.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Defaults of a Guard.
const (
	DefaultMinFreeBytes = 256 << 20
	DefaultMinFreeRatio = 0.02
)

// Guard says when a disk has too little room left to write to.
type Guard struct {
	// MinBytes and MinRatio (of the disk's size) must both be free.
	MinBytes uint64
	MinRatio float64
	// Space gives the bytes free for us and the size of the disk; 0 total
	// means that it cannot be told, which counts as enough.
	Space func() (free, total uint64)
}

// NewGuard fills in defaults for zero values: 256 MiB, 2% and the disk that
// holds dir.
func NewGuard(dir string, minBytes uint64, minRatio float64, space func() (free, total uint64)) Guard {
	g := Guard{MinBytes: minBytes, MinRatio: minRatio, Space: space}
	if g.MinBytes == 0 {
		g.MinBytes = DefaultMinFreeBytes
	}
	if g.MinRatio == 0 {
		g.MinRatio = DefaultMinFreeRatio
	}
	if g.Space == nil {
		g.Space = func() (uint64, uint64) {
			u, err := vfs.Default.GetDiskUsage(dir)
			if err != nil {
				return 0, 0
			}
			return u.AvailBytes, u.TotalBytes
		}
	}
	return g
}

// Below says whether less than share of the watermark is free; share 1 is the
// watermark itself, 0.25 a quarter of it.
func (g Guard) Below(share float64) bool {
	free, total := g.Space()
	if total == 0 {
		return false
	}
	need := max(float64(g.MinBytes), g.MinRatio*float64(total))
	return float64(free) < share*need
}

// Hint tells an operator what the guard asks for.
func (g Guard) Hint(dir string) string {
	return fmt.Sprintf("free space on the disk of %s: %d MiB and %g%% of the disk must stay free", dir, g.MinBytes>>20, g.MinRatio*100)
}

const (
	lockFile  = "LOCK"
	ownerFile = "OWNER"
)

// Lock makes dir (0700) when it is missing and takes it for this process until
// the result is closed. A folder that somebody else holds gives a Conflict that
// says who, one that cannot be written an Unavailable.
func Lock(dir string) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unwritable(err, dir)
	}
	owner := filepath.Join(dir, ownerFile)
	l, err := vfs.Default.Lock(filepath.Join(dir, lockFile))
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			return nil, unwritable(err, dir)
		}
		return nil, problem.Wrap(err, problem.Conflict, "the data folder %s is in use by %s", dir, holder(owner)).
			WithHint("stop that process first, or give this one a folder of its own with --storage.path")
	}
	if err := os.WriteFile(owner, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		_ = l.Close()
		return nil, unwritable(err, dir)
	}
	return &lock{Closer: l, owner: owner}, nil
}

type lock struct {
	io.Closer
	owner string
}

// Close gives the folder back.
func (l *lock) Close() error {
	_ = os.Remove(l.owner) // only words for people; the lock is what counts
	return l.Closer.Close()
}

func unwritable(err error, dir string) error {
	return problem.Wrap(err, problem.Unavailable, "the data folder %s cannot be used", dir).
		WithHint("it must be a folder that the user running tocsin may write to; choose another with --storage.path")
}

func holder(owner string) string {
	raw, err := os.ReadFile(owner)
	pid := strings.TrimSpace(string(raw))
	if _, bad := strconv.Atoi(pid); err != nil || bad != nil {
		return "another process"
	}
	return "process " + pid
}
