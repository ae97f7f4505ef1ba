package dashboards

import (
	"math"
	"sort"
	"time"

	"github.com/go-analyze/charts"
)

// scale is pixels per layout unit: sharp on phones, which show the picture at
// half its size.
const scale = 2

// Letters are large because a mail on a phone shows 800 units in 360.
const (
	titleSize, textSize, axisSize = 26.0, 20.0, 20.0
	left, right                   = 68, 18
	labelRow                      = 30
	panelGap                      = 38
)

// palette is picked from colours that people with any colour vision tell
// apart; besides, what fails is also the only filled line.
type palette struct {
	back, ink, soft, grid, gap, usual, line, area, bad, badArea, bar, onset, fired, held, over charts.Color
}

func rgb(hex uint32) charts.Color {
	return charts.ColorRGB(uint8(hex>>16), uint8(hex>>8), uint8(hex))
}

func light() palette {
	return palette{
		back: rgb(0xffffff), ink: rgb(0x16202c), soft: rgb(0x4d5a69), grid: rgb(0xe1e6ec), gap: rgb(0xeef1f4), usual: rgb(0x16202c),
		line: rgb(0x0072b2), area: rgb(0xcfe4f2), bad: rgb(0xc4420a), badArea: rgb(0xf3b89b), bar: rgb(0x9fb0c2),
		onset: rgb(0x4d5a69), fired: rgb(0xa82f00), held: rgb(0x005a8c), over: rgb(0x00664a),
	}
}

func dark() palette {
	return palette{
		back: rgb(0x1a212b), ink: rgb(0xe8edf3), soft: rgb(0xa9b5c3), grid: rgb(0x323d4b), gap: rgb(0x252f3b), usual: rgb(0xe8edf3),
		line: rgb(0x6cb8ec), area: rgb(0x234459), bad: rgb(0xff8a4f), badArea: rgb(0x7a3b1c), bar: rgb(0x5d6f83),
		onset: rgb(0xa9b5c3), fired: rgb(0xff9d6b), held: rgb(0x8ec2ff), over: rgb(0x6fd8ae),
	}
}

// drawing is the paper. Its methods take layout units; scaling happens in the
// lowest ones.
type drawing struct {
	p      *charts.Painter
	c      Chart
	colour palette
	y      int // below what is drawn so far
}

func newDrawing(c Chart) *drawing {
	d := &drawing{c: c, colour: light()}
	if c.Dark {
		d.colour = dark()
	}
	d.p = charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputPNG, Width: c.Width * scale, Height: c.Height * scale})
	d.rect(0, 0, float64(c.Width), float64(c.Height), d.colour.back)
	return d
}

func (d *drawing) encode() ([]byte, error) { return d.p.Bytes() }

func px(v float64) int { return int(math.Round(v * scale)) }

func (d *drawing) rect(x0, y0, x1, y1 float64, col charts.Color) {
	if px(x1) > px(x0) && px(y1) > px(y0) {
		d.p.FilledRect(px(x0), px(y0), px(x1), px(y1), col, charts.ColorTransparent, 0)
	}
}

func (d *drawing) line(col charts.Color, width float64, dash []float64, pts ...[2]float64) {
	path := make([]charts.Point, len(pts))
	for i, pt := range pts {
		path[i] = charts.Point{X: px(pt[0]), Y: px(pt[1])}
	}
	if dash == nil {
		d.p.LineStroke(path, col, width*scale)
		return
	}
	d.p.DashedLineStroke(path, col, width*scale, dash)
}

func style(size float64, bold bool, col charts.Color) charts.FontStyle {
	family := charts.FontFamilyNotoSans
	if bold {
		family = charts.FontFamilyNotoSansBold
	}
	const pointsPerPixel = 72.0 / 96
	return charts.FontStyle{FontSize: size * scale * pointsPerPixel, FontColor: col, Font: charts.GetFont(family)}
}

func (d *drawing) measure(s string, st charts.FontStyle) float64 {
	return float64(d.p.MeasureText(s, 0, st).Width()) / scale
}

// text writes s with its baseline at y; align 0 starts at x, 1 ends there, 0.5
// is centred.
func (d *drawing) text(s string, x, y, align float64, st charts.FontStyle) {
	d.p.Text(s, px(x-align*d.measure(s, st)), px(y), 0, st)
}

// fit cuts s to the width, with an ellipsis.
func (d *drawing) fit(s string, width float64, st charts.FontStyle) string {
	if d.measure(s, st) <= width {
		return s
	}
	runes := []rune(s)
	n := sort.Search(len(runes), func(i int) bool {
		return d.measure(string(runes[:i+1])+"…", st) > width
	})
	return string(runes[:n]) + "…"
}

func (d *drawing) heading() {
	d.y = 10
	width := float64(d.c.Width - 2*right)
	if d.c.Title != "" {
		st := style(titleSize, true, d.colour.ink)
		d.text(d.fit(d.c.Title, width, st), right, float64(d.y)+26, 0, st)
		d.y += 36
	}
	if d.c.Subtitle != "" {
		st := style(textSize, false, d.colour.soft)
		d.text(d.fit(d.c.Subtitle, width, st), right, float64(d.y)+22, 0, st)
		d.y += 32
	}
}

// nothing says plainly that there is nothing to draw.
func (d *drawing) nothing(p plot) {
	top, bottom := float64(d.y)+8, float64(d.c.Height)-48
	d.rect(right, top, float64(d.c.Width-right), bottom, d.colour.gap)
	d.text("no data in this span", float64(d.c.Width)/2, (top+bottom)/2+8, 0.5, style(titleSize, true, d.colour.soft))
	if p.from.Before(p.to) {
		st := style(axisSize, false, d.colour.soft)
		const layout = "2 Jan 15:04"
		d.text(p.from.In(d.c.Zone).Format(layout), right, bottom+28, 0, st)
		d.text(p.to.In(d.c.Zone).Format(layout+" MST"), float64(d.c.Width-right), bottom+28, 1, st)
	}
}

// panel is a rectangle with a vertical axis from 0 to max.
type panel struct {
	x0, y0, x1, y1 float64
	max            float64
	from, to       time.Time
}

func (a panel) x(t time.Time) float64 {
	share := t.Sub(a.from).Seconds() / a.to.Sub(a.from).Seconds()
	return a.x0 + min(max(share, 0), 1)*(a.x1-a.x0)
}

func (a panel) y(v float64) float64 { return a.y1 - min(max(v/a.max, 0), 1)*(a.y1-a.y0) }

func (d *drawing) plot(p plot) {
	x0, x1 := float64(left), float64(d.c.Width-right)
	upper := panel{x0: x0, x1: x1, max: p.top, from: p.from, to: p.to}
	marks, rows := d.place(p, upper)
	upper.y0 = float64(d.y + 6 + rows*labelRow)
	lower := upper
	lower.y1 = float64(d.c.Height - 36)
	room := lower.y1 - upper.y0 - panelGap
	lower.y0, lower.max = lower.y1-room*0.3, p.volume
	upper.y1 = lower.y0 - panelGap
	if p.chart.Volume { // the line says it all
		upper.y1 = lower.y1
		lower = upper
	}

	d.background(p, upper, lower)
	if !p.chart.Volume {
		d.volume(p, lower)
	}
	d.ratio(p, upper)
	d.usual(p, upper, marks)
	d.marks(marks, lower.y1)
	d.axes(p, upper, lower)
}
