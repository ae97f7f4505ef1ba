package evaluate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVolumeAndSums(t *testing.T) {
	r := newRig(t, grownUp())
	_, observed := r.e.Volume("shop", "", payments(), r.now)
	require.Zero(t, observed)
	g := three()
	g.live(r, epoch, epoch.Add(30*time.Hour))
	tpm, observed := r.e.Volume("shop", "", payments(), r.now)
	require.InDelta(t, 300, tpm, 6)
	require.InDelta(t, 24, observed.Hours(), 1)
	tpm, _ = r.e.Volume("shop", "staging", payments(), r.now)
	require.Zero(t, tpm)
	g.tps["alpha"], g.tps["beta"], g.tps["gamma"] = 20, 20, 10
	g.live(r, epoch.Add(30*time.Hour), epoch.Add(55*time.Hour))
	tpm, _ = r.e.Volume("shop", "production", payments(), r.now)
	require.InDelta(t, 3000, tpm, 60)
	tpm, observed = r.e.Volume("shop", "", payments(), r.now.Add(48*time.Hour))
	require.Zero(t, tpm)
	require.Zero(t, observed, "nobody knows")

	sums := r.e.Sums("shop")
	require.Len(t, sums, 1)
	require.Equal(t, "PaymentsFailing", sums[0].Rule)
	require.InDelta(t, .01, sums[0].Bad/sums[0].Events, .002)
	require.Empty(t, r.e.Sums("other"))
}
