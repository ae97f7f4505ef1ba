package flow_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
)

// Who was called for an incident of the tenant alone is the tenant's data, too.
func TestErasedIncidentsLeaveNoCallsBehind(t *testing.T) {
	story(t, "", func(t *testing.T, w *world, l *life) {
		a := fault("acme")
		l.offer(t, "1", a)
		after(time.Minute)
		l.offer(t, "2", over(a))
		after(time.Minute)
		require.Len(t, read[oncall.Escalation](t, l.store, response.Escalations), 1)
		subject := response.Subject(env)
		require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
			_, erased, kept, err := l.shared.Incidents().Erase(tx, "acme")
			require.Equal(t, 1, erased)
			require.Zero(t, kept)
			return err
		}))
		require.Empty(t, l.incidents(t))
		require.Empty(t, l.pages(t))
		require.Empty(t, read[oncall.Escalation](t, l.store, response.Escalations))
		l.end()
	})
}
