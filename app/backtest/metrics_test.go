package backtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/profiles"
)

// A rule whose metric is not read says nothing, as if nothing had been slow; and who
// fails must be read, or one customer's retries look like everybody's.
func TestDurationsAndCustomersAreReadToo(t *testing.T) {
	p, err := profiles.Default()
	require.NoError(t, err)
	require.Equal(t, []string{"payment_duration_seconds_bucket", "payment_failing_customers_total", "payment_transactions_total"}, backtest.Metrics(p))
}
