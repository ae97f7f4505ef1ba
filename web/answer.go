package web

import (
	"net/http"
	"strconv"
)

// HTML starts an answer that is a page.
func HTML(w http.ResponseWriter, status int) http.ResponseWriter {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return w
}

// WritePNG answers with a picture.
func WritePNG(w http.ResponseWriter, png []byte) error {
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "private, max-age=60")
	w.Header().Set("Content-Length", strconv.Itoa(len(png)))
	_, _ = w.Write(png) // the client may be gone
	return nil
}
