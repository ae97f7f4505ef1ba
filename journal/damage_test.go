package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
)

// written makes a journal of some records, closed cleanly or (crash) as it lay
// on disk just before, and gives its last segment.
func written(t *testing.T, crash bool, bodies ...string) (name string, raw []byte) {
	t.Helper()
	dir := t.TempDir()
	j := open(t, dir, Options{})
	add(t, j, bodies...)
	name = filepath.Join(dir, segmentName(1))
	if crash {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, j.Close())
		return name, raw
	}
	require.NoError(t, j.Close())
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	return name, raw
}

func TestATornTailIsCutOffAtEveryByte(t *testing.T) {
	name, raw := written(t, true, "first", "second", "the last record")
	lastStart := len(raw) - len(encodeFrame(record("the last record")))
	for cut := lastStart; cut < len(raw); cut++ {
		require.NoError(t, os.WriteFile(name, raw[:cut], 0o600))
		j := open(t, filepath.Dir(name), Options{})
		require.Equal(t, []string{"first", "second"}, bodies(t, j, Position{}), "cut at %d", cut)
		require.Equal(t, float64(cut-lastStart), testutil.ToFloat64(j.metrics.truncated))
		require.Equal(t, int64(lastStart), j.Size())
		add(t, j, "more")
		require.Equal(t, []string{"first", "second", "more"}, bodies(t, j, Position{}))
		require.NoError(t, j.Close())
		j = open(t, filepath.Dir(name), Options{})
		require.Equal(t, []string{"first", "second", "more"}, bodies(t, j, Position{}))
		require.NoError(t, j.Close())
	}
}

func TestATornTailMayBeZerosOrGarbage(t *testing.T) {
	name, raw := written(t, true, "first", "second")
	for _, tail := range [][]byte{make([]byte, 5000), bytes.Repeat(marker(), 100), encodeFrame(record("placed nowhere"))} {
		require.NoError(t, os.WriteFile(name, append(bytes.Clone(raw), tail...), 0o600))
		j := open(t, filepath.Dir(name), Options{})
		require.Equal(t, []string{"first", "second"}, bodies(t, j, Position{}))
		require.NoError(t, j.Close())
	}
}

// Of a group that was written and not yet synced, a power cut may keep the end
// and lose the beginning: nobody was promised either.
func TestAnUnsyncedGroupMayHaveHoles(t *testing.T) {
	name, raw := written(t, true, "first")
	synced := int64(len(raw))
	for _, body := range []string{"lost", "kept by chance"} {
		f := encodeFrame(record(body))
		place(f, int64(len(raw)), synced)
		raw = append(raw, f...)
	}
	raw[synced+frameHead+3] ^= 1
	require.NoError(t, os.WriteFile(name, raw, 0o600))
	j := open(t, filepath.Dir(name), Options{})
	require.Equal(t, []string{"first"}, bodies(t, j, Position{}))
}

func TestASegmentWithoutAStartIsMadeAnew(t *testing.T) {
	for size := range segmentHead {
		dir := t.TempDir()
		j := open(t, dir, Options{})
		end := add(t, j, "a")
		require.NoError(t, j.Close())
		require.NoError(t, os.WriteFile(filepath.Join(dir, segmentName(2)), encodeSegmentHead(2)[:size], 0o600))
		j = open(t, dir, Options{})
		add(t, j, "b")
		require.Equal(t, []string{"b"}, bodies(t, j, end))
		require.NoError(t, j.Close())
	}
}

func TestEveryBitFlipIsFound(t *testing.T) {
	name, raw := written(t, false, "first", "second", "third")
	mark := len(raw) - frameHead - 1
	for i := range mark {
		damaged := bytes.Clone(raw)
		damaged[i] ^= 1 << (i % 8)
		require.NoError(t, os.WriteFile(name, damaged, 0o600))
		_, err := Open(filepath.Dir(name), Options{})
		require.True(t, problem.Is(err, problem.Internal), "byte %d: %v", i, err)
		require.ErrorContains(t, err, filepath.Base(name))
		require.ErrorContains(t, err, "at offset ")
		require.NotEmpty(t, problem.From(err).Hint)
		left, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, damaged, left, "what is damaged is left for whoever repairs it")
	}
}

func TestDamageInAnEarlierSegmentIsFound(t *testing.T) {
	dir := t.TempDir()
	o := Options{SegmentBytes: 200}
	j := open(t, dir, o)
	for i := range 20 {
		add(t, j, fmt.Sprint(i))
	}
	require.NoError(t, j.Close())
	name := filepath.Join(dir, segmentName(2))
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	replay := func() (n int, err error) {
		j, err := Open(dir, o)
		if err != nil {
			return 0, err
		}
		defer func() { require.NoError(t, j.Close()) }()
		return n, j.Replay(t.Context(), Position{}, func(Position, Record) error { n++; return nil })
	}
	_, err = replay()
	require.NoError(t, err)
	for i := range raw {
		damaged := bytes.Clone(raw)
		damaged[i] ^= 0x10
		require.NoError(t, os.WriteFile(name, damaged, 0o600))
		_, err := replay()
		require.True(t, problem.Is(err, problem.Internal), "byte %d: %v", i, err)
		require.ErrorContains(t, err, filepath.Base(name))
	}
	require.NoError(t, os.WriteFile(name, raw[:len(raw)-1], 0o600))
	_, err = replay()
	require.True(t, problem.Is(err, problem.Internal), "%v", err)
	require.NoError(t, os.Remove(name))
	_, err = replay()
	require.True(t, problem.Is(err, problem.Internal), "%v", err)
	require.ErrorContains(t, err, "missing")
}

