package history

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/tocsin-alerting/tocsin/samples"
	"github.com/tocsin-alerting/tocsin/samples/native"
)

// commitSize is the number of samples after which the writer commits though more
// is waiting; keepSeries how long a series' state outlives its last sample.
const (
	commitSize = 50_000
	keepSeries = time.Hour
)

// seriesState is what the one writer knows of a series.
type seriesState struct {
	ref    storage.SeriesRef
	labels labels.Labels
	last   int64 // time of its latest sample written here, in milliseconds
	value  uint64
	seen   time.Time
}

// seriesTable finds the state by the sender's id of the series, which is quick,
// and otherwise by labels, for the same labels may come under several ids.
type seriesTable struct {
	byID   map[uint64]*seriesState
	byHash map[uint64][]*seriesState
	swept  time.Time
}

func (t *seriesTable) init() {
	t.byID, t.byHash = map[uint64]*seriesState{}, map[uint64][]*seriesState{}
}

func (t *seriesTable) find(id uint64, ls labels.Labels) *seriesState {
	if st := t.byID[id]; st != nil && id != 0 {
		return st
	}
	h := ls.Hash()
	for _, st := range t.byHash[h] {
		if labels.Equal(st.labels, ls) {
			t.byID[id] = st
			return st
		}
	}
	st := &seriesState{labels: ls, last: math.MinInt64}
	t.byHash[h] = append(t.byHash[h], st)
	t.byID[id] = st
	return st
}

// sweep forgets series not seen for keepSeries, now and then.
func (t *seriesTable) sweep(now time.Time) {
	if now.Sub(t.swept) < keepSeries/4 {
		return
	}
	t.swept = now
	for id, st := range t.byID {
		if now.Sub(st.seen) > keepSeries {
			delete(t.byID, id)
		}
	}
	for h, list := range t.byHash {
		kept := list[:0]
		for _, st := range list {
			if now.Sub(st.seen) <= keepSeries {
				kept = append(kept, st)
			}
		}
		if t.byHash[h] = kept; len(kept) == 0 {
			delete(t.byHash, h)
		}
	}
}

// write is the one writer's loop. It ends when the store is closed and the queue
// empty.
func (s *Store) write() {
	defer close(s.done)
	for {
		items := s.take()
		if len(items) == 0 {
			return
		}
		n := s.commit(items)
		s.series.sweep(s.opts.Now())
		s.mu.Lock()
		s.waiting -= n
		s.metrics.queued.Set(float64(s.waiting))
		s.wake.Broadcast()
		s.mu.Unlock()
		for _, it := range items {
			if it.flush != nil {
				close(it.flush)
			}
		}
	}
}

// take waits for items and gives as many as make one commit.
func (s *Store) take() []item {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && !s.closed {
		s.wake.Wait()
	}
	n, size := 0, 0
	for n < len(s.queue) && size < commitSize {
		if b := s.queue[n].batch; b != nil {
			size += weight(b)
		}
		n++
	}
	items := slices.Clone(s.queue[:n])
	s.queue = slices.Delete(s.queue, 0, n)
	return items
}

// commit writes the batches in one transaction and returns how many samples they
// had. What was not written is counted with its reason.
func (s *Store) commit(items []item) (size int) {
	if !slices.ContainsFunc(items, func(it item) bool { return it.batch != nil }) {
		return 0
	}
	now := s.opts.Now()
	before := s.drops.read()
	app := s.db.Appender(context.Background())
	c := &tally{}
	var last any
	for _, it := range items {
		if it.batch == nil {
			continue
		}
		size += weight(it.batch)
		if it.mark != nil {
			last = it.mark
		}
		for i := range it.batch.Series {
			if it.batch.Series[i].Derived {
				continue
			}
			s.append(app, &it.batch.Series[i], now, c)
		}
	}
	middle := s.drops.read()
	start := time.Now()
	if err := app.Commit(); err != nil {
		s.opts.Logger.Error("metrics history: commit failed", "err", err, "samples", c.queued)
		s.metrics.count(dropFailed, c.queued)
		c.queued = 0
	} else if last != nil {
		s.written.Store(&mark{last})
	}
	s.metrics.commit.Observe(time.Since(start).Seconds())
	after := s.drops.read()
	s.account(c, before, middle, after)
	return size
}

