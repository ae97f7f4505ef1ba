package journal

import (
	"bytes"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// States of a request: whoever moves it on from queued decides.
const (
	queued int32 = iota
	taken
	abandoned
)

// request is an Append waiting to become durable.
type request struct {
	frame  []byte
	record Record // aliases frame
	attach any
	state  atomic.Int32
	done   chan struct{} // closed after end and err are set
	end    Position
	err    error
}

func newRequest(rec Record, attach any) *request {
	r := &request{frame: encodeFrame(rec), attach: attach, done: make(chan struct{})}
	r.record, _, _ = decodePayload(r.frame[frameHead:]) // the caller may reuse its own bytes
	return r
}

// How much is written before one fsync.
const (
	groupRequests = 256
	groupBytes    = 8 << 20
	directBytes   = 32 << 10 // frames of this size are written as they are, smaller ones together
)

// tail is the segment that is written to; all before offset is on disk.
type tail struct {
	f      segmentFile
	number uint64
	offset int64
}

// close marks a clean end, if the journal is sound.
func (t *tail) close(sound bool) error {
	if !sound {
		return t.f.Close()
	}
	m := markFrame()
	place(m, t.offset, t.offset)
	_, err := t.f.WriteAt(m, t.offset)
	if err == nil {
		err = t.f.Sync()
	}
	return errors.Join(err, t.f.Close())
}

// commitLoop is the one goroutine that writes.
func (j *Journal) commitLoop() {
	defer close(j.stopped)
	for {
		select {
		case r := <-j.queue:
			j.commit(j.gather(r))
		case <-j.closing: // nothing is queued any more
			for {
				select {
				case r := <-j.queue:
					j.commit(j.gather(r))
				default:
					return
				}
			}
		}
	}
}

// gather takes first and what else waits, up to the end of the segment.
func (j *Journal) gather(first *request) []*request {
	var group []*request
	bytes := int64(0)
	take := func(r *request) {
		if r.state.CompareAndSwap(queued, taken) {
			group = append(group, r)
			bytes += int64(len(r.frame))
		}
	}
	take(first)
	for len(group) < groupRequests && bytes < groupBytes && j.active.offset+bytes < j.o.SegmentBytes {
		select {
		case r := <-j.queue:
			take(r)
		default:
			return group
		}
	}
	return group
}

// commit makes a group durable, tells OnCommit and then the writers.
func (j *Journal) commit(group []*request) {
	if len(group) == 0 {
		return
	}
	err := j.failure()
	if err == nil {
		err = j.persist(group)
	}
	if err == nil {
		committed := make([]Committed, len(group))
		for i, r := range group {
			committed[i] = Committed{Position: r.end, Record: r.record, Attach: r.attach}
		}
		j.o.OnCommit(committed)
	}
	for _, r := range group {
		if err != nil {
			j.size.Add(-int64(len(r.frame)))
			r.end, r.err = Position{}, err
		}
		close(r.done)
	}
}

func (j *Journal) persist(group []*request) error {
	if err := j.rotate(); err != nil {
		return err
	}
	t, offset := &j.active, j.active.offset
	total := int64(0)
	for _, r := range group {
		place(r.frame, offset, t.offset)
		offset += int64(len(r.frame))
		total += int64(len(r.frame))
		r.end = Position{Segment: t.number, Offset: offset}
	}
	if err := t.write(group); err != nil {
		if undo := t.f.Truncate(t.offset); undo != nil {
			return j.fail(errors.Join(err, undo))
		}
		if errors.Is(err, syscall.ENOSPC) {
			return j.noSpace(err)
		}
		return problem.Wrap(err, problem.Unavailable, "the journal cannot be written").WithHint("check the disk of %s", j.dir)
	}
	began := time.Now() // for the histogram only
	if err := t.f.Sync(); err != nil {
		return j.fail(err) // what is on disk now nobody knows
	}
	j.metrics.sync.Observe(time.Since(began).Seconds())
	j.metrics.records.Add(float64(len(group)))
	j.metrics.bytes.Add(float64(total))
	t.offset = offset
	j.mu.Lock()
	defer j.mu.Unlock()
	j.end = Position{Segment: t.number, Offset: offset}
	j.segments[len(j.segments)-1].size = offset
	return nil
}

// write writes the group's frames behind each other.
func (t *tail) write(group []*request) error {
	at := t.offset
	var small bytes.Buffer
	flush := func() error {
		n, err := t.f.WriteAt(small.Bytes(), at)
		at += int64(n)
		small.Reset()
		return err
	}
	for _, r := range group {
		if len(r.frame) < directBytes {
			small.Write(r.frame)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		n, err := t.f.WriteAt(r.frame, at)
		at += int64(n)
		if err != nil {
			return err
		}
	}
	return flush()
}

// rotate begins a new segment when the one written to is full.
func (j *Journal) rotate() error {
	if j.active.offset < j.o.SegmentBytes {
		return nil
	}
	number := j.active.number + 1
	f, err := j.begin(number)
	if err != nil {
		_ = os.Remove(j.file(number)) // nothing is in it; the next attempt makes it anew
		if errors.Is(err, syscall.ENOSPC) {
			return j.noSpace(err)
		}
		return problem.Wrap(err, problem.Unavailable, "a segment of the journal cannot be made").WithHint("check the disk of %s", j.dir)
	}
	if err := j.active.f.Close(); err != nil { // it was synced
		j.o.Logger.Warn("a segment of the journal was not closed", "error", err)
	}
	j.active = tail{f: f, number: number, offset: segmentHead}
	j.size.Add(segmentHead)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.segments = append(j.segments, segment{number: number, size: segmentHead})
	j.end = Position{Segment: number, Offset: segmentHead}
	return nil
}

// begin makes an empty segment that survives a crash.
func (j *Journal) begin(number uint64) (segmentFile, error) {
	f, err := j.o.create(j.file(number))
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt(encodeSegmentHead(number), 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(j.dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// fail poisons the journal.
func (j *Journal) fail(err error) error {
	j.o.Logger.Error("the journal failed; restart tocsin", "error", err)
	j.mu.Lock()
	if j.poison == nil {
		j.poison = err
	}
	j.mu.Unlock()
	return j.failure()
}
