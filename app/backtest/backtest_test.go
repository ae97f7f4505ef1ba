package backtest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/app/backtest/promrules"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/internal/simulate"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/samples/recorded"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var (
	begin = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	broke = begin.Add(30 * time.Hour)
	end   = begin.Add(32 * time.Hour)
)

// recording is 32 hours of four tenants, whose acquirer alpha fails for twenty
// minutes, as OpenMetrics text.
func recording(t testing.TB) recorded.Source {
	t.Helper()
	g, err := simulate.New(simulate.Options{Seed: 7, Start: begin, Tick: 5 * time.Second,
		Tenants: []simulate.Tenant{tradesman("acme", 3), tradesman("bolt", 2), tradesman("calm", 1), tradesman("late", 1)},
		Faults:  []simulate.Fault{{Kind: simulate.AcquirerDown, Acquirer: "alpha", From: broke, To: broke.Add(20 * time.Minute)}}})
	require.NoError(t, err)
	var b strings.Builder
	b.WriteString("# TYPE payment_transactions counter\n")
	for at := begin.Add(30 * time.Second); at.Before(end); at = at.Add(30 * time.Second) {
		for _, s := range g.Snapshot(at) {
			fmt.Fprintf(&b, "%s %g %d\n", s.Labels.String(), s.Value, at.Unix())
		}
	}
	b.WriteString("# EOF\n")
	// Labels print as {__name__="x", y="z"}: the form with the name in front is the older and more common one.
	text := strings.NewReplacer(`{__name__="payment_transactions_total", `, "payment_transactions_total{", `", `, `",`).Replace(b.String())
	path := filepath.Join(t.TempDir(), "payments.om")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	src, err := recorded.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	return src
}

func tradesman(id string, tps float64) simulate.Tenant {
	return simulate.Tenant{ID: id, TPS: tps, Methods: []simulate.Share{{Name: "card", Weight: 1}}, Countries: []simulate.Share{{Name: "DE", Weight: 1}},
		Acquirers: []simulate.Share{{Name: "alpha", Weight: 1}, {Name: "beta", Weight: 1}}}
}

func options(t testing.TB) backtest.Options {
	p, err := profiles.Default()
	require.NoError(t, err)
	return backtest.Options{Policy: p, Catalog: catalog.Default(), Tenants: []tenant.Tenant{{ID: "acme"}, {ID: "bolt"}, {ID: "calm"}, {ID: "late", OnboardedAt: broke.Add(time.Hour)}}}
}

func replay(t testing.TB, src recorded.Source, o ...backtest.Options) []*backtest.Replay {
	from, to, err := src.Span(t.Context())
	require.NoError(t, err)
	var rs []*backtest.Replay
	for _, x := range o {
		r, err := backtest.New(x, from)
		require.NoError(t, err)
		rs = append(rs, r)
	}
	told := 0.0
	require.NoError(t, backtest.Run(t.Context(), src, from, to.Add(time.Millisecond), func(share float64, samples int64) {
		require.GreaterOrEqual(t, share, told)
		told = share
	}, rs...))
	require.Greater(t, told, 0.9)
	return rs
}

// working gives the team of payments working hours from then until the evening.
func working(o backtest.Options, from string) backtest.Options {
	c := *o.Catalog
	c.Teams = slices.Clone(c.Teams)
	c.Teams[0].WorkingHours = catalog.WorkingHours{TimeZone: "UTC", Hours: []catalog.Hours{{From: from, To: "17:00"}}}
	o.Catalog = &c
	return o
}

