package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPersonIsOfEveryTeamThatMayCallThem(t *testing.T) {
	c := &Catalog{
		Teams: []Team{
			{ID: "list", OnCall: []PersonID{"bob", "ada"}}, {ID: "rota", Schedule: "weeks"}, {ID: "cover", Schedule: "holiday"},
			{ID: "step", Escalation: []Step{{Person: "ada"}}}, {ID: "steps", Escalation: []Step{{Schedule: "weeks"}}},
			{ID: "last", LastResort: LastResort{Person: "ada"}}, {ID: "other", OnCall: []PersonID{"bob"}, LastResort: LastResort{Team: "list"}},
		},
		Schedules: []Schedule{{ID: "weeks", Layers: []Layer{{Members: []PersonID{"bob"}}, {Members: []PersonID{"ada"}}}},
			{ID: "holiday", Overrides: []Override{{Person: "ada", Instead: "bob"}}}},
	}
	require.Equal(t, []TeamID{"list", "rota", "cover", "step", "steps", "last"}, c.TeamsOf("ada"))
	require.Equal(t, []TeamID{"list", "rota", "steps", "other"}, c.TeamsOf("bob"), "who is replaced by an override is not called by it")
	require.Empty(t, c.TeamsOf("eve"))
}
