package dashboards

import (
	"math"
	"slices"
	"strconv"
	"time"
)

// bin is one bar and one piece of the line: one or several steps.
type bin struct {
	from, to time.Time
	n, k     float64
	usual    float64
	seen     time.Duration // how much of it was observed
	bad      bool          // more fails than chance explains
}

func (b bin) ratio() float64 { return b.k / b.n }

// value is the height of the bin's line; shown says whether it has one.
func (p *plot) value(b bin) float64 {
	if p.chart.Volume {
		return b.n / b.seen.Minutes()
	}
	return b.ratio()
}

func (p *plot) shown(b bin) bool { return b.n > 0 || p.chart.Volume }

// text writes a value beside the axis.
func (p *plot) text(v float64) string {
	if p.chart.Volume {
		return countText(math.Round(v*10) / 10)
	}
	return percentText(v)
}

// usualText is the label of what is usual.
func (p *plot) usualText(v float64) string {
	if !p.chart.Volume {
		return "usual " + percentText(v)
	}
	if v >= 10 {
		v = math.Round(v)
	}
	return "usual " + countText(math.Round(v*10)/10) + " a minute"
}

// plot is the chart in numbers, without pixels.
type plot struct {
	chart    Chart
	bins     []bin // by time; only observed ones
	width    time.Duration
	perBin   bool    // volume is shown per bin, else per minute
	top      float64 // of the ratio axis
	volume   float64 // top of the volume axis
	from, to time.Time
}

func newPlot(c Chart) plot {
	p := plot{chart: c, from: c.From, to: c.To, width: c.Step}
	if !p.from.Before(p.to) {
		return p
	}
	var events float64
	var seen time.Duration
	for _, pt := range c.Points {
		if usable(pt) && !pt.T.Before(p.from) && pt.T.Before(p.to) {
			events += pt.N
			seen += c.Step
		}
	}
	if seen == 0 {
		return p
	}
	p.width = binWidth(c.Step, p.to.Sub(p.from), events/seen.Minutes())
	p.perBin = events/seen.Minutes() < 2
	p.fill()
	p.scale()
	return p
}

func usable(pt Point) bool {
	return pt.N >= 0 && pt.K >= 0 && !math.IsInf(pt.N, 0) && !math.IsInf(pt.K, 0) // NaN fails both
}

// binWidth joins steps until a bin of a quiet tenant holds some ten events, so
// that its line is more than dots at 0 and 100%, but keeps two dozen bins; and
// until no more than 240 bins stand side by side.
func binWidth(step, span time.Duration, perMinute float64) time.Duration {
	width := step
	for _, factor := range []time.Duration{2, 5, 10, 15, 30, 60, 120, 360, 720} {
		crowded := span/width > 240
		sparse := perMinute*width.Minutes() < 10 && span/(step*factor) >= 24
		if !crowded && !sparse {
			break
		}
		width = step * factor
	}
	return width
}

func (p *plot) fill() {
	byStart := map[int64]*bin{}
	for i, pt := range p.chart.Points {
		if !usable(pt) || pt.T.Before(p.from) || !pt.T.Before(p.to) {
			continue
		}
		start := pt.T.Truncate(p.width)
		b := byStart[start.UnixNano()]
		if b == nil {
			b = &bin{from: start, to: start.Add(p.width)}
			byStart[start.UnixNano()] = b
		}
		usual := p.chart.Usual
		if len(p.chart.UsualPoints) == len(p.chart.Points) {
			usual = p.chart.UsualPoints[i]
		}
		if p.chart.Volume {
			b.usual = (b.usual*b.seen.Seconds() + usual*p.chart.Step.Seconds()) / (b.seen + p.chart.Step).Seconds()
		} else {
			b.usual = (b.usual*b.n + usual*pt.N + usual*1e-9) / (b.n + pt.N + 1e-9)
		}
		b.n, b.k, b.seen = b.n+pt.N, b.k+min(pt.K, pt.N), b.seen+p.chart.Step
	}
	for _, b := range byStart {
		b.bad = p.abnormal(*b)
		if b.from.Before(p.from) {
			b.from = p.from
		}
		if b.to.After(p.to) {
			b.to = p.to
		}
		p.bins = append(p.bins, *b)
	}
	slices.SortFunc(p.bins, func(a, b bin) int { return a.from.Compare(b.from) })
}

