package standing_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/alert/standing"
	"github.com/tocsin-alerting/tocsin/checkpoint"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func failing() *rule.Rule {
	return &rule.Rule{Name: "payment_errors", Kind: rule.Errors, Service: "payments", Severity: rule.Warning, Summary: "payments fail"}
}

func key(slice sli.Slice) alert.Key {
	return alert.Key{Environment: "production", Tenant: "shop", Service: "payments", Rule: "payment_errors", Slice: slice}
}

func TestAStreamFromOnsetToOver(t *testing.T) {
	var s standing.Stream
	onset, now := noon.Add(-2*time.Minute).UnixMilli(), noon.UnixMilli()
	require.False(t, s.Follow(&detect.Decision{Score: 1, Needed: 8}, now-15_000))
	require.True(t, s.Follow(&detect.Decision{Changed: true, Firing: true, Onset: onset, Score: 9, Needed: 8}, now))
	require.False(t, s.Follow(&detect.Decision{Firing: true, Onset: onset + 1, Score: 10, Needed: 8}, now), "it fires since then")
	require.Equal(t, standing.Stream{Firing: true, Onset: onset, Score: 10, Needed: 8}, s)

	s.Raised = &standing.Alert{Onset: s.Onset, Starts: now}
	ev := alert.Evidence{N: 200, K: 20, Usual: .01, Score: 9, Needed: 8, Test: "cusum"}
	require.True(t, s.Raised.Renew(now, ev, false, rule.Warning, ""))
	a := s.Raised.Say(key(nil), "id", failing(), now)
	require.Equal(t, alert.Firing, a.State)
	require.Equal(t, sli.Slice{}, a.Slice)
	require.Equal(t, noon, a.StartsAt)
	require.Equal(t, rule.Warning, a.Severity)
	require.Equal(t, "20 of 200 payments failed since 11:58:00 UTC; usual is 1.0%; evidence 9.0 of 8.0 needed; no customer information: judged by missing successes", a.Reason)

	worse := ev
	worse.K = 40
	require.False(t, s.Raised.Renew(now+30_000, worse, false, rule.Warning, ""), "too soon to say it again")
	require.Equal(t, ev, s.Raised.Evidence)
	require.True(t, s.Raised.Renew(now+45_000, worse, false, rule.Critical, "most fail"), "but not that it is worse")
	require.True(t, s.Raised.Renew(now+105_000, ev, true, rule.Warning, "few fail"))
	a = s.Raised.Say(key(nil), "id", failing(), now+105_000)
	require.Equal(t, rule.Critical, a.Severity, "the worst so far")
	require.Equal(t, 40., a.Evidence.K, "while it mends, what was said last stands")
	require.Contains(t, a.Reason, "; most fail")

	require.False(t, s.Follow(&detect.Decision{Changed: true}, now+300_000))
	a = s.Over(s.Raised.Say(key(nil), "id", failing(), now+300_000))
	require.Nil(t, s.Raised)
	require.Equal(t, alert.Resolved, a.State)
	require.Equal(t, noon.Add(5*time.Minute), *a.EndsAt)
	require.Regexp(t, "^over since 12:05:00 UTC; before, 40 of 200 payments failed ", a.Reason)
}

func TestWhatIsDroppedSaysWhy(t *testing.T) {
	a := standing.Dropped(alert.Alert{State: alert.Firing}, noon.UnixMilli(), "the tenant was removed")
	require.Equal(t, alert.Resolved, a.State)
	require.Equal(t, noon, *a.EndsAt)
	require.Equal(t, "no longer evaluated: the tenant was removed", a.Reason)
	require.Equal(t, "the tenant was removed", a.Dropped)
}

func TestWhatIsAbsentIsNotCounted(t *testing.T) {
	r := failing()
	r.Kind = rule.Absent
	a := (&standing.Alert{Why: "no sample arrived", Evidence: alert.Evidence{N: 3}}).Say(key(nil), "id", r, noon.UnixMilli())
	require.Equal(t, "no sample arrived", a.Reason)
}

