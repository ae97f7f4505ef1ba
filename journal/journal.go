// Package journal is the owner's local journal: what was received, as it was
// received, on disk before it is acknowledged and in the order in which it is
// handed on.
//
// Records lie in segment files, each named by its number in hex. Writers wait
// together for one fsync. OnCommit, Append and Replay give the same order.
// Every position handed out is the end of a record: the place to go on from
// once the record has been dealt with.
//
// It knows frames and files, nothing of what a record means.
package journal

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store/disk"
)

// MaxRecordBytes bounds a record as stored: kind, header and body together.
const MaxRecordBytes = 256 << 20

// Record is one thing received. (Kind, Version) name the shape of Header and Body.
type Record struct {
	Kind    string
	Version int
	At      time.Time // when it was received; zero: when it is appended
	Header  []byte
	Body    []byte
}

// Committed is a record that is on disk. Position is its end: Replay from
// there gives what came after it. Attach is what was given to Append.
type Committed struct {
	Position
	Record Record
	Attach any
}

// Options of Open; the zero value works.
type Options struct {
	SegmentBytes int64 // a segment is closed when it has reached this; default 64 MiB, at most MaxBytes/4
	MaxBytes     int64 // bound of the whole journal; default 4 GiB
	// Appends are refused with less than MinFreeBytes (default 256 MiB) or
	// MinFreeRatio (default 0.02) of the disk free.
	MinFreeBytes uint64
	MinFreeRatio float64
	FreeSpace    func() (free, total uint64) // default: the disk that holds the journal
	// OnCommit gets what became durable, in the journal's order, from one
	// goroutine, before Append returns. Header and Body are only valid during
	// the call. It must not call Append.
	OnCommit   func([]Committed)
	Now        func() time.Time // default time.Now
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept and not shown

	create func(name string) (segmentFile, error) // tests make disks fail with it
}

