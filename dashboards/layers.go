package dashboards

import (
	"math"
	"slices"
	"time"

	"github.com/go-analyze/charts"
)

// background shades the stretches without data and draws the grid.
func (d *drawing) background(p plot, upper, lower panel) {
	st := style(axisSize, false, d.colour.soft)
	for _, gap := range p.gaps() {
		for _, a := range []panel{upper, lower} {
			d.rect(a.x(gap[0]), a.y0, a.x(gap[1]), a.y1, d.colour.gap)
		}
		if from, to := upper.x(gap[0]), upper.x(gap[1]); to-from > d.measure("no data", st)+12 {
			d.text("no data", (from+to)/2, (upper.y0+upper.y1)/2+7, 0.5, st)
		}
	}
	for _, v := range []float64{p.top / 2, p.top} {
		d.line(d.colour.grid, 1, nil, [2]float64{upper.x0, upper.y(v)}, [2]float64{upper.x1, upper.y(v)})
	}
	d.line(d.colour.grid, 1, nil, [2]float64{lower.x0, lower.y0}, [2]float64{lower.x1, lower.y0})
	if p.empty() {
		d.text("nothing happened in this span", (upper.x0+upper.x1)/2, (upper.y0+upper.y1)/2+7, 0.5, style(textSize, true, d.colour.soft))
	}
}

// volume draws the bars, their failed part at the foot.
func (d *drawing) volume(p plot, a panel) {
	for _, b := range p.bins {
		x0, x1 := a.x(b.from), a.x(b.to)
		if x1-x0 > 3 {
			x1--
		}
		d.rect(x0, a.y(p.amount(b, b.n)), x1, a.y1, d.colour.bar)
		d.rect(x0, a.y(p.amount(b, b.k)), x1, a.y1, d.colour.bad)
	}
}

// ratio draws the line in steps, one stretch per run of bins without a gap,
// filled in the colour of each bin.
func (d *drawing) ratio(p plot, a panel) {
	colours := func(b bin) (area, line charts.Color) {
		if b.bad {
			return d.colour.badArea, d.colour.bad
		}
		return d.colour.area, d.colour.line
	}
	for _, b := range p.bins {
		if p.shown(b) {
			area, _ := colours(b)
			d.rect(a.x(b.from), a.y(p.value(b)), a.x(b.to), a.y1, area)
		}
	}
	for i, b := range p.bins {
		if !p.shown(b) {
			continue
		}
		_, col := colours(b)
		y := a.y(p.value(b))
		path := [][2]float64{{a.x(b.from), y}, {a.x(b.to), y}}
		if i > 0 && p.shown(p.bins[i-1]) && p.bins[i-1].to.Equal(b.from) {
			path = append([][2]float64{{a.x(b.from), a.y(p.value(p.bins[i-1]))}}, path...)
		}
		d.line(col, 2.5, nil, path...)
	}
}

// usual draws what is usual as a dashed line with its value.
func (d *drawing) usual(p plot, a panel, marks []mark) {
	if p.chart.Volume && p.chart.Usual == 0 && len(p.chart.UsualPoints) == 0 {
		return // nothing is said to be usual
	}
	dash := []float64{7 * scale, 5 * scale}
	path := make([][2]float64, 0, 2*len(p.bins))
	for _, b := range p.bins {
		path = append(path, [2]float64{a.x(b.from), a.y(b.usual)}, [2]float64{a.x(b.to), a.y(b.usual)})
	}
	first := p.bins[0]
	if len(p.chart.UsualPoints) != len(p.chart.Points) {
		first.usual = p.chart.Usual
		path = [][2]float64{{a.x0, a.y(first.usual)}, {a.x1, a.y(first.usual)}}
	}
	d.line(d.colour.usual, 1.5, dash, path...)

	label, st := p.usualText(first.usual), style(textSize, true, d.colour.usual)
	width, y := d.measure(label, st), max(a.y(first.usual)-8, a.y0+22)
	x := freePlace(p, a, marks, width+12, y-20)
	d.rect(x-4, y-19, x+4+width, y+5, d.colour.back.WithAlpha(200))
	d.text(label, x, y, 0, st)
}

// freePlace finds where a label whose top is at y hides neither the line nor a
// mark; the left end when there is no such place.
func freePlace(p plot, a panel, marks []mark, width, y float64) float64 {
	for x := a.x0 + 8; x+width < a.x1; x += 10 {
		covered := slices.ContainsFunc(p.bins, func(b bin) bool {
			return p.shown(b) && a.x(b.from) < x+width && a.x(b.to) > x-4 && p.value(b) > b.usual*1.02 && a.y(p.value(b)) < y+22
		}) || slices.ContainsFunc(marks, func(m mark) bool { return m.x > x-6 && m.x < x+width })
		if !covered {
			return x
		}
	}
	return a.x0 + 8
}

