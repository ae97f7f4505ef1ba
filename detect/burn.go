package detect

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// BurnWindow is a pair of windows that must both spend the error budget of an
// objective faster than Factor times its even pace.
type BurnWindow struct {
	Name        string // as Decision.Test says it
	Long, Short int64  // ms
	Factor      float64
}

// BurnWindows are the pairs of the Google SRE workbook that page: 2% of a month's
// budget in an hour, 5% in six. The short window ends the alarm soon after the fault.
func BurnWindows() []BurnWindow {
	return []BurnWindow{
		{"burn_1h", 3_600_000, 300_000, 14.4},
		{"burn_6h", 6 * 3_600_000, 1_800_000, 6},
	}
}

// BurnParameters say what a Burn is held to.
type BurnParameters struct {
	Objective   float64 // share of events that must not fail, above 0 and below 1
	LeastEvents float64 // in the long window, below which nothing is said
	Young       bool    // only hard faults (at least 60% failing in the short window) may fire
}

// sum is what came from At on, for one unit of its level.
type sum struct {
	at, to int64
	n, k   float64
}

// levels are how finely a Burn counts: steps for five minutes, minutes for an hour,
// ten minutes for six hours. A window is summed from the finest level that reaches
// over it; of the oldest unit the part that lies in it.
var levels = [3]struct{ unit, span int64 }{{0, 300_000}, {60_000, 3_600_000}, {600_000, 6 * 3_600_000}}

// Burn judges a stream by how fast it spends an error budget. It learns nothing and
// has no share of a budget of false alarms: how often it is wrong nobody knows.
type Burn struct {
	last  int64 // end of the newest step
	sums  [3][]sum
	by    int // the pair that fires, from 1; 0: none
	onset int64
	hard  bool
}

// Step counts a closed step and says what follows.
func (b *Burn) Step(p BurnParameters, s Step) Decision {
	was := b.by
	if !s.usable() {
		if s.Start < 0 || s.End <= s.Start || s.Coverage < minCoverage || s.N > mostStep {
			return b.decision(p, was)
		}
		s.N, s.K = 0, 0 // nothing happened, and time goes on
	}
	if s.Start < b.last {
		return b.decision(p, was)
	}
	b.count(s)
	b.by = 0
	for i, w := range BurnWindows() {
		long, short := b.window(w.Long), b.window(w.Short)
		if !(long.n >= p.LeastEvents) || !(long.k > 0) || !(short.n > 0) {
			continue
		}
		allowed := w.Factor * (1 - p.Objective)
		if long.k/long.n > allowed && short.k/short.n > allowed && (!p.Young || was > 0 || short.k >= hardRatio*short.n) {
			b.by = i + 1
			break
		}
	}
	switch {
	case b.by > 0 && was == 0:
		b.onset, b.hard = b.began(p), false
	case b.by == 0 && was == 0:
		b.onset = 0
	}
	if short := b.window(levels[0].span); b.by > 0 && short.n > 0 && short.k >= hardRatio*short.n {
		b.hard = true
	}
	return b.decision(p, was)
}

func (b *Burn) count(s Step) {
	b.last = s.End
	for i, l := range levels {
		from, to := s.Start, s.End
		if l.unit > 0 {
			from = s.Start / l.unit * l.unit
			to = max(from+l.unit, s.End)
		}
		list := b.sums[i]
		if n := len(list); n > 0 && l.unit > 0 && list[n-1].at == from {
			list[n-1].n, list[n-1].k = list[n-1].n+s.N, list[n-1].k+s.K
		} else if s.N > 0 {
			list = append(list, sum{from, to, s.N, s.K})
		}
		oldest := s.End - l.span
		b.sums[i] = slices.DeleteFunc(list, func(v sum) bool { return v.to <= oldest })
	}
}

// window sums the last so many ms. A unit that has not ended yet has so far what
// came until now.
func (b *Burn) window(length int64) (out sum) {
	out.at, out.to = b.last-length, b.last
	for i, l := range levels {
		if length > l.span && i < len(levels)-1 {
			continue
		}
		for _, v := range b.sums[i] {
			part, to := 1.0, min(v.to, b.last)
			if to <= out.at {
				continue
			}
			if v.at < out.at {
				part = float64(to-out.at) / float64(to-v.at)
			}
			out.n, out.k = out.n+part*v.n, out.k+part*v.k
		}
		break
	}
	return out
}

