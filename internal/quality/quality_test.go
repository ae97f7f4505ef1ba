package quality

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/tenant"
)

var start = time.Date(2026, 3, 16, 0, 0, 0, 0, time.UTC) // summer time begins two weeks later

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

func TestAWorldIsItsSeed(t *testing.T) {
	sum := func(seed uint64) (n, k uint64) {
		w, err := NewWorld(Config{Seed: seed, Tenants: 5, Start: start, Learn: days(1), Score: days(1)})
		require.NoError(t, err)
		for w.Pass() {
			for _, c := range w.Cells {
				require.LessOrEqual(t, c.Errors+c.Declined, c.N)
				n, k = n+c.N, k+c.Errors
			}
		}
		return n, k
	}
	n1, k1 := sum(1)
	n2, k2 := sum(1)
	n3, _ := sum(2)
	require.Equal(t, []uint64{n1, k1}, []uint64{n2, k2})
	require.NotEqual(t, n1, n3)
	require.NotZero(t, k1)
}

// TestTheScoreKnowsTruthFromNoise scores somebody who knows everything, somebody
// who says nothing, and somebody who says it at the wrong time.
func TestTheScoreKnowsTruthFromNoise(t *testing.T) {
	w, err := NewWorld(Config{Seed: 4, Tenants: 25, Start: start, Learn: days(1), Score: days(8)})
	require.NoError(t, err)
	for w.Pass() { // what a fault did is known when it has passed
	}
	var oracle, late []Alert
	for _, f := range w.Faults {
		who := f.Tenant
		if f.Shared() {
			who = string(tenant.Product)
		}
		oracle = append(oracle, Alert{Tenant: who, At: f.From.Add(time.Minute), End: f.To, Critical: true, Pages: true})
	}
	r := w.Judge("oracle", oracle)
	require.Equal(t, r.Detectable, r.Found)
	require.NotZero(t, r.Critical)
	require.Zero(t, r.FalseAlerts)
	require.Equal(t, time.Minute, r.DelayP50)
	require.InDelta(t, 1, r.LostPagedIn5, 1e-9)

	silent := w.Judge("silent", nil)
	require.Zero(t, silent.Found)
	require.Equal(t, r.Detectable, silent.Detectable)

	for day := range 8 { // in the middle of nothing, once a day, for who has no fault
		at := w.Scored().Add(days(day) + 12*time.Hour)
		late = append(late, Alert{Tenant: "nobody", At: at, End: at, Pages: true})
	}
	wrong := w.Judge("wrong", late)
	require.Equal(t, 8, wrong.FalsePages)
	require.Zero(t, wrong.Found)
	require.InDelta(t, 7, wrong.FalsePagesPerWeek, 1e-9)
}

func TestReFiringIsTheSameAlert(t *testing.T) {
	at := func(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }
	got := merged([]Alert{{Tenant: "b", At: at(0), End: at(1)}, {Tenant: "a", At: at(20), End: at(21)}, {Tenant: "a", At: at(0), End: at(10), Pages: true},
		{Tenant: "a", At: at(60), End: at(61), Critical: true}})
	require.Equal(t, []Alert{{Tenant: "a", At: at(0), End: at(21), Pages: true}, {Tenant: "b", At: at(0), End: at(1)}, {Tenant: "a", At: at(60), End: at(61), Critical: true}}, got)
}

// TestPeersRingWhenTheyShould gives every peer a week of calm and then a total
// failure of everything, which none of them may miss.
func TestPeersRingWhenTheyShould(t *testing.T) {
	for _, p := range peers() {
		w := &World{Config: Config{Start: start, Learn: days(8), Score: days(1)}, Customers: []*Tenant{{ID: "a"}, {ID: "b"}}}
		p.start(w)
		subjects := len(p.states)
		for at := start; at.Before(w.End()); at = at.Add(time.Minute) {
			ms := make([]minute, subjects)
			for i := range ms {
				ms[i] = minute{600 + float64(at.Minute()%7), 6}
				if !at.Before(w.Scored().Add(12 * time.Hour)) {
					ms[i].k = ms[i].n
				}
			}
			p.take(at.Add(time.Minute), ms)
		}
		require.Len(t, p.alerts, subjects, p.name)
		for _, a := range p.alerts {
			require.WithinRange(t, a.At, w.Scored().Add(12*time.Hour), w.Scored().Add(14*time.Hour), p.name)
		}
	}
}

