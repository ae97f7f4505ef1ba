package pool

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// market is tenants that tell a pool once a minute what came of what they expect.
type market struct {
	rng     *rand.Rand
	p       *Pool
	size    []float64 // expected a minute, by tenant
	comes   func(i int, country string) float64
	now     time.Time
	alerts  []alert.Alert
	factors []exchange.Factor
}

func flowPool() *Pool {
	p := New(Options{}, "production", "payments")
	r := flowing()
	r.SLI.Slices = []string{exchange.Country}
	p.SetRules([]rule.Rule{r})
	return p
}

func newMarket(seed uint64, size ...float64) *market {
	return &market{rng: rand.New(rand.NewPCG(seed, 9)), p: flowPool(), size: size, now: epoch, comes: func(int, string) float64 { return 1 }}
}

func (m *market) run(d time.Duration) *market {
	for end := m.now.Add(d); m.now.Before(end); {
		start := m.now
		m.now = m.now.Add(time.Minute)
		for i, size := range m.size {
			for _, country := range []string{"DE", "FR"} {
				m.p.Contribute(&exchange.Contribution{Origin: &exchange.Origin{Environment: "production", Service: "payments", Rule: "payment_traffic", Tenant: tenant.ID(fmt.Sprintf("t%03d", i))},
					Slice: sli.Slice{{Label: exchange.Country, Value: country}}, Live: true, Expected: size,
					Step: detect.Step{Start: start.UnixMilli(), End: m.now.UnixMilli(), N: poisson(m.rng, size*m.comes(i, country)), Coverage: 1}})
			}
		}
		m.alerts = append(m.alerts, m.p.Advance(m.now.Add(time.Second))...)
		m.alerts = append(m.alerts, m.p.Advance(m.now.Add(45*time.Second))...)
		m.factors = append(m.factors, m.p.Factors()...)
	}
	return m
}

func only(country string, x float64) func(int, string) float64 {
	return func(_ int, c string) float64 {
		if c == country {
			return x
		}
		return 1
	}
}

func TestACountryThatLosesItsTrafficRingsOnce(t *testing.T) {
	m := newMarket(1, many(60, .6)...).run(12 * time.Hour)
	require.Empty(t, m.alerts, "thin tenants, as usual")
	require.Empty(t, m.factors)
	lost := m.now
	m.comes = only("DE", .02)
	m.run(30 * time.Minute)
	fired := firing(m.alerts)
	require.NotEmpty(t, fired)
	a := fired[0]
	require.LessOrEqual(t, a.StartsAt.Sub(lost), 4*time.Minute)
	require.Equal(t, tenant.Product, a.Tenant)
	require.Equal(t, "country=DE", a.Slice.Key())
	require.Equal(t, rule.Critical, a.Severity)
	require.Equal(t, rule.Traffic, a.Kind)
	require.True(t, a.Evidence.Hard)
	require.Len(t, a.Evidence.Tenants, 20)
	require.InDelta(t, .5, a.Evidence.Share, .1)
	require.Contains(t, a.Reason, "payments in DE of 20 tenants in ")
	for _, f := range fired {
		require.Equal(t, a.ID, f.ID, "nothing else rings")
	}
	for _, f := range m.factors {
		require.Greater(t, f.Value, .5, "what is lost is not what is expected")
	}
	m.comes = only("DE", 1)
	m.alerts = nil
	m.run(30 * time.Minute)
	require.Len(t, ofState(m.alerts, alert.Resolved), 1)
}

func TestABankHolidayIsTheCountrysFactor(t *testing.T) {
	m := newMarket(2, many(60, 5)...).run(6 * time.Hour)
	began := m.now
	m.comes = only("DE", .4)
	m.run(6 * time.Hour)
	require.Empty(t, m.alerts, "it is no loss")
	require.NotEmpty(t, m.factors)
	for _, f := range m.factors {
		require.Equal(t, "DE", f.Country)
		require.Equal(t, 60, f.Tenants)
	}
	settled := m.factors[len(m.factors)-1]
	require.InDelta(t, .4, settled.Value, .051)
	require.Greater(t, settled.From, began.Add(4*time.Hour), "it is renewed")
	reached := m.factors[0]
	for _, f := range m.factors {
		if f.Value > .5 {
			reached = f
		}
	}
	require.Less(t, reached.From.Sub(began), 40*time.Minute)
	require.Less(t, len(m.factors), 30)
	m.comes, m.factors = only("DE", 1), nil
	m.run(2 * time.Hour)
	require.Equal(t, 1.0, m.factors[len(m.factors)-1].Value, "and over")
	m.factors = nil
	m.run(6 * time.Hour)
	require.Empty(t, m.factors)
}