func TestTheEvidenceInASentence(t *testing.T) {
	one, many := 1., 42.
	kind := func(k rule.Kind) *rule.Rule {
		r := failing()
		r.Kind = k
		return r
	}
	for _, c := range []struct {
		of     *rule.Rule
		slice  sli.Slice
		ev     alert.Evidence
		reason string
	}{
		{kind(rule.Errors), sli.Slice{{Label: "acquirer", Value: "alpha"}}, alert.Evidence{N: 50, K: 5, Usual: .01, Score: 9, Needed: 8, Customers: &one},
			"5 of 50 payments through acquirer alpha failed since 11:55:00 UTC; usual is 1.0%; evidence 9.0 of 8.0 needed; 1 customer"},
		{kind(rule.Errors), sli.Slice{{Label: "method", Value: "card"}}, alert.Evidence{N: 900, K: 300, Usual: .01, Score: 9, Needed: 8, Customers: &many, Estimated: true, Nameless: 7},
			"300 of 900 payments with method card failed since 11:55:00 UTC; usual is 1.0%; evidence 9.0 of 8.0 needed; about 42 customers, and 7 failures that name nobody"},
		{kind(rule.Errors), sli.Slice{{Label: "country", Value: "DE"}}, alert.Evidence{N: 200, K: 20, Usual: .02, Score: 9, Needed: 8, Test: alert.Change, Tenants: []tenant.ID{"a", "b"}},
			"10.0% of payments in DE of 2 tenants failed for 5 minutes, since 11:55:00 UTC; 2.0% in the hour before; evidence 9.0 of 8.0 needed"},
		{kind(rule.Declines), nil, alert.Evidence{N: 200, K: 90, Usual: .1, Score: 9, Needed: 8},
			"90 of 200 payments were declined since 11:55:00 UTC; usual is 10.0%; evidence 9.0 of 8.0 needed"},
		{kind(rule.Latency), nil, alert.Evidence{N: 200, K: 90, Usual: .1, Over: .25, Score: 9, Needed: 8},
			"90 of 200 payments took longer than 250 ms since 11:55:00 UTC; usual is 10.0%; evidence 9.0 of 8.0 needed"},
		{kind(rule.Latency), nil, alert.Evidence{N: 200, K: 90, Usual: .1, Over: 2.5, Score: 9, Needed: 8},
			"90 of 200 payments took longer than 2.5 s since 11:55:00 UTC; usual is 10.0%; evidence 9.0 of 8.0 needed"},
		{kind(rule.Latency), nil, alert.Evidence{N: 200, K: 90, Usual: .1, Score: 9, Needed: 8},
			"90 of 200 payments took longer than each tenant's own limit since 11:55:00 UTC; usual is 10.0%; evidence 9.0 of 8.0 needed"},
		{kind(rule.Traffic), nil, alert.Evidence{N: 3, Expected: 80, Score: 9, Needed: 8, Expecting: "half of the usual may come"},
			"3 payments in 5 minutes, since 11:55:00 UTC; usual 80; evidence 9.0 of 8.0 needed; half of the usual may come"},
		{kind(rule.BurnRate), nil, alert.Evidence{N: 1000, K: 20, Score: 20, Test: detect.BurnWindows()[0].Name},
			"20 of 1000 payments failed within 60 minutes: 20.0 times what the objective allows, and of the last 5 minutes as well; 14.4 times is too fast"},
		{kind(rule.BurnRate), nil, alert.Evidence{N: 1000, K: 20, Score: 20, Test: "of another release"},
			"20 of 1000 payments failed: 20.0 times what the objective allows"},
	} {
		a := standing.Alert{Onset: noon.Add(-5 * time.Minute).UnixMilli(), Evidence: c.ev}
		require.Equal(t, c.reason, a.Say(key(c.slice), "id", c.of, noon.UnixMilli()).Reason)
	}
	k := key(nil)
	for service, want := range map[string]string{"": "90 of 200 events failed", "login": "90 of 200 login events failed"} {
		k.Service = service
		a := standing.Alert{Evidence: alert.Evidence{N: 200, K: 90}}
		require.Contains(t, a.Say(k, "id", failing(), noon.UnixMilli()).Reason, want)
	}
	for test, want := range map[string]string{"window_6m": "exact", "burn_1h": "burn_1h", alert.Change: alert.Change, "slow": "cusum"} {
		require.Equal(t, want, standing.Test(test))
	}
}

