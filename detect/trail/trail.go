// Package trail keeps what came of late to each combination of what is counted, a card
// payment through an acquirer, in blocks of a few minutes and what was before them. Where
// nobody says how many customers fail, who is behind failures is told from that.
//
// It does not know what the combinations are: a number is what one is called by, its index
// in what comes of a step. Times are unix milliseconds.
package trail

import (
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
)

// Most is how many combinations are told apart.
const Most = 32

const (
	longestBlock = 120_000       // ms of a block at most; one begins with the first failure after a calm one
	mostBlocks   = 64            // so that it reaches back over one customer's patience, and half an hour before
	fades        = 3 * 3_600_000 // ms after which what is older counts 1/e
)

// Trail is what came to each combination of late. The zero value knows none of them. It is
// not safe for concurrent use.
type Trail struct {
	of      []int // the combinations
	blocks  []block
	old     []float64 // successes of before the blocks, fading
	minutes float64   // that these came in
}

// block is a stretch of time.
type block struct {
	start, end int64
	minutes    float64 // that were observed
	failed     bool
	at         []tally // by combination; those born later are not in it
}

type tally struct{ n, k float32 }

// Combinations are what is kept apart, in the order in which they were added. It must not be
// changed.
func (t *Trail) Combinations() []int { return t.of }

// Add takes up a combination; one that is known changes nothing.
func (t *Trail) Add(combination int) {
	if !slices.Contains(t.of, combination) {
		t.of, t.old = append(t.of, combination), append(t.old, 0)
	}
}

// Note adds a step: of n events k failed, by combination.
func (t *Trail) Note(step detect.Step, n, k []float64) {
	failed := slices.ContainsFunc(t.of, func(i int) bool { return k[i] > 0 })
	last := len(t.blocks) - 1
	if last < 0 || step.End-t.blocks[last].start > longestBlock || failed && !t.blocks[last].failed {
		t.begin(step.Start)
		last = len(t.blocks) - 1
	}
	b := &t.blocks[last]
	b.end, b.failed = step.End, b.failed || failed
	b.minutes += step.Coverage * float64(step.End-step.Start) / 60_000
	if born := len(t.of) - len(b.at); born > 0 {
		b.at = append(b.at, make([]tally, born)...) // no more room than they take
	}
	for at, i := range t.of {
		b.at[at].n, b.at[at].k = b.at[at].n+float32(n[i]), b.at[at].k+float32(k[i])
	}
}

// begin starts a block; what is too old goes into the sums.
func (t *Trail) begin(start int64) {
	var free []tally
	if len(t.blocks) >= mostBlocks {
		b := t.blocks[0]
		fade := math.Exp(-float64(b.end-b.start) / fades)
		t.minutes = t.minutes*fade + b.minutes
		for i := range t.old {
			t.old[i] *= fade
			if i < len(b.at) {
				t.old[i] += float64(b.at[i].n - b.at[i].k)
			}
		}
		copy(t.blocks, t.blocks[1:])
		t.blocks, free = t.blocks[:len(t.blocks)-1], b.at[:0]
	}
	t.blocks = append(t.blocks, block{start: start, at: free})
}

// Sum is how many successes came to each combination, in so many minutes.
type Sum struct {
	Minutes float64
	Came    []float64 // by Combinations
}

// Older is what came before the blocks, fading. It must not be changed.
func (t *Trail) Older() Sum { return Sum{t.minutes, t.old} }

// Split puts what came since from into the scene, block by block, and gives what came in
// the blocks before.
func (t *Trail) Split(from int64, x *detect.Scene) Sum {
	before := Sum{Came: make([]float64, len(t.of))}
	x.Parts = make([]detect.Part, len(t.of))
	for _, b := range t.blocks {
		if b.end <= from {
			before.Minutes += b.minutes
			for i, v := range b.at {
				before.Came[i] += float64(v.n - v.k)
			}
			continue
		}
		x.Minutes += b.minutes
		x.Blocks = append(x.Blocks, b.minutes)
		for i := range t.of {
			v := tally{}
			if i < len(b.at) { // else it was born later
				v = b.at[i]
			}
			p := &x.Parts[i]
			p.Successes += float64(v.n - v.k)
			p.Failures += float64(v.k)
			p.Run = append(p.Run, float64(v.k))
		}
	}
	return before
}

// Start is when the block began that is the last but so many: 0 is the last.
func (t *Trail) Start(before int) int64 { return t.blocks[len(t.blocks)-1-before].start }
