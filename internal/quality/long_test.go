package quality

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/internal/quality/world"
	"github.com/tocsin-alerting/tocsin/profiles"
)

// team and largeTeam are how many tenants share a team's budget.
const team, largeTeam = 300, 10_000

// plan is one world that is run.
type plan struct {
	seed                           uint64
	tenants, scored, learn, scrape int
	large                          int // tenants of a second team; 0: none
}

func (p plan) String() string {
	return fmt.Sprintf("%d,%d,%d,%d,%d,%d", p.seed, p.tenants, p.scored, p.learn, p.scrape, p.large)
}

// run scores worlds, as many at a time as there are processors: by plan, tocsin first.
func run(t *testing.T, plans []plan) [][]Result {
	t.Helper()
	out := make([][]Result, len(plans))
	errs := make([]error, len(plans))
	room := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for i, p := range plans {
		wait.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			out[i], errs[i] = one(t, p)
		})
	}
	wait.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	return out
}

func one(t *testing.T, p plan) ([]Result, error) {
	policy, err := profiles.Default()
	if err != nil {
		return nil, err
	}
	teams := []int{team}
	if p.large > 0 {
		teams = append(teams, p.large)
	}
	began := time.Now()
	shared, err := sharedADay()
	if err != nil {
		return nil, err
	}
	c := Config{World: world.Config{Seed: p.seed, Count: p.tenants, Learn: days(p.learn), Score: days(p.scored), Scrape: time.Duration(p.scrape) * time.Second, Shared: shared},
		Policy: policy, Catalog: catalog.Default(), Teams: teams}
	if err := alone(&c); err != nil {
		return nil, err
	}
	if err := sized(&c); err != nil {
		return nil, err
	}
	w, rs, err := Run(c)
	if err != nil {
		return nil, err
	}
	t.Logf("TOCSIN_QUALITY=%s: %d cells, scored from %s, %d faults, %d of them detectable, in %s\n%s\n%s", p, len(w.Cells), w.Scored().Format(time.DateOnly), len(w.Faults),
		rs[0].Faults.All, time.Since(began).Round(time.Second), Table(rs), Breakdown(rs[0]))
	return rs, nil
}

// sharedADay reads TOCSIN_QUALITY_SHARED: so many faults a day that many tenants share, one
// after the other. For development; the worlds that count have one in two days.
func sharedADay() (perDay float64, err error) {
	if v := os.Getenv("TOCSIN_QUALITY_SHARED"); v != "" {
		if perDay, err = strconv.ParseFloat(v, 64); err != nil {
			return 0, fmt.Errorf("TOCSIN_QUALITY_SHARED=faults a day: %w", err)
		}
	}
	return perDay, nil
}

// development are the seeds that detectors may be tuned on. The ones that count are
// drawn by make quality.
var development = []plan{{seed: 11, tenants: 8, scored: 2, learn: 1, scrape: 15}, {seed: 14, tenants: 14, scored: 2, learn: 2, scrape: 60}}

// TestDevelopmentWorlds holds small worlds with fixed seeds, with a margin: it shows when
// something broke, not how good it is. TestQualityLong shows that.
func TestDevelopmentWorlds(t *testing.T) {
	var ours []Result
	for _, rs := range run(t, development) {
		ours = append(ours, rs[0])
	}
	r := Sum(ours)
	require.GreaterOrEqual(t, r.Faults.All, 8)
	require.GreaterOrEqual(t, r.Faults.Share(), 0.8)
	require.LessOrEqual(t, len(r.Wrong), 8, List(r))
	require.Less(t, r.DelayP50, 6*time.Minute)
	require.Equal(t, len(development), r.SourcePages, "a dead source is one incident")
	require.Zero(t, r.DeadPages, List(r))
}

// planned reads TOCSIN_QUALITY: seed,tenants,days scored[,days of learning[,seconds
// between scrapes[,tenants of a second team]]]. Several runs are separated by spaces.
func planned(t *testing.T) (out []plan) {
	t.Helper()
	for _, v := range strings.Fields(os.Getenv("TOCSIN_QUALITY")) {
		p := plan{learn: 10, scrape: 15}
		n, err := fmt.Sscanf(v, "%d,%d,%d,%d,%d,%d", &p.seed, &p.tenants, &p.scored, &p.learn, &p.scrape, &p.large)
		require.GreaterOrEqual(t, n, 3, "TOCSIN_QUALITY=seed,tenants,days: %v", err)
		out = append(out, p)
	}
	if out != nil {
		return out
	}
	for i := range 3 { // seeds that were never used before
		out = append(out, plan{seed: 1000 + rand.Uint64N(1<<32), tenants: 100, scored: 14, learn: 14, scrape: 15, large: largeTeam * (1 - min(i, 1))}) // the first one for the large team too
	}
	return out
}

