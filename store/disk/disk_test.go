package disk_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store/disk"
)

func TestGuardAsksForBytesAndRatio(t *testing.T) {
	free, total := uint64(0), uint64(0)
	g := disk.NewGuard(t.TempDir(), 100, 0.10, func() (uint64, uint64) { return free, total })
	for _, c := range []struct {
		free, total uint64
		share       float64
		low         bool
	}{
		{99, 500, 1, true},      // bytes rule
		{100, 500, 1, false},    // just enough
		{150, 2000, 1, true},    // 10% of 2000 rules
		{200, 2000, 1, false},   // just enough
		{60, 2000, 0.25, false}, // above a quarter
		{49, 2000, 0.25, true},  // below a quarter
		{0, 0, 1, false},        // cannot be told
	} {
		free, total = c.free, c.total
		require.Equal(t, c.low, g.Below(c.share), "%+v", c)
	}
	require.Contains(t, g.Hint("/data"), "/data")
}

func TestGuardReadsTheRealDisk(t *testing.T) {
	free, total := disk.NewGuard(t.TempDir(), 0, 0, nil).Space()
	require.Positive(t, total)
	require.LessOrEqual(t, free, total)
}

func TestLockNamesTheHolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	l, err := disk.Lock(dir)
	require.NoError(t, err)
	_, err = disk.Lock(dir)
	require.True(t, problem.Is(err, problem.Conflict), "%v", err)
	require.ErrorContains(t, err, "process "+strconv.Itoa(os.Getpid()))
	require.NotEmpty(t, problem.From(err).Hint)
	require.NoError(t, l.Close())
	l, err = disk.Lock(dir)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

func TestLockOfAFileIsRefusedWithAHint(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := disk.Lock(file)
	require.True(t, problem.Is(err, problem.Unavailable), "%v", err)
	require.NotEmpty(t, problem.From(err).Hint)
}
