package dashboards

import (
	"time"

	"github.com/go-analyze/charts"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Overview is a picture of many lanes over one time: how much happens in each, what
// was known to be wrong there, and what rang.
type Overview struct {
	Title, Subtitle string
	From, To        time.Time
	Step            time.Duration // width of a Point
	Lanes           []Lane
	Marks           []Sign         // what may be seen in it, for the legend
	Zone            *time.Location // nil: UTC
	SVG             bool           // else PNG
}

// Lane is one subject. Its bars are drawn to its own height.
type Lane struct {
	Name   string
	Points []Point // by time
	Spans  []MarkedSpan
}

// Sign is what a stretch or a moment of a lane means.
type Sign int

// The signs: a fault that is known to have happened, an alert that calls for a ticket,
// one that is critical, a call, and a call by other rules.
const (
	KnownFault Sign = iota
	WarningAlert
	CriticalAlert
	Call
	OtherCall
)

var signNames = [...]string{"known fault", "warning", "critical", "page", "page by the other rules"}

// MarkedSpan is a stretch of a lane; a moment when From and To are one.
type MarkedSpan struct {
	From, To time.Time
	Sign     Sign
}

// Bounds of an overview.
const (
	overviewWidth = 1400
	laneHeight    = 46
	maxLanes      = 60
	nameWidth     = 210
	overviewFoot  = 80
)

// Draw draws the overview. It fails only on one with more lanes than 60 or no time at
// all, with kind Invalid.
func (o Overview) Draw() ([]byte, error) {
	if len(o.Lanes) > maxLanes || !o.From.Before(o.To) || o.Step <= 0 {
		return nil, problem.New(problem.Invalid, "the overview cannot be drawn").WithHint("it takes a time and at most %d lanes", maxLanes)
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	c := Chart{Title: oneLine(o.Title), Subtitle: oneLine(o.Subtitle), Width: overviewWidth, Height: 90 + laneHeight*max(len(o.Lanes), 1) + overviewFoot, Zone: o.Zone}
	d := newDrawing(c)
	if o.SVG {
		d = vector(c)
	}
	d.heading()
	a := panel{x0: right + nameWidth, x1: overviewWidth - right, from: o.From, to: o.To}
	top := float64(d.y + 10)
	for i, l := range o.Lanes {
		a.y0 = top + float64(i*laneHeight)
		a.y1 = a.y0 + laneHeight - 10
		d.lane(l, a, o.Step)
	}
	bottom := top + float64(len(o.Lanes)*laneHeight)
	d.times(o, a, top, bottom)
	d.legend(o.Marks, bottom+62)
	raw, err := d.encode()
	if err != nil {
		return nil, problem.Wrap(err, problem.Internal, "the picture could not be drawn")
	}
	return raw, nil
}

func (d *drawing) lane(l Lane, a panel, step time.Duration) {
	st := style(axisSize-2, false, d.colour.ink)
	d.text(d.fit(l.Name, nameWidth-16, st), right, (a.y0+a.y1)/2+7, 0, st)
	for _, s := range l.Spans { // behind the line
		if s.Sign == KnownFault {
			d.rect(a.x(s.From), a.y0-4, max(a.x(s.To), a.x(s.From)+2), a.y1+4, d.colour.badArea)
		}
	}
	for _, p := range l.Points {
		a.max = max(a.max, p.N)
	}
	d.line(d.colour.grid, 1, nil, [2]float64{a.x0, a.y1}, [2]float64{a.x1, a.y1})
	for _, p := range l.Points {
		if a.max > 0 && p.N > 0 {
			d.rect(a.x(p.T), a.y(p.N), a.x(p.T.Add(step)), a.y1, d.colour.bar)
			d.rect(a.x(p.T), a.y(p.K), a.x(p.T.Add(step)), a.y1, d.colour.bad)
		}
	}
	for _, s := range l.Spans {
		d.span(s, a)
	}
}

// span draws what rang: alerts as bars above the line, calls as flags on them.
func (d *drawing) span(s MarkedSpan, a panel) {
	x0, x1 := a.x(s.From), max(a.x(s.To), a.x(s.From)+3)
	switch s.Sign {
	case WarningAlert:
		d.rect(x0, a.y0-3, x1, a.y0+2, d.colour.line)
	case CriticalAlert:
		d.rect(x0, a.y0-3, x1, a.y0+2, d.colour.fired)
	case Call:
		d.rect(x0-1, a.y0-3, x0+1, a.y1, d.colour.fired)
		d.rect(x0-1, a.y0-3, x0+9, a.y0+7, d.colour.fired)
	case OtherCall:
		d.rect(x0-1, a.y0+6, x0+1, a.y1+3, d.colour.held)
		d.rect(x0-1, a.y1-6, x0+9, a.y1+3, d.colour.held)
	}
}

func (d *drawing) times(o Overview, a panel, top, bottom float64) {
	st := style(axisSize-2, false, d.colour.soft)
	p := plot{chart: Chart{Zone: o.Zone}, from: o.From, to: o.To}
	ticks, layout := p.timeTicks(9)
	for _, t := range ticks {
		x := a.x(t)
		d.line(d.colour.grid, 1, nil, [2]float64{x, top}, [2]float64{x, bottom})
		text := t.Format(layout)
		if text == "00:00" { // of which day
			text = t.Format("2 Jan")
		}
		d.text(text, x, bottom+22, 0.5, st)
	}
	d.text(o.From.In(o.Zone).Format("MST"), right, bottom+22, 0, st)
}

// legend explains the signs that are used.
func (d *drawing) legend(signs []Sign, y float64) {
	st, x := style(axisSize-2, false, d.colour.ink), float64(right)
	add := func(text string, draw func()) {
		draw()
		d.text(text, x+28, y, 0, st)
		x += 28 + d.measure(text, st) + 26
	}
	add("payments, failed", func() {
		d.rect(x, y-14, x+20, y, d.colour.bar)
		d.rect(x, y-5, x+20, y, d.colour.bad)
	})
	for _, s := range signs {
		if int(s) >= len(signNames) || s < 0 {
			continue
		}
		add(signNames[s], func() {
			if s == KnownFault {
				d.rect(x, y-16, x+20, y+2, d.colour.badArea)
				return
			}
			at := func(px float64) time.Time { return time.Unix(int64(px), 0) }
			d.span(MarkedSpan{From: at(0), To: at(20), Sign: s}, panel{x0: x, x1: x + 20, y0: y - 12, y1: y - 1, from: at(0), to: at(20)})
		})
	}
}

// vector is a drawing whose picture scales.
func vector(c Chart) *drawing {
	d := &drawing{c: c, colour: light()}
	d.p = charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: c.Width * scale, Height: c.Height * scale})
	d.rect(0, 0, float64(c.Width), float64(c.Height), d.colour.back)
	return d
}
