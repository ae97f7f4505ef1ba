package replay

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress draws a bar on a terminal and is silent elsewhere.
type progress struct {
	out   io.Writer
	began time.Time
	drawn bool
	// samples is how many were read when the bar was drawn last.
	samples int64
}

func (p *progress) show(share float64, samples int64) {
	f, ok := p.out.(*os.File)
	if !ok {
		return
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return
	}
	const width = 40
	full := int(share * width)
	rate := float64(samples) / max(time.Since(p.began).Seconds(), 0.001)
	fmt.Fprintf(p.out, "\r[%s%s] %3.0f%%  %.1f million samples, %.1f million a second ", strings.Repeat("#", full), strings.Repeat(".", width-full), 100*share, float64(samples)/1e6, rate/1e6)
	p.drawn, p.samples = true, samples
}

func (p *progress) end() {
	if p.drawn {
		p.show(1, p.samples)
		fmt.Fprintln(p.out)
	}
}
