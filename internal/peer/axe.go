package peer

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// axe-core judges pages by the rules of accessibility; it is a script that runs
// in the page. Its package comes by npm and is held to the checksum here.
const (
	axeVersion = "4.10.3"
	axeSum     = "Xm7bpRXnDSX2YE2YFfBk2FnF0ep6tmG7xPh8iHee8MIcrgq762Nkce856dYtJYLkuIoYZvGfTs/PbZhideTcEg=="
	maxAxe     = 4 << 20 // bytes of the script
)

// Axe is the text of axe-core's script.
func Axe(t testing.TB) string {
	t.Helper()
	path, err := axePath()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		missing(t, "npm package axe-core; make test-deps fetches it (npm is needed: apt-get install npm)")
	}
	return string(text)
}

func axePath() (string, error) {
	dir, err := cacheDir("npm")
	return filepath.Join(dir, "axe-core-"+axeVersion+".js"), err
}

// FetchAxe puts axe-core into the cache unless it is there. Without npm it says
// so and does nothing: the tests that need it are skipped then.
func FetchAxe(progress io.Writer) error {
	path, err := axePath()
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		_, _ = fmt.Fprintln(progress, "npm is not installed: tests of accessibility are skipped")
		return nil
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	dir, err := os.MkdirTemp(filepath.Dir(path), "fetch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cmd := exec.Command(npm, "pack", "--silent", "--pack-destination", dir, "axe-core@"+axeVersion)
	cmd.Dir, cmd.Stderr = dir, progress
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("npm pack axe-core: %w", err)
	}
	text, err := unpackAxe(filepath.Join(dir, "axe-core-"+axeVersion+".tgz"))
	if err != nil {
		return fmt.Errorf("axe-core: %w", err)
	}
	if err := os.WriteFile(path+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// unpackAxe checks the package's sum and takes the script out of it.
func unpackAxe(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	sum := sha512.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, err
	}
	if got := base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != axeSum {
		return nil, errors.New("the package has another checksum than it should")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			return nil, err
		}
		if h.Name == "package/axe.min.js" {
			return io.ReadAll(io.LimitReader(r, maxAxe))
		}
	}
}
