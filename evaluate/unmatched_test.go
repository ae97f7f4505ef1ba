package evaluate

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

func TestWhatMatchesNothingIsTold(t *testing.T) {
	other := failing()
	other.Name, other.SLI.Name, other.SLI.Metric = "Refunds", "refunds", "refund_total"
	r := newRig(t, Options{}, failing(), other)
	require.Equal(t, []string{"payments", "refunds"}, r.e.Status("shop", r.now).SLIsWithoutSeries)
	r.at(15).add(counter("acquirer", "alpha", "result", "success"), 15, 1)
	for i := range 200 {
		r.add(labels.FromStrings("__name__", fmt.Sprintf("noise_%03d", i)), 15, 1)
		r.e.Add(r.now, "shop", labels.FromStrings("__name__", "payment_total"), []Sample{{T: 1}, {T: 2}})
	}
	st := r.e.Status("shop", r.now.Add(time.Second))
	require.Equal(t, []string{"refunds"}, st.SLIsWithoutSeries)
	require.Equal(t, Unmatched{"payment_total", 400}, st.SeriesWithoutSLI[0], "a name spelled wrong stands first")
	require.Len(t, st.SeriesWithoutSLI, namesShown)
	require.Len(t, r.tenant().unmatched, namesFollowed)
	require.Empty(t, r.e.Status("nobody", r.now).SLIsWithoutSeries)
	require.NotNil(t, r.e.Status("nobody", r.now).SeriesWithoutSLI)
}
