package backtest

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// owner is whose runs of a stretch are: a tenant, watched or not.
type owner struct {
	id     tenant.ID
	runs   []int   // of the stretch
	in     []int   // by place in runs: the sheet it was in last
	sheets []sheet // of the cut
}

// sheet is what some runs of an owner hold of a cut, which have samples at the same times:
// nearly always all that one target sends.
type sheet struct {
	t    []int64
	runs []int
	v    [][]float64 // by run
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
func (o *owner) decode(runs []*recorded.Run, end int64, to []recorded.Columns) (n int, err error) {
	o.sheets = o.sheets[:0]
	for i, run := range o.runs {
		c := &to[run]
		c.Reset()
		if err := runs[run].Before(end, c); err != nil {
			return n, err
		}
		if len(c.T) == 0 {
			continue
		}
		n += len(c.T)
		o.in[i] = o.sheet(o.in[i], c.T)
		s := &o.sheets[o.in[i]]
		s.runs, s.v = append(s.runs, run), append(s.v, c.V)
	}
	return n, nil
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
		o.sheets[n].runs, o.sheets[n].v = o.sheets[n].runs[:0], o.sheets[n].v[:0]
	} else {
		o.sheets = append(o.sheets, sheet{})
	}
	o.sheets[n].t = t
	return n
}
