package quality

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/internal/quality/world"
	"github.com/tocsin-alerting/tocsin/profiles"
)

// run scores one world, and says what it is and how it went.
func run(t *testing.T, c world.Config, teams ...int) []Result {
	t.Helper()
	p, err := profiles.Default()
	require.NoError(t, err)
	began := time.Now()
	w, rs, err := Run(Config{World: c, Policy: p, Catalog: catalog.Default(), Teams: teams})
	require.NoError(t, err)
	detectable := rs[0].Faults.All
	t.Logf("seed %d: %d tenants, %d cells, %.0f days scored from %s, %d faults, %d of them detectable, in %s\n%s\n%s", c.Seed, c.Count, len(w.Cells), c.Score.Hours()/24,
		w.Scored().Format(time.DateOnly), len(w.Faults), detectable, time.Since(began).Round(time.Second), Table(rs), Breakdown(rs[0]))
	return rs
}

// TestASmallWorld holds a world with a fixed seed, with a margin: it shows when
// something broke, not how good it is. TestQualityLong shows that.
func TestASmallWorld(t *testing.T) {
	ours := run(t, world.Config{Seed: 11, Count: 8, Start: start, Learn: days(2), Score: days(2)}, 300)[0]
	require.NotZero(t, ours.Faults.All)
	require.GreaterOrEqual(t, ours.Faults.Share(), 0.5)
	require.Less(t, len(ours.Wrong), 12)
	require.Less(t, ours.DelayP50, 15*time.Minute)
}

// plan is what TestQualityLong runs.
type plan struct {
	seed                                    uint64
	tenants, scored, learn, scrape, another int
}

// planned reads TOCSIN_QUALITY: seed,tenants,days scored[,days of learning[,seconds
// between scrapes[,tenants of a second team]]]. Several runs are separated by spaces.
func planned(t *testing.T) (out []plan) {
	t.Helper()
	for _, v := range strings.Fields(os.Getenv("TOCSIN_QUALITY")) {
		p := plan{learn: 10, scrape: 15}
		n, err := fmt.Sscanf(v, "%d,%d,%d,%d,%d,%d", &p.seed, &p.tenants, &p.scored, &p.learn, &p.scrape, &p.another)
		require.GreaterOrEqual(t, n, 3, "TOCSIN_QUALITY=seed,tenants,days: %v", err)
		out = append(out, p)
	}
	if out == nil { // seeds that were never used before
		out = []plan{{rand.Uint64N(1 << 32), 100, 14, 10, 15, 10_000}, {rand.Uint64N(1 << 32), 100, 14, 10, 15, 0}}
	}
	return out
}

// TestQualityLong is make quality: seeds never used before, and the report. With
// TOCSIN_QUALITY_LIST=FILE every false alert of tocsin is a line in there.
func TestQualityLong(t *testing.T) {
	if os.Getenv("TOCSIN_LONG") == "" {
		t.Skip("long: make quality")
	}
	list := ""
	for _, p := range planned(t) {
		teams := []int{300}
		if p.another > 0 {
			teams = append(teams, p.another)
		}
		rs := run(t, world.Config{Seed: p.seed, Count: p.tenants, Learn: days(p.learn), Score: days(p.scored), Scrape: time.Duration(p.scrape) * time.Second}, teams...)
		list += fmt.Sprintf("# seed %d, %d tenants, %d days\n%s", p.seed, p.tenants, p.scored, List(rs[0]))
		if os.Getenv("TOCSIN_QUALITY_WRITE") != "" {
			report(t, p, rs)
		}
	}
	if file := os.Getenv("TOCSIN_QUALITY_LIST"); file != "" {
		require.NoError(t, os.WriteFile(file, []byte(list), 0o600))
	}
}

// report writes the figures beside the other ones and the table into its document.
func report(t *testing.T, p plan, rs []Result) {
	const figures, document = "../../bench/quality.json", "../../docs/QUALITY.md"
	raw, err := os.ReadFile(figures)
	require.NoError(t, err)
	all := map[string]float64{}
	require.NoError(t, json.Unmarshal(raw, &all))
	for _, r := range rs {
		Figures(r, all)
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
	body := fmt.Sprintf("Seed %d, %d tenants, %d days of learning, %d scored, %d detectable faults.\n\n%s\n%s", p.seed, p.tenants, p.learn, p.scored, rs[0].Faults.All, Table(rs), Breakdown(rs[0]))
	require.NoError(t, os.WriteFile(document, []byte(head+from+body+to+tail), 0o600))
}
