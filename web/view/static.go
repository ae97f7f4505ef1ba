package view

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// StaticPrefix is where StaticHandler must be mounted; it sees whole paths.
const StaticPrefix = "/static/"

//go:embed static/*
var staticFiles embed.FS

type asset struct {
	contentType string
	body        []byte
	path        string // with the hash in its name
}

// static are the files by the path they are served under, and that path by
// their name.
type static struct {
	byPath map[string]asset
	byName map[string]string
}

func newStatic() (*static, error) {
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		return nil, err
	}
	s := &static{byPath: map[string]asset{}, byName: map[string]string{}}
	for _, e := range entries {
		body, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			return nil, err
		}
		ext := path.Ext(e.Name())
		if types[ext] == "" {
			return nil, fmt.Errorf("static file %s: no content type for %s", e.Name(), ext)
		}
		sum := sha256.Sum256(body)
		p := StaticPrefix + strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		s.byPath[p] = asset{contentType: types[ext], body: body, path: p}
		s.byName[e.Name()] = p
	}
	return s, nil
}

// StaticHandler serves style sheet, script and icon under StaticPrefix. Their
// names carry a hash of their content, so they may be kept for ever; another
// name, also an older one, is 404.
func (v *Views) StaticHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := v.static.byPath[r.URL.Path]
		if !ok {
			http.Error(w, "no such file", http.StatusNotFound)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.contentType)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		if r.Method == http.MethodHead {
			return
		}
		_, _ = w.Write(a.body) // the client is gone: nothing to do about it
	})
}