// TestQualityLong is make quality: seeds never used before, and the report. With
// TOCSIN_QUALITY_LIST=FILE every false alert of tocsin and every fault that it missed is
// a line in there.
func TestQualityLong(t *testing.T) {
	if os.Getenv("TOCSIN_LONG") == "" {
		t.Skip("long: make quality")
	}
	plans := planned(t)
	list, worlds := "", run(t, plans)
	for i, rs := range worlds {
		list += fmt.Sprintf("# %s\n%s", plans[i], List(rs[0]))
	}
	if file := os.Getenv("TOCSIN_QUALITY_LIST"); file != "" {
		require.NoError(t, os.WriteFile(file, []byte(list), 0o600))
	}
	report(t, plans, worlds, os.Getenv("TOCSIN_QUALITY_WRITE") != "")
}

// alone reads TOCSIN_QUALITY_ALONE=busy,informed: for who tunes a detector, the peers are
// left out, so many times as much happens, and that share of the tenants counts the
// customers who fail (-1: none).
func alone(c *Config) error {
	v := os.Getenv("TOCSIN_QUALITY_ALONE")
	if v == "" {
		return nil
	}
	c.Alone = true
	busy, informed, ok := strings.Cut(v, ",")
	var errs [2]error
	c.World.Busy, errs[0] = strconv.ParseFloat(busy, 64)
	c.World.Informed, errs[1] = strconv.ParseFloat(informed, 64)
	if !ok || errs[0] != nil || errs[1] != nil || !(c.World.Busy > 0) || c.World.Informed == 0 || !(c.World.Informed <= 1) {
		return errors.New("TOCSIN_QUALITY_ALONE=busy,informed: times that as much happens as usual, more than 0, and the share of the tenants that count customers, up to 1, or -1 for none")
	}
	return nil
}

// sized reads TOCSIN_QUALITY_TPS=least,most: tenants of so many transactions a second only.
// For development: what concerns quiet ones is rare where there are all kinds.
func sized(c *Config) error {
	v := os.Getenv("TOCSIN_QUALITY_TPS")
	if v == "" {
		return nil
	}
	if _, err := fmt.Sscanf(v, "%g,%g", &c.World.Least, &c.World.Most); err != nil {
		return fmt.Errorf("TOCSIN_QUALITY_TPS=least,most: %w", err)
	}
	return nil
}

// report sums up, and writes the figures beside the other ones and the tables into
// their document.
func report(t *testing.T, plans []plan, worlds [][]Result, write bool) {
	by, names := map[string][]Result{}, []string{}
	var many []Result
	for i, rs := range worlds {
		if plans[i].large > 0 {
			many = append(many, rs[1])
			rs = append(rs[:1:1], rs[2:]...)
		}
		for _, r := range rs {
			if by[r.Name] == nil {
				names = append(names, r.Name)
			}
			by[r.Name] = append(by[r.Name], r)
		}
	}
	var sums []Result
	figures, beside := map[string]float64{}, Result{}
	for _, name := range names {
		r := Sum(by[name])
		sums = append(sums, r)
		Figures("world", r, figures)
		if name == "burn rate, tuned per tenant" {
			beside = r
		}
	}
	var large *Result
	if many != nil {
		x := Sum(many)
		large = &x
		Figures("world_10000", x, figures)
	}
	sums[0].Perfect.Figures("world", figures)
	body := ""
	for _, p := range plans {
		body += fmt.Sprintf("- `TOCSIN_QUALITY=%s`: %d tenants, %d days of learning, %d scored, a scrape every %d s\n", p, p.tenants, p.learn, p.scored, p.scrape)
	}
	body += fmt.Sprintf("\n%s\n%s\n%s", TargetTable(Targets(sums[0], beside, large)), Table(sums), Breakdown(sums[0]))
	t.Log("\n" + body)
	if write {
		publish(t, body, figures)
	}
}

func publish(t *testing.T, body string, figures map[string]float64) {
	const file, document = "../../bench/quality.json", "../../docs/QUALITY.md"
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	all := map[string]float64{}
	require.NoError(t, json.Unmarshal(raw, &all))
	maps.DeleteFunc(all, func(name string, _ float64) bool { return strings.HasPrefix(name, "world_") })
	maps.Copy(all, figures)
	raw, err = json.MarshalIndent(all, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(raw, '\n'), 0o600))
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	const from, to = "<!-- figures -->\n", "<!-- end of figures -->"
	head, rest, ok := strings.Cut(string(text), from)
	_, tail, ok2 := strings.Cut(rest, to)
	require.True(t, ok && ok2, "%s lost its marks", document)
	require.NoError(t, os.WriteFile(document, []byte(head+from+body+to+tail), 0o600))
}
