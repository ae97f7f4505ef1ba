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
	sheets []sheet          // of what was read at once
	read   recorded.Columns // of the run that is being decoded
}

// sheet is what some runs of an owner hold, which have samples at the same times: nearly
// always all that one target sends.
type sheet struct {
	t        []int64
	runs     []int
	v        []float64 // by time, and by run: width is from one time to the next
	width    int
	from, to int // places in t: of the cut
}

// times are those of the cut.
func (s *sheet) times() []int64 { return s.t[s.from:s.to] }

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

// decode readies a cut, and says how many samples it holds.
func (o *owner) decode(runs []*recorded.Run, c *cut) (n int, err error) {
	if c.until > 0 {
		if err := o.readOn(runs, c.until); err != nil {
			return 0, err
		}
	}
	end := c.end()
	for i := range o.sheets {
		s := &o.sheets[i]
		for s.from = s.to; s.to < len(s.t) && s.t[s.to] < end; {
			s.to++
		}
		n += (s.to - s.from) * len(s.runs)
	}
	return n, nil
}

// readOn reads what the owner's runs hold before end (ms).
func (o *owner) readOn(runs []*recorded.Run, end int64) error {
	o.sheets = o.sheets[:0]
	for i, run := range o.runs {
		o.read.Reset()
		if err := runs[run].Before(end, &o.read); err != nil {
			return err
		}
		if len(o.read.T) > 0 {
			o.in[i] = o.sheet(o.in[i], o.read.T)
			o.sheets[o.in[i]].add(run, o.read.V)
		}
	}
	return nil
}

// draw has a picture follow the cut.
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
		for at := s.from; at < s.to; at++ {
			o.read.T, o.read.V = append(o.read.T, s.t[at]), append(o.read.V, s.at(at)[n])
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
	s.from, s.to = 0, 0
	s.t, s.runs, s.v = append(s.t[:0], t...), s.runs[:0], slices.Grow(s.v[:0], len(t)*s.width)[:len(t)*s.width]
	return n
}
