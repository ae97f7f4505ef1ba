// Package arch holds the import direction of docs/ARCHITECTURE.md as a test.
package arch

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/tocsin-alerting/tocsin/"

// layer of each package that ships; a package may import its own layer only
// where allowed below, and every lower one.
var layers = map[string][]string{
	"values":  {"problem", "tenant", "catalog", "sli", "rule", "alert", "alert/standing", "exchange", "detect", "detect/season", "detect/histogram", "detect/crowd", "detect/trail", "config", "rota", "calendar", "impact", "fault", "logkey", "checkpoint", "docs/schemas"},
	"ground":  {"ledger", "store", "store/cell", "store/meter", "store/disk", "store/embedded", "store/redis", "store/memory", "journal", "blob", "partition", "cluster"},
	"decide":  {"profiles", "evaluate", "pool", "question", "sources", "router", "incident", "oncall", "delivery", "rollout", "evolution"},
	"ports":   {"itsm", "channel"},
	"effects": {"itsm/register", "itsm/rt", "channel/smtp", "channel/logch", "channel/webhook", "dashboards", "selfobs"},
	"doors": {
		"door",
		"samples", "samples/remotewrite", "samples/quota", "samples/history", "samples/query", "samples/promapi", "samples/promapi/param", "samples/native", "samples/otelmetrics", "samples/recorded",
		"otlp",
		"tracing", "tracing/otlp", "tracing/private", "tracing/hops", "tracing/red",
		"web", "web/view",
	},
	"app": {
		"app",
		"app/flow", "app/flow/directory", "app/flow/standby", "app/flow/outbox", "app/flow/whole", "app/flow/course", "app/flow/policy", "app/flow/customers", "app/flow/response", "app/flow/senders", "app/flow/pools", "app/flow/review", "app/flow/raise", "app/flow/lesson", "app/flow/trial", "app/flow/revision", "app/flow/asked",
		"app/state",
		"app/access",
		"app/links",
		"app/api", "app/api/incidents", "app/api/duty", "app/api/tenants", "app/api/policies", "app/api/health", "app/api/records", "app/api/tickets",
		"app/views", "app/views/entry",
		"app/send",
		"app/backtest", "app/backtest/promrules",
		"app/plan",
		"app/signin",
		"cmd/tocsin", "cmd/tocsin/console", "cmd/tocsin/tenancy", "cmd/tocsin/calling", "cmd/tocsin/steering", "cmd/tocsin/replay",
		"cmd/tocsin-demo",
		"app/check",
	},
	"tests": {"store/storetest", "partition/partitiontest", "samples/history/historytest", "itsm/itsmtest", "internal/fuzz", "internal/simulate", "internal/quality", "internal/quality/world", "internal/demo", "internal/peer", "internal/peer/cmd/install", "internal/reference"},
}

// forbidden edges between layers, each with its reason.
var forbidden = []struct{ from, to, because string }{
	{"values", "ground", "a value must be usable without a store"},
	{"values", "decide", "values know no decisions"},
	{"values", "effects", "values know nothing of the outside"},
	{"values", "doors", "values know nothing of the outside"},
	{"values", "ports", "values know nothing of the outside"},
	{"values", "app", "imports go one way"},
	{"ground", "decide", "a store that knew the decisions could not be replaced"},
	{"ground", "ports", "what is stored is opaque to the store"},
	{"ground", "effects", "what is stored is opaque to the store"},
	{"ground", "doors", "what is stored is opaque to the store"},
	{"ground", "app", "imports go one way"},
	{"decide", "effects", "deciders are pure: what leaves is a value"},
	{"decide", "doors", "deciders do not know where inputs come from"},
	{"decide", "app", "imports go one way"},
	{"ports", "decide", "a port says what an adapter must do, not why"},
	{"ports", "effects", "a port does not know its adapters"},
	{"ports", "doors", "a port does not know where inputs come from"},
	{"ports", "app", "imports go one way"},
	{"effects", "decide", "an adapter carries out, it does not decide"},
	{"effects", "doors", "an adapter does not serve requests"},
	{"effects", "app", "imports go one way"},
	{"doors", "decide", "a door hands in, app hands on"},
	{"doors", "effects", "a door does not send"},
	{"doors", "app", "imports go one way"},
	{"app", "tests", "what ships must not need a simulator or a peer"},
}

// exceptions to the table above, each with its reason.
var exceptions = map[string]string{
	"cmd/tocsin-demo -> internal/demo": "the demo is the command's whole purpose; it is not part of the daemon",
}

// heavy modules and who may import them.
var heavy = []struct {
	prefix  string
	allowed []string
	because string
}{
	{"github.com/cockroachdb/pebble", []string{"store/embedded", "store/disk"}, "the store's port hides its home; disk asks its file-system layer for the space left"},
	{"github.com/redis/go-redis", []string{"store/redis"}, "the store's port hides its home"},
	{"github.com/prometheus/prometheus/tsdb", []string{"app/backtest/promrules", "samples/history", "samples/native", "samples/otelmetrics", "samples/query", "samples/recorded"}, "decoders and deciders must build and fuzz without the TSDB; what queries iterates over samples of its types"},
	{"github.com/prometheus/prometheus/promql", []string{"samples/query", "samples/promapi", "samples/native", "samples/otelmetrics", "app/backtest", "app/backtest/promrules", "profiles"}, "PromQL is what queries are written in; a backtest reads rule files, and the queries of a policy are parsed when it is read"},
	{"google.golang.org/grpc", []string{"web", "app"}, "gRPC is spoken at the edge; app ends its server"},
	{"go.opentelemetry.io/collector/pdata", []string{"samples/otelmetrics", "tracing/otlp"}, "what decodes knows the wire's own types; everybody else knows what was decoded"},
	{"github.com/wneessen/go-mail", []string{"channel/smtp"}, "one adapter knows mail"},
}

