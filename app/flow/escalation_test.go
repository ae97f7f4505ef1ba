package flow_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/app/flow/standby"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/store"
)

// three are Ada, who is on call, Bo, who is asked after ten minutes, and Cyd,
// the last resort after five more. Keys are further keys of the team.
func three(t *testing.T, keys string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse(catalog.File{Name: "catalog.yaml", Text: []byte(`
teams:
  - id: payments
    oncall: [ada]
    escalation: [{after: 10m, person: bo}]
    last_resort: {after: 5m, person: cyd}
` + keys + `
services: [{id: payments, team: payments}]
people:
  - {id: ada, name: Ada, contacts: [{channel: log, to: ada}, {channel: sms, to: "+46"}]}
  - {id: bo, name: Bo, contacts: [{channel: log, to: bo}]}
  - {id: cyd, name: Cyd, contacts: [{channel: sms, to: "+42"}]}
`)})
	require.NoError(t, err)
	return c
}

// storied are the subjects of a story.
var storied = []string{response.Subject(env), standby.Subject, store.DestinationSubject("channel/log"), store.DestinationSubject("channel/sms"),
	store.DestinationSubject("itsm/register"), store.DestinationSubject("pictures"), "itsm/register"}

// story runs a world of these three people in virtual time.
func story(t *testing.T, keys string, tell func(t *testing.T, w *world, l *life)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.catalog = three(t, keys)
		w.only = storied
		l := w.begin(t)
		tell(t, w, l)
	})
}

// decide runs a decision in the owner of the incidents.
func (l *life) decide(t *testing.T, f func(tx *partition.Tx, k *response.Desk) error) {
	t.Helper()
	subject := response.Subject(env)
	require.NoError(t, l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error { return f(tx, l.shared.Incidents()) }))
	synctest.Wait()
}

// press is the button of a person's newest page.
func (l *life) press(t *testing.T, person catalog.PersonID) {
	t.Helper()
	var id oncall.PageID
	for _, p := range l.pages(t) {
		if p.Person == person {
			id = p.ID
		}
	}
	require.NotEmpty(t, id, "%s was not paged", person)
	l.decide(t, func(tx *partition.Tx, k *response.Desk) error {
		_, err := k.AcknowledgePage(tx, string(id))
		return err
	})
}

// called lists who was called, in order, by both channels.
func (w *world) called() (names []string) {
	for _, p := range append(w.mail.carried(), w.sms.carried()...) {
		names = append(names, p.Name)
	}
	return names
}

func down(context.Context) error { return problem.New(problem.Unavailable, "no carrier") }
func refuses(context.Context) error {
	return problem.New(problem.Invalid, "the address does not exist")
}

func TestTheFirstDoesNotAnswerTheSecondAcknowledges(t *testing.T) {
	story(t, "", func(t *testing.T, w *world, l *life) {
		l.offer(t, "1", fault("acme"))
		after(9 * time.Minute)
		require.Equal(t, []string{"Ada"}, w.called())
		first := w.mail.carried()[0].Text
		require.Contains(t, first, "Escalation: step 1 of 2\nThen: Bo, step 2 of 2, is called when nobody acknowledges within 10 min\n")
		after(90 * time.Second)
		require.Equal(t, []string{"Ada", "Bo"}, w.called())
		second := w.mail.carried()[1].Text
		require.Contains(t, second, "Escalation: step 2 of 2\nAsked before you: Ada at 00:00 UTC, no answer\nThen: Cyd, the last resort, is called when nobody acknowledges within 5 min\n")
		require.Contains(t, second, "Why you: named by the escalation of team payments")
		l.press(t, "bo")
		after(2 * time.Hour)
		require.Equal(t, []string{"Ada", "Bo"}, w.called(), "nobody is asked after an acknowledgement")
		require.Equal(t, "bo", string(l.incidents(t)[0].AcknowledgedBy.Person))
		kinds := l.kinds(t)
		require.Equal(t, 2, kinds["page.requested"], "%v", kinds)
		require.Equal(t, 1, kinds["escalation.step"])
		require.Zero(t, kinds["escalation.through"])
		notes := ""
		for _, n := range l.tickets(t)[0].Notes {
			notes += n.Text + "\n"
		}
		require.Contains(t, notes, "Escalated, because nobody acknowledged within 10 min: Bo, step 2 of 2.")
		l.end()
	})
}

