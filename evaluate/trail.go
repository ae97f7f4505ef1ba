package evaluate

import (
	"math"
	"slices"

	"github.com/tocsin-alerting/tocsin/detect"
)

// Where nobody says how many customers fail, who is behind failures is told from what
// went on in all of a tenant's combinations meanwhile, and before.

const (
	trailBlock  = 120_000       // ms of a block at most; one begins with the first failure after a calm one
	trailBlocks = 64            // so that it reaches back over one customer's patience, and half an hour before
	trailFades  = 3 * 3_600_000 // ms after which what is older counts 1/e
)

// trail is what came to each combination of a meter of late.
type trail struct {
	of      []int // cells of the combinations
	blocks  []passed
	old     []float64 // successes of before the blocks, fading
	minutes float64   // that these came in
}

// passed is a stretch of time.
type passed struct {
	start, end int64
	minutes    float64 // that were observed
	failed     bool
	at         []tally // by combination; those born later are not in it
}

type tally struct{ n, k float32 }

// follow keeps the trail where it is needed.
func (m *meter) follow(step detect.Step, n, k []float64, alive int64) {
	if m.spec.Histogram != "" || len(m.joints) == 0 || !m.plain && m.cells[0].who(step.Start, alive) != nil {
		m.trail = nil
		return
	}
	if m.trail == nil {
		m.trail = &trail{}
	}
	m.trail.note(m, step, n, k)
}

// note adds a step.
func (t *trail) note(m *meter, step detect.Step, n, k []float64) {
	if len(t.of) < len(m.joints) {
		for ci, c := range m.cells {
			if c.joint != nil && !slices.Contains(t.of, ci) {
				t.of, t.old = append(t.of, ci), append(t.old, 0)
			}
		}
	}
	failed := slices.ContainsFunc(t.of, func(ci int) bool { return k[ci] > 0 })
	last := len(t.blocks) - 1
	if last < 0 || step.End-t.blocks[last].start > trailBlock || failed && !t.blocks[last].failed {
		t.begin(step.Start)
		last = len(t.blocks) - 1
	}
	b := &t.blocks[last]
	b.end, b.failed = step.End, b.failed || failed
	b.minutes += step.Coverage * float64(step.End-step.Start) / 60_000
	b.at = resized(b.at, len(t.of))
	for i, ci := range t.of {
		b.at[i].n, b.at[i].k = b.at[i].n+float32(n[ci]), b.at[i].k+float32(k[ci])
	}
}

// begin starts a block; what is too old goes into the sums.
func (t *trail) begin(start int64) {
	var free []tally
	if len(t.blocks) >= trailBlocks {
		b := t.blocks[0]
		fade := math.Exp(-float64(b.end-b.start) / trailFades)
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
	t.blocks = append(t.blocks, passed{start: start, at: free})
}