// abnormal says which bins are drawn as failing: above the usual while the
// fault lasts, and elsewhere only beyond what chance does (three deviations
// and one event). It colours a picture; detectors decide by other means.
func (p *plot) abnormal(b bin) bool {
	if p.chart.Volume {
		return p.during(b) && (p.value(b) < b.usual/2 || p.value(b) > 2*b.usual)
	}
	if b.n == 0 || b.ratio() <= b.usual {
		return false
	}
	if p.during(b) {
		return true
	}
	expected := b.usual * b.n
	return b.k > expected+3*math.Sqrt(expected)+1
}

// during says whether the bin lies in the fault.
func (p *plot) during(b bin) bool {
	onset, end := p.chart.OnsetAt, p.chart.ResolvedAt
	return !onset.IsZero() && b.to.After(onset) && (end.IsZero() || b.from.Before(end))
}

func (p *plot) observed() bool { return len(p.bins) > 0 }

// empty: it was watched and nothing happened.
func (p *plot) empty() bool {
	return !slices.ContainsFunc(p.bins, func(b bin) bool { return b.n > 0 })
}

// amount is the height of the bin's bar; part is n or k. A bin that was partly
// observed shows its rate; few events are shown as they were counted, so that
// a person can count along.
func (p *plot) amount(b bin, part float64) float64 {
	if p.perBin {
		return part
	}
	return part * time.Minute.Seconds() / b.seen.Seconds()
}

func (p *plot) scale() {
	var ratio, volume float64
	for _, b := range p.bins {
		if p.shown(b) {
			ratio = max(ratio, p.value(b))
		}
		ratio = max(ratio, b.usual*1.5)
		volume = max(volume, p.amount(b, b.n))
	}
	if p.volume = niceAbove(volume); p.chart.Volume {
		p.top = niceAbove(ratio)
		return
	}
	p.top = 1
	for _, top := range []float64{0.01, 0.02, 0.04, 0.1, 0.2, 0.4, 0.6} {
		if ratio <= top*0.95 {
			p.top = top
			break
		}
	}
}

// niceAbove is the least of 1, 1.5, 2, 3, 4, 5, 6, 8 by a power of ten that is
// not below v.
func niceAbove(v float64) float64 {
	if v <= 1 {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8} {
		if f*base >= v*(1-1e-9) {
			return f * base
		}
	}
	return 10 * base
}

// gaps are the stretches without data, at least one bin long.
func (p *plot) gaps() [][2]time.Time {
	var out [][2]time.Time
	at := p.from
	for _, b := range p.bins {
		if b.from.Sub(at) >= p.chart.Step {
			out = append(out, [2]time.Time{at, b.from})
		}
		at = b.to
	}
	if p.to.Sub(at) >= p.chart.Step {
		out = append(out, [2]time.Time{at, p.to})
	}
	return out
}

// volumeUnit is the caption of the lower panel.
func (p *plot) volumeUnit() string {
	if !p.perBin || p.width == time.Minute {
		return "per minute"
	}
	if p.width < time.Hour {
		return "per " + strconv.Itoa(int(p.width.Minutes())) + " min"
	}
	if p.width == time.Hour {
		return "per hour"
	}
	return "per " + strconv.Itoa(int(p.width.Hours())) + " hours"
}

// timeTicks are at most limit round local times within the span, and the
// layout they are written in.
func (p *plot) timeTicks(limit int) ([]time.Time, string) {
	span := p.to.Sub(p.from)
	step := 7 * 24 * time.Hour
	for _, s := range []time.Duration{
		5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
		3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 96 * time.Hour,
	} {
		if int(span/s) < limit {
			step = s
			break
		}
	}
	layout := "15:04"
	if step >= 24*time.Hour {
		layout = "2 Jan"
	}
	var out []time.Time
	_, offset := p.from.In(p.chart.Zone).Zone()
	shift := time.Duration(offset) * time.Second
	for t := p.from.Add(shift).Truncate(step).Add(-shift); t.Before(p.to); t = t.Add(step) {
		if !t.Before(p.from) {
			out = append(out, t.In(p.chart.Zone))
		}
	}
	return out, layout
}

// percentText writes a ratio so that small ones do not vanish.
func percentText(r float64) string {
	digits := 0
	switch p := r * 100; {
	case p == 0 || p >= 10:
	case p < 0.1:
		digits = 2
	case math.Abs(p-math.Round(p)) > 0.049:
		digits = 1
	}
	return strconv.FormatFloat(r*100, 'f', digits, 64) + "%"
}

// countText writes an axis value: 0, 1.5, 400, 1.5k, 20M.
func countText(v float64) string {
	suffix := ""
	for _, s := range []string{"k", "M", "G"} {
		if v < 1000 {
			break
		}
		v, suffix = v/1000, s
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + suffix
}