func TestDeclinesAreGraveWhereApprovalsAreHalved(t *testing.T) {
	r := failing()
	r.Kind = rule.Declines
	whole := alert.Evidence{N: 10_000, K: 2500, Usual: .2}
	grade := func(l standing.Lately, r *rule.Rule, ev alert.Evidence) rule.Severity {
		s, _ := l.Severity(r, ev)
		return s
	}
	require.Equal(t, rule.Warning, grade(standing.Lately{}, r, whole))
	require.Equal(t, rule.Critical, grade(standing.Lately{}, r, alert.Evidence{N: 100, K: 80, Usual: .2}))
	require.Equal(t, rule.Warning, grade(standing.Lately{}, r, alert.Evidence{N: 3, K: 2, Usual: .2}), "it must be sure")
	var l standing.Lately
	for range 20 { // five minutes, after hours of less
		l.Follow(10, 9, standing.Fade(15_000))
	}
	require.Equal(t, rule.Critical, grade(l, r, whole))
	r.Severity = rule.Info
	require.Equal(t, rule.Info, grade(l, r, whole), "somebody chose that")

	require.True(t, standing.Moved(1, 100), "all miss nearly nothing")
	require.False(t, standing.Moved(90, 100))
}

func TestOrder(t *testing.T) {
	at := func(minutes int, k float64, slice ...sli.Dim) alert.Alert {
		return alert.Alert{Key: alert.Key{Slice: slice}, AsOf: noon.Add(time.Duration(minutes) * time.Minute), Evidence: alert.Evidence{N: 100, K: k}}
	}
	alpha, beta := sli.Dim{Label: "acquirer", Value: "alpha"}, sli.Dim{Label: "acquirer", Value: "beta"}
	require.Equal(t, []alert.Alert{at(0, 10), at(1, 90, alpha), at(1, 50, beta), at(1, 20)},
		standing.Order([]alert.Alert{at(1, 20), at(1, 50, beta), at(1, 90, alpha), at(0, 10)}), "the slice of which most fails is what it is about")
	require.Equal(t, []alert.Alert{at(1, 80), at(1, 90, alpha)}, standing.Order([]alert.Alert{at(1, 90, alpha), at(1, 80)}), "as much fails of everything")
}

func TestWhatStandsIsKept(t *testing.T) {
	customers := 3.
	s := standing.Stream{Firing: true, Onset: 1, Cleared: 2, Score: 3, Needed: 4, Raised: &standing.Alert{Onset: 1, Starts: 5, Said: 6, Backlog: true, Severity: rule.Critical, Why: "why",
		Evidence: alert.Evidence{N: 1, K: 2, Usual: 3, Score: 4, Needed: 5, Share: 6, RatePerMinute: 7, Hard: true, Test: "exact", Tenants: []tenant.ID{"a", "b"},
			Expected: 8, Over: 9, Source: "gateway", Expecting: "a holiday", Customers: &customers, Nameless: 10, Estimated: true}}}
	for f, v := range reflect.ValueOf(s.Raised.Evidence).Fields() {
		require.Equal(t, f.Name == "ToPage", v.IsZero(), "%s: all is kept but what follows from the rule", f.Name)
	}
	for version, want := range map[byte]func(*standing.Alert){
		checkpoint.Version: func(*standing.Alert) {},
		10:                 func(a *standing.Alert) { a.Evidence.Nameless, a.Evidence.Estimated = 0, false },
		6: func(a *standing.Alert) {
			a.Evidence.Customers, a.Evidence.Nameless, a.Evidence.Estimated = nil, 0, false
		},
		1: func(a *standing.Alert) {
			e := &a.Evidence
			a.Severity, a.Why, e.Customers, e.Nameless, e.Estimated = "", "", nil, 0, false
			e.Expected, e.Over, e.Source, e.Expecting = 0, 0, "", ""
		},
	} {
		out := checkpoint.Write('S', version)
		s.Code(out)
		data, err := out.Written()
		require.NoError(t, err)
		in, err := checkpoint.Read(data, 'S')
		require.NoError(t, err)
		var got standing.Stream
		got.Code(in)
		require.NoError(t, in.End())
		expected, raised := s, *s.Raised
		want(&raised)
		expected.Raised = &raised
		require.Equal(t, expected, got, "version %d", version)
	}
}

func TestTheLastMinutesAreKept(t *testing.T) {
	l := standing.Lately{N: 10, K: 4}
	out := checkpoint.Write('S', checkpoint.Version)
	l.Code(out)
	data, err := out.Written()
	require.NoError(t, err)
	in, err := checkpoint.Read(data, 'S')
	require.NoError(t, err)
	var got standing.Lately
	got.Code(in)
	require.NoError(t, in.End())
	require.Equal(t, l, got)
}