// segmentFile is what the journal needs of a file it writes.
type segmentFile interface {
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// Journal is an append-only sequence of records. Safe for concurrent use.
type Journal struct {
	o       Options
	dir     string
	lock    io.Closer
	guard   disk.Guard
	metrics *metrics
	size    atomic.Int64 // bytes of all segments and of records on their way

	queue   chan *request
	closing chan struct{} // closed by Close: nothing more is queued
	stopped chan struct{} // closed when the commit goroutine has ended
	closed  sync.Once
	senders sync.WaitGroup // Appends that may still queue
	gate    sync.RWMutex   // write-locked by Close to stop Appends from entering
	shut    bool           // guarded by gate

	mu        sync.Mutex // guards what follows
	segments  []segment  // in order, without gaps; the last is written to
	end       Position
	poison    error
	replaying map[int]uint64 // first segment that each running Replay still needs
	replays   int

	active tail // owned by the commit goroutine once Open has returned
}

type segment struct {
	number uint64
	size   int64
}

// Open opens or makes the journal in dir and cuts off a record that was being
// written when the process died. A folder in use gives a Conflict, damage
// anywhere else an Internal that names file and offset.
func Open(dir string, o Options) (*Journal, error) {
	o.setDefaults()
	lock, err := disk.Lock(dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		o: o, dir: dir, lock: lock, guard: disk.NewGuard(dir, o.MinFreeBytes, o.MinFreeRatio, o.FreeSpace),
		queue: make(chan *request, 256), closing: make(chan struct{}), stopped: make(chan struct{}), replaying: map[int]uint64{},
	}
	if j.metrics, err = newMetrics(o.Registerer, j); err == nil {
		err = j.load()
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	go j.commitLoop()
	return j, nil
}

func (o *Options) setDefaults() {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 4 << 30
	}
	// The last segment cannot be trimmed; it must not fill the journal alone.
	o.SegmentBytes = max(1, min(o.SegmentBytes, o.MaxBytes/4))
	if o.OnCommit == nil {
		o.OnCommit = func([]Committed) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.create == nil {
		o.create = func(name string) (segmentFile, error) {
			return os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		}
	}
}

// Append writes rec and returns its end once it is durable and OnCommit has
// seen it. At MaxBytes it gives TooMany, on a nearly full disk NoSpace; after a
// failed fsync every Append gives Unavailable until the process is restarted.
// When ctx ends while the record is being written, it may or may not be kept.
func (j *Journal) Append(ctx context.Context, rec Record, attach any) (Position, error) {
	r, err := j.admit(ctx, rec, attach)
	if err != nil {
		return Position{}, j.metrics.outcome(err)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(queued, abandoned) {
			j.size.Add(-int64(len(r.frame)))
		}
		return Position{}, j.metrics.outcome(ctx.Err())
	}
	return r.end, j.metrics.outcome(r.err)
}

// admit checks the bounds and queues the record.
func (j *Journal) admit(ctx context.Context, rec Record, attach any) (*request, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if n := len(rec.Kind) + len(rec.Header) + len(rec.Body); n > MaxRecordBytes {
		return nil, problem.New(problem.TooLarge, "a record of %d bytes is larger than %d", n, MaxRecordBytes).WithHint("send smaller requests")
	}
	j.gate.RLock()
	if j.shut {
		j.gate.RUnlock()
		return nil, closedError()
	}
	j.senders.Add(1)
	j.gate.RUnlock()
	defer j.senders.Done()
	if err := j.failure(); err != nil {
		return nil, err
	}
	if j.guard.Below(1) {
		return nil, j.noSpace(nil)
	}
	if rec.At.IsZero() {
		rec.At = j.o.Now()
	}
	r := newRequest(rec, attach)
	n := int64(len(r.frame))
	if j.size.Add(n) > j.o.MaxBytes {
		j.size.Add(-n)
		return nil, problem.New(problem.TooMany, "the journal holds as much as it may and what reads it lags behind").
			WithHint("try again later; if it lasts, give tocsin more CPU or a larger journal").WithRetryAfter(5 * time.Second)
	}
	select {
	case j.queue <- r:
		return r, nil
	case <-ctx.Done():
		j.size.Add(-n)
		return nil, ctx.Err()
	}
}

// Size is the number of bytes on disk and on their way to it.
func (j *Journal) Size() int64 { return j.size.Load() }

// End is the position behind the last durable record.
func (j *Journal) End() Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.end
}

// Trim deletes the segments that lie wholly before upTo, the position up to
// which everybody has read. Segments that a Replay still needs stay.
func (j *Journal) Trim(upTo Position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	keep := upTo.Segment
	for _, n := range j.replaying {
		keep = min(keep, n)
	}
	for len(j.segments) > 1 && j.segments[0].number < keep {
		first := j.segments[0]
		if err := os.Remove(j.file(first.number)); err != nil {
			return problem.Wrap(err, problem.Unavailable, "a segment of the journal cannot be deleted").WithHint("check the folder %s", j.dir)
		}
		j.segments = j.segments[1:]
		j.size.Add(-first.size)
		if err := syncDir(j.dir); err != nil { // one by one: a crash leaves no gap
			return problem.Wrap(err, problem.Unavailable, "the folder of the journal cannot be synced").WithHint("check the disk of %s", j.dir)
		}
	}
	return nil
}

// Close writes what is queued, marks the end as a clean one and gives the
// folder back. Later Appends give Unavailable. Idempotent.
func (j *Journal) Close() error {
	var err error
	j.closed.Do(func() {
		j.gate.Lock()
		j.shut = true
		j.gate.Unlock()
		j.senders.Wait()
		close(j.closing)
		<-j.stopped
		err = errors.Join(j.active.close(j.failure() == nil), j.lock.Close())
	})
	return err
}

func (j *Journal) file(number uint64) string {
	return filepath.Join(j.dir, segmentName(number))
}

func (j *Journal) failure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.poison == nil {
		return nil
	}
	return problem.Wrap(j.poison, problem.Unavailable, "the journal failed").WithHint("check the disk of %s, then restart tocsin", j.dir)
}

func (j *Journal) noSpace(err error) error {
	return problem.Wrap(err, problem.NoSpace, "the disk is full or nearly so").WithHint("%s", j.guard.Hint(j.dir)).WithRetryAfter(10 * time.Second)
}

func closedError() error { return problem.New(problem.Unavailable, "the journal is closed") }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
