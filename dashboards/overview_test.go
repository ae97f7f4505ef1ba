package dashboards_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/problem"
)

func overview(lanes int) dashboards.Overview {
	from := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	o := dashboards.Overview{Title: "What would have rung", Subtitle: "3 alerts", From: from, To: from.Add(48 * time.Hour), Step: time.Hour, SVG: true,
		Marks: []dashboards.Sign{dashboards.KnownFault, dashboards.Call, dashboards.OtherCall, 99}}
	for i := range lanes {
		l := dashboards.Lane{Name: fmt.Sprintf("tenant-%d", i)}
		for n := range 48 {
			l.Points = append(l.Points, dashboards.Point{T: from.Add(time.Duration(n) * time.Hour), N: float64(n), K: float64(n / 10)})
		}
		for sign := range dashboards.OtherCall + 1 {
			l.Spans = append(l.Spans, dashboards.MarkedSpan{From: from.Add(5 * time.Hour), To: from.Add(6 * time.Hour), Sign: sign})
		}
		o.Lanes = append(o.Lanes, l)
	}
	return o
}

func TestAnOverviewNamesItsLanesAndSigns(t *testing.T) {
	raw, err := overview(3).Draw()
	require.NoError(t, err)
	text := string(raw)
	for _, want := range []string{"<svg", "What would have rung", "3 alerts", "tenant-0", "tenant-2", "known fault", "page by the other rules", "3 Mar", "12:00"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "warning", "a sign that nothing has needs no explanation")
	marked := strings.Count(text, "<path")
	o := overview(3)
	for i := range o.Lanes {
		o.Lanes[i].Spans = nil
	}
	raw, err = o.Draw()
	require.NoError(t, err)
	require.Equal(t, marked-3*7, strings.Count(string(raw), "<path"), "a fault, two alerts, and two calls of a pole and a flag in each of three lanes")
}

func TestAnOverviewOfNothingIsDrawnToo(t *testing.T) {
	_, err := overview(0).Draw()
	require.NoError(t, err)
	for _, spoil := range []func(o *dashboards.Overview){
		func(o *dashboards.Overview) { o.To = o.From },
		func(o *dashboards.Overview) { o.Step = 0 },
		func(o *dashboards.Overview) { *o = overview(61) },
	} {
		o := overview(1)
		spoil(&o)
		_, err := o.Draw()
		require.Equal(t, problem.Invalid, problem.From(err).Kind)
	}
}
