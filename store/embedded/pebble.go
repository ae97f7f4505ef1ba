package embedded

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// pebbleOptions are for a laptop: at most about 50 MiB of memory.
func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          vfs.OnDiskFull(s.o.fs, s.diskFull),
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   16 << 20,
		MemTableSize:                8 << 20,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                256,
		Logger:                      pebbleLogger{s},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most ids offered are new
	}
	return o
}

// diskFull is called by Pebble's file system, with all its writes waiting, when
// one found no space; the write is tried once more when it returns. It waits
// until there is some: a log that cannot be written is the end of the database.
func (s *Store) diskFull() {
	s.full.Store(true)
	defer s.full.Store(false)
	s.o.Logger.Error("the disk is full; writes wait", "hint", s.guard.Hint(s.dir))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-tick.C:
			if !s.guard.Below(0.25) {
				s.o.Logger.Info("the disk has space again")
				return
			}
		}
	}
}

// pebbleLogger drops Pebble's chatter, and turns what would end the process
// into a failed store.
type pebbleLogger struct{ s *Store }

// Infof drops a line.
func (pebbleLogger) Infof(string, ...any) {}

// Errorf logs a line; Pebble goes on.
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.s.o.Logger.Warn("database", slog.String("error", fmt.Sprintf(format, args...)))
}

// Fatalf fails the store. It must not return: Pebble would go on with what it
// knows to be wrong, so its goroutine stops here for good.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.s.fail(fmt.Errorf(format, args...))
	select {}
}
