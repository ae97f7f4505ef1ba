package dashboards

import (
	"strings"
	"time"
	"unicode"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Point is what was counted in the step that starts at T: N events, of which K
// failed. A step without a Point was not observed; one with N 0 was, and
// nothing happened in it.
type Point struct {
	T    time.Time
	N, K float64
}

// Chart is one picture: the failure ratio of a slice over time with what is
// usual, the moments that matter, and the volume below. The zero value of
// every optional field means "absent".
type Chart struct {
	Title    string // what failed for whom; cut to the width
	Subtitle string // e.g. "412 of 412 payments failed since 03:09, usually 1.2%"
	Points   []Point
	Step     time.Duration // width of a Point; zero: one minute
	// From and To are the span shown; zero: that of the points. A To in the
	// future shows as "no data".
	From, To time.Time
	// Caption says what the share is of: "share failing" when empty. Bad says the same
	// of the counts below: "failed".
	Caption, Bad string
	// Volume shows how many events a minute there are instead of a share; Usual and
	// UsualPoints are then events a minute too, and nothing stands below.
	Volume bool
	// Usual is the learned failure ratio, 0..1. UsualPoints, when it has as many
	// elements as Points, is its course in time.
	Usual       float64
	UsualPoints []float64
	// The moments marked with a line and the time in Zone.
	OnsetAt, FiredAt, AcknowledgedAt, ResolvedAt time.Time
	Zone                                         *time.Location // nil: UTC
	// Width and Height are in the units a browser lays out, 800 by 420 when
	// zero; the picture has twice as many pixels each way.
	Width, Height int
	Dark          bool
}

// Bounds of a picture, so that a request cannot ask for gigabytes.
const (
	defaultWidth, defaultHeight = 800, 420
	minWidth, minHeight         = 320, 300
	maxWidth, maxHeight         = 2000, 1200
	maxPoints                   = 100_000
)

// PNG draws the picture. It fails only on a chart with more than 100,000
// points or one of impossible size, with kind Invalid. Safe for concurrent use
// as long as nobody writes to the slices.
func (c Chart) PNG() ([]byte, error) {
	c, err := c.normalised()
	if err != nil {
		return nil, err
	}
	d := newDrawing(c)
	d.heading()
	p := newPlot(c)
	if !p.observed() {
		d.nothing(p)
	} else {
		d.plot(p)
	}
	raw, err := d.encode()
	if err != nil {
		return nil, problem.Wrap(err, problem.Internal, "the picture could not be drawn")
	}
	return raw, nil
}

func (c Chart) normalised() (Chart, error) {
	if c.Width == 0 {
		c.Width = defaultWidth
	}
	if c.Height == 0 {
		c.Height = defaultHeight
	}
	if c.Width < minWidth || c.Width > maxWidth || c.Height < minHeight || c.Height > maxHeight {
		return c, problem.New(problem.Invalid, "the picture's size is out of bounds").
			WithHint("width %d to %d, height %d to %d", minWidth, maxWidth, minHeight, maxHeight)
	}
	if len(c.Points) > maxPoints {
		return c, problem.New(problem.Invalid, "the picture has more than %d points", maxPoints).WithHint("use a wider step")
	}
	if c.Step <= 0 {
		c.Step = time.Minute
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	if c.Caption == "" {
		c.Caption = "share failing"
		if c.Volume {
			c.Caption = "events a minute"
		}
	}
	if c.Bad == "" {
		c.Bad = "failed"
	}
	c.From, c.To = c.span()
	c.Title, c.Subtitle = oneLine(c.Title), oneLine(c.Subtitle)
	return c, nil
}

// span is what is asked for, filled from the points where it is not.
func (c Chart) span() (from, to time.Time) {
	var first, last time.Time
	for _, p := range c.Points {
		if first.IsZero() || p.T.Before(first) {
			first = p.T
		}
		if end := p.T.Add(c.Step); end.After(last) {
			last = end
		}
	}
	from, to = c.From, c.To
	if from.IsZero() {
		from = first
	}
	if to.IsZero() {
		to = last
	}
	return from, to
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)), " ")
}
