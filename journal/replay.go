package journal

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Replay calls fn for every record behind from that was durable when Replay was
// called, in order, with the record's end. Header and Body are only valid during
// the call; fn's error ends Replay and is given back. A from that was trimmed
// away is NotFound, one that the journal has not reached or that is no end of a
// record a Conflict or Internal: both mean that from belongs to another journal.
func (j *Journal) Replay(ctx context.Context, from Position, fn func(Position, Record) error) error {
	segments, end, done, err := j.hold(from)
	if err != nil {
		return err
	}
	defer done()
	for _, seg := range segments {
		start := int64(segmentHead)
		if seg.number == from.Segment {
			start = max(start, from.Offset)
		}
		stop := seg.size
		if seg.number == end.Segment {
			stop = end.Offset
		}
		if err := j.replaySegment(ctx, seg.number, start, stop, fn); err != nil {
			return err
		}
	}
	return nil
}

// hold gives the segments from is followed by and keeps Trim off them until
// done is called.
func (j *Journal) hold(from Position) (segments []segment, end Position, done func(), err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := j.segments[0].number
	switch {
	case !from.IsZero() && from.Segment < first:
		return nil, end, nil, problem.New(problem.NotFound, "the journal in %s no longer holds what follows %s", j.dir, from).
			WithHint("it begins with segment %d; start from there, what lay between is lost", first)
	case j.end.Before(from):
		return nil, end, nil, problem.New(problem.Conflict, "the journal in %s ends at %s, before %s", j.dir, j.end, from).
			WithHint("the journal and the store do not belong together: restore both from one backup, or start from the journal's end")
	}
	i := 0
	for j.segments[i].number < from.Segment {
		i++
	}
	j.replays++
	id := j.replays
	j.replaying[id] = j.segments[i].number
	return slices.Clone(j.segments[i:]), j.end, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.replaying, id)
	}, nil
}

func (j *Journal) replaySegment(ctx context.Context, number uint64, start, stop int64, fn func(Position, Record) error) (err error) {
	if start >= stop {
		if start > stop {
			return j.damage(number, start, errors.New("the position lies behind the segment's end"))
		}
		return nil
	}
	s, err := openSegment(j.file(number), start)
	if err != nil {
		return j.damage(number, start, err)
	}
	defer func() { err = errors.Join(err, s.f.Close()) }()
	for s.offset < stop {
		if err := ctx.Err(); err != nil {
			return err
		}
		payload, err := s.next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the file is too short")
		}
		if err != nil {
			return j.damage(number, s.offset, err)
		}
		rec, ok, err := decodePayload(payload)
		if err != nil {
			return j.damage(number, s.offset, err)
		}
		if !ok {
			continue
		}
		if err := fn(Position{Segment: number, Offset: s.offset}, rec); err != nil {
			return err
		}
	}
	return nil
}