// pure packages read no clock and do no I/O.
var pure = []string{"tenant", "sli", "rule", "alert", "alert/standing", "exchange", "detect", "detect/season", "detect/histogram", "detect/crowd", "detect/trail", "profiles", "evaluate", "pool", "question", "sources", "router", "incident", "oncall", "delivery", "rota", "calendar", "impact", "rollout", "evolution", "checkpoint"}

func imports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	require.NoError(t, err)
	all := map[string][]string{}
	sc := bufio.NewScanner(strings.NewReader(string(out)))
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		all[strings.TrimPrefix(f[0], module)] = f[1:]
	}
	return all
}

func layerOf(pkg string) string {
	for name, list := range layers {
		if slices.Contains(list, pkg) {
			return name
		}
	}
	return ""
}

func TestEveryPackageHasALayer(t *testing.T) {
	all := imports(t)
	for pkg := range all {
		if pkg != "internal/arch" && pkg != "internal/e2e" {
			require.NotEmpty(t, layerOf(pkg), "package %s stands in no layer: add it to the table and to docs/ARCHITECTURE.md", pkg)
		}
	}
	for layer, list := range layers {
		for _, pkg := range list {
			require.Contains(t, all, pkg, "layer %s names a package that does not exist", layer)
		}
	}
}

func TestImportsGoOneWay(t *testing.T) {
	for pkg, list := range imports(t) {
		from := layerOf(pkg)
		for _, imp := range list {
			own, ok := strings.CutPrefix(imp, module)
			if !ok {
				continue
			}
			if _, excepted := exceptions[pkg+" -> "+own]; excepted {
				continue
			}
			for _, f := range forbidden {
				require.False(t, f.from == from && f.to == layerOf(own), "%s must not import %s: %s", pkg, own, f.because)
			}
			require.False(t, from == "decide" && layerOf(own) == "decide", "%s must not import %s: deciders never know each other; app turns one's output into the other's input", pkg, own)
			require.False(t, from == "effects" && layerOf(own) == "effects", "%s must not import %s: adapters stand alone", pkg, own)
		}
	}
}

func TestHeavyModulesStayWhereTheyAre(t *testing.T) {
	for pkg, list := range imports(t) {
		for _, imp := range list {
			for _, h := range heavy {
				require.False(t, strings.HasPrefix(imp, h.prefix) && !slices.Contains(h.allowed, pkg), "%s must not import %s: %s", pkg, imp, h.because)
			}
		}
	}
}

func TestDecidersReadNoClockAndDoNoIO(t *testing.T) {
	all := imports(t)
	clock := regexp.MustCompile(`\btime\.(Now|Since|Until|After|Sleep|NewTimer|NewTicker|Tick)\(`)
	for _, pkg := range pure {
		for _, imp := range []string{"os", "net", "net/http", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand"} {
			require.NotContains(t, all[pkg], imp, "%s is pure: what it needs comes in as a value", pkg)
		}
		files, err := filepath.Glob("../../" + pkg + "/*.go")
		require.NoError(t, err)
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			raw, err := os.ReadFile(f)
			require.NoError(t, err)
			require.False(t, clock.Match(raw), "%s reads a clock: now is an argument", f)
		}
	}
}

// TestArchitectureNamesOnlyWhatExists holds the map of the documents to the tree.
func TestArchitectureNamesOnlyWhatExists(t *testing.T) {
	raw, err := os.ReadFile("../../docs/ARCHITECTURE.md")
	require.NoError(t, err)
	named := 0
	for _, m := range regexp.MustCompile("`((?:[a-z]+/)*[a-z_]+(?:\\.go|/))`").FindAllStringSubmatch(string(raw), -1) {
		_, err := os.Stat("../../" + m[1])
		require.NoError(t, err, "docs/ARCHITECTURE.md names %s", m[1])
		named++
	}
	require.Greater(t, named, 30, "the map names the tree")
	for _, list := range layers {
		for _, pkg := range list {
			require.Contains(t, string(raw), "`"+pkg+"/`", "docs/ARCHITECTURE.md does not name %s", pkg)
		}
	}
}

// TestAWordIsDefinedOnce: who looks it up reads one meaning.
func TestAWordIsDefinedOnce(t *testing.T) {
	raw, err := os.ReadFile("../../docs/concepts.md")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`\*\*([A-Z][^*]*)\*\*`).FindAllStringSubmatch(string(raw), -1) {
		require.False(t, seen[m[1]], "docs/concepts.md defines %s twice", m[1])
		seen[m[1]] = true
	}
	require.Greater(t, len(seen), 30)
}
