package oncall_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/oncall"
)

func TestADrillPassesWithTheAcknowledgement(t *testing.T) {
	c := oncall.StartDrill("production", duty(byMail, byLog), "token:admin", 2*time.Minute, servers, noon)
	require.Equal(t, oncall.DrillWaiting, c.Drill.State)
	require.Equal(t, noon.Add(15*time.Minute), c.Timers[0].At)
	p := c.Page.Page
	require.NotNil(t, c.Page.Call, "also for a team that is observed")
	require.Contains(t, c.Page.Ledger[0].Refs, "drill/"+c.Drill.ID)
	may, _ := oncall.MaySend(p, *c.Page.Call, false, noon)
	require.True(t, may, "there is no incident that could be over")
	late, why := oncall.MaySend(p, *c.Page.Call, false, noon.Add(16*time.Minute))
	require.False(t, late)
	require.Contains(t, why, "too late")

	text := oncall.DrillText(p, "https://t/p/x")
	require.Equal(t, "DRILL for team payments: nothing is broken, please acknowledge", text.Subject)
	require.Contains(t, text.Text, "Why you: on call for team payments by schedule primary")
	require.Contains(t, text.Text, "https://t/p/x")
	require.True(t, text.About.Drill)
	require.Empty(t, text.About.Incident)

	require.False(t, oncall.Drilled(c.Drill, p, noon).Changed, "sent is not passed")
	taken, _ := oncall.Acknowledge(p, oncall.Actor{Person: "anna", Name: "Anna Berg"}, noon.Add(90*time.Second))
	done := oncall.Drilled(c.Drill, taken.Page, noon.Add(90*time.Second))
	require.Equal(t, oncall.DrillPassed, done.Drill.State)
	require.Equal(t, "Anna Berg acknowledged by mail, 2 min after it began", done.Drill.Detail)
	require.Equal(t, "drill.passed", done.Ledger[0].Kind)
	require.Equal(t, "team/payments", done.Ledger[0].Subject)
	require.True(t, done.Timers[0].At.IsZero())
	require.False(t, oncall.DrillOver(done.Drill, taken.Page, noon.Add(time.Hour)).Changed)
}

func TestADrillFails(t *testing.T) {
	none := oncall.StartDrill("production", duty(bySMS), "token:admin", 2*time.Minute, servers, noon)
	require.Equal(t, oncall.DrillFailed, none.Drill.State)
	require.Contains(t, none.Drill.Detail, "no contact of Anna Berg uses a channel that is configured")
	require.NotContains(t, none.Page.Ledger[0].Reason, "incident", "there is none")

	c := oncall.StartDrill("production", duty(byMail), "token:admin", 2*time.Minute, servers, noon)
	refused := oncall.Outcome(c.Page.Page, oncall.Result{Key: c.Page.Page.Key, Detail: "550 no such user"}, noon.Add(time.Second))
	failed := oncall.Drilled(c.Drill, refused.Page, noon.Add(time.Second))
	require.Equal(t, oncall.DrillFailed, failed.Drill.State)
	require.Equal(t, "Anna Berg could not be reached: 550 no such user", failed.Drill.Detail)

	sent := oncall.Outcome(c.Page.Page, oncall.Result{Key: c.Page.Page.Key, Sent: true, Detail: "250"}, noon.Add(time.Second))
	over := oncall.DrillOver(c.Drill, sent.Page, noon.Add(15*time.Minute))
	require.Equal(t, "Anna Berg did not acknowledge within 15 min; the page is sent", over.Drill.Detail)
	pending := oncall.DrillOver(c.Drill, c.Page.Page, noon.Add(15*time.Minute))
	require.Equal(t, oncall.Withdrawn, pending.Page.Page.State)
	other := oncall.StartDrill("production", duty(byMail), "token:admin", 2*time.Minute, servers, noon.Add(time.Second))
	require.NotEqual(t, c.Drill.ID, other.Drill.ID)
	require.NotEqual(t, c.Page.Call.Key, other.Page.Call.Key)
}
