package backtest

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/pool"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/sources"
)

const (
	// window is how finely time passes: a sample counts as received within it.
	window = 5 * time.Second
	// settled is how long after the last sample time goes on: until steps that wait
	// are closed, but not until tenants count as blind.
	settled = time.Minute
	// ahead is how many windows after a cut are decoded with it: a series' chunk is far
	// away, and what comes next in it is near.
	ahead = 120
)

// Run reads the source once for all replays, which name tenants by the same label.
// progress, when not nil, is told how much of the time was read, 0..1, and how many
// samples.
//
// The recording is cut into some minutes. Each cut is decoded, then lived through by one
// tenant after the other, on all processors; then what they said is put in the order of
// time, while the next cut is decoded. A cut ends where something may change that concerns
// more than one tenant, so that the lines are those that Window and Take would give.
func Run(ctx context.Context, src recorded.Source, from, to time.Time, progress func(share float64, samples int64), replays ...*Replay) error {
	q := recorded.Query{From: from, To: to}
	for _, r := range replays {
		q.Metrics = append(q.Metrics, r.Metrics()...)
		if r.o.TenantLabel != replays[0].o.TenantLabel {
			return problem.New(problem.Invalid, "replays of one reading must name tenants by the same label")
		}
	}
	t := &reading{replays: replays, from: from, to: to, progress: progress}
	if err := src.Read(ctx, q, func(s recorded.Stretch) error { return t.stretch(ctx, s) }); err != nil {
		return err
	}
	// Steps that wait for their last series close, alerts that end are seen to end.
	for end := to; end.Before(to.Add(settled)); end = end.Add(window) {
		for _, r := range replays {
			if err := r.Window(end); err != nil {
				return err
			}
		}
	}
	return nil
}

// reading is a source that is being read.
type reading struct {
	replays  []*Replay
	from, to time.Time
	progress func(share float64, samples int64)
	told     time.Time
	count    int64
	owners   []*owner // of the runs of the stretch
	decoded  int64    // what is decoded of the stretch ends then, ms
}

// cut is some windows of a stretch.
type cut struct {
	ends  []int64 // of its windows, ms
	until int64   // what is decoded for it ends then; 0: it is decoded
	count atomic.Int64
}

func (c *cut) end() int64 { return c.ends[len(c.ends)-1] }

// stretch replays what is read at once.
func (t *reading) stretch(ctx context.Context, s recorded.Stretch) error {
	t.owners = owners(s.Runs, t.replays[0].o.TenantLabel)
	for _, r := range t.replays {
		r.expect(s.Runs, t.owners)
		r.seen(t.owners)
	}
	var ends []int64
	for end := s.From; end < s.To; {
		end = min(end+window.Milliseconds(), s.To)
		ends = append(ends, end)
	}
	t.decoded = 0
	next := t.plan(ends)
	err := parallel(len(t.owners), func(i int) error { return t.decode(s.Runs, t.owners[i], next) })
	for err == nil && next != nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		c := next
		for _, r := range t.replays {
			r.begin(time.UnixMilli(c.ends[0]).UTC())
			if r.o.Course != nil {
				for _, o := range t.owners {
					o.draw(s.Runs, r.o.Course)
				}
			}
			r.through(c)
		}
		ends = ends[len(c.ends):]
		if next = t.plan(ends); next == nil {
			err = parallel(len(t.replays), func(i int) error { t.replays[i].order(c); return nil })
		} else {
			err = t.both(s.Runs, c, next)
		}
		t.tell(c)
	}
	return err
}

// plan says what is replayed next of windows that end then; nil: there is nothing more.
func (t *reading) plan(ends []int64) *cut {
	if len(ends) == 0 {
		return nil
	}
	n := len(ends)
	for _, r := range t.replays {
		n = min(n, r.undisturbed(ends))
	}
	c := &cut{}
	if ends[0] > t.decoded {
		c.until = ends[min(n-1+ahead, len(ends)-1)]
		t.decoded = c.until
	}
	for ends[n-1] > t.decoded {
		n--
	}
	c.ends = ends[:n]
	for _, r := range t.replays {
		r.requests = r.senders.requests(ends[:n], r.requests[:0])
	}
	return c
}