func compare(t *testing.T, c Config) []Result {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	began := time.Now()
	w, rs, err := Run(c, p, catalog.Default())
	require.NoError(t, err)
	t.Logf("seed %d: %d tenants, %d streams, %.0f days scored, %d faults, in %s\n%s\nfalse by cause: %v\nfalse alerts per tenant-month by volume: %v", c.Seed, c.Tenants, len(w.Cells), c.Score.Hours()/24,
		len(w.Faults), time.Since(began).Round(time.Second), Table(rs), rs[0].ByCause, rs[0].Bands)
	return rs
}

// TestASmallWorld holds a world with a fixed seed, with a margin: it shows when
// something broke, not how good it is. TestQualityLong shows that.
func TestASmallWorld(t *testing.T) {
	ours := compare(t, Config{Seed: 11, Tenants: 8, Start: start, Learn: days(2), Score: days(2)})[0]
	require.NotZero(t, ours.Detectable)
	require.GreaterOrEqual(t, float64(ours.Found), 0.6*float64(ours.Detectable))
	require.Less(t, ours.FalseAlerts, 12)
	require.Less(t, ours.DelayP50, 10*time.Minute)
}

// TestQualityLong is make quality: a seed never used before, and the report.
// TOCSIN_QUALITY=seed,tenants,days scored repeats or changes a run.
func TestQualityLong(t *testing.T) {
	if os.Getenv("TOCSIN_LONG") == "" {
		t.Skip("long: make quality")
	}
	seed, tenants, scored := rand.Uint64N(1<<32), 100, 14
	if v := os.Getenv("TOCSIN_QUALITY"); v != "" {
		_, err := fmt.Sscanf(v, "%d,%d,%d", &seed, &tenants, &scored)
		require.NoError(t, err, "TOCSIN_QUALITY=seed,tenants,days")
	}
	rs := compare(t, Config{Seed: seed, Tenants: tenants, Start: start, Learn: days(10), Score: days(scored)})
	for _, a := range rs[0].Wrong[:min(100, len(rs[0].Wrong))] {
		t.Logf("false: %s %s %s", a.At.Format("Jan 02 15:04:05"), a.Tenant, a.Reason)
	}
	report(t, seed, tenants, scored, rs)
}

// report writes the figures beside the other ones and the table into its document.
func report(t *testing.T, seed uint64, tenants, scored int, rs []Result) {
	const figures, document = "../../bench/quality.json", "../../docs/QUALITY.md"
	raw, err := os.ReadFile(figures)
	require.NoError(t, err)
	all := map[string]float64{}
	require.NoError(t, json.Unmarshal(raw, &all))
	for _, r := range rs {
		name := "world_" + strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
				return c
			}
			return '_'
		}, strings.ToLower(r.Name)) + "_"
		all[name+"false_alerts_per_tenant_month"] = r.FalsePerTenantMonth
		all[name+"false_pages_per_week"] = r.FalsePagesPerWeek
		all[name+"recall"] = float64(r.Found) / float64(max(r.Detectable, 1))
		all[name+"recall_critical"] = float64(r.CriticalOK) / float64(max(r.Critical, 1))
		all[name+"delay_p50_seconds"] = r.DelayP50.Seconds()
		all[name+"critical_p95_seconds"] = r.CriticalP95.Seconds()
		all[name+"shared_page_p95_seconds"] = r.SharedP95.Seconds()
		all[name+"pages_per_shared_fault"] = r.PagesPerShared
		all[name+"lost_paged_in_5_min"] = r.LostPagedIn5
		all[name+"lost_seen_in_60_min"] = r.LostSeenIn60
	}
	raw, err = json.MarshalIndent(all, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(figures, append(raw, '\n'), 0o600))
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	const from, to = "<!-- figures -->\n", "<!-- end of figures -->"
	head, rest, ok := strings.Cut(string(text), from)
	_, tail, ok2 := strings.Cut(rest, to)
	require.True(t, ok && ok2, "%s lost its marks", document)
	body := fmt.Sprintf("Seed %s, %d tenants, 10 days of learning, %d scored, %d detectable faults.\n\n%s\nFalse alerts of tocsin by what was going on: %v. By volume, per tenant-month: %v.\n",
		strconv.FormatUint(seed, 10), tenants, scored, rs[0].Detectable, Table(rs), rs[0].ByCause, rs[0].Bands)
	require.NoError(t, os.WriteFile(document, []byte(head+from+body+to+tail), 0o600))
}
