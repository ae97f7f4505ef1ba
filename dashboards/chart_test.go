package dashboards

import (
	"bytes"
	"image"
	"image/draw"
	"image/png"
	"math"
	"testing"
	"time"

	"github.com/go-analyze/charts"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
)

func drawn(t *testing.T, c Chart) image.Image {
	t.Helper()
	raw, err := c.PNG()
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(raw))
	require.NoError(t, err)
	return img
}

// pixels counts those of exactly the colour within x from..to (layout units).
func pixels(img image.Image, want charts.Color, from, to int) int {
	flat := image.NewRGBA(img.Bounds())
	draw.Draw(flat, flat.Bounds(), img, image.Point{}, draw.Src)
	pixel := []byte{want.R, want.G, want.B, 255}
	n := 0
	for y := range flat.Rect.Dy() {
		for row := flat.Pix[flat.PixOffset(from*scale, y):flat.PixOffset(to*scale, y)]; len(row) > 0; row = row[4:] {
			if bytes.Equal(row[:4], pixel) {
				n++
			}
		}
	}
	return n
}

func TestPictureShowsTheFaultWhereItIs(t *testing.T) {
	c := samples(t)["outage"]
	img := drawn(t, c)
	require.Equal(t, image.Rect(0, 0, 1600, 840), img.Bounds())
	col := light()
	// The fault fills the last 4 of 64 minutes: 44 of 714 units at the right.
	require.Greater(t, pixels(img, col.badArea, 735, 782), 10_000)
	require.Zero(t, pixels(img, col.badArea, 0, 735))
	require.Positive(t, pixels(img, col.fired, 640, 782))

	c.OnsetAt, c.FiredAt, c.Points = time.Time{}, time.Time{}, c.Points[:55]
	img = drawn(t, c)
	require.Zero(t, pixels(img, col.badArea, 0, 800), "a usual hour shows no fault")
	require.Zero(t, pixels(img, col.fired, 0, 800))
}

func TestDarkAndLightDiffer(t *testing.T) {
	c := samples(t)["outage"]
	c.Width, c.Height = 400, 320
	require.Greater(t, pixels(drawn(t, c), light().back, 0, 400), 300_000)
	c.Dark = true
	require.Greater(t, pixels(drawn(t, c), dark().back, 0, 400), 300_000)
}

func TestGapsAreNotZeros(t *testing.T) {
	from := onset
	c := Chart{Step: time.Minute, Usual: 0.01}
	for i := range 60 {
		if i >= 20 && i < 30 {
			continue // not observed
		}
		c.Points = append(c.Points, Point{T: from.Add(time.Duration(i) * time.Minute), N: 100})
	}
	img := drawn(t, c)
	at := func(minute int) int { return left + minute*(800-left-right)/60 }
	require.Zero(t, pixels(img, light().bar, at(20)+1, at(30)-1), "no bar where nothing was seen")
	require.Greater(t, pixels(img, light().gap, at(20)+1, at(30)-1), 10_000)
	require.Zero(t, pixels(img, light().gap, at(31), at(59)))

	p := newPlot(must(c.normalised()))
	require.Equal(t, [][2]time.Time{{from.Add(20 * time.Minute), from.Add(30 * time.Minute)}}, p.gaps())
}

func must(c Chart, err error) Chart {
	if err != nil {
		panic(err)
	}
	return c
}

func TestNothingToShow(t *testing.T) {
	for name, c := range map[string]Chart{
		"zero value":         {},
		"span without data":  {From: onset, To: onset.Add(time.Hour)},
		"points elsewhere":   {From: onset, To: onset.Add(time.Hour), Points: []Point{{T: onset.Add(-time.Hour), N: 5, K: 5}}},
		"span turned around": {From: onset.Add(time.Hour), To: onset, Points: []Point{{T: onset, N: 5}}},
		"unusable points":    {Points: []Point{{T: onset, N: math.NaN()}, {T: onset, N: 1, K: math.Inf(1)}, {T: onset, N: -1}}},
	} {
		c.Width, c.Height = 400, 300
		require.Greater(t, pixels(drawn(t, c), light().gap, 0, 400), 250_000, name)
	}
}

func TestBadInputIsRefused(t *testing.T) {
	for _, c := range []Chart{
		{Width: 20000}, {Width: -1}, {Height: 5}, {Points: make([]Point, maxPoints+1)},
	} {
		_, err := c.PNG()
		require.True(t, problem.Is(err, problem.Invalid), "%v", err)
	}
}