func TestAnAcquirerFailsInTheRecording(t *testing.T) {
	src := recording(t)
	strict := options(t)
	text := strings.ReplaceAll(string(strict.Policy.Text), "severity: critical", "severity: warning")
	var err error
	strict.Policy, err = profiles.Parse("nothing pages", []byte(text))
	require.NoError(t, err)
	rs := replay(t, src, options(t), options(t), strict, working(strict, "05:00"), working(strict, "06:18"), working(strict, "09:00"))

	lines := rs[0].Lines()
	require.Equal(t, lines, rs[1].Lines(), "the same input gives the same lines")
	pages := backtest.Pages(lines)
	require.Len(t, pages, 1, "one fault, one page: %v", lines)
	require.WithinRange(t, pages[0].At, broke, broke.Add(90*time.Second))
	touched := map[string]bool{}
	for _, l := range lines {
		require.WithinRange(t, l.StartsAt, broke, broke.Add(25*time.Minute), "nothing before the fault: %+v", l)
		require.Equal(t, 1, l.Incident, "one fault, one incident: %+v", l)
		require.NotNil(t, l.EndsAt)
		require.WithinRange(t, *l.EndsAt, broke.Add(20*time.Minute), broke.Add(40*time.Minute), "%+v", l)
		require.NotEmpty(t, l.Reason)
		touched[l.Tenant] = true
	}
	require.True(t, touched["acme"] && touched["bolt"], "%v", touched)
	require.False(t, touched["late"], "who is onboarded after the fault has no alert")
	require.Empty(t, backtest.Pages(rs[2].Lines()), "warnings page nobody")
	require.NotEmpty(t, rs[2].Lines())

	// In working hours warnings that last call too; at night they wait, and what is over then calls nobody.
	for i, want := range []time.Time{pages[0].At.Add(14 * time.Minute), broke.Add(18 * time.Minute), {}} {
		got := backtest.Pages(rs[3+i].Lines())
		if want.IsZero() {
			require.Empty(t, got)
			continue
		}
		require.Len(t, got, 1, "%v", got)
		require.WithinRange(t, got[0].At, want, want.Add(2*time.Minute))
	}

	d := backtest.Compare(pages, backtest.Pages(rs[2].Lines()))
	require.Equal(t, backtest.Difference{Added: pages}, d)
	known := []backtest.Incident{{Name: "alpha down", From: broke, To: broke.Add(20 * time.Minute)}}
	s := backtest.Judge(pages, known)
	require.Equal(t, 1, s.Found)
	require.Empty(t, s.False)
	require.Less(t, backtest.Quantile(s.Delays, 0.5), 90*time.Second)
	require.Equal(t, known, backtest.Judge(nil, known).Missed)
}

func TestOptInsHappenAtTheirTime(t *testing.T) {
	o := options(t)
	o.Tenants = []tenant.Tenant{{ID: "acme", Features: []string{"refunds", "payouts"}, OptIns: []tenant.OptIn{{Feature: "refunds", At: begin.Add(time.Hour)}}}}
	r, err := backtest.New(o, begin)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"payouts"}, {"payouts", "refunds"}}, r.Features("acme"))
	o.Tenants[0].OptIns[0].At = begin.Add(-time.Hour)
	r, err = backtest.New(o, begin)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"payouts", "refunds"}}, r.Features("acme"), "an opt-in before the onboarding is there from the start")
	_, err = backtest.New(backtest.Options{Policy: o.Policy, Catalog: o.Catalog}, begin)
	require.ErrorContains(t, err, "needs tenants")
}

func TestPagesAreComparedByWhatTheyConcern(t *testing.T) {
	at := func(minutes int, who, service string) backtest.Page {
		return backtest.Page{At: begin.Add(time.Duration(minutes) * time.Minute), Tenant: who, Service: service}
	}
	ours := []backtest.Page{at(0, "acme", "payments"), at(60, "_product", "payments"), at(120, "bolt", "payments")}
	theirs := []backtest.Page{at(10, "acme", ""), at(70, "bolt", "payments"), at(121, "acme", "payments"), at(300, "bolt", "")}
	require.Equal(t, backtest.Difference{Both: 2, Added: ours[2:], Gone: theirs[2:]}, backtest.Compare(ours, theirs))
}

// What lies outside of the time that is replayed cannot be found, and is not missed.
func TestIncidentsOutsideOfTheTimeDoNotCount(t *testing.T) {
	at := func(name string, from, to time.Duration) backtest.Incident {
		return backtest.Incident{Name: name, From: begin.Add(from), To: begin.Add(to)}
	}
	all := []backtest.Incident{at("long before", -time.Hour, -30*time.Minute), at("a page may still be about it", -time.Hour, -5*time.Minute), at("it went on", -time.Hour, 2*time.Hour),
		at("within", time.Hour, 2*time.Hour), at("it goes on", 23*time.Hour, 30*time.Hour), at("after", 25*time.Hour, 26*time.Hour)}
	require.Equal(t, all[1:5], backtest.Within(all, begin, begin.Add(24*time.Hour)))
	require.Len(t, all, 6)
	require.Equal(t, "long before", all[0].Name, "the list stays as it is")
}

