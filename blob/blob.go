// Package blob keeps pictures and other files that are too large for records:
// a folder, written whole or not at all, names made of an id.
package blob

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Dir is a folder of blobs. Safe for concurrent use; the last Put of an id wins.
type Dir struct {
	root string
	// Missing looks for a blob that is not here, e.g. at another replica; NotFound
	// when it is nowhere. Share is told of every blob that Put wrote. Both may be
	// nil; they are set before the first call.
	Missing func(id string) ([]byte, error)
	Share   func(id string, content []byte)
}

var idPattern = regexp.MustCompile(`^[a-zA-Z0-9_\-]+(\.[a-zA-Z0-9_\-]+)*$`)

// Open makes the folder when it is missing.
func Open(root string) (*Dir, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "the blob folder cannot be made").WithHint("check the rights on --storage.path")
	}
	return &Dir{root: root}, nil
}

// Put writes a blob durably before it returns, and shares it.
func (d *Dir) Put(id string, content []byte) error {
	if err := d.Keep(id, content); err != nil {
		return err
	}
	if d.Share != nil {
		d.Share(id, content)
	}
	return nil
}

// Keep writes a blob durably before it returns, and tells nobody.
func (d *Dir) Keep(id string, content []byte) error {
	if !idPattern.MatchString(id) {
		return problem.New(problem.Invalid, "not a usable blob id")
	}
	tmp, err := os.CreateTemp(d.root, ".put-*")
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "a blob cannot be written")
	}
	defer os.Remove(tmp.Name())
	_, werr := tmp.Write(content)
	if err := errors.Join(werr, tmp.Sync(), tmp.Close()); err != nil {
		return problem.Wrap(err, problem.Unavailable, "a blob cannot be written").WithHint("is the disk full?")
	}
	if err := os.Rename(tmp.Name(), filepath.Join(d.root, id)); err != nil {
		return problem.Wrap(err, problem.Unavailable, "a blob cannot be written")
	}
	return nil
}

// Get reads a blob; NotFound when there is none, here or elsewhere. One that was
// elsewhere is here from then on.
func (d *Dir) Get(id string) ([]byte, error) {
	b, err := d.Own(id)
	if d.Missing == nil || !problem.Is(err, problem.NotFound) || !idPattern.MatchString(id) {
		return b, err
	}
	if b, err = d.Missing(id); err != nil {
		return nil, err
	}
	return b, d.Keep(id, b)
}

// Own reads a blob of this folder; NotFound when there is none.
func (d *Dir) Own(id string) ([]byte, error) {
	if !idPattern.MatchString(id) {
		return nil, problem.New(problem.NotFound, "no such picture")
	}
	b, err := os.ReadFile(filepath.Join(d.root, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.NotFound, "no such picture").WithHint("pictures are kept for the time given by retention.blobs")
	}
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "a blob cannot be read")
	}
	return b, nil
}

// Remove deletes a blob; one that is not there is no error.
func (d *Dir) Remove(id string) error {
	if !idPattern.MatchString(id) {
		return nil
	}
	if err := os.Remove(filepath.Join(d.root, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return problem.Wrap(err, problem.Unavailable, "a blob cannot be removed")
	}
	return nil
}

// Expire removes blobs last written before the time and returns how many.
func (d *Dir) Expire(before time.Time) (int, error) {
	entries, err := os.ReadDir(d.root)
	if err != nil {
		return 0, problem.Wrap(err, problem.Unavailable, "the blob folder cannot be read")
	}
	n := 0
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !info.ModTime().Before(before) {
			continue
		}
		if err := os.Remove(filepath.Join(d.root, e.Name())); err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	return n, errors.Join(errs...)
}
