package evaluate

import (
	"math"
	"time"

	"github.com/tocsin-alerting/tocsin/detect"
)

// A thin tenant's series are born with its next event after every restart of what counts
// them, and evicted where they have not moved for a while: until then nothing arrives,
// and nothing is wrong. It is absent once that many events are missing of what its hours
// usually bring that chance cannot explain it.

const (
	missedStep  = 5 * time.Minute // in which what is missing is added up
	mostMissing = 24 * time.Hour  // of silence that is an absence however little is expected
)

// since is how long (ms) a silence that began at from lasts until it is an absence of a
// rule with a budget, by what was expected to come in it; 0: nobody knows what comes.
type since struct {
	from, lasts int64
	budget      float64
}

// mayBeChance says for how long (ms) from from on that none of m's events came may be
// chance.
func (ts *tenantState) mayBeChance(m *meter, r *absentRule, from int64) int64 {
	if !m.knowsChance() {
		return 0
	}
	if m.chance.from != from || m.chance.budget != r.FalseAlarms {
		m.chance = since{from, ts.chance(m, r, from), r.FalseAlarms}
	}
	return m.chance.lasts
}

// knowsChance says whether it is known what its hours bring.
func (m *meter) knowsChance() bool {
	return m.flow != nil && m.flow.season.Mean() > 0 && m.flow.season.Minutes() >= youngFrom
}

// busier says whether m's hours are known to bring more than another's.
func (m *meter) busier(o *meter) bool {
	return o.flow == nil || m.flow != nil && m.flow.season.Mean() > o.flow.season.Mean()
}

// chance adds up what is expected to come, hour by hour.
func (ts *tenantState) chance(m *meter, r *absentRule, from int64) int64 {
	step := missedStep.Milliseconds()
	p := detect.Parameters{Budget: r.FalseAlarms, LooksPerMonth: float64(detect.Month / missedStep), Factor: r.Sensitivity.Factor()}
	v := detect.Volume{Size: m.flow.season.Size(), Mean: m.flow.season.Mean() * missedStep.Minutes(), Less: true}
	young, nats := ts.youngFlow(m), 0.
	for at := from; at < from+mostMissing.Milliseconds(); at += step {
		rate := m.flow.season.At(time.UnixMilli(at).In(ts.zone))
		if young {
			rate.Expected = ts.youngRate(m, rate.Slot)
			rate.Low, rate.High = rate.Expected, rate.Expected
		}
		v.Known = !young && m.flow.season.Seen(rate.Slot)
		v.Expected, v.Low = rate.Expected*missedStep.Minutes(), math.Min(rate.Low, rate.Expected)*missedStep.Minutes()
		each := v.Silent()
		if needed := p.Lost(v); nats+each >= needed {
			return at - from + int64((needed-nats)/each*float64(step))
		}
		nats += each
	}
	return mostMissing.Milliseconds()
}
