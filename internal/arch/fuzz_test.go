package arch

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMakeFuzzRunsEveryTarget holds the Makefile to the tree, and fuzzed packages to
// what builds in seconds.
func TestMakeFuzzRunsEveryTarget(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	require.NoError(t, err)
	ran := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$\(FUZZ\) '\^(Fuzz\w*)\$\$' (\./\S+)`).FindAllStringSubmatch(string(makefile), -1) {
		ran[m[2]+" "+m[1]] = true
	}
	require.NotEmpty(t, ran)
	target := regexp.MustCompile(`(?m)^func (Fuzz\w*)\(`)
	var packages []string
	there := 0
	require.NoError(t, filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pkg := "./" + strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../")
		for _, m := range target.FindAllStringSubmatch(string(raw), -1) {
			there++
			require.True(t, ran[pkg+" "+m[1]], "make fuzz does not run %s of %s", m[1], pkg)
			if !slices.Contains(packages, pkg) {
				packages = append(packages, pkg)
			}
		}
		return nil
	}))
	require.Len(t, ran, there, "make fuzz runs a target that is not there")
	cmd := exec.Command("go", append([]string{"list", "-test", "-f", `{{.ImportPath}}{{range .Deps}} {{.}}{{end}}`}, packages...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		deps := strings.Fields(line)
		for _, heavy := range []string{"github.com/prometheus/prometheus/tsdb", "github.com/prometheus/prometheus/promql"} {
			require.NotContains(t, deps[1:], heavy, "%s takes minutes to build for fuzzing: move its target to internal/fuzz", deps[0])
		}
	}
}
