package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// Elsewhere is a handler's error when another replica must answer the request.
// The edge passes the whole request on; nothing of it may have been done.
type Elsewhere struct {
	Replica string
	URL     string
}

// Error implements error.
func (e *Elsewhere) Error() string {
	return fmt.Sprintf("replica %s serves this", e.Replica)
}

// Forward answers a request with what another replica says to it.
type Forward func(w http.ResponseWriter, r *http.Request, body []byte, to *Elsewhere) error

// maxForward bounds the body of a request that can be passed on.
const maxForward = 1 << 20

// keeper keeps what was read of a body, so that the request can be sent again.
type keeper struct {
	io.ReadCloser
	read bytes.Buffer
}

// Read implements io.Reader.
func (k *keeper) Read(p []byte) (int, error) {
	n, err := k.ReadCloser.Read(p)
	if k.read.Len() <= maxForward {
		k.read.Write(p[:n])
	}
	return n, err
}

// rest reads what the handler left and gives the whole body; ok is false when it
// is too large.
func (k *keeper) rest() (body []byte, ok bool, err error) {
	if _, err := io.Copy(io.Discard, io.LimitReader(k, maxForward+1)); err != nil {
		return nil, false, err
	}
	return k.read.Bytes(), k.read.Len() <= maxForward, nil
}
