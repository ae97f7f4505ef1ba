package flow_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/flow/standby"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
)

func (l *life) drills(t *testing.T) []oncall.Drill {
	t.Helper()
	return read[oncall.Drill](t, l.store, response.Drills)
}

// duty runs a decision in the owner of what is decided about being on call.
func (l *life) duty(t *testing.T, f func(tx *partition.Tx) error) error {
	t.Helper()
	return l.shared.Owner(standby.Subject).Call(t.Context(), f)
}

func TestADrillReachesAnObservedTeamAndLetsItGoLive(t *testing.T) {
	story(t, "", func(t *testing.T, w *world, l *life) {
		w.observed.Store(true)
		l.decide(t, func(tx *partition.Tx, k *response.Desk) error {
			_, err := k.StartDrill(tx, "payments", "token:admin")
			return err
		})
		after(5 * time.Second)
		require.Len(t, w.mail.carried(), 1)
		require.Contains(t, w.mail.carried()[0].Subject, "DRILL")
		subject := response.Subject(env)
		err := l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
			_, err := l.shared.Incidents().StartDrill(tx, "payments", "token:admin")
			return err
		})
		require.True(t, problem.Is(err, problem.Conflict), "one at a time")
		goLive := func() error {
			return l.duty(t, func(tx *partition.Tx) error {
				_, err := l.shared.Duty().GoLive(tx, "payments", false, "", "token:admin")
				return err
			})
		}
		require.True(t, problem.Is(goLive(), problem.Conflict), "not passed yet")
		l.press(t, "ada")
		require.Equal(t, oncall.DrillPassed, l.drills(t)[0].State)
		require.NoError(t, goLive())
		require.True(t, l.shared.Duty().Live("payments"))
		l.end()
		l = w.begin(t)
		require.True(t, l.shared.Duty().Live("payments"), "it is kept")
		m, _ := l.shared.Duty().Mode("payments")
		require.Equal(t, l.drills(t)[0].ID, m.Drill)
		require.NoError(t, l.duty(t, func(tx *partition.Tx) error {
			_, err := l.shared.Duty().Observe(tx, "payments", "", "token:admin")
			return err
		}))
		require.False(t, l.shared.Duty().Live("payments"))
		require.Empty(t, l.incidents(t))
		l.end()
		time.Sleep(standby.DrillAge + time.Minute)
		l = w.begin(t)
		require.True(t, problem.Is(goLive(), problem.Conflict), "the drill is too old by now")
		l.end()
	})
}

func TestADrillThatNobodyAcknowledgesFails(t *testing.T) {
	story(t, "", func(t *testing.T, w *world, l *life) {
		l.decide(t, func(tx *partition.Tx, k *response.Desk) error {
			_, err := k.StartDrill(tx, "payments", "token:admin")
			return err
		})
		after(5 * time.Minute)
		l.end()
		l = w.begin(t)
		after(11 * time.Minute)
		d := l.drills(t)[0]
		require.Equal(t, oncall.DrillFailed, d.State)
		require.Equal(t, "Ada did not acknowledge within 15 min; the page is sent", d.Detail)
		l.press(t, "ada")
		require.Equal(t, oncall.DrillFailed, l.drills(t)[0].State, "too late is too late")
		require.Equal(t, []string{"Ada"}, w.called(), "a drill asks nobody else")
		l.end()
	})
}

func TestADrillTriesEveryContact(t *testing.T) {
	story(t, "    unreachable_after: 1m\n", func(t *testing.T, w *world, l *life) {
		w.mail.breaks(down)
		w.sms.breaks(refuses)
		l.decide(t, func(tx *partition.Tx, k *response.Desk) error {
			_, err := k.StartDrill(tx, "payments", "token:admin")
			return err
		})
		after(90 * time.Second)
		d := l.drills(t)[0]
		require.Equal(t, oncall.DrillFailed, d.State)
		require.Contains(t, d.Detail, "Ada could not be reached")
		after(time.Hour)
		require.Empty(t, w.called())
		l.end()
	})
}
