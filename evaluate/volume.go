package evaluate

import (
	"time"

	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Volume is how many events of an SLI a tenant has a minute in an environment (empty:
// that of series without one), as the mean of the last day, and how much of that day
// was observed. A fault's hours count too: whether more events are one is not known
// before they are the usual. Where nothing comes by the SLI's own source the other
// one counts.
func (e *Engine) Volume(id tenant.ID, environment string, spec sli.Spec, now time.Time) (perMinute float64, observed time.Duration) {
	ts := e.tenants[id]
	if ts == nil {
		return 0, 0
	}
	if environment == "" {
		environment = e.o.Environment
	}
	ids := []sli.ID{spec.ID()}
	if spec.Beside != nil {
		ids = append(ids, spec.Beside.ID())
	}
	for _, want := range ids {
		for _, m := range ts.meters {
			if m.env != environment || m.id != want {
				continue
			}
			if events, of := m.day.sum(now.UnixMilli()); of > 0 {
				return events / of.Minutes() * m.standForNow(), of
			}
		}
	}
	return 0, 0
}

// Sum is what the total of one rule's SLI has learned, older events counting less.
type Sum struct {
	Rule   string
	Events float64
	Bad    float64
}

// Sums tells what a tenant has learned for the rules about a share of its events that
// are in force: what others of its kind may be thought to do before they have learned
// anything. A young tenant tells nothing.
func (e *Engine) Sums(id tenant.ID) (out []Sum) {
	ts := e.tenants[id]
	if ts == nil || !ts.watched {
		return nil
	}
	for _, m := range ts.meters {
		if m.env != e.o.Environment || m.learned < ts.o.YoungFor.Milliseconds() {
			continue
		}
		for _, r := range m.rules {
			if r.place == inShadow || r.Kind != rule.Errors && r.Kind != rule.Declines || ts.unjudged(m, r) != "" {
				continue
			}
			if n, k := m.cells[0].base.Sum(); n > 0 {
				out = append(out, Sum{Rule: r.Name, Events: n, Bad: k})
			}
		}
	}
	return out
}

const (
	hourMs   = 3_600_000
	dayHours = 24
)

// lastDay is what the last hours brought, whatever it was.
type lastDay struct {
	newest int64 // hour number of the newest
	hours  [dayHours]struct{ n, seconds float32 }
}

// add takes n events of a step that starts at (ms) and was observed for seconds.
func (d *lastDay) add(at int64, n, seconds float64) {
	h := at / hourMs
	if d.newest == 0 || h-d.newest > dayHours {
		*d = lastDay{newest: h}
	}
	for d.newest < h {
		d.newest++
		d.hours[d.newest%dayHours] = struct{ n, seconds float32 }{}
	}
	if d.newest-h < dayHours {
		v := &d.hours[h%dayHours]
		v.n, v.seconds = v.n+float32(n), v.seconds+float32(seconds)
	}
}

// sum is what came in the day up to at (ms).
func (d *lastDay) sum(at int64) (events float64, observed time.Duration) {
	seconds, oldest := 0.0, at/hourMs-dayHours
	for h := max(d.newest-dayHours+1, oldest, 0); h <= d.newest; h++ {
		v := d.hours[h%dayHours]
		events, seconds = events+float64(v.n), seconds+float64(v.seconds)
	}
	return events, time.Duration(seconds * float64(time.Second))
}

// day codes what the last hours brought.
func (c *coder) day(d *lastDay) {
	if c.Int(&d.newest); d.newest < 0 {
		c.Fail()
		d.newest = 0
	}
	for i := range d.hours {
		n, seconds := float64(d.hours[i].n), float64(d.hours[i].seconds)
		c.Floats(&n, &seconds)
		d.hours[i].n, d.hours[i].seconds = float32(n), float32(seconds)
	}
}
