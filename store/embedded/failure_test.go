package embedded

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
	"github.com/tocsin-alerting/tocsin/store/cell"
)

// sickFS is a real file system whose files can be made to fail or hang.
type sickFS struct {
	vfs.FS
	full   atomic.Bool // writes give ENOSPC
	broken atomic.Bool // syncs give EIO
	mu     sync.RWMutex
}

func (fs *sickFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	return &sickFile{File: f, fs: fs}, err
}

func (fs *sickFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(from, to, c)
	return &sickFile{File: f, fs: fs}, err
}

type sickFile struct {
	vfs.File
	fs *sickFS
}

func (f *sickFile) Write(p []byte) (int, error) {
	if f.fs.full.Load() {
		return 0, &fsError{syscall.ENOSPC}
	}
	return f.File.Write(p)
}

func (f *sickFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *sickFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *sickFile) SyncTo(n int64) (full bool, err error) {
	err = f.sync(func() error { full, err = f.File.SyncTo(n); return err })
	return full, err
}

func (f *sickFile) sync(do func() error) error {
	f.fs.mu.RLock() // a test that holds the lock makes the disk hang
	defer f.fs.mu.RUnlock()
	if f.fs.broken.Load() {
		return &fsError{syscall.EIO}
	}
	return do()
}

type fsError struct{ err error }

func (e *fsError) Error() string { return "test: " + e.err.Error() }
func (e *fsError) Unwrap() error { return e.err }

func record(key string) store.Batch {
	return store.Batch{Puts: []store.Record{{Collection: "c", Key: key, Value: []byte("v")}}}
}

func openSick(t *testing.T, o Options) (*Store, *sickFS) {
	t.Helper()
	fs := &sickFS{FS: vfs.Default}
	o.fs, o.CommitTimeout, o.LeaseTime, o.Logger = fs, 300*time.Millisecond, time.Hour, slog.New(slog.DiscardHandler)
	s, err := Open(t.TempDir(), o)
	require.NoError(t, err)
	return s, fs
}

func TestAFullDiskGivesAnErrorAndHeals(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 40)
	s, fs := openSick(t, Options{FreeSpace: func() (uint64, uint64) { return free.Load(), 1 << 40 }})
	defer func() { require.NoError(t, s.Close()) }()
	l, err := s.Acquire(t.Context(), 1)
	require.NoError(t, err)
	require.NoError(t, l.Commit(t.Context(), record("before")))

	// The disk fills between the watermark's check and the write.
	fs.full.Store(true)
	began := time.Now()
	done := make(chan error, 1)
	s.guard.Space = spaceFor(fs, &free)
	go func() { done <- l.Commit(t.Context(), record("in flight")) }()
	select {
	case err = <-done:
	case <-time.After(20 * time.Second):
		require.Fail(t, "the commit hangs")
	}
	require.ErrorIs(t, err, store.ErrNoSpace)
	require.Less(t, time.Since(began), 10*time.Second)
	require.ErrorIs(t, l.Commit(t.Context(), record("later")), store.ErrNoSpace)
	require.ErrorIs(t, s.Offer(t.Context(), 2, store.Input{ID: "a"}), store.ErrNoSpace)

	fs.full.Store(false)
	free.Store(1 << 40)
	require.Eventually(t, func() bool { return s.Offer(t.Context(), 2, store.Input{ID: "a"}) == nil }, 20*time.Second, 20*time.Millisecond)
	require.ErrorIs(t, l.Commit(t.Context(), record("later")), store.ErrLeaseLost, "its outcome was unknown: the owner must read again")
	l, err = s.Acquire(t.Context(), 1)
	require.NoError(t, err)
	rs, err := s.Records(t.Context(), 1, "c", "", 0)
	require.NoError(t, err)
	require.Len(t, rs, 2, "the write that waited was made")
	require.NoError(t, l.Commit(t.Context(), record("after")))
}

// spaceFor says that there is room the first time it is asked, then what free says.
func spaceFor(fs *sickFS, free *atomic.Uint64) func() (uint64, uint64) {
	var asked atomic.Bool
	return func() (uint64, uint64) {
		if fs.full.Load() && asked.Swap(true) {
			return 0, 1 << 40
		}
		return free.Load(), 1 << 40
	}
}

