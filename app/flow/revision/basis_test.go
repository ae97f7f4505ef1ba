package revision

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/profiles"
)

func TestABudgetThatChangedIsSaid(t *testing.T) {
	of := func(team string, pages float64) map[string]profiles.Budget {
		return map[string]profiles.Budget{"payments": {Team: team, FalsePagesPerWeek: pages}}
	}
	require.Equal(t, "team payments bears 20 false pages a week now, before: 2", budgeted(of("payments", 2), of("payments", 20)))
	require.Equal(t, "the team's budget changed", budgeted(of("payments", 2), of("shops", 20)), "another team has it")
}