// axes writes the values beside the panels and the times below.
func (d *drawing) axes(p plot, upper, lower panel) {
	st := style(axisSize, false, d.colour.soft)
	for _, v := range []float64{0, p.top / 2, p.top} {
		d.text(p.text(v), upper.x0-8, upper.y(v)+7, 1, st)
	}
	d.text(p.chart.Caption, upper.x0, float64(d.y+6+22), 0, st)
	if !p.chart.Volume {
		d.text(countText(p.volume), lower.x0-8, lower.y0+7, 1, st)
		d.text("0", lower.x0-8, lower.y1+2, 1, st)
		unit := p.volumeUnit() + ", " + p.chart.Bad
		d.text(unit, lower.x0, lower.y0-9, 0, st)
		swatch := lower.x0 + d.measure(unit, st) + 7
		d.rect(swatch, lower.y0-23, swatch+14, lower.y0-9, d.colour.bad)
	}
	for _, a := range []panel{upper, lower} {
		d.line(d.colour.soft, 1, nil, [2]float64{a.x0, a.y1}, [2]float64{a.x1, a.y1})
	}

	room := (upper.x1 - upper.x0) / (d.measure("00:00", st) + 30)
	ticks, layout := p.timeTicks(max(int(room), 2))
	for _, t := range ticks {
		x, text := lower.x(t), t.Format(layout)
		d.line(d.colour.soft, 1, nil, [2]float64{x, lower.y1}, [2]float64{x, lower.y1 + 5})
		half := d.measure(text, st) / 2
		d.text(text, min(x, lower.x1+right-4-half), lower.y1+27, 0.5, st)
	}
	d.text(p.from.In(d.c.Zone).Format("MST"), 4, lower.y1+27, 0, style(axisSize-4, false, d.colour.soft))
}

// mark is a moment with its label, placed in a row above the panels, left or
// right of its line.
type mark struct {
	label  string
	at     time.Time
	x      float64
	width  float64
	y      float64 // the label's baseline
	row    int
	leftOf bool
	col    charts.Color
	strong bool
}

func (m mark) extent() (from, to float64) {
	if m.leftOf {
		return m.x - m.width, m.x
	}
	return m.x, m.x + m.width
}

// moments are the marks within the span, unplaced.
func (d *drawing) moments(p plot, a panel) []mark {
	var out []mark
	for _, m := range []mark{
		{label: "fired", at: d.c.FiredAt, col: d.colour.fired, strong: true},
		{label: "began", at: d.c.OnsetAt, col: d.colour.onset},
		{label: "over", at: d.c.ResolvedAt, col: d.colour.over},
		{label: "taken", at: d.c.AcknowledgedAt, col: d.colour.held},
	} {
		if m.at.IsZero() || m.at.Before(p.from) || m.at.After(p.to) {
			continue
		}
		m.label += " " + m.at.In(d.c.Zone).Format("15:04")
		m.x, m.width = a.x(m.at), d.measure(m.label, style(textSize, true, m.col))+12
		out = append(out, m)
	}
	return out
}

// place gives every mark a row and a side of its line. With at most four marks
// all arrangements can be tried; the cheapest wins.
func (d *drawing) place(p plot, a panel) (marks []mark, rows int) {
	marks = d.moments(p, a)
	caption := d.measure(p.chart.Caption, style(textSize, false, d.colour.soft)) + 10
	best, choices := math.Inf(1), 1
	for range marks {
		choices *= 2 * len(marks)
	}
	try := slices.Clone(marks)
	for choice := range choices {
		rest := choice
		for i := range try {
			try[i].leftOf, try[i].row = rest%2 == 1, rest/2%len(marks)
			rest /= 2 * len(marks)
		}
		if cost := crowding(try, a.x0-left+4, a.x1+right-4, a.x0+caption); cost < best {
			best = cost
			copy(marks, try)
		}
	}
	rows = 1
	for i := range marks {
		m := &marks[i]
		rows = max(rows, m.row+1)
		m.y = float64(d.y + 6 + m.row*labelRow + 22)
	}
	return marks, rows
}

// crowding is how badly labels stand: upon each other or the caption, outside,
// under the line of a mark in a row above, and in more rows than needed.
func crowding(marks []mark, min, max, caption float64) float64 {
	var cost float64
	for i, m := range marks {
		from, to := m.extent()
		if from < min || to > max || m.row == 0 && from < caption {
			cost += 100
		}
		cost += float64(m.row) * 8
		if m.strong {
			cost += float64(m.row) * 4
		}
		if m.leftOf == m.strong { // "began" reads best before its line, the others after
			cost++
		}
		for j, o := range marks {
			oFrom, oTo := o.extent()
			if j > i && o.row == m.row && from < oTo && to > oFrom {
				cost += 100
			}
			if o.row < m.row && from < o.x && to > o.x {
				cost += 30
			}
		}
	}
	return cost
}

// marks draws the lines first: no line crosses a label.
func (d *drawing) marks(marks []mark, bottom float64) {
	for _, m := range marks {
		width, dash := 1.5, []float64{3 * scale, 3 * scale}
		if m.strong {
			width, dash = 2.5, nil
		}
		d.line(m.col, width, dash, [2]float64{m.x, m.y - 20}, [2]float64{m.x, bottom})
	}
	for _, m := range marks {
		back, ink := d.colour.back, m.col
		if m.strong {
			back, ink = m.col, d.colour.back
		}
		from, to := m.extent()
		d.rect(from, m.y-21, to, m.y+6, back)
		if !m.strong {
			d.line(m.col, 1.5, nil, [2]float64{m.x, m.y - 20}, [2]float64{m.x, m.y + 6})
		}
		d.text(m.label, from+6, m.y, 0, style(textSize, true, ink))
	}
}