func TestNobodyAnswersAndTheLastResortIsCalledOnce(t *testing.T) {
	story(t, "    escalation_rounds: 2\n", func(t *testing.T, w *world, l *life) {
		l.offer(t, "1", fault("acme"))
		after(2 * time.Hour)
		var order []string
		for _, p := range l.pages(t) {
			order = append(order, fmt.Sprintf("%s %s", p.RequestedAt.Format("15:04"), p.PersonName))
		}
		require.Equal(t, []string{"00:00 Ada", "00:10 Bo", "00:20 Ada", "00:30 Bo", "00:35 Cyd"}, order)
		last := w.sms.carried()
		require.Len(t, last, 1)
		require.Contains(t, last[0].Text, "Escalation: you are the last resort\n")
		require.Contains(t, last[0].Text, "Asked before you: Bo at 00:30 UTC, no answer\nThen: nobody is called after you\n")
		kinds := l.kinds(t)
		require.Equal(t, 5, kinds["page.sent"], "%v", kinds)
		require.Equal(t, 4, kinds["escalation.step"])
		l.press(t, "cyd")
		require.Equal(t, incident.StateAcknowledged, l.incidents(t)[0].State)
		l.end()
	})
}

func TestAStepComesAtItsTimeAcrossRestarts(t *testing.T) {
	story(t, "", func(t *testing.T, w *world, l *life) {
		l.offer(t, "1", fault("acme"))
		after(3 * time.Minute)
		l.end()
		time.Sleep(time.Minute)
		l = w.begin(t)
		after(5 * time.Minute)
		require.Equal(t, []string{"Ada"}, w.called())
		l.end()
		time.Sleep(10 * time.Minute) // the step comes due while nothing runs
		l = w.begin(t)
		after(10 * time.Second)
		require.Equal(t, []string{"Ada", "Bo"}, w.called())
		l.end()
		l = w.begin(t)
		after(2 * time.Minute)
		require.Equal(t, []string{"Ada", "Bo"}, w.called(), "a step is taken once")
		l.offer(t, "2", over(fault("acme")))
		after(time.Hour)
		require.Equal(t, []string{"Ada", "Bo"}, w.called(), "what is over calls nobody")
		require.Equal(t, incident.StateResolved, l.incidents(t)[0].State)
		l.end()
	})
}

func TestAnAcknowledgementInTheMomentOfTheStepWins(t *testing.T) {
	story(t, "", func(t *testing.T, w *world, l *life) {
		l.offer(t, "1", fault("acme"))
		asked := l.pages(t)[0].RequestedAt
		time.Sleep(time.Until(asked.Add(10*time.Minute - time.Millisecond)))
		l.press(t, "ada")
		after(time.Hour)
		require.Equal(t, []string{"Ada"}, w.called())
		l.end()
	})
}

func TestWhoCannotBeReachedDelaysNobody(t *testing.T) {
	t.Run("a refusal for good", func(t *testing.T) {
		story(t, "", func(t *testing.T, w *world, l *life) {
			w.mail.breaks(refuses)
			l.offer(t, "1", fault("acme"))
			after(20 * time.Second)
			require.Equal(t, []string{"Ada"}, w.called(), "by her second contact")
			after(10 * time.Minute)
			require.Equal(t, []string{"Ada", "Cyd"}, w.called(), "Bo's one contact refuses, so that the last resort is called with the next breath")
			l.end()
		})
	})
	t.Run("a channel that is down", func(t *testing.T) {
		story(t, "    unreachable_after: 1m\n", func(t *testing.T, w *world, l *life) {
			w.mail.breaks(down)
			w.sms.breaks(down)
			l.offer(t, "1", fault("acme"))
			after(70 * time.Second)
			require.Equal(t, "sms", l.pages(t)[0].Channel, "her next contact after a minute")
			after(time.Minute)
			pages := l.pages(t)
			require.Len(t, pages, 2, "and after another one the next person")
			require.True(t, pages[0].Unreached)
			require.Equal(t, "Bo", pages[1].PersonName)
			after(time.Minute)
			require.Len(t, l.pages(t), 3, "and then the last resort")
			require.Contains(t, l.pages(t)[2].Place.Asked[1].Result, "could not be reached")
			after(2 * time.Minute)
			require.Equal(t, 1, l.kinds(t)["incident.unpaged"], "nobody could be reached, and it says so")
			w.mail.breaks(nil)
			w.sms.breaks(nil)
			after(3 * time.Minute)
			require.ElementsMatch(t, []string{"Ada", "Bo", "Cyd"}, w.called(), "each once, when the carriers are back")
			l.end()
		})
	})
	t.Run("nobody to call at all", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			c, err := catalog.Parse(catalog.File{Name: "c", Text: []byte("teams: [{id: payments, oncall: [ada]}]\nservices: [{id: payments, team: payments}]\npeople: [{id: ada, contacts: [{channel: pager}]}]")})
			require.NoError(t, err)
			w.catalog, w.only = c, storied
			l := w.begin(t)
			l.offer(t, "1", fault("acme"))
			after(time.Minute)
			require.Empty(t, w.called())
			require.Equal(t, 1, l.kinds(t)["incident.unpaged"])
			require.Equal(t, incident.StateOpen, l.incidents(t)[0].State)
			l.end()
		})
	})
}