func TestAPositionInsideARecordIsRefused(t *testing.T) {
	j := open(t, t.TempDir(), Options{})
	end := add(t, j, "a", "b")
	end.Offset -= 3
	err := j.Replay(t.Context(), end, func(Position, Record) error { return nil })
	require.True(t, problem.Is(err, problem.Internal), "%v", err)
}

// sickFile is a real segment file that can be made to fail.
type sickFile struct {
	segmentFile
	sync, write, truncate *atomic.Bool
}

func (f *sickFile) Sync() error {
	if f.sync.Load() {
		return syscall.EIO
	}
	return f.segmentFile.Sync()
}

func (f *sickFile) WriteAt(p []byte, off int64) (int, error) {
	if f.write.Load() { // half of it fits
		n, _ := f.segmentFile.WriteAt(p[:len(p)/2], off)
		return n, syscall.ENOSPC
	}
	return f.segmentFile.WriteAt(p, off)
}

func (f *sickFile) Truncate(size int64) error {
	if f.truncate.Load() {
		return syscall.EIO
	}
	return f.segmentFile.Truncate(size)
}

func openSick(t *testing.T, dir string, o Options) (j *Journal, sync, write, truncate *atomic.Bool) {
	t.Helper()
	sync, write, truncate = new(atomic.Bool), new(atomic.Bool), new(atomic.Bool)
	o.create = func(name string) (segmentFile, error) {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		return &sickFile{f, sync, write, truncate}, err
	}
	return open(t, dir, o), sync, write, truncate
}

func TestAFailedSyncPoisonsTheJournal(t *testing.T) {
	dir := t.TempDir()
	var told atomic.Int64
	j, sync, _, _ := openSick(t, dir, Options{OnCommit: func(cs []Committed) { told.Add(int64(len(cs))) }})
	end := add(t, j, "a")
	sync.Store(true)
	_, err := j.Append(t.Context(), record("b"), nil)
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	sync.Store(false) // a disk that is well again brings back no lost write
	_, err = j.Append(t.Context(), record("c"), nil)
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	require.Contains(t, problem.From(err).Hint, "restart")
	require.Equal(t, int64(1), told.Load())
	require.Equal(t, end, j.End())
	require.Equal(t, []string{"a"}, bodies(t, j, Position{}))
	require.NoError(t, j.Close())
	j = open(t, dir, Options{})
	require.Equal(t, "a", bodies(t, j, Position{})[0])
	add(t, j, "d")
}

func TestAFullDiskLeavesNoTraceAndHeals(t *testing.T) {
	for _, segment := range []int64{64 << 20, 100} { // in a segment, and when one is begun
		dir := t.TempDir()
		j, _, write, _ := openSick(t, dir, Options{SegmentBytes: segment})
		add(t, j, "a", "b")
		size := j.Size()
		write.Store(true)
		for range 3 {
			_, err := j.Append(t.Context(), record("lost"), nil)
			require.True(t, problem.Is(err, problem.NoSpace), "%v", err)
		}
		require.Equal(t, size, j.Size())
		write.Store(false)
		add(t, j, "c")
		require.Equal(t, []string{"a", "b", "c"}, bodies(t, j, Position{}))
		require.NoError(t, j.Close())
		j = open(t, dir, Options{})
		require.Equal(t, []string{"a", "b", "c"}, bodies(t, j, Position{}))
		require.Zero(t, testutil.ToFloat64(j.metrics.truncated))
	}
}

func TestAWriteThatCannotBeUndonePoisons(t *testing.T) {
	j, _, write, truncate := openSick(t, t.TempDir(), Options{})
	write.Store(true)
	truncate.Store(true)
	_, err := j.Append(t.Context(), record("a"), nil)
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	write.Store(false)
	truncate.Store(false)
	_, err = j.Append(t.Context(), record("b"), nil)
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
}

func FuzzDecode(f *testing.F) {
	for _, r := range []Record{{}, record("body"), {Kind: "k", Version: -3, Body: make([]byte, 300)}} {
		f.Add(encodeFrame(r)[frameHead:])
	}
	f.Add([]byte{payloadMark})
	f.Add([]byte{payloadRecord, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, p []byte) {
		r, ok, err := decodePayload(p)
		if err == nil && ok {
			again, ok, err := decodePayload(encodeFrame(r)[frameHead:])
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, r, again)
		}
		// As the only thing behind a valid header it must be read or refused, too.
		if len(p) > 0 {
			frame := seal(append(make([]byte, frameHead), p...))
			place(frame, segmentHead, segmentHead)
			h, err := decodeHeader(frame, segmentHead)
			require.NoError(t, err)
			require.Equal(t, len(p), h.length)
		}
		if len(p) >= frameHead {
			if h, err := decodeHeader(p, int64(binary.LittleEndian.Uint64(p[8:]))); err == nil {
				require.LessOrEqual(t, h.length, maxPayload)
			}
		}
	})
}
