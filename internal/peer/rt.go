package peer

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

//go:embed rt5.sh
var rtScript []byte

// rtServer is the program of Debian's package.
const rtServer = "/usr/share/request-tracker5/libexec/rt-server"

// RTPackages are the Debian packages a Request Tracker on SQLite needs.
func RTPackages() []string {
	return []string{"request-tracker5", "rt5-db-sqlite", "rt5-standalone", "dbconfig-no-thanks", "msmtp-mta"}
}

// RT is a running Request Tracker 5. Its queue Incidents has the custom fields
// TocsinKey, TocsinVersion, Severity (critical, warning, info) and Resolution
// (Repaired, Nothing found, Planned work, Other); the queue
// Plain has none. Users: the service user tocsin, the people ada and bo.
type RT struct {
	URL       string            // http://127.0.0.1:port
	Token     string            // of the service user tocsin
	RootToken string            // of the administrator
	People    map[string]string // tokens of ada and bo by login name
	Dir       string            // its folder; mail it sent is in mail/*.eml
}

// StartRT runs a Request Tracker with a database of its own until the test ends.
// The first call on a machine makes the template database (about 5 s).
func StartRT(t testing.TB) RT {
	t.Helper()
	if _, err := os.Stat(rtServer); err != nil {
		missing(t, "apt-get install --no-install-recommends "+strings.Join(RTPackages(), " "))
	}
	template, script, err := rtTemplate()
	if err != nil {
		t.Fatalf("request tracker: %v", err)
	}
	for attempt := 1; ; attempt++ {
		rt, err := startRT(t, script, template)
		if err == nil {
			return rt
		}
		if attempt == 2 { // the port may have been taken meanwhile, but hardly twice
			t.Fatalf("request tracker: %v", err)
		}
	}
}

func startRT(t testing.TB, script, template string) (RT, error) {
	dir, port := t.TempDir(), strconv.Itoa(freePort(t))
	if out, err := exec.Command("sh", script, "prepare", template, dir, port).CombinedOutput(); err != nil {
		return RT{}, fmt.Errorf("%w: %s", err, out)
	}
	rt := RT{URL: "http://127.0.0.1:" + port, People: map[string]string{}, Dir: dir}
	for name, to := range map[string]*string{"tocsin": &rt.Token, "root": &rt.RootToken} {
		b, err := os.ReadFile(filepath.Join(dir, "token."+name))
		if err != nil {
			return RT{}, err
		}
		*to = string(b)
	}
	for _, name := range []string{"ada", "bo"} {
		b, err := os.ReadFile(filepath.Join(dir, "token."+name))
		if err != nil {
			return RT{}, err
		}
		rt.People[name] = string(b)
	}
	p := start(t, exec.Command("sh", script, "serve", dir, port), filepath.Join(dir, "out.log"))
	return rt, p.answers(rt.URL+"/REST/2.0/rt", http.Header{"Authorization": {"token " + rt.Token}})
}

// rtTemplate makes the seeded database unless the cache has it. Its name
// carries a hash of the script and of the installed version.
func rtTemplate() (dir, script string, err error) {
	version, err := os.ReadFile("/usr/share/request-tracker5/lib/RT/Generated.pm")
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(append(version, rtScript...))
	base, err := cacheDir("rt5-" + hex.EncodeToString(sum[:])[:12])
	if err != nil {
		return "", "", err
	}
	unlock, err := lock(filepath.Join(base, "lock"))
	if err != nil {
		return "", "", err
	}
	defer unlock()
	dir, script = filepath.Join(base, "template"), filepath.Join(base, "rt5.sh")
	if _, err := os.Stat(filepath.Join(base, "done")); err == nil {
		return dir, script, nil
	}
	if err := os.WriteFile(script, rtScript, 0o755); err != nil {
		return "", "", err
	}
	if out, err := exec.Command("sh", script, "template", dir).CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("make the template: %w: %s", err, out)
	}
	return dir, script, os.WriteFile(filepath.Join(base, "done"), nil, 0o644)
}