func TestGivenBackOrSilent(t *testing.T) {
	t.Run("given back", func(t *testing.T) {
		story(t, "", func(t *testing.T, w *world, l *life) {
			l.offer(t, "1", fault("acme"))
			after(time.Minute)
			l.press(t, "ada")
			id := string(l.incidents(t)[0].ID)
			ada := incident.Actor{Person: "ada", Name: "Ada"}
			l.decide(t, func(tx *partition.Tx, k *response.Desk) error { return k.Release(tx, id, ada, "view", "on a train") })
			after(5 * time.Second)
			require.Equal(t, []string{"Ada", "Bo"}, w.called(), "whoever gave it back is not asked first")
			require.Contains(t, w.mail.carried()[1].Text, "Asked before you: Ada at 00:01 UTC, given back by Ada (view): on a train")
			after(10 * time.Minute)
			require.Equal(t, []string{"Ada", "Bo", "Cyd"}, w.called())
			subject := response.Subject(env)
			l.press(t, "cyd")
			l.decide(t, func(tx *partition.Tx, k *response.Desk) error { return k.Resolve(tx, id, ada, "view", "") })
			err := l.shared.Owner(subject).Call(t.Context(), func(tx *partition.Tx) error {
				return l.shared.Incidents().Release(tx, id, ada, "view", "")
			})
			require.True(t, problem.Is(err, problem.Conflict))
			l.end()
		})
	})
	t.Run("silent", func(t *testing.T) {
		story(t, "    silent_after: 30m\n", func(t *testing.T, w *world, l *life) {
			l.offer(t, "1", fault("acme"))
			after(time.Minute)
			l.press(t, "ada")
			id := string(l.incidents(t)[0].ID)
			after(20 * time.Minute)
			l.decide(t, func(tx *partition.Tx, k *response.Desk) error {
				return k.Note(tx, id, incident.Actor{Person: "ada", Name: "Ada"}, "1", "rolling back")
			})
			after(20 * time.Minute)
			require.Equal(t, incident.StateAcknowledged, l.incidents(t)[0].State, "a note is a trace")
			after(11 * time.Minute)
			require.Equal(t, []string{"Ada", "Bo"}, w.called())
			require.Equal(t, incident.StateOpen, l.incidents(t)[0].State)
			require.Equal(t, 1, l.kinds(t)["incident.released"])
			l.press(t, "bo")
			l.offer(t, "2", over(fault("acme")))
			after(time.Hour)
			require.Equal(t, []string{"Ada", "Bo"}, w.called())
			l.end()
		})
	})
}

func warning(a alert.Alert) alert.Alert {
	a.Severity, a.Rule = rule.Warning, "payment_declines"
	a.ID = a.Key.ID()
	return a
}

const office = "    working_hours: {hours: [{from: \"00:20\", to: \"08:00\"}]}\n"

