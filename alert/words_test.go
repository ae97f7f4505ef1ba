package alert_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/problem"
)

func TestWordsForTimesAndShares(t *testing.T) {
	for d, want := range map[time.Duration]string{45 * time.Second: "45 seconds", 119 * time.Second: "119 seconds", 2 * time.Minute: "2 minutes",
		119 * time.Minute: "119 minutes", 2 * time.Hour: "2 hours", 50 * time.Hour: "50 hours"} {
		require.Equal(t, want, alert.Lasting(d))
	}
	for share, want := range map[float64]string{0: "0.00%", .0004: "0.04%", .001: "0.1%", .256: "25.6%", 1: "100.0%"} {
		require.Equal(t, want, alert.Percent(share))
	}
	then := time.Date(2026, 3, 2, 23, 59, 30, 0, time.UTC)
	require.Equal(t, "23:59:30 UTC", alert.Clock(then, then.Add(10*time.Second)))
	require.Equal(t, "2026-03-02 23:59:30 UTC", alert.Clock(then, then.Add(time.Minute)), "of the day before")
}

func TestVerdicts(t *testing.T) {
	for _, v := range alert.Verdicts() {
		got, err := alert.ParseVerdict(string(v))
		require.NoError(t, err)
		require.Equal(t, v, got)
	}
	require.Equal(t, "a false alarm", alert.VerdictFalse.Words())
	require.Equal(t, "a duplicate", alert.VerdictDuplicate.Words())
	require.Equal(t, "expected", alert.VerdictExpected.Words())
	_, err := alert.ParseVerdict("s3cret")
	require.True(t, problem.Is(err, problem.Invalid))
	require.EqualError(t, err, "the verdict must be one of real, false, expected, duplicate")
}

func TestCount(t *testing.T) {
	for want, n := range map[string]float64{"0": 0, "0.02": .02, "0.31": .309, "1": .97, "3": 3.04, "3.2": 3.2, "10": 9.98, "47": 46.6,
		"1,029": 1029, "12,345,678": 12_345_678, "-1,200": -1200, "unknown": math.NaN()} {
		require.Equal(t, want, alert.Count(n))
	}
}
