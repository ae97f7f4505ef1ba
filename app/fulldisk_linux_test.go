package app_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/config"
)

// smallDisk mounts a tmpfs of its own; skipped where that is not allowed.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a disk that can be filled needs the right to mount a tmpfs (root): %v", err)
	}
	t.Cleanup(func() { // runs after the app has stopped
		require.Eventually(t, func() bool { return syscall.Unmount(dir, 0) == nil }, 10*time.Second, 50*time.Millisecond)
	})
	return dir
}

func free(t *testing.T, dir string) uint64 {
	t.Helper()
	var s syscall.Statfs_t
	require.NoError(t, syscall.Statfs(dir, &s))
	return s.Bavail * uint64(s.Bsize)
}

// fill writes to the disk until no more than left is free; 0: until it is full.
func fill(t *testing.T, dir, name string, left uint64) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	block := make([]byte, 256<<10)
	for left == 0 || free(t, dir) > left {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return
		}
		require.NoError(t, err)
	}
}

// TestAFullDisk: below the watermark samples are refused with 507 while people and
// ticket systems go on; on a disk that is really full everything is refused and
// nothing breaks; with space again it goes on, and nothing that was accepted is lost.
func TestAFullDisk(t *testing.T) {
	disk := smallDisk(t, "96m")
	dir := filepath.Join(disk, "data")
	r := startWith(t, dir, func(c *config.Config) { c.Limits.MinFreeBytes = 32 << 20 })
	for _, id := range []string{"acme", "bolt"} {
		r.want(t, http.StatusCreated, http.MethodPut, "/api/v1/tenants/"+id, `{}`)
	}
	begin := time.Now().Add(-time.Minute)
	taken := 0 // samples that were answered with 2xx
	push := func() reply {
		got := r.push(t, r.admin, "", series(begin.Add(time.Duration(taken)*time.Millisecond), float64(taken+1), "payment_transactions_total", "tenant", "acme", "result", "success"))
		if got.Status == http.StatusNoContent {
			taken++
		}
		return got
	}
	require.Equal(t, http.StatusNoContent, push().Status)
	in := r.incident(t)

	fill(t, disk, "ballast", 24<<20)
	got := push()
	require.Equal(t, http.StatusInsufficientStorage, got.Status, got.Body)
	after, err := strconv.Atoi(got.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, after)
	require.Contains(t, got.Body, "free space")
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/status", "").Body, "507")
	r.want(t, http.StatusOK, http.MethodPost, "/api/v1/incidents/"+in.ID+"/acknowledge", `{}`)
	require.Eventually(t, func() bool {
		return strings.Contains(r.want(t, http.StatusOK, http.MethodGet, "/api/v1/tickets/"+in.Ticket.Ref.Number, "").Body, `"acknowledged"`)
	}, 20*time.Second, 50*time.Millisecond, "the ticket is told while the disk is nearly full")
	require.Equal(t, http.StatusInsufficientStorage, push().Status)

	fill(t, disk, "more", 0)
	require.Equal(t, http.StatusInsufficientStorage, push().Status)
	began := time.Now()
	note := r.do(t, call{Method: http.MethodPost, Path: "/api/v1/incidents/" + in.ID + "/notes", Token: r.admin, Body: `{"note":"on a full disk"}`})
	require.Contains(t, []int{http.StatusInsufficientStorage, http.StatusServiceUnavailable}, note.Status, note.Body)
	require.Less(t, time.Since(began), 15*time.Second, "nothing hangs")
	require.Equal(t, http.StatusOK, r.do(t, call{Method: http.MethodGet, Path: "/-/healthy"}).Status)
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/status", "").Body, "not even an acknowledgement")

	for _, f := range []string{"more", "ballast"} {
		require.NoError(t, os.Remove(filepath.Join(disk, f)))
	}
	require.Eventually(t, func() bool { return push().Status == http.StatusNoContent }, 20*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		return r.do(t, call{Method: http.MethodPost, Path: "/api/v1/incidents/" + in.ID + "/notes", Token: r.admin, Body: `{"note":"there is space again"}`}).Status == http.StatusOK
	}, 20*time.Second, 50*time.Millisecond)
	require.Equal(t, http.StatusNoContent, push().Status)
	whole := map[string]string{"acme": strconv.Itoa(taken)}
	require.Equal(t, whole, r.query(t, r.admin, "", "count_over_time(payment_transactions_total[1h])"), "what was accepted is there, before and after")
	require.NoError(t, r.Stop(t.Context()))
	r = startWith(t, dir, func(c *config.Config) { c.Limits.MinFreeBytes = 32 << 20 })
	require.Equal(t, whole, r.query(t, r.admin, "", "count_over_time(payment_transactions_total[1h])"))
	require.Contains(t, r.want(t, http.StatusOK, http.MethodGet, "/api/v1/incidents/"+in.ID, "").Body, "acknowledged")
}
