package recorded

import (
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// chunked feeds a series from its chunks as they are stored, without the layers that a
// query goes through for each sample. Native histograms are passed over.
type chunked struct {
	chunks chunks.Iterator
	it     chunkenc.Iterator // of the open chunk; used again for the next
	open   bool
	held   bool   // next was decoded and not handed out
	next   Sample // at or behind the end that was asked for last
	from   int64
	to     int64 // chunks that begin there or later are not opened
}

// begin starts on what a selection holds of a series.
func (c *chunked) begin(s storage.ChunkSeries, from, to int64) {
	c.chunks = s.Iterator(c.chunks)
	c.open, c.held, c.from, c.to = false, false, from, to
}

func (c *chunked) before(end int64, to *Columns) error {
	if c.held {
		if c.next.T >= end {
			return nil
		}
		to.add(c.next.T, c.next.V)
		c.held = false
	}
	for c.open || c.nextChunk() {
		switch c.it.Next() {
		case chunkenc.ValFloat:
			t, v := c.it.At()
			if t >= end {
				c.next, c.held = Sample{t, v}, true
				return nil
			}
			if t >= c.from {
				to.add(t, v)
			}
		case chunkenc.ValNone:
			c.open = false
			if err := c.it.Err(); err != nil {
				return err
			}
		}
	}
	return c.chunks.Err()
}

// nextChunk opens the next chunk of the stretch, if there is one.
func (c *chunked) nextChunk() bool {
	if !c.chunks.Next() {
		return false
	}
	m := c.chunks.At()
	if m.MinTime >= c.to {
		return false
	}
	c.it, c.open = m.Chunk.Iterator(c.it), true
	return true
}

// listed feeds a series from samples in memory; of several at one time the first counts.
type listed struct {
	rest []Sample
	last int64
}

func (l *listed) before(end int64, to *Columns) error {
	for len(l.rest) > 0 && l.rest[0].T < end {
		if x := l.rest[0]; x.T != l.last {
			to.add(x.T, x.V)
			l.last = x.T
		}
		l.rest = l.rest[1:]
	}
	return nil
}
