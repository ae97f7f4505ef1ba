package response_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/outbox"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/partition/partitiontest"
)

// written are the states of the tickets that were asked for, in order.
func (r *room) written(t *testing.T) (out []itsm.State) {
	t.Helper()
	for _, d := range r.asked(t, "itsm/rt") {
		var job outbox.TicketJob
		require.NoError(t, json.Unmarshal(d.Payload, &job))
		out = append(out, job.Ticket.State)
	}
	return out
}

// A team that goes live when the fault is over already gets no ticket of it; when it comes
// back there is one. What was asked for while it was live follows to its end.
func TestATeamThatGoesLiveTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.silent = true
		a := fault("acme")
		r.alert(t, a)
		partitiontest.Pass(time.Minute)
		r.silent = false
		r.alert(t, over(a))
		require.Empty(t, r.written(t))
		partitiontest.Pass(time.Minute)
		again := fault("acme")
		r.alert(t, again)
		require.Equal(t, []itsm.State{itsm.Open}, r.written(t), "it is back")
		partitiontest.Pass(time.Minute)
		r.alert(t, over(again))
		require.Equal(t, []itsm.State{itsm.Open, itsm.Resolved}, r.written(t), "though nobody knows yet what became of the first")
	})
}

// What never had a ticket is erased, whether one could be written now or not.
func TestErasingWhatNeverHadATicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.silent = true
		a := fault("acme")
		r.alert(t, a)
		partitiontest.Pass(time.Minute)
		r.alert(t, over(a))
		r.silent = false
		r.Do(t, func(tx *partition.Tx) error {
			_, erased, kept, err := r.desk.Erase(tx, "acme")
			require.Equal(t, [2]int{1, 0}, [2]int{erased, kept})
			return err
		})
	})
}