func TestIncidentsFileSaysAllItsFaults(t *testing.T) {
	list, err := backtest.ReadIncidents(strings.NewReader("start,end,tenant\n2026-03-04T10:00:00Z,2026-03-04T11:00:00+01:00,acme\n2026-03-03T10:00:00Z,2026-03-03T10:30:00Z,\n"))
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "acme", list[1].Tenant)
	_, err = backtest.ReadIncidents(strings.NewReader("start,end\nyesterday,2026-03-04T11:00:00Z\n2026-03-04T12:00:00Z,2026-03-04T11:00:00Z\n"))
	require.ErrorContains(t, err, "line 2: start is no RFC 3339 time")
	require.ErrorContains(t, err, "line 3: end lies before start")
	_, err = backtest.ReadIncidents(strings.NewReader("begin,end\n"))
	require.ErrorContains(t, err, "column start is missing")
	require.ErrorContains(t, err, "column 1 is none of")
}

func TestRulesOfOthersPageOnceInAWhile(t *testing.T) {
	ring := func(alert, severity string, from, to time.Duration) promrules.Ring {
		r := promrules.Ring{Alert: alert, From: begin.Add(from), Labels: map[string]string{"alertname": alert, "tenant": "acme", "service": "payments", "severity": severity}, Summary: "too many"}
		if to > 0 {
			r.To = begin.Add(to)
		}
		return r
	}
	pages := backtest.TheirPages([]promrules.Ring{
		ring("Watchdog", "none", 0, 0), ring("Known", "info", 0, 0),
		ring("TooMany", "critical", time.Minute, 2*time.Minute), ring("TooMany", "critical", 16*time.Minute, 20*time.Minute), // back within 15 min
		ring("TooMany", "warning", 17*time.Minute, 0), // another series
		ring("TooMany", "critical", 36*time.Minute, 0),
		{Alert: "Gone", Labels: map[string]string{"alertname": "Gone"}, From: begin.Add(time.Hour)},
	}, "tenant")
	require.Equal(t, []backtest.Page{
		{At: begin.Add(time.Minute), Tenant: "acme", Service: "payments", Rule: "TooMany", Reason: "too many"},
		{At: begin.Add(17 * time.Minute), Tenant: "acme", Service: "payments", Rule: "TooMany", Reason: "too many"},
		{At: begin.Add(36 * time.Minute), Tenant: "acme", Service: "payments", Rule: "TooMany", Reason: "too many"},
		{At: begin.Add(time.Hour), Tenant: string(tenant.Product), Rule: "Gone"},
	}, pages)
}

// TestASilentSourceIsOneIncident has one of two clusters send nothing for twenty minutes:
// that is one page about the source, and none about its tenants, also when what it kept
// arrives afterwards.
func TestASilentSourceIsOneIncident(t *testing.T) {
	o := options(t)
	r, err := backtest.New(o, begin)
	require.NoError(t, err)
	var series []*recorded.Series
	for i, id := range []string{"acme", "bolt", "calm"} {
		for j, result := range []string{"success", "error"} {
			series = append(series, &recorded.Series{Index: 2*i + j, Labels: labels.FromStrings("__name__", "payment_transactions_total", "tenant", id, "service", "payments",
				"result", result, "cluster", []string{"east", "west", "west"}[i])})
		}
	}
	gone, back := begin.Add(26*time.Hour), begin.Add(26*time.Hour+20*time.Minute)
	var kept []recorded.Sample
	for at := begin.Add(15 * time.Second); at.Before(back.Add(time.Hour)); at = at.Add(15 * time.Second) {
		require.NoError(t, r.Window(at))
		n := at.Sub(begin).Seconds()
		for i, s := range series {
			x := recorded.Sample{T: at.UnixMilli(), V: []float64{2 * n, float64(int(n / 60))}[i%2]}
			silent := i > 1 && at.After(gone) && at.Before(back)
			switch {
			case silent && i == 2:
				kept = append(kept, x)
			case silent:
			case i == 2 && kept != nil:
				r.Take(s, append(kept, x))
				kept = nil
			default:
				r.Take(s, []recorded.Sample{x})
			}
		}
	}
	lines := r.Lines()
	require.Len(t, lines, 1, "%+v", lines)
	require.Equal(t, "source_silent", lines[0].Rule)
	require.Equal(t, map[string]string{"source": "west"}, lines[0].Slice)
	require.True(t, lines[0].Pages)
	require.WithinRange(t, lines[0].StartsAt, gone.Add(5*time.Minute), gone.Add(6*time.Minute))
	require.NotNil(t, lines[0].EndsAt)
	require.WithinRange(t, *lines[0].EndsAt, back, back.Add(time.Minute))
}
