package evaluate

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTwoSendersOfOneSeries: whatever the lower one counted so far is no event.
func TestTwoSendersOfOneSeries(t *testing.T) {
	for name, low := range map[string]float64{"far below": 3, "near": 900_000, "a little below": 999_990} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{})
			ls := counter("acquirer", "alpha", "result", "error")
			ok := counter("acquirer", "alpha", "result", "success")
			most := 0.0
			for i := range 80 {
				at := float64(15 * (i + 1))
				r.at(at).add(ok, at, float64(100*i)).add(ls, at, 1_000_000+float64(i))
				if i >= 40 && i < 60 {
					r.at(at+7).add(ls, at+7, low+float64(i)/8)
				}
				for _, s := range r.steps() {
					most = max(most, s.n)
				}
			}
			require.Empty(t, r.out.Alerts)
			require.Less(t, most, 125.0, "a step has what the followed sender counted")
			st := r.e.Status("shop", r.now)
			require.InDelta(t, 20, st.RivalSamples, 1, "dropped, and counted")
			require.Zero(t, st.LateSamples)
			require.Equal(t, rivalry{}, r.tenant().series[1].rivalry, "it is alone again")
		})
	}
}

// TestARestartIsNoRival: a process that restarts into a fault is believed.
func TestARestartIsNoRival(t *testing.T) {
	r := newRig(t, Options{})
	ls, ok := counter("acquirer", "alpha", "result", "error"), counter("acquirer", "alpha", "result", "success")
	for i := range 40 {
		at := float64(15 * (i + 1))
		r.at(at).add(ok, at, float64(100*i)).add(ls, at, 5000+float64(i))
	}
	for i := range 8 { // all of it fails from the restart on
		at := float64(15 * (41 + i))
		r.at(at).add(ok, at, 0).add(ls, at, float64(95*(i+1)))
	}
	require.NotEmpty(t, r.out.Alerts)
	require.Zero(t, r.e.Status("shop", r.now).RivalSamples)
	require.GreaterOrEqual(t, r.out.Alerts[0].Evidence.K, 95.0)
}

// TestTheOtherSenderIsFollowedWhenItIsTheOnlyOneLeft and its level is no event.
func TestTheOtherSenderIsFollowedWhenItIsTheOnlyOneLeft(t *testing.T) {
	r := newRig(t, Options{})
	ls := counter("acquirer", "alpha", "result", "success")
	for i := range 30 {
		at := float64(15 * (i + 1))
		if i < 20 {
			r.at(at).add(ls, at, 1_000_000+float64(10*i))
		}
		if i >= 10 {
			r.at(at+7).add(ls, at+7, 500_000+float64(10*i))
		}
	}
	st := r.steps()
	require.InDelta(t, 10, st[len(st)-1].n, 3)
	for _, s := range st {
		require.Less(t, s.n, 30.0)
	}
	require.Greater(t, r.e.Status("shop", r.now).RivalSamples, int64(10))
}
