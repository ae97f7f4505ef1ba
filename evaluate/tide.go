package evaluate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/exchange"
)

// What is usual at an hour is not all that can be expected of it: a bank holiday moves
// every tenant of a country, a promotion was announced. Both widen what is expected and
// shift nothing that is learned: an exchange.Factor is measured over the tenants of a country
// (see package pool), calendar entries come from Options.Announced.

// factorsKept of each country: the newest, for steps that are replayed.
const factorsKept = 6

// tides holds the factors of the countries, shared by all tenants of an engine.
type tides struct {
	factors map[tideKey][]exchange.Factor // oldest first
	changed int                           // how often they changed
}

type tideKey struct{ environment, service, rule, country string }

// SetFactor takes a country's factor. Steps from Factor.From on are judged by it, for two
// hours at most: it is renewed while it lasts. Taking it again changes nothing.
func (e *Engine) SetFactor(f exchange.Factor) {
	if !(f.Value > 0) || math.IsInf(f.Value, 0) {
		return
	}
	t, k := e.o.tides, tideKey{f.Environment, f.Service, f.Rule, f.Country}
	list := t.factors[k]
	i, found := slices.BinarySearchFunc(list, f, func(a, b exchange.Factor) int { return a.From.Compare(b.From) })
	if found {
		list[i] = f
	} else {
		list = slices.Insert(list, i, f)
	}
	t.factors[k] = list[max(0, len(list)-factorsKept):]
	t.changed++
}

// Factors lists what SetFactor took and still keeps, in a fixed order.
func (e *Engine) Factors() []exchange.Factor {
	var out []exchange.Factor
	for _, list := range e.o.tides.factors {
		out = append(out, list...)
	}
	slices.SortFunc(out, func(a, b exchange.Factor) int {
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Country, b.Country), a.From.Compare(b.From))
	})
	return out
}

func (t *tides) at(k tideKey, ms int64) (exchange.Factor, bool) {
	list := t.factors[k]
	for i := len(list) - 1; i >= 0; i-- {
		if from := list[i].From.UnixMilli(); from <= ms {
			return list[i], ms < from+exchange.FactorLasts.Milliseconds() && list[i].Value != 1
		}
	}
	return exchange.Factor{}, false
}

// tide is how far a cell's expectation is widened at a moment.
type tide struct {
	factor    float64 // of the countries
	low, high float64 // what may come, as parts of the usual
	why       string  // empty: nothing widens it
}

var calm = tide{factor: 1, low: 1, high: 1}

// tidal is what widens the expectations of a meter's cells, by rule.
type tidal struct {
	minute  int64
	changed int
	cells   []tide // none: nothing widens anything
	// announced says that an entry of the calendar holds: what comes meanwhile is not
	// learned.
	announced bool
}

// tideOf is what widens the cells of a meter for a rule at ms, made anew once a minute.
func (ts *tenantState) tideOf(m *meter, r *ruleState, ms int64) *tidal {
	x := &r.tidal
	minute := ms / 60_000
	if x.minute == minute && x.changed == ts.o.tides.changed && (len(x.cells) == 0 || len(x.cells) == len(m.cells)) {
		return x
	}
	*x = tidal{minute: minute, changed: ts.o.tides.changed, cells: x.cells[:0]}
	if ts.o.Announced == nil && len(ts.o.tides.factors) == 0 {
		return x
	}
	slot := m.flow.at(ts.zone, ms).Slot
	all, any := ts.announced(m, r, ms, ts.countries), false
	x.announced = all.why != ""
	total := all
	x.cells = append(x.cells, all)
	for _, c := range m.cells[1:] {
		t := all
		if len(c.slice) == 1 && c.slice[0].Label == exchange.Country {
			t = ts.announced(m, r, ms, []string{c.slice[0].Value})
			part := 0.0
			if c.judged {
				part = c.part(slot)
			}
			if f, ok := ts.o.tides.at(tideKey{m.env, r.Service, r.Name, c.slice[0].Value}, ms); ok && part > 0 {
				t = t.moved(f)
				total.factor += part * (f.Value - 1)
				total.why = join(total.why, came(f))
			}
		}
		any = any || t.why != ""
		x.cells = append(x.cells, t)
	}
	if total.factor != 1 { // other slices have their part of every country
		total.factor = math.Max(total.factor, 0)
		total.low, total.high = total.low*math.Min(total.factor, 1), total.high*math.Max(total.factor, 1)
		for i, c := range m.cells {
			if i == 0 || len(c.slice) != 1 || c.slice[0].Label != exchange.Country {
				x.cells[i] = total
			}
		}
	}
	if !any && total.why == "" {
		x.cells = x.cells[:0]
	}
	return x
}

// announced is what the calendar says of the volume.
func (ts *tenantState) announced(m *meter, r *ruleState, ms int64, countries []string) tide {
	if ts.o.Announced == nil {
		return calm
	}
	e, ok := ts.o.Announced(at(ms), calendar.Scope{Tenant: ts.id, Countries: countries, Service: r.Service, Environment: m.env})
	if !ok {
		return calm
	}
	low, high, why := e.Volume()
	return tide{1, low, high, why}
}

// moved is the tide with the factor of its country.
func (t tide) moved(f exchange.Factor) tide {
	return tide{f.Value, t.low * math.Min(f.Value, 1), t.high * math.Max(f.Value, 1), join(t.why, came(f))}
}

// came says in words what a factor is.
func came(f exchange.Factor) string {
	return fmt.Sprintf("%.0f%% of the usual comes in %s over %d tenants", 100*f.Value, f.Country, f.Tenants)
}

func join(a, b string) string { return strings.TrimPrefix(a+"; "+b, "; ") }

// of is the tide of one cell.
func (x *tidal) of(ci int) tide {
	if ci >= len(x.cells) {
		return calm
	}
	return x.cells[ci]
}