func TestAWarningWaitsForTheWorkingHours(t *testing.T) {
	t.Run("and calls one person then", func(t *testing.T) {
		story(t, office, func(t *testing.T, w *world, l *life) {
			l.offer(t, "1", warning(fault("acme")))
			after(19 * time.Minute)
			require.Empty(t, w.called())
			require.Equal(t, 1, l.kinds(t)["escalation.waits"])
			l.end()
			l = w.begin(t)
			after(2 * time.Minute)
			require.Equal(t, []string{"Ada"}, w.called())
			after(time.Hour)
			require.Equal(t, []string{"Ada"}, w.called(), "a warning asks nobody else")
			l.end()
		})
	})
	t.Run("and is forgotten when it is over before", func(t *testing.T) {
		story(t, office, func(t *testing.T, w *world, l *life) {
			a := warning(fault("acme"))
			l.offer(t, "1", a)
			after(10 * time.Minute)
			l.offer(t, "2", over(a))
			after(20 * time.Minute)
			require.Empty(t, w.called())
			l.end()
		})
	})
	t.Run("but what gets critical does not", func(t *testing.T) {
		story(t, office, func(t *testing.T, w *world, l *life) {
			l.offer(t, "1", warning(fault("acme")))
			after(5 * time.Minute)
			require.Empty(t, w.called())
			l.offer(t, "2", fault("acme"))
			after(5 * time.Second)
			require.Equal(t, []string{"Ada"}, w.called())
			after(12 * time.Minute)
			require.Equal(t, []string{"Ada", "Bo"}, w.called())
			require.Len(t, l.incidents(t), 1)
			l.end()
		})
	})
	t.Run("and a team without any is not called", func(t *testing.T) {
		story(t, "", func(t *testing.T, w *world, l *life) {
			l.offer(t, "1", warning(fault("acme")))
			after(time.Hour)
			require.Empty(t, w.called())
			require.Equal(t, 1, l.kinds(t)["incident.no_page"])
			l.end()
		})
	})
}

func TestAnObservedTeamIsToldWhoWouldHaveBeenCalled(t *testing.T) {
	story(t, "", func(t *testing.T, w *world, l *life) {
		w.observed.Store(true)
		l.offer(t, "1", fault("acme"))
		after(time.Hour)
		require.Empty(t, w.called())
		require.Len(t, l.pages(t), 3)
		for _, p := range l.pages(t) {
			require.Equal(t, oncall.Observed, p.State)
		}
		require.Equal(t, 3, l.kinds(t)["page.observed"])
		l.end()
	})
}

func TestATeamThatIsObservedMeanwhileIsNotCalled(t *testing.T) {
	story(t, "", func(t *testing.T, w *world, l *life) {
		l.offer(t, "1", fault("acme"))
		w.observed.Store(true) // within the two seconds before the page leaves
		after(time.Minute)
		require.Empty(t, w.called())
		require.Equal(t, oncall.Withdrawn, l.pages(t)[0].State)
		after(10 * time.Minute)
		require.Empty(t, w.called())
		require.Equal(t, oncall.Observed, l.pages(t)[1].State)
		l.end()
	})
}

// An acquirer flaps through the night: whoever has it is called once, unless it stays.
func TestWhatFlapsCallsOnceUnlessItStays(t *testing.T) {
	story(t, "", func(t *testing.T, w *world, l *life) {
		flap := func(id string, lasting time.Duration) {
			l.offer(t, id, fault("acme"))
			after(lasting)
			l.offer(t, id+"/over", over(fault("acme")))
			after(6 * time.Minute)
		}
		l.offer(t, "1", fault("acme"))
		after(time.Minute)
		l.press(t, "ada")
		l.offer(t, "1/over", over(fault("acme")))
		after(6 * time.Minute)
		for _, id := range []string{"2", "3", "4"} {
			flap(id, 4*time.Minute)
		}
		require.Equal(t, []string{"Ada"}, w.called())
		require.Len(t, l.incidents(t), 1)
		require.Equal(t, 3, l.kinds(t)["incident.held_again"])
		require.Equal(t, 4, l.incidents(t)[0].Openings)

		l.offer(t, "5", fault("acme"))
		after(time.Minute)
		require.Equal(t, itsm.Acknowledged, l.tickets(t)[0].State, "the ticket says who has it")
		after(5 * time.Minute)
		require.Equal(t, []string{"Ada", "Ada"}, w.called(), "she may have gone to sleep")
		l.press(t, "ada")
		after(time.Hour)
		require.Equal(t, []string{"Ada", "Ada"}, w.called())
		l.end()
	})
}