func TestAHungDiskGivesAnErrorAndHeals(t *testing.T) {
	s, fs := openSick(t, Options{})
	defer func() { require.NoError(t, s.Close()) }()
	l, err := s.Acquire(t.Context(), 1)
	require.NoError(t, err)
	fs.mu.Lock()
	err = l.Commit(t.Context(), record("slow"))
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	require.True(t, problem.From(err).Retryable)
	require.ErrorIs(t, l.Renew(t.Context()), store.ErrLeaseLost)
	err = s.Offer(t.Context(), 2, store.Input{ID: "a"})
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	// An offer of an id that is there, but not known to be on disk, does not pretend.
	err = s.Offer(t.Context(), 2, store.Input{ID: "a"})
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	fs.mu.Unlock()

	require.Eventually(t, func() bool { return s.Offer(t.Context(), 2, store.Input{ID: "a"}) == nil }, 20*time.Second, 20*time.Millisecond)
	l, err = s.Acquire(t.Context(), 2)
	require.NoError(t, err)
	in, err := l.Inputs(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, in, 1)
	l, err = s.Acquire(t.Context(), 1)
	require.NoError(t, err)
	require.NoError(t, l.Commit(t.Context(), record("after")))
}

func TestARefusedSyncFailsTheStoreForGood(t *testing.T) {
	s, fs := openSick(t, Options{})
	l, err := s.Acquire(t.Context(), 1)
	require.NoError(t, err)
	require.NoError(t, l.Commit(t.Context(), record("before")))
	fs.broken.Store(true)
	err = l.Commit(t.Context(), record("lost"))
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	select {
	case <-s.Failed():
	case <-time.After(20 * time.Second):
		require.Fail(t, "the store does not say that it failed")
	}
	fs.broken.Store(false) // a disk that is well again brings back no lost write
	err = s.Offer(t.Context(), 1, store.Input{ID: "a"})
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	require.Contains(t, problem.From(err).Hint, "restart")
	_, err = s.Acquire(t.Context(), 2)
	require.Error(t, err)
	require.Error(t, s.Close())
}

// A power cut keeps what was synced and any part of the rest.
func TestAcknowledgedCommitsSurviveAPowerCut(t *testing.T) {
	mem := vfs.NewCrashableMem()
	dir := t.TempDir()
	s, err := Open(dir, Options{fs: mem})
	require.NoError(t, err)
	for p := range store.Partition(4) {
		l, err := s.Acquire(t.Context(), p)
		require.NoError(t, err)
		for i := range 50 {
			b := record(fmt.Sprint(i))
			b.Messages = []store.Message{{To: 9, Input: store.Input{ID: fmt.Sprintf("%d/%d", p, i)}}}
			require.NoError(t, l.Commit(t.Context(), b))
		}
	}
	require.NoError(t, s.Offer(t.Context(), 9, store.Input{ID: "last"}))
	cut := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0})
	require.NoError(t, s.Close())

	s, err = Open(dir, Options{fs: cut})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	for p := range store.Partition(4) {
		rs, err := s.Records(t.Context(), p, "c", "", 0)
		require.NoError(t, err)
		require.Len(t, rs, 50)
	}
	l, err := s.Acquire(t.Context(), 9)
	require.NoError(t, err)
	in, err := l.Inputs(t.Context(), 1000)
	require.NoError(t, err)
	require.Len(t, in, 201)
	require.Equal(t, "last", in[200].ID)
}

func FuzzDecode(f *testing.F) {
	f.Add(cell.Encode("input", 1, []byte(`{"id":"a","payload":{"x":1}}`)))
	f.Add(cell.Encode("", -1, nil))
	f.Add((&meta{Seq: 1, Consumed: 2}).encode())
	f.Add(encodeID(idConsumed, 7))
	f.Add(encodeConsumed(time.Unix(5, 0), "id"))
	f.Add([]byte{0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, c []byte) {
		if kind, version, data, err := cell.Decode(c); err == nil {
			again := cell.Encode(kind, version, data)
			k, v, d, err := cell.Decode(again)
			require.NoError(t, err)
			require.Equal(t, []any{kind, version, string(data)}, []any{k, v, string(d)})
		}
		if m, err := decodeMeta(c); err == nil {
			require.Equal(t, c, m.encode())
		}
		_, _ = cell.DecodeInput(c)
		_, _, _ = decodeID(c)
		_, _, _ = decodeConsumed(c)
	})
}