func TestQuietTenantIsJoined(t *testing.T) {
	c := must(samples(t)["quiet"].normalised())
	p := newPlot(c)
	require.Equal(t, 10*time.Minute, p.width)
	require.Equal(t, "per 10 min", p.volumeUnit())
	var n, k, wantN, wantK float64
	for _, b := range p.bins {
		n, k = n+b.n, k+b.k
	}
	for _, pt := range c.Points {
		wantN, wantK = wantN+pt.N, wantK+pt.K
	}
	require.Equal(t, []float64{wantN, wantK}, []float64{n, k}, "joining loses nothing")
	last := p.bins[len(p.bins)-2] // 03:30 to 03:40
	require.True(t, last.bad)

	busy := newPlot(must(samples(t)["plus-five"].normalised()))
	require.Equal(t, time.Minute, busy.width)
	require.InDelta(t, 0.1, busy.top, 1e-9, "five points are not lost on a scale of 100%")
}

func TestLabelsDoNotCollide(t *testing.T) {
	base := samples(t)["plus-five"]
	for _, minutes := range [][4]int{{0, 1, 2, 3}, {0, 9, 12, 17}, {0, 3, 3, 18}, {-55, -54, -50, 18}, {-30, 0, 10, 18}} {
		c := base
		at := func(i int) time.Time { return onset.Add(time.Duration(minutes[i]) * time.Minute) }
		c.OnsetAt, c.FiredAt, c.AcknowledgedAt, c.ResolvedAt = at(0), at(1), at(2), at(3)
		c = must(c.normalised())
		d := newDrawing(c)
		marks, rows := d.place(newPlot(c), panel{x0: left, x1: 800 - right, from: c.From, to: c.To})
		require.Len(t, marks, 4)
		require.LessOrEqual(t, rows, 4)
		for i, m := range marks {
			from, to := m.extent()
			require.GreaterOrEqual(t, from, 0.0)
			require.LessOrEqual(t, to, 800.0)
			for _, o := range marks[i+1:] {
				oFrom, oTo := o.extent()
				require.False(t, m.row == o.row && from < oTo && to > oFrom, "%s over %s", m.label, o.label)
			}
		}
	}
}

func TestTimeAxis(t *testing.T) {
	zone := berlin(t)
	ticks := func(from time.Time, span time.Duration) []string {
		p := plot{chart: Chart{Zone: zone}, from: from, to: from.Add(span)}
		times, layout := p.timeTicks(7)
		var out []string
		for _, tick := range times {
			out = append(out, tick.Format(layout))
		}
		return out
	}
	require.Equal(t, []string{"02:15", "02:30", "02:45", "03:00", "03:15", "03:30"}, ticks(onset.Add(-time.Hour), 90*time.Minute))
	require.Equal(t, []string{"00:00", "06:00", "12:00", "18:00"}, ticks(time.Date(2026, 3, 3, 22, 30, 0, 0, time.UTC), 24*time.Hour))
	require.Equal(t, []string{"4 Mar", "6 Mar", "8 Mar", "10 Mar"}, ticks(onset, 8*24*time.Hour)[:4])
	require.LessOrEqual(t, len(ticks(onset, 31*24*time.Hour)), 7)
	for _, v := range []struct {
		in   float64
		want string
	}{{0, "0%"}, {0.012, "1.2%"}, {0.0004, "0.04%"}, {0.5, "50%"}, {0.05, "5%"}, {1, "100%"}} {
		require.Equal(t, v.want, percentText(v.in))
	}
	require.Equal(t, "1.5k", countText(1500))
}

func TestHostileTextIsOneLine(t *testing.T) {
	require.Equal(t, "a b c", oneLine("a\nb\x00\x1b \t c"))
	long := Chart{Title: string(bytes.Repeat([]byte("W"), 5000)), Subtitle: "\xff\xfe\u202e", Points: samples(t)["gap"].Points}
	drawn(t, long)
}

func BenchmarkPNG(b *testing.B) {
	c := Chart{Title: "acme: payments fail", Points: counts(1, onset, 90, 100, faulty(0.01, 1, time.Time{})), Usual: 0.01, FiredAt: onset.Add(time.Minute)}
	for b.Loop() {
		if _, err := c.PNG(); err != nil {
			b.Fatal(err)
		}
	}
}