// began is where the time begins that speaks most for a fault, as far as the long
// window of the pair that fires: in it more failed than at half the pace that fires.
func (b *Burn) began(p BurnParameters) int64 {
	w := BurnWindows()[b.by-1]
	level := b.sums[1]
	if w.Long > levels[1].span {
		level = b.sums[2]
	}
	best, total, onset := 0.0, 0.0, b.last-w.Short
	for _, v := range slices.Backward(level) {
		total += v.k - w.Factor/2*(1-p.Objective)*v.n
		if total > best {
			best, onset = total, max(v.at, b.last-w.Long)
		}
	}
	return onset
}

func (b *Burn) decision(p BurnParameters, was int) Decision {
	i := max(b.by, was, 1) - 1
	w := BurnWindows()[i]
	long := b.window(w.Long)
	d := Decision{Firing: b.by > 0, Changed: (b.by > 0) != (was > 0), Onset: b.onset, N: long.n, K: long.k,
		Usual: 1 - p.Objective, Upper: w.Factor * (1 - p.Objective), Needed: w.Factor, Test: w.Name, Hard: b.by > 0 && b.hard}
	if long.n > 0 {
		d.Score = long.k / long.n / (1 - p.Objective)
	}
	return d
}

// Seen is how long a fault lasts until it fires where that ratio usually fails, delta more
// does from its beginning, and so many events a minute come; ok is false when it never does.
// It is the mean's: what chance adds or takes is not in it.
func (p BurnParameters) Seen(usual, delta, perMinute float64) (after time.Duration, ok bool) {
	failing, best := math.Min(usual+delta, 1), math.Inf(1)
	for _, w := range BurnWindows() {
		allowed := w.Factor * (1 - p.Objective)
		if !(failing > allowed) || !(perMinute*float64(w.Long)/60_000 >= p.LeastEvents) {
			continue
		}
		part := func(window int64, least float64) float64 { // of a window that has the fault in it
			return float64(window) * math.Max(0, least-usual) / (failing - usual)
		}
		ms := part(w.Long, allowed)
		if p.Young {
			if failing < hardRatio {
				continue
			}
			ms = math.Max(ms, part(w.Short, hardRatio))
		}
		best = math.Min(best, ms)
	}
	return time.Duration(best * float64(time.Millisecond)), !math.IsInf(best, 1)
}

// MarshalBinary returns the state: kind, version, fields.
func (b *Burn) MarshalBinary() ([]byte, error) {
	w := writer{kindBurn, codecVersion}
	w.int(b.last)
	w.int(int64(b.by))
	w.int(b.onset)
	w.flag(b.hard)
	for _, list := range b.sums {
		w.int(int64(len(list)))
		at := b.last
		for _, v := range list {
			w.int(at - v.at)
			w.int(v.to - v.at)
			w.floats(v.n, v.k)
			at = v.at
		}
	}
	return w, nil
}

// UnmarshalBinary takes a state that MarshalBinary gave. On an error the detector is
// as it was.
func (b *Burn) UnmarshalBinary(data []byte) error {
	r, err := open(data, kindBurn)
	if err != nil {
		return err
	}
	out := Burn{last: r.int(), by: int(r.int()), onset: r.int(), hard: r.int() != 0}
	if out.by < 0 || out.by > len(BurnWindows()) {
		return fmt.Errorf("detect: no such pair of windows: %d", out.by)
	}
	for i := range out.sums {
		n := r.int()
		if n < 0 || n > int64(len(r.data)) { // each takes four bytes at least
			return errShort
		}
		at := out.last
		for range n {
			v := sum{at: at - r.int()}
			v.to = v.at + r.int()
			v.n, v.k = r.float(), r.float()
			if r.err != nil {
				return r.err
			}
			if at = v.at; !(v.n >= 0 && v.k >= 0 && v.k <= v.n*(1+1e-9)) || v.to <= v.at || math.IsInf(v.n, 0) {
				return fmt.Errorf("detect: a window of more failures than events")
			}
			out.sums[i] = append(out.sums[i], v)
		}
	}
	if r.err != nil {
		return r.err
	}
	*b = out
	return nil
}

// Clone is a copy that moves on its own.
func (b *Burn) Clone() *Burn {
	out := *b
	for i := range out.sums {
		out.sums[i] = slices.Clone(out.sums[i])
	}
	return &out
}