// tally counts one commit.
type tally struct {
	queued, late                              int
	ahead, duplicate, conflict, tooOld, other int
}

// append hands one series' samples to the TSDB, after the checks it does not make.
func (s *Store) append(app storage.Appender, in *samples.Series, now time.Time, c *tally) {
	st := s.series.find(in.ID, in.Labels)
	st.seen = now
	latest, oldest := now.Add(s.opts.MaxAhead).UnixMilli(), now.Add(-s.opts.Retention).UnixMilli()
	for _, x := range in.Samples {
		bits := math.Float64bits(x.V)
		if !st.check(x.T, bits, latest, oldest, c) {
			continue
		}
		ref, err := app.Append(st.ref, st.labels, x.T, x.V)
		st.appended(ref, err, x.T, bits, c)
	}
	for _, x := range in.Histograms {
		bits := math.Float64bits(native.Sum(x.Int, x.Float))
		if !st.check(x.T, bits, latest, oldest, c) {
			continue
		}
		ref, err := app.AppendHistogram(st.ref, st.labels, x.T, x.Int, x.Float)
		st.appended(ref, err, x.T, bits, c)
	}
	for _, x := range in.Exemplars {
		s.exemplar(app, st, x)
	}
}

// check refuses what the TSDB would take or drop without a word. bits stand for
// the value: a histogram is told by its sum.
func (st *seriesState) check(t int64, bits uint64, latest, oldest int64, c *tally) bool {
	switch {
	case t > latest:
		c.ahead++
	case t < oldest:
		c.tooOld++
	case t == st.last && bits == st.value:
		c.duplicate++
	case t == st.last:
		c.conflict++
	default:
		return true
	}
	return false
}

// appended notes what the TSDB said.
func (st *seriesState) appended(ref storage.SeriesRef, err error, t int64, bits uint64, c *tally) {
	switch {
	case err == nil:
		st.ref = ref
		c.queued++
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		c.conflict++
		return
	case errors.Is(err, storage.ErrTooOldSample), errors.Is(err, storage.ErrOutOfOrderSample), errors.Is(err, storage.ErrOutOfBounds):
		return // the TSDB counts these itself
	default:
		c.other++
		return
	}
	if t < st.last {
		c.late++
		return
	}
	st.last, st.value = t, bits
}

// exemplar keeps one exemplar. The TSDB has room for so many of all series and
// takes a series' in order; what it does not take is counted.
func (s *Store) exemplar(app storage.Appender, st *seriesState, x exemplar.Exemplar) {
	if _, err := app.AppendExemplar(st.ref, st.labels, x); err != nil {
		s.metrics.dropped.WithLabelValues(dropExemplar).Inc()
	}
}

// weight is how much of the queue a batch takes.
func weight(b *samples.Batch) int { return b.Samples + b.Histograms + b.Exemplars }

// account turns the tally and what the TSDB's own counters say into our metrics.
// Samples that were taken, not rejected, and yet not appended were duplicates.
func (s *Store) account(c *tally, before, middle, after dropCounts) {
	m := s.metrics
	m.count(dropAhead, c.ahead)
	m.count(dropConflict, c.conflict)
	m.count(dropFailed, c.other)
	m.late.Add(float64(c.late))
	m.count(dropTooOld, c.tooOld+int(after.tooOld-before.tooOld)+int(after.outOfBounds-before.outOfBounds))
	m.count(dropOutOfOrder, int(after.outOfOrder-before.outOfOrder))
	appended := int(after.appended - middle.appended)
	silent := 0
	if c.queued > 0 {
		silent = c.queued - appended - int(after.rejected()-middle.rejected())
	}
	m.count(dropDuplicate, c.duplicate+max(silent, 0))
	m.written.Add(float64(appended))
}
