package evaluate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/exchange"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// announces is a calendar of one entry that widens.
func announces(t *testing.T, from, to time.Time, factor float64) func(time.Time, calendar.Scope) (calendar.Entry, bool) {
	t.Helper()
	c, wrong := calendar.New([]calendar.Entry{{Name: "labour_day", Effect: calendar.Widen, StartsAt: from, EndsAt: to, Factor: factor, Why: "shops are closed", By: "anna"}})
	require.Empty(t, wrong)
	return func(at time.Time, on calendar.Scope) (calendar.Entry, bool) { return c.Active(at, calendar.Widen, on) }
}

// TestAnAnnouncedDayIsNoFault: a third of the usual comes on a day of the calendar.
func TestAnAnnouncedDayIsNoFault(t *testing.T) {
	closed, opens := epoch.Add(4*24*time.Hour), epoch.Add(5*24*time.Hour)
	run := func(announced bool) (*rig, *shops) {
		o := Options{}
		if announced {
			o.Announced = announces(t, closed, opens, .05)
		}
		r := newRig(t, o, flowing())
		s := newShops(5, 1)
		s.live(r, epoch, closed)
		usual := s.tps
		s.tps = func(at time.Time) float64 { return usual(at) * .05 }
		s.live(r, closed, closed.Add(14*time.Hour))
		s.tps = usual
		return r, s
	}
	r, _ := run(false)
	require.NotEmpty(t, firing(r.out.Alerts), "what nobody announced is lost traffic")
	r, s := run(true)
	require.Empty(t, firing(r.out.Alerts))

	// All that still comes is lost too: that is seen, and the reason names the entry.
	s.part["alpha"], s.part["beta"] = 0, 0
	s.live(r, closed.Add(14*time.Hour), closed.Add(18*time.Hour))
	fired := firing(r.out.Alerts)
	require.NotEmpty(t, fired)
	require.Contains(t, fired[0].Reason, "5% of the usual may come: calendar entry labour_day, anna: shops are closed")
	s.part["alpha"], s.part["beta"] = .4, .6
	s.live(r, closed.Add(18*time.Hour), opens.Add(12*time.Hour))
	noon := r.meter().flow.season.At(opens.Add(12 * time.Hour))
	require.InDelta(t, 60*day(1)(opens.Add(12*time.Hour)), noon.Expected, 12, "nothing of that day was learned")
}

// TestACountrysFactor: what comes over all tenants of a country is what is expected of
// each, from a moment on and not for ever.
func TestACountrysFactor(t *testing.T) {
	in := func(of rule.Rule) rule.Rule {
		of.SLI.Slices = []string{"acquirer", "country"}
		return of
	}
	r := newRig(t, Options{}, in(flowing()))
	f := newFeed(6)
	f.every = time.Minute
	mean := map[string]float64{"DE": 2, "FR": 1}
	for _, c := range []string{"DE", "FR"} {
		f.counter(func(time.Time) float64 { return mean[c] }, "acquirer", "alpha", "country", c, "result", "success")
	}
	from := epoch.Add(3*24*time.Hour + 9*time.Hour)
	f.live(r, epoch, from)
	require.Empty(t, r.out.Alerts)
	of := func(value float64, at time.Time) exchange.Factor {
		return exchange.Factor{Environment: "production", Service: "payments", Rule: "payment_traffic", Country: "DE", From: at, Value: value, Tenants: 40}
	}
	r.e.SetFactor(of(.25, from))
	r.e.SetFactor(of(.25, from))
	r.e.SetFactor(of(0, from.Add(time.Minute)))
	require.Equal(t, []exchange.Factor{of(.25, from)}, r.e.Factors(), "once, and nothing that is none")
	mean["DE"] = .25
	f.live(r, from, from.Add(90*time.Minute))
	require.Empty(t, firing(r.out.Alerts), "an eighth comes, a quarter is expected")
	m := r.meter()
	x := r.tenant().tideOf(m, m.rules[0], from.Add(time.Hour).UnixMilli())
	de, fr := m.byDim[sli.Dim{Label: "country", Value: "DE"}], m.byDim[sli.Dim{Label: "country", Value: "FR"}]
	require.Equal(t, .25, x.of(de).factor)
	require.InDelta(t, .5, x.of(0).factor, .03, "two thirds of all are from there")
	require.InDelta(t, .5, x.of(m.byDim[sli.Dim{Label: "acquirer", Value: "alpha"}]).factor, .03)
	require.Equal(t, calm, x.of(fr))
	require.Equal(t, "25% of the usual comes in DE over 40 tenants", x.of(de).why)

	mean["FR"], mean["DE"] = 0, 0
	f.live(r, from.Add(90*time.Minute), from.Add(105*time.Minute))
	require.NotEmpty(t, firing(r.out.Alerts), "what is lost for good is seen all the same")
	require.Equal(t, calm, r.tenant().tideOf(m, m.rules[0], from.Add(3*time.Hour).UnixMilli()).of(de), "it is not renewed")

	data, err := r.e.Checkpoint("shop")
	require.NoError(t, err)
	back := newRig(t, Options{}, in(flowing()))
	for _, f := range r.e.Factors() {
		back.e.SetFactor(f)
	}
	require.NoError(t, back.e.Restore("shop", data))
	require.Equal(t, r.e.Factors(), back.e.Factors())
	again, err := back.e.Checkpoint("shop")
	require.NoError(t, err)
	require.Equal(t, data, again)
	require.Equal(t, tenant.ID("shop"), back.e.Tenants()[0])
}
