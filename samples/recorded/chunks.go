package recorded

import (
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// ahead is how many samples of a series are decoded at once: enough that a chunk's
// state is looked at rarely, few enough that a hundred thousand series fit in memory.
const ahead = 16

// chunkwise is a stepper over a series' chunks as they are stored, without the layers
// that a query goes through for each sample. Native histograms are passed over.
type chunkwise struct {
	chunks  chunks.Iterator
	samples chunkenc.Iterator // of the chunk; nil: none is open
	until   int64             // chunks that begin later are not opened
	i, n    int
	failed  error
	read    [ahead]Sample
}

func newChunkwise(s storage.ChunkSeries, until int64) *chunkwise {
	return &chunkwise{chunks: s.Iterator(nil), until: until}
}

func (c *chunkwise) step() bool {
	if c.i++; c.i < c.n {
		return true
	}
	c.i, c.n = 0, 0
	for c.n == 0 {
		if c.samples == nil && !c.open() {
			return false
		}
		c.fill()
	}
	return true
}

// open opens the next chunk.
func (c *chunkwise) open() bool {
	if c.failed != nil || !c.chunks.Next() {
		return false
	}
	m := c.chunks.At()
	if m.MinTime > c.until {
		return false
	}
	c.samples = m.Chunk.Iterator(nil)
	return true
}

// fill decodes the next samples of the open chunk.
func (c *chunkwise) fill() {
	for c.n < ahead {
		switch c.samples.Next() {
		case chunkenc.ValFloat:
			x := &c.read[c.n]
			x.T, x.V = c.samples.At()
			c.n++
		case chunkenc.ValNone:
			c.failed, c.samples = c.samples.Err(), nil
			return
		}
	}
}

func (c *chunkwise) at() (int64, float64) { return c.read[c.i].T, c.read[c.i].V }

func (c *chunkwise) err() error {
	if c.failed != nil {
		return c.failed
	}
	return c.chunks.Err()
}
