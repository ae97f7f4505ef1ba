package sources

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func everybody(tenant.ID) bool { return true }

// feed has the source heard every 15 s from from to to, with parts of those tenants.
func feed(s *Source, from, to time.Time, tenants ...tenant.ID) (ended []alert.Alert) {
	for t := from; t.Before(to); t = t.Add(15 * time.Second) {
		h := Heard{At: t, Samples: 10 * len(tenants)}
		for _, id := range tenants {
			h.Parts = append(h.Parts, Part{Tenant: id, Series: 10, Samples: 10})
		}
		if a := s.Hear(h); a != nil {
			ended = append(ended, *a)
		}
	}
	return ended
}

func TestASilentSourceIsOneAlert(t *testing.T) {
	s := New(Options{}, "production", "prom-eu")
	feed(s, noon, noon.Add(time.Hour), "acme", "bolt")
	last := noon.Add(time.Hour - 15*time.Second)
	a, silent := s.Advance(last.Add(4*time.Minute), "gateway", everybody)
	require.Nil(t, a)
	require.Empty(t, silent)
	_, _ = s.Advance(noon, "gateway", everybody) // the process began long ago
	s.begun = noon

	a, _ = s.Advance(last.Add(6*time.Minute), "gateway", everybody)
	require.NotNil(t, a)
	require.Equal(t, rule.Source, a.Kind)
	require.Equal(t, tenant.Product, a.Tenant)
	require.Equal(t, "source=prom-eu", a.Slice.Key())
	require.Equal(t, "gateway", a.Service)
	require.True(t, a.OnsetAt.Equal(last))
	require.True(t, a.StartsAt.Equal(last.Add(5*time.Minute)), "when it was due, not when somebody looked")
	require.EqualValues(t, 2, a.Evidence.N)
	require.Contains(t, a.Reason, "its 2 tenants are blind since then")
	again, _ := s.Advance(last.Add(20*time.Minute), "gateway", everybody)
	require.Nil(t, again)
	require.NotNil(t, s.Status(last.Add(20*time.Minute)).DeadSince)

	back := last.Add(time.Hour)
	ended := feed(s, back, back.Add(time.Minute), "acme")
	require.Len(t, ended, 1)
	require.Equal(t, alert.Resolved, ended[0].State)
	require.True(t, ended[0].EndsAt.Equal(back))
	require.True(t, ended[0].Newer(a))
	require.Nil(t, s.Status(back).DeadSince)
}

func TestVisitorsAndOwnAbsenceAreNoSilence(t *testing.T) {
	s := New(Options{}, "production", "somebody")
	feed(s, noon, noon.Add(10*time.Minute), "acme")
	s.begun = noon
	a, _ := s.Advance(noon.Add(time.Hour), "", everybody)
	require.Nil(t, a, "who sent for ten minutes may end as it began")

	s = New(Options{}, "production", "empty")
	feed(s, noon, noon.Add(time.Hour))
	s.begun = noon
	a, _ = s.Advance(noon.Add(2*time.Hour), "", everybody)
	require.Nil(t, a, "it carries nobody")

	s = New(Options{}, "production", "prom")
	feed(s, noon, noon.Add(time.Hour), "acme")
	started := noon.Add(3 * time.Hour) // this process was away
	for _, c := range []struct {
		at   time.Duration
		dies bool
	}{{0, false}, {4 * time.Minute, false}, {6 * time.Minute, true}} {
		a, _ = s.Advance(started.Add(c.at), "", everybody)
		require.Equal(t, c.dies, a != nil, c.at)
	}
}