func TestOneTenantIsNoCountry(t *testing.T) {
	for name, size := range map[string][]float64{"a giant": append(many(20, 2), 5000), "one of many": many(21, 20)} {
		m := newMarket(3, size...)
		m.comes = func(i int, _ string) float64 {
			if i == 20 {
				return 0
			}
			return 1
		}
		m.run(6 * time.Hour)
		require.Empty(t, m.alerts, name)
		require.Empty(t, m.factors, name)
	}
	// Nor does a giant's surge hide what all others miss.
	m := newMarket(3, append(many(20, 20), 500)...).run(time.Hour)
	m.comes = func(i int, country string) float64 {
		switch {
		case country == "FR":
			return 1
		case i == 20:
			return 9
		}
		return 0
	}
	m.run(time.Hour)
	value, _ := commonFactor(m.p.streams[0].flows.came)
	require.Less(t, value, .5, "the median is theirs")
	few := newMarket(4, 50, 50, 50)
	few.comes = only("DE", .4)
	few.run(3 * time.Hour)
	require.Empty(t, few.factors, "three are no crowd")
}

func TestTrafficThatMovedToAnotherCountryWarns(t *testing.T) {
	m := newMarket(5, many(30, 10)...).run(2 * time.Hour)
	m.comes = func(_ int, c string) float64 {
		if c == "DE" {
			return 0
		}
		return 2
	}
	m.run(20 * time.Minute)
	fired := firing(m.alerts)
	require.NotEmpty(t, fired)
	require.Equal(t, rule.Warning, fired[0].Severity)
	require.Contains(t, fired[0].Reason, "they came another way")
}

func TestAPoolOfVolumeIsRestored(t *testing.T) {
	whole := newMarket(6, many(30, 10)...)
	cut := newMarket(6, many(30, 10)...)
	for i := range 90 {
		for _, m := range []*market{whole, cut} {
			switch i {
			case 30:
				m.comes = only("DE", .5)
			case 70:
				m.comes = only("DE", 0)
			}
			m.run(time.Minute)
		}
		data, err := cut.p.Checkpoint()
		require.NoError(t, err)
		cut.p = flowPool()
		require.NoError(t, cut.p.Restore(data))
	}
	require.NotEmpty(t, whole.alerts)
	require.NotEmpty(t, whole.factors)
	require.Equal(t, whole.alerts, cut.alerts)
	require.Equal(t, whole.factors, cut.factors)
}

func TestAnAnnouncedDayRingsOverNobody(t *testing.T) {
	m := newMarket(8, many(30, 10)...)
	m.p.o.Announced = announces(t, epoch, epoch.Add(12*time.Hour), .05)
	m.comes = only("DE", .05)
	m.run(6 * time.Hour)
	require.Empty(t, m.alerts)
	m.comes = only("DE", 0)
	m.run(time.Hour)
	require.NotEmpty(t, m.alerts)
	require.Contains(t, m.alerts[0].Reason, "5% of the usual may come: calendar entry labour_day")
}

// A factor is told before it holds, however late a pool's step closed.
func TestFactorsHoldFromFixedMoments(t *testing.T) {
	for at, want := range map[string]string{"10:00:00": "10:02:00", "10:01:59.5": "10:02:00", "10:02:00": "10:02:00", "10:02:00.001": "10:07:00", "10:59:00": "11:02:00"} {
		x, err := time.Parse("15:04:05.999", at)
		require.NoError(t, err)
		y, err := time.Parse("15:04:05", want)
		require.NoError(t, err)
		require.Equal(t, y, FactorMoment(x), at)
	}
}
