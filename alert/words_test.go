package alert_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
)

func TestCount(t *testing.T) {
	for want, n := range map[string]float64{"0": 0, "0.02": .02, "0.31": .309, "1": .97, "3": 3.04, "3.2": 3.2, "10": 9.98, "47": 46.6,
		"1,029": 1029, "12,345,678": 12_345_678, "-1,200": -1200, "unknown": math.NaN()} {
		require.Equal(t, want, alert.Count(n))
	}
}
