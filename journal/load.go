package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-alerting/tocsin/problem"
)

// load finds the segments and opens the last one for writing.
func (j *Journal) load() error {
	numbers, err := j.list()
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the journal in %s cannot be read", j.dir).WithHint("check the folder and its disk")
	}
	if len(numbers) == 0 {
		return j.fresh(1)
	}
	total := int64(0)
	for i, n := range numbers {
		if i > 0 && n != numbers[i-1]+1 {
			return j.damage(numbers[i-1]+1, 0, errors.New("the file is missing"))
		}
		if i == len(numbers)-1 {
			break
		}
		size, err := j.checkHead(n)
		if err != nil {
			return err
		}
		j.segments = append(j.segments, segment{number: n, size: size})
		total += size
	}
	j.size.Add(total)
	return j.reopen(numbers[len(numbers)-1])
}

func (j *Journal) list() ([]uint64, error) {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, e := range entries {
		hex, is := strings.CutSuffix(e.Name(), ".journal")
		if n, err := strconv.ParseUint(hex, 16, 64); is && err == nil && segmentName(n) == e.Name() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// fresh begins segment n as the last.
func (j *Journal) fresh(n uint64) error {
	f, err := j.begin(n)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the journal in %s cannot be written", j.dir).WithHint("check the folder and its disk")
	}
	j.active = tail{f: f, number: n, offset: segmentHead}
	j.segments = append(j.segments, segment{number: n, size: segmentHead})
	j.end = Position{Segment: n, Offset: segmentHead}
	j.size.Add(segmentHead)
	return nil
}

func (j *Journal) checkHead(n uint64) (size int64, err error) {
	f, err := os.Open(j.file(n))
	if err != nil {
		return 0, j.damage(n, 0, err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, segmentHead)
	if _, err := io.ReadFull(f, head); err != nil || !checkSegmentHead(head, n) {
		return 0, j.damage(n, 0, errors.New("it does not start as a segment does"))
	}
	info, err := f.Stat()
	if err != nil {
		return 0, j.damage(n, 0, err)
	}
	return info.Size(), nil
}

// reopen checks every frame of the last segment and cuts off what a crash left
// unfinished.
func (j *Journal) reopen(n uint64) error {
	s, err := openSegment(j.file(n), segmentHead)
	if err != nil {
		return j.damage(n, 0, err)
	}
	end, err := j.whole(s, n)
	err = errors.Join(err, s.f.Close())
	if err != nil {
		return err
	}
	if end == 0 { // not even its start was written: nothing was ever in it
		j.cutOff(n, s.size)
		return j.fresh(n)
	}
	f, err := j.o.create(j.file(n))
	if err == nil && end < s.size {
		j.cutOff(n, s.size-end)
		if err = f.Truncate(end); err == nil {
			err = f.Sync()
		}
	}
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the journal in %s cannot be written", j.dir).WithHint("check the folder and its disk")
	}
	j.active = tail{f: f, number: n, offset: end}
	j.segments = append(j.segments, segment{number: n, size: end})
	j.end = Position{Segment: n, Offset: end}
	j.size.Add(end)
	return nil
}

// whole gives the end of the last whole frame of s, 0 when s has no start
// either. Damage to what was durable is an error.
func (j *Journal) whole(s *segmentReader, n uint64) (int64, error) {
	start := s.checkHead(n)
	for start {
		_, err := s.next()
		if errors.Is(err, io.EOF) {
			return s.offset, nil
		}
		if errors.Is(err, errFrame) {
			break
		}
		if err != nil {
			return 0, j.damage(n, s.offset, err)
		}
	}
	at := s.offset
	if !start {
		at = 0
	}
	sworn, err := s.swornBeyond(at)
	if err != nil {
		return 0, j.damage(n, at, err)
	}
	if sworn {
		return 0, j.damage(n, at, errFrame)
	}
	return at, nil
}

func (j *Journal) cutOff(n uint64, size int64) {
	j.metrics.truncated.Add(float64(size))
	j.o.Logger.Warn("the end of the journal was being written when the process died and is cut off; nobody was told that it was kept",
		"segment", segmentName(n), "bytes", size)
}

func (j *Journal) damage(n uint64, offset int64, err error) error {
	return problem.Wrap(err, problem.Internal, "the journal is damaged: %s at offset %d", j.file(n), offset).
		WithHint("restore the folder from a backup; or move %s away and start again: what it held and nobody had read is lost, cumulative counters repair themselves", j.dir)
}

// segmentReader reads the frames of one file in order.
type segmentReader struct {
	f      *os.File
	r      *bufio.Reader
	offset int64 // of the next frame
	size   int64
	buf    []byte
}

func openSegment(name string, offset int64) (*segmentReader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &segmentReader{f: f, r: bufio.NewReaderSize(f, 256<<10), offset: offset, size: info.Size()}, nil
}

func (s *segmentReader) checkHead(n uint64) bool {
	head := make([]byte, segmentHead)
	_, err := s.f.ReadAt(head, 0)
	return err == nil && checkSegmentHead(head, n)
}

// next gives the payload of the next frame, valid until the next call, and
// moves on; io.EOF at the end of the file, errFrame where there is no whole
// frame, in which case it does not move.
func (s *segmentReader) next() ([]byte, error) {
	if s.offset >= s.size {
		return nil, io.EOF
	}
	head := make([]byte, frameHead)
	if s.size-s.offset < frameHead {
		return nil, errFrame
	}
	if _, err := io.ReadFull(s.r, head); err != nil {
		return nil, err
	}
	h, err := decodeHeader(head, s.offset)
	if err != nil {
		return nil, err
	}
	if int64(h.length) > s.size-s.offset-frameHead {
		return nil, errFrame
	}
	s.buf = slices.Grow(s.buf[:0], h.length)[:h.length]
	if _, err := io.ReadFull(s.r, s.buf); err != nil {
		return nil, err
	}
	if sum(s.buf) != h.sum {
		return nil, errFrame
	}
	s.offset += frameHead + int64(h.length)
	return s.buf, nil
}

// swornBeyond says whether a frame behind offset at swears that what lies at
// offset at was durable.
func (s *segmentReader) swornBeyond(at int64) (bool, error) {
	rest := make([]byte, max(0, s.size-at))
	if _, err := s.f.ReadAt(rest, at); err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("reading on: %w", err)
	}
	for from := 0; ; from++ {
		i := bytes.Index(rest[from:], marker())
		if i < 0 {
			return false, nil
		}
		from += i
		if h, err := decodeHeader(rest[from:], at+int64(from)); err == nil && h.durable > at {
			return true, nil
		}
	}
}
