package otlp

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

// The media types of OTLP/HTTP.
const (
	mediaProto = "application/x-protobuf"
	mediaJSON  = "application/json"
)

// HTTP answers POST /v1/{signal}. It is a web.Handler; errors are printed as
// google.rpc.Status by a route of kind web.RPC:
//
//	200 durable; partial_success says what was refused and is not to be sent again
//	400, 413 cannot be read, or too large
//	403 the credential does not cover the tenant in X-Scope-OrgID: nothing stored
//	415 another Content-Type or Content-Encoding than OTLP's
//	429, 503 with Retry-After: not durable, to be sent again
func (d Door) HTTP(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != mediaProto && media != mediaJSON {
		unsupported(w, "send Content-Type: application/x-protobuf or application/json")
		return nil //nolint:nilerr // it was answered
	}
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	switch encoding {
	case "", "identity", "gzip", "zstd":
	default:
		unsupported(w, "send Content-Encoding: gzip or zstd, or no compression")
		return nil
	}
	body, err := d.read(w, r, encoding)
	if err != nil {
		return err
	}
	part, err := d.export(r.Context(), p, r.Header, Request{Body: body, JSON: media == mediaJSON})
	if err != nil {
		return err
	}
	out := part.proto()
	if media == mediaJSON {
		if out, err = part.json(d.Signal); err != nil {
			return problem.Wrap(err, problem.Internal, "the answer cannot be encoded")
		}
	}
	w.Header().Set("Content-Type", media)
	_, _ = w.Write(out) // the sender may be gone
	return nil
}

func unsupported(w http.ResponseWriter, text string) {
	http.Error(w, text, http.StatusUnsupportedMediaType)
}

// read gives the decompressed body. No more than the limit is ever made of it.
func (d Door) read(w http.ResponseWriter, r *http.Request, encoding string) ([]byte, error) {
	lim := d.Limits.WithDefaults()
	if r.ContentLength > int64(lim.Body) {
		return nil, tooLarge("bytes", lim.Body)
	}
	var in io.Reader = http.MaxBytesReader(w, r.Body, int64(lim.Body))
	var err error
	switch encoding {
	case "gzip":
		in, err = gzip.NewReader(in)
	case "zstd":
		var z *zstd.Decoder
		// Never more memory for a window than the body itself may take.
		if z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(lim.Decompressed)+1)); err == nil {
			defer z.Close()
			in = z
		}
	}
	if err != nil {
		return nil, unreadable(err, encoding, lim)
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(in, int64(lim.Decompressed)+1))
	if err != nil {
		return nil, unreadable(err, encoding, lim)
	}
	if n > int64(lim.Decompressed) {
		return nil, tooLarge("bytes after decompression", lim.Decompressed)
	}
	return buf.Bytes(), nil
}

func unreadable(err error, encoding string, lim Limits) error {
	var over *http.MaxBytesError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem.Wrap(err, problem.Unavailable, "the request's body did not arrive in time").WithHint("see limits.request_time")
	case errors.As(err, &over):
		return tooLarge("bytes", lim.Body)
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return tooLarge("bytes after decompression", lim.Decompressed)
	case encoding == "" || encoding == "identity":
		return problem.Wrap(err, problem.Malformed, "the request's body ended early")
	}
	return problem.Wrap(err, problem.Malformed, "the body is not %s, which its Content-Encoding says", encoding)
}

func tooLarge(what string, limit int) error {
	return problem.New(problem.TooLarge, "the request has more %s than the limit of %d", what, limit).
		WithHint("lower send_batch_max_size of the collector's batch processor, or raise the limit")
}

func (p Partial) json(s Signal) ([]byte, error) {
	inner := map[string]string{}
	if p.Rejected != 0 {
		inner[rejected[s]] = strconv.FormatInt(p.Rejected, 10) // 64-bit numbers are strings in OTLP's JSON
	}
	if p.Message != "" {
		inner["errorMessage"] = p.Message
	}
	return json.Marshal(map[string]any{"partialSuccess": inner})
}
