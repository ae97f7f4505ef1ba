package backtest

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// owner is whose runs of a stretch are: a tenant, watched or not.
type owner struct {
	id     tenant.ID
	runs   []int            // of the stretch
	in     []int            // by place in runs: the sheet it was in last
	sheets []sheet          // of the cut
	read   recorded.Columns // of the run that is being decoded
}

// sheet is what some runs of an owner hold of a cut, which have samples at the same times:
// nearly always all that one target sends.
type sheet struct {
	t     []int64
	runs  []int
	v     []float64 // by time, and by run: width is from one time to the next
	width int
}

// at gives what the runs have at the i-th time.
func (s *sheet) at(i int) []float64 { return s.v[i*s.width:][:len(s.runs)] }

// add adds a run.
func (s *sheet) add(run int, v []float64) {
	n := len(s.runs)
	if n == s.width {
		s.widen(2 * n)
	}
	s.runs = append(s.runs, run)
	for i, x := range v {
		s.v[i*s.width+n] = x
	}
}

// widen makes room for more runs.
func (s *sheet) widen(width int) {
	v := make([]float64, len(s.t)*width)
	for i := range s.t {
		copy(v[i*width:], s.at(i))
	}
	s.v, s.width = v, width
}

// fewSheets are looked through for one with the same times, for a run that is not in the
// one where it was last.
const fewSheets = 16

// owners groups runs by their tenant.
func owners(runs []*recorded.Run, label string) (out []*owner) {
	of := map[string]*owner{}
	for i, r := range runs {
		id := r.Series.Labels.Get(label)
		o := of[id]
		if o == nil {
			o = &owner{id: tenant.ID(id)}
			of[id], out = o, append(out, o)
		}
		o.runs, o.in = append(o.runs, i), append(o.in, 0)
	}
	return out
}

// decode reads what the owner's runs hold before end (ms), and says how many samples.
func (o *owner) decode(runs []*recorded.Run, end int64) (n int, err error) {
	o.sheets = o.sheets[:0]
	for i, run := range o.runs {
		o.read.Reset()
		if err := runs[run].Before(end, &o.read); err != nil {
			return n, err
		}
		if len(o.read.T) == 0 {
			continue
		}
		n += len(o.read.T)
		o.in[i] = o.sheet(o.in[i], o.read.T)
		o.sheets[o.in[i]].add(run, o.read.V)
	}
	return n, nil
}

// draw has a picture follow what was decoded.
func (o *owner) draw(runs []*recorded.Run, c *Course) {
	next := make([]int, len(o.sheets))
	for i, run := range o.runs {
		if o.in[i] >= len(o.sheets) {
			continue
		}
		s, n := &o.sheets[o.in[i]], next[o.in[i]]
		if n == len(s.runs) || s.runs[n] != run { // it had nothing
			continue
		}
		next[o.in[i]]++
		o.read.Reset()
		for at, t := range s.t {
			o.read.T, o.read.V = append(o.read.T, t), append(o.read.V, s.at(at)[n])
		}
		c.take(runs[run].Series, &o.read)
	}
}

// sheet finds or makes the one with these times.
func (o *owner) sheet(was int, t []int64) int {
	if was < len(o.sheets) && slices.Equal(o.sheets[was].t, t) {
		return was
	}
	for i := len(o.sheets) - 1; i >= max(0, len(o.sheets)-fewSheets); i-- {
		if slices.Equal(o.sheets[i].t, t) {
			return i
		}
	}
	n := len(o.sheets)
	if n < cap(o.sheets) { // take the buffers of one that is over
		o.sheets = o.sheets[:n+1]
	} else {
		o.sheets = append(o.sheets, sheet{})
	}
	s := &o.sheets[n]
	if s.width = max(s.width, 4); n == 0 { // nearly always all of them are in it
		s.width = len(o.runs)
	}
	s.t, s.runs, s.v = append(s.t[:0], t...), s.runs[:0], slices.Grow(s.v[:0], len(t)*s.width)[:len(t)*s.width]
	return n
}