// both orders what was said in a cut, in every replay, and decodes the next one beside it.
func (t *reading) both(runs []*recorded.Run, c, next *cut) error {
	return parallel(len(t.replays)+len(t.owners), func(i int) error {
		if i < len(t.replays) {
			t.replays[i].order(c)
			return nil
		}
		return t.decode(runs, t.owners[i-len(t.replays)], next)
	})
}

// decode readies what an owner sent in a cut.
func (t *reading) decode(runs []*recorded.Run, o *owner, c *cut) error {
	n, err := o.decode(runs, c)
	for _, r := range t.replays {
		r.count(o, c)
	}
	c.count.Add(int64(n))
	return err
}

// tell says how far it is.
func (t *reading) tell(c *cut) {
	t.count += c.count.Load()
	if end := time.UnixMilli(c.end()).UTC(); t.progress != nil && end.Sub(t.told) >= 10*time.Minute {
		t.told = end
		t.progress(float64(end.Sub(t.from))/float64(t.to.Sub(t.from)), t.count)
	}
}

// expect says which runs are read next, and of whom.
func (r *Replay) expect(runs []*recorded.Run, owners []*owner) {
	r.heard = r.heard[:0]
	for _, run := range runs {
		r.heard = append(r.heard, r.meet(run.Series))
	}
	for _, s := range r.subjects {
		s.owner = nil
	}
	for _, o := range owners {
		if s := r.subject(o.id); s != nil {
			s.owner = o
		}
	}
}

// undisturbed is how many of the windows that end then (ms) each tenant can live through
// alone: what changes tenants' rules happens in the first of a cut, and no factor holds
// from a moment within.
func (r *Replay) undisturbed(ends []int64) int {
	first := time.UnixMilli(ends[0])
	next := r.measureAt // the hour's figures are made of all that was before it
	if !first.Before(next) {
		next = first.Truncate(time.Hour).Add(time.Hour)
	}
	for _, e := range r.life {
		if e.at.After(first) {
			next = earlier(next, e.at)
			break
		}
	}
	for _, t := range r.turns {
		if t.at.After(first) {
			next = earlier(next, t.at)
			break
		}
	}
	last := min(next.UnixMilli()-1, pool.FactorMoment(first).UnixMilli())
	n := 1
	for n < len(ends) && ends[n] <= last {
		n++
	}
	return n
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// through has each tenant live through a cut that has begun and whose samples are counted.
func (r *Replay) through(c *cut) {
	r.dead = append(r.dead[:0], make([][]alert.Alert, len(c.ends))...)
	for i, window := range r.requests {
		r.senders.complete(i)
		r.dead[window] = r.hear(time.UnixMilli(c.ends[window]).UTC(), func(s *subject, source string, x sources.Silence) {
			s.silences = append(s.silences, silence{window, source, x})
		})
	}
	r.senders.complete(len(r.requests))
	first := time.UnixMilli(c.ends[0]).UTC()
	r.chain.take(r.dead[0], first)
	r.measure(first)
	_ = parallel(len(r.subjects), func(i int) error {
		r.subjects[i].watch(c, r.heard)
		return nil
	})
}

// order puts in the order of time what tenants said in a cut, and does what follows of it.
func (r *Replay) order(c *cut) {
	for window, end := range c.ends {
		r.now = time.UnixMilli(end).UTC()
		if window > 0 {
			r.chain.take(r.dead[window], r.now)
		}
		for _, s := range r.subjects {
			if s.next < len(s.said) && s.said[s.next].window == window {
				x, from := s.said[s.next], 0
				if s.next > 0 {
					from = s.said[s.next-1].told
				}
				r.pass(x.alerts, s.told[from:x.told])
				s.next++
			}
		}
		r.finish(r.now)
	}
}

// parallel calls do with 0..n-1, on every processor. It gives the first error by number.
func parallel(n int, do func(i int) error) error {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers <= 1 {
		for i := range n {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	}
	type failure struct {
		at  int
		err error
	}
	var next atomic.Int64
	failed := make([]failure, workers)
	var all sync.WaitGroup
	for w := range workers {
		failed[w].at = math.MaxInt
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil && i < failed[w].at {
					failed[w] = failure{i, err}
				}
			}
		})
	}
	all.Wait()
	return slices.MinFunc(failed, func(a, b failure) int { return cmp.Compare(a.at, b.at) }).err
}
