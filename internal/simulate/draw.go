package simulate

import "time"

// reset restarts what restarts before the end of the tick that begins now.
func (g *Gateway) reset() {
	rest := g.resets[:0]
	for _, r := range g.resets {
		if r.At.After(g.now) {
			rest = append(rest, r)
			continue
		}
		for _, c := range g.cells {
			if r.Tenant != "" && r.Tenant != c.Tenant {
				continue
			}
			for i := range c.series {
				s := &c.series[i]
				s.n, s.start = 0, time.Time{}
				if !g.opts.Births {
					s.start = later(g.now, c.tenant.From)
				}
			}
			if c.timing != nil {
				clear(c.timing.n)
				if c.timing.start = (time.Time{}); !g.opts.Births {
					c.timing.start = later(g.now, c.tenant.From)
				}
			}
		}
	}
	g.resets = rest
}

// swing draws this minute's volume factors and error ratios.
func (g *Gateway) swing() {
	minute := g.now.Unix() / 60
	if minute == g.minute {
		return
	}
	g.minute = minute
	for _, t := range g.tenants {
		t.swing = gammaAroundOne(g.opts.VolumeSpread, g.src) * season(g.now, t.zone, t.Season)
	}
	if g.opts.ErrorCorrelation <= 0 {
		return
	}
	mean := map[string]float64{}
	for _, c := range g.cells {
		mean[c.swing] = c.base.Error
	}
	for _, key := range g.keys {
		g.swings[key] = betaAround(mean[key], g.opts.ErrorCorrelation, g.src)
	}
}

// draw makes one tick's events of a cell: first the healthy world's, then what
// faults turn into failures, each from its own source, so that a world with a
// fault differs from the one without by that fault alone.
func (g *Gateway) draw(c *cell) {
	if g.now.Before(c.tenant.From) {
		return
	}
	mean := c.rate * c.tenant.swing * g.opts.Tick.Seconds()
	for _, f := range g.opts.Factors {
		mean *= f(c.Cell, g.now)
	}
	n := poisson(mean, g.src)
	if n == 0 {
		return
	}
	ratio := g.swings[c.swing]
	drawn := g.split(n, Rates{Error: ratio, Declined: c.base.Declined, Abandoned: c.base.Abandoned})
	for _, f := range g.faults {
		if f.on(g.now) && f.hits(c.Cell) {
			f.apply(&drawn, n, ratio)
		}
	}
	happened := uint64(0)
	for i, k := range drawn {
		if k == 0 {
			continue
		}
		happened += k
		s := &c.series[i]
		if s.start.IsZero() {
			s.start = g.now
		}
		s.n += k
		s.total += k
		if g.opts.OnDraw != nil {
			g.opts.OnDraw(Draw{Cell: c.Cell, Result: resultNames[i], N: k, At: g.now})
		}
	}
	if c.timing != nil {
		c.timing.take(happened, g.opts.Duration.Seconds()*g.slower(c), g.now)
	}
}

func (g *Gateway) split(n uint64, r Rates) [results]uint64 {
	var out [results]uint64
	left, mass := n, 1.0
	for _, part := range []struct {
		result int
		p      float64
	}{{failed, r.Error}, {declined, r.Declined}, {abandoned, r.Abandoned}} {
		if mass <= 0 {
			break
		}
		out[part.result] = binomial(left, part.p/mass, g.src)
		left -= out[part.result]
		mass -= part.p
	}
	out[success] = left
	return out
}

// apply turns events that did not fail into failures, or into what else the fault does.
func (f *faultState) apply(drawn *[results]uint64, n uint64, ratio float64) {
	p := f.Size
	switch f.Kind {
	case TrafficLost:
		f.Events += n
		for i := range drawn {
			k := binomial(drawn[i], p, f.src)
			drawn[i] -= k
			f.Injected += k
		}
		return
	case Declining:
		k := binomial(drawn[success], p, f.src)
		drawn[success] -= k
		drawn[declined] += k
		f.Events, f.Injected = f.Events+n, f.Injected+k
		return
	case Slow:
		f.Events, f.Injected = f.Events+n, f.Injected+n
		return
	}
	if f.Kind == ErrorPoints {
		p = min(1, f.Size/max(1-ratio, 1e-9))
	}
	f.Events += n
	for _, from := range []int{success, declined, abandoned} {
		k := binomial(drawn[from], p, f.src)
		drawn[from] -= k
		drawn[failed] += k
		f.Injected += k
	}
}