func TestTenantsThatFallSilentWhileTheSourceSends(t *testing.T) {
	s := New(Options{}, "production", "prom-eu")
	feed(s, noon, noon.Add(time.Hour), "acme", "bolt")
	feed(s, noon.Add(time.Hour), noon.Add(2*time.Hour), "acme")
	now := noon.Add(2 * time.Hour)
	_, silent := s.Advance(now, "", everybody)
	require.Equal(t, []Silence{{Tenant: "bolt", Since: noon, Heard: now.Add(-15 * time.Second)}}, silent)
	_, silent = s.Advance(now.Add(time.Minute), "", everybody)
	require.Empty(t, silent, "it was told a minute ago")

	// A rule may ask for a little more than ten minutes: it hears of them each minute, and later
	// less often.
	until := func(from, to time.Time) (told int) {
		for at := from; at.Before(to); at = at.Add(time.Minute) {
			feed(s, at, at.Add(time.Minute), "acme")
			_, silent := s.Advance(at.Add(time.Minute), "", everybody)
			told += len(silent)
		}
		return told
	}
	feed(s, now, now.Add(time.Minute), "acme", "bolt")
	require.Zero(t, until(now.Add(time.Minute), now.Add(10*time.Minute)))
	require.Equal(t, 10, until(now.Add(10*time.Minute), now.Add(20*time.Minute)))
	require.InDelta(t, 45, until(now.Add(20*time.Minute), now.Add(4*time.Hour)), 10)
	now = now.Add(4 * time.Hour)

	// After an outage of the source everybody has time to come back.
	back := now.Add(time.Hour)
	feed(s, back, back.Add(10*time.Minute), "acme")
	_, silent = s.Advance(back.Add(10*time.Minute), "", everybody)
	require.Empty(t, silent)
	feed(s, back.Add(10*time.Minute), back.Add(11*time.Minute), "acme")
	_, silent = s.Advance(back.Add(11*time.Minute), "", everybody)
	require.Len(t, silent, 1)
	require.Equal(t, back, silent[0].Since)

	feed(s, back.Add(11*time.Minute), back.Add(30*time.Minute), "acme")
	_, silent = s.Advance(back.Add(30*time.Minute), "", func(id tenant.ID) bool { return id != "bolt" })
	require.Empty(t, silent, "an offboarded tenant is missed by nobody")
	feed(s, back, back.Add(25*time.Hour), "acme")
	require.Equal(t, 1, s.Status(back.Add(25*time.Hour)).Tenants)
}

func TestStatusAndCheckpoint(t *testing.T) {
	s := New(Options{}, "production", "prom-eu")
	feed(s, noon, noon.Add(time.Hour), "acme", "bolt")
	s.Hear(Heard{At: noon.Add(time.Hour), Samples: 5, Late: 4, Refused: 3})
	st := s.Status(noon.Add(time.Hour))
	require.InDelta(t, 20./15, st.SamplesPerSecond, .3)
	require.Equal(t, 20, st.Series)
	require.EqualValues(t, 4, st.Late)
	require.EqualValues(t, 3, st.Refused)
	require.InDelta(t, 0, s.Status(noon.Add(2*time.Hour)).SamplesPerSecond, 1e-9)

	s.begun = noon
	_, _ = s.Advance(noon.Add(90*time.Minute), "x", everybody)
	raw, err := s.Checkpoint()
	require.NoError(t, err)
	back := New(Options{}, "production", "prom-eu")
	require.NoError(t, back.Restore(raw))
	again, err := back.Checkpoint()
	require.NoError(t, err)
	require.JSONEq(t, string(raw), string(again))
	require.NotNil(t, back.Hear(Heard{At: noon.Add(2 * time.Hour)}), "what stood before the restart ends after it")
	for _, bad := range []string{"", "{", "{}", "[]"} {
		require.Error(t, back.Restore([]byte(bad)))
	}
}

func TestWhoSendsEveryTenMinutesIsNotSilentAfterFive(t *testing.T) {
	s := New(Options{}, "production", "nightly")
	for i := range 20 {
		at := noon.Add(time.Duration(i) * 10 * time.Minute)
		for range 3 { // a batch comes in several requests
			at = at.Add(100 * time.Millisecond)
			require.Nil(t, s.Hear(Heard{At: at, Samples: 5, Parts: []Part{{Tenant: "acme", Series: 5, Samples: 5}}}))
		}
		for m := 1; m < 10; m++ {
			a, _ := s.Advance(at.Add(time.Duration(m)*time.Minute), "", everybody)
			require.Nil(t, a)
		}
	}
	last := noon.Add(190 * time.Minute)
	a, _ := s.Advance(last.Add(28*time.Minute), "", everybody)
	require.Nil(t, a)
	a, _ = s.Advance(last.Add(32*time.Minute), "", everybody)
	require.NotNil(t, a)
}
