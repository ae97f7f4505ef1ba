package impact

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWakes(t *testing.T) {
	day := Limits{Floor: Floor{Share: 0.01, Tenants: 3}, Of: 300}
	money := Limits{Floor: Floor{Share: 0.01, Tenants: 3, LossPerMinute: 500}, Of: 300}
	night := Limits{Floor: Floor{Share: 0.015, Tenants: 5}, Of: 300, Night: "22:00-07:00 Europe/Berlin"}
	few := Limits{Floor: Floor{Tenants: 3}, Of: 6}
	tests := []struct {
		name   string
		l      Limits
		f      Facts
		wakes  bool
		reason string
	}{
		{"one small tenant", day, Facts{Share: 0.0002, Sure: 0.0002, Tenants: 1}, false,
			"certain but small: 0.02% of all volume, 1 tenant; a call needs 1% of all volume, 0.1% lost, 3 tenants or a tenant marked priority"},
		{"one large tenant", day, Facts{Share: 0.031, Sure: 0.031, Tenants: 1}, true, "3.1% of all volume is affected, 1% is enough"},
		{"exactly the floor", day, Facts{Share: 0.01, Sure: 0.01, Tenants: 1}, true, "1% of all volume is affected, 1% is enough"},
		{"the same at night", night, Facts{Share: 0.012, Sure: 0.012, Tenants: 1}, false,
			"certain but small: 1.2% of all volume, 1 tenant; a call at night (22:00-07:00 Europe/Berlin) needs 1.5% of all volume, 0.3% lost, 5 tenants or a tenant marked priority"},
		{"three small tenants", day, Facts{Share: 0.0006, Sure: 0.0006, Tenants: 3}, true, "3 tenants are affected, 3 are enough"},
		{"three at night", night, Facts{Share: 0.0006, Sure: 0.0006, Tenants: 3}, false,
			"certain but small: 0.06% of all volume, 3 tenants; a call at night (22:00-07:00 Europe/Berlin) needs 1.5% of all volume, 0.3% lost, 5 tenants or a tenant marked priority"},
		{"five at night", night, Facts{Share: 0.0006, Sure: 0.0006, Tenants: 5}, true, "5 tenants are affected, 5 are enough"},
		{"priority at night", night, Facts{Share: 0.0001, Sure: 0.0001, Tenants: 1, Priority: "acme"}, true, "tenant acme is marked priority"},
		{"a loss", money, Facts{Share: 0.0001, Sure: 0.0001, Tenants: 1, LossPerMinute: 1200}, true, "1200 a minute is lost, 500 is enough"},
		{"a smaller loss", money, Facts{Share: 0.0001, Sure: 0.0001, Tenants: 1, LossPerMinute: 12.345}, false,
			"certain but small: 0.01% of all volume, 1 tenant, 12.3 a minute lost; a call needs 1% of all volume, 0.1% lost, 3 tenants, 500 a minute lost or a tenant marked priority"},
		{"few tenants", few, Facts{Share: 0.001, Sure: 0.001, Tenants: 1}, true, "every tenant counts: there are 6"},
		{"few tenants, weak", few, Facts{Share: 0.001, Tenants: 1, Weak: &Weak{11.2, 14}}, false,
			"certain enough for a ticket and not for a call (evidence 11.2 of 14.0): 0.1% of all volume, 1 tenant; a call needs more evidence, 3 tenants or a tenant marked priority"},
		{"a small one that loses all", day, Facts{Share: 0.003, Sure: 0.003, Lost: 0.0029, Tenants: 1}, true, "0.29% of all volume is lost, 0.1% is enough"},
		{"at night it is too small", night, Facts{Share: 0.003, Sure: 0.003, Lost: 0.0029, Tenants: 1}, false,
			"certain but small: 0.3% of all volume, 1 tenant; a call at night (22:00-07:00 Europe/Berlin) needs 1.5% of all volume, 0.3% lost, 5 tenants or a tenant marked priority"},
		{"unknown volume", day, Facts{Unknown: true, Tenants: 1}, true, "how much of the volume is affected is not known yet"},
		{"weak evidence of a large tenant", day, Facts{Share: 0.02, Tenants: 1, Weak: &Weak{17.1, 21}}, false,
			"certain enough for a ticket and not for a call (evidence 17.1 of 21.0): 2% of all volume, 1 tenant; a call needs 1% of all volume, 0.1% lost, 3 tenants or a tenant marked priority"},
		{"held", Limits{Held: "the calendar entry migration holds pages: the vendor works on it"}, Facts{Share: 1, Sure: 1, Tenants: 9, Priority: "acme"}, false,
			"the calendar entry migration holds pages: the vendor works on it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, Verdict{tt.wakes, tt.reason}, tt.l.Wakes(tt.f))
		})
	}
}

// The zero limits, of an installation without a policy's floors, call for anything.
func TestWithoutLimitsEverythingWakes(t *testing.T) {
	assert.True(t, Limits{}.Wakes(Facts{Share: 1e-9, Sure: 1e-9, Tenants: 1}).Wakes)
}

func TestDefaultFloors(t *testing.T) {
	for _, n := range []int{0, 1, 10} {
		assert.Zero(t, Day(n).Share)
		assert.Zero(t, AtNight(n).Share, "with %d tenants each may call at night", n)
	}
	for n := 1; n <= 200_000; n += 1 + n/10 {
		day, night := Day(n), AtNight(n)
		assert.LessOrEqual(t, day.Share, night.Share, "night is not more lenient with %d tenants", n)
		assert.Less(t, day.Tenants, night.Tenants)
		if n > 150 {
			assert.Greater(t, day.Share, 1/float64(n), "with %d tenants of one size none calls by itself", n)
		}
	}
	assert.Equal(t, Floor{Share: 0.2, LossPerMinute: 5, Tenants: 3}, Floor{Share: 0.2, LossPerMinute: 5}.Or(Day(300)))
}

func TestPercent(t *testing.T) {
	for v, want := range map[float64]string{0: "0%", 1: "100%", 0.1234: "12%", 0.0156: "1.6%", 0.00021: "0.021%", 1e-9: "under 0.0001%", 0.995: "100%"} {
		assert.Equal(t, want, Percent(v))
	}
}
