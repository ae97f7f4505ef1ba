package web

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// arriving bounds the time in which a request's body has to arrive. Once it has,
// the connection is without a deadline again: answers may take longer.
type arriving struct {
	io.ReadCloser
	rc   *http.ResponseController
	over bool
}

// bodyWithin gives r a body that has to arrive within d; 0: no bound.
func bodyWithin(w http.ResponseWriter, r *http.Request, d time.Duration) {
	if d <= 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(d)) != nil { // no connection below, as in a test
		return
	}
	r.Body = &arriving{ReadCloser: r.Body, rc: rc}
}

// Read implements io.Reader.
func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil && !a.over {
		a.over = true
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			_ = a.rc.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}

// late is the problem of a body that did not arrive in time.
func late(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return problem.Wrap(err, problem.Unavailable, "the request's body did not arrive in time").WithHint("see limits.request_time")
	}
	return err
}
