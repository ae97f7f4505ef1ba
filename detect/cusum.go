package detect

import "math"

// weights are the likelihood ratios of one alternative p1 against p0, in nats.
type weights struct {
	failure float64 // what one failure adds: ln(p1/p0)
	success float64 // what one success takes: ln((1-p0)/(1-p1))
}

func against(p0, p1 float64) weights {
	return weights{math.Log(p1 / p0), math.Log((1 - p0) / (1 - p1))}
}

func (w weights) evidence(n, k float64) float64 { return k*w.failure - (n-k)*w.success }

// slowAlternative is the small fault: three points more than usual, or half way to
// everything where there is no room for that; more where asked is more than that.
func slowAlternative(p0, asked float64) float64 {
	return max(min(p0+slowPoints, (1+p0)/2), min(asked, mostSlow))
}

// hardAlternative is the large fault: at least 60%, and half of what used to succeed.
func hardAlternative(p0 float64) float64 { return max(hardRatio, (1+p0)/2) }

// cusum is one sequential test: the evidence for its alternative since it was last zero.
type cusum struct {
	score   float64
	onset   int64   // start of the first bad step; 0 while score is 0
	lastBad int64   // end of the last step that added evidence
	n, k    float64 // as observed since onset
}

// span is how long the bad evidence lasts, from the first to the last bad step, in ms.
func (c *cusum) span() int64 { return c.lastBad - c.onset }

// guards are how long bad evidence must last, in ms of true time: that of a fault, and
// that of a total failure.
type guards struct{ slow, hard int64 }

// guarded is what closed steps of a length must show so that the evidence lasted for
// the guards. When between two scrapes a counter grew nobody knows, and a step that a
// burst merely touches is bad from its start to its end: a burst of 45 s touches up to
// two steps more than it fills. Of a total failure one step more is asked for: where
// 60% of all events since the onset failed, most of that time was bad.
func guarded(length int64) guards { return guards{slowGuard + 2*length, hardGuard + length} }

// sure is the guard of a total failure, once the step is added: what failed of all
// events since the onset is at least the part of that time that was bad, for no more
// than all can fail. Where that part alone is the guard and a quarter more, the step's
// blur needs no allowance.
func (c *cusum) sure(s *Step, guard int64) int64 {
	n, k := c.n+s.N, c.k+s.K
	if k < hardRatio*n {
		return guard
	}
	return min(guard, int64(1.25*hardGuard*n/k))
}

// add moves the test by a step whose evidence is x. A burst is held down twice: a
// step adds at most half of what is needed, and the score cannot rise above the
// share of the guard's time that bad evidence spans. So no burst shorter than the
// guard fires, however large, and none leaves behind a score that the next chance
// failure would complete. needed is also the ceiling, so that a long fault clears
// as soon as a short one.
func (c *cusum) add(s *Step, x, needed float64, guard int64) {
	if c.score == 0 {
		if !(x > 0) { // nor when it cannot be told
			return
		}
		*c = cusum{onset: s.Start}
	}
	c.n, c.k = c.n+s.N, c.k+s.K
	if x > needed/2 {
		x = needed / 2
	}
	c.score += x
	if c.score <= 0 {
		*c = cusum{}
		return
	}
	if x > 0 {
		c.lastBad = s.End
	}
	ceiling := needed
	if span := c.span(); span < guard {
		ceiling = needed * float64(span) / float64(guard)
	}
	if c.score > ceiling {
		c.score = ceiling
	}
}

// window counts the last six blocks of its time, so that it covers five to six of them.
type window struct {
	block [windowBlocks]struct{ n, k float32 }
	at    int32 // number of the newest block
}

const (
	windowBlocks = 6
	shortBlock   = 60_000  // ms: window_6m
	longBlock    = 600_000 // ms: window_1h
)

func (w *window) add(s *Step, n, k float64, length int64) {
	at, newest := int64(w.at), int64(w.at)
	if from := at * length; s.Start < from || s.Start >= from+length {
		at = s.Start / length
		for i := max(newest+1, at-windowBlocks+1, 0); i <= at; i++ {
			w.block[i%windowBlocks] = struct{ n, k float32 }{}
		}
		newest = max(newest, at)
		w.at = int32(min(newest, math.MaxInt32)) //nolint:gosec // minutes since 1970
	}
	if newest-at < windowBlocks {
		b := &w.block[uint64(at)%windowBlocks]
		b.n, b.k = b.n+float32(n), b.k+float32(k)
	}
}

func (w *window) sum() (n, k float64) {
	for _, b := range w.block {
		n, k = n+float64(b.n), k+float64(b.k)
	}
	return n, k
}
