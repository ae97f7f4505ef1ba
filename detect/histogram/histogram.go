// Package histogram is what has been learned of how long a cell's events take: for
// each bucket edge how many events its senders counted and how many of those took no
// longer. From it follows at which edge a slowing down shows best.
//
// It knows edges and counts. It must not know series, labels, tenants or thresholds
// of evidence; whether an edge is exceeded too often is detect's question.
//
// Units: edges are in the histogram's own unit (seconds), times are unix
// milliseconds. Nothing here is safe for use by two goroutines at once.
package histogram

import (
	"math"
	"slices"
)

const (
	fades    = 24 * 3.6e6 // ms after which an event counts 1/e
	mostTail = 0.1        // an edge is good when at most this share usually takes longer
	lastTail = 0.3        // an edge is used at all, when no better one is there
	slack    = 0.25       // of mostTail: an edge in use stays while it is no worse than this
	enough   = 50         // events after which an edge is known
)

// Edge is one bucket edge: of the N events counted by senders that have it, Below
// took no longer. Both fade.
type Edge struct{ Le, Below, N float64 }

// Shape is the learned distribution. The zero value has learned nothing.
type Shape struct {
	At    int64  // until when it has faded
	Edges []Edge // by Le
}

// Fade lets what was learned count less, once some minutes have passed.
func (s *Shape) Fade(at int64) {
	if s.At == 0 {
		s.At = at
	}
	if at-s.At < 60_000 {
		return
	}
	w := math.Exp(-float64(at-s.At) / fades)
	s.At = at
	for i := range s.Edges {
		s.Edges[i].Below *= w
		s.Edges[i].N *= w
	}
	s.Edges = slices.DeleteFunc(s.Edges, func(e Edge) bool { return e.N < 1e-3 })
}

// edge finds or makes the place of an edge. They are few, and counted in all the time: the
// first guess is where it was among those of whoever asks.
func (s *Shape) edge(le float64, guess int) int {
	if guess < len(s.Edges) && s.Edges[guess].Le == le {
		return guess
	}
	for i := range s.Edges {
		if s.Edges[i].Le == le {
			return i
		}
		if s.Edges[i].Le > le {
			s.Edges = slices.Insert(s.Edges, i, Edge{Le: le})
			return i
		}
	}
	s.Edges = append(s.Edges, Edge{Le: le})
	return len(s.Edges) - 1
}

// Below counts events that took no longer than le, and says where that edge is: a guess for
// the next time.
func (s *Shape) Below(le float64, guess int, n float64) (at int) {
	at = s.edge(le, guess)
	s.Edges[at].Below += n
	return at
}

// Seen counts n events of a sender that has these edges, which are sorted.
func (s *Shape) Seen(edges []float64, n float64) {
	next := 0
	for _, le := range edges {
		i := s.edge(le, next)
		s.Edges[i].N += n
		next = i + 1
	}
}

// Over is the share of events that usually takes longer than le, and how many events
// that rests on; 0 events: not known.
func (s *Shape) Over(le float64) (share, n float64) {
	for _, e := range s.Edges {
		if e.Le == le && e.N > 0 {
			return math.Min(math.Max(1-e.Below/e.N, 0), 1), e.N
		}
	}
	return 0, 0
}

// Choice is an edge to judge by. The zero value: none is known.
type Choice struct {
	Le    float64
	Usual float64 // share that takes longer, as learned
	Lower float64 // share that takes longer than the next lower edge: what Usual becomes when everything slows down by one bucket
	N     float64 // events that rests on
}

// Choose picks among the edges that the senders have (sorted, finite): the lowest one
// that at most a tenth of the events usually exceeds, because there a slowing down
// moves most events across; else the highest one, if it is any good. The one in use
// stays while it is about as good: each change forgets what a baseline learned.
func (s *Shape) Choose(have []float64, inUse float64) Choice {
	var best Choice
	lower := 1.0 // above zero seconds is everything
	for _, le := range have {
		share, n := s.Over(le)
		if n < enough {
			continue
		}
		c := Choice{Le: le, Usual: share, Lower: lower, N: n}
		lower = share
		if le == inUse && share <= mostTail*(1+slack) && c.Lower >= mostTail*(1-slack) {
			return c
		}
		if best.Le == 0 || best.Usual > mostTail {
			best = c
		}
	}
	if best.Usual > lastTail {
		return Choice{}
	}
	return best
}
