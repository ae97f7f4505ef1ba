package profiles

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLimits(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	p, err := Default()
	require.NoError(t, err)
	day := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	late := time.Date(2026, 3, 2, 21, 30, 0, 0, time.UTC) // half past ten in Berlin

	l := p.Impact.Limits(300, berlin, day)
	require.InDelta(t, 0.004, l.Share, 1e-9)
	require.Equal(t, 3, l.Tenants)
	require.Empty(t, l.Night)
	l = p.Impact.Limits(300, berlin, late)
	require.InDelta(t, 0.006, l.Share, 1e-9)
	require.Equal(t, "22:00-07:00 Europe/Berlin", l.Night)
	require.Empty(t, p.Impact.Limits(300, time.UTC, late).Night)

	own := Impact{Day: Floor{Share: 0.05, LossPerMinute: 300}, Night: Night{From: "20:00", To: "06:00", Share: 0.02, Tenants: 2}}
	require.Equal(t, 3, own.Limits(300, berlin, day).Tenants, "what is left out has its default")
	l = own.Limits(300, berlin, late)
	require.Equal(t, 0.05, l.Share, "the night demands nothing less than the day")
	require.Equal(t, 300.0, l.LossPerMinute)
	require.Equal(t, 3, l.Tenants)
}
