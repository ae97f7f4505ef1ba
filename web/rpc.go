package web

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // what SDKs and collectors compress with
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tocsin-alerting/tocsin/problem"
)

// GRPC is the Method of a row that is a gRPC method; its Path is the method's
// full name, "/package.Service/Method". Such rows have Call and no Handle.
const GRPC = "GRPC"

// Call answers one gRPC call; in is its message, header its metadata.
type Call func(ctx context.Context, header http.Header, p Principal, in []byte) ([]byte, error)

// RPC builds the gRPC server of the table's gRPC rows. Every call passes the
// same check as a request over HTTP, before its message is read. A message may
// have at most limit bytes, before and after decompression.
func (e Edge) RPC(routes []Route, limit int) *grpc.Server {
	rows := map[string]Route{}
	for _, rt := range routes {
		if rt.Method == GRPC {
			rows[rt.Path] = rt
		}
	}
	return grpc.NewServer(
		grpc.ForceServerCodecV2(verbatim{}),
		// A handler of streams, not of calls: it is called before the message is read.
		grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error { return e.call(rows, s) }),
		grpc.MaxRecvMsgSize(limit), grpc.MaxHeaderListSize(64<<10), grpc.MaxConcurrentStreams(256),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 10 * time.Minute, Time: time.Minute, Timeout: 20 * time.Second}),
	)
}

func (e Edge) call(rows map[string]Route, s grpc.ServerStream) (err error) {
	name, _ := grpc.MethodFromServerStream(s)
	rt, ok := rows[name]
	if !ok {
		return status.Error(codes.Unimplemented, "this method is not served here: OTLP metrics and traces are")
	}
	began := e.Now()
	answered := http.StatusOK
	defer func() {
		if e.Observe != nil {
			e.Observe(rt.Method, rt.Path, answered, e.Now().Sub(began))
		}
	}()
	defer func() {
		if r := recover(); r != nil { // as net/http does: one bad call must not end the daemon
			e.Logger.Error("a call panicked", "route", rt.Path, "panic", r)
			answered, err = http.StatusInternalServerError, status.Error(codes.Internal, "internal error")
		}
	}()
	out, err := e.serve(rt, s)
	if err == nil {
		return s.SendMsg(&out)
	}
	if st, ok := status.FromError(err); ok { // of gRPC itself: too large, not decompressible, the client left
		answered = http.StatusBadRequest
		return st.Err()
	}
	p := problem.From(err)
	if p.Kind == problem.Internal {
		e.Logger.Error("a call failed", "route", rt.Path, "error", err)
	}
	answered = p.Kind.Status()
	return rpcStatus(p).Err()
}

func (e Edge) serve(rt Route, s grpc.ServerStream) ([]byte, error) {
	ctx := s.Context()
	md, _ := metadata.FromIncomingContext(ctx)
	header := http.Header{}
	for k, v := range md {
		if !strings.HasPrefix(k, ":") {
			header[http.CanonicalHeaderKey(k)] = v
		}
	}
	r := (&http.Request{Method: http.MethodPost, URL: &url.URL{Path: rt.Path}, Header: header, Body: http.NoBody}).WithContext(ctx)
	p, err := e.authorise(rt, r)
	if err != nil {
		return nil, err
	}
	in, err := e.message(s)
	if err != nil {
		return nil, err
	}
	return rt.Call(ctx, header, p, in)
}

// message reads the call's one message, which has to arrive in time.
func (e Edge) message(s grpc.ServerStream) ([]byte, error) {
	type read struct {
		in  []byte
		err error
	}
	got := make(chan read, 1)
	go func() { // ends when the message is there, and at the latest when the call is answered
		var r read
		r.err = s.RecvMsg(&r.in)
		got <- r
	}()
	var late <-chan time.Time
	if e.BodyTime > 0 {
		t := time.NewTimer(e.BodyTime)
		defer t.Stop()
		late = t.C
	}
	select {
	case r := <-got:
		if errors.Is(r.err, io.EOF) {
			return nil, problem.New(problem.Malformed, "the call has no message")
		}
		return r.in, r.err
	case <-late:
		return nil, problem.New(problem.Unavailable, "the call's message did not arrive in time").WithHint("see limits.request_time")
	}
}

// verbatim hands messages on as they are.
type verbatim struct{}

// Name is the content subtype.
func (verbatim) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (verbatim) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

// Unmarshal implements encoding.CodecV2; the bytes are a copy.
func (verbatim) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

var rpcCodes = map[problem.Kind]codes.Code{
	problem.Malformed: codes.InvalidArgument, problem.Invalid: codes.InvalidArgument,
	problem.Unauthenticated: codes.Unauthenticated, problem.Forbidden: codes.PermissionDenied,
	problem.NotFound: codes.Unimplemented, // what is not found is the method
	problem.Conflict: codes.FailedPrecondition, problem.TooLarge: codes.ResourceExhausted,
	problem.TooMany: codes.ResourceExhausted, problem.Unavailable: codes.Unavailable, problem.NoSpace: codes.Unavailable,
}

// rpcStatus is a problem as a google.rpc.Status. Without RetryInfo a sender
// gives up on what is over a bound, so that it is always there when the same
// call may succeed later.
func rpcStatus(p *problem.Error) *status.Status {
	code, ok := rpcCodes[p.Kind]
	if !ok {
		code = codes.Internal
	}
	text := p.Message
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	s := status.New(code, text)
	if p.Retryable {
		if with, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter(p))}); err == nil {
			return with
		}
	}
	return s
}

func retryAfter(p *problem.Error) time.Duration {
	switch {
	case p.RetryAfter > 0:
		return p.RetryAfter
	case p.Kind == problem.NoSpace:
		return 30 * time.Second
	}
	return 2 * time.Second
}

// rpcHTTPStatus is the HTTP status of a problem for clients that retry 429, 502,
// 503 and 504 and nothing else: a full disk is not the end of their data.
func rpcHTTPStatus(p *problem.Error) int {
	if p.Kind == problem.NoSpace {
		return http.StatusServiceUnavailable
	}
	return p.Kind.Status()
}

// WriteStatus prints a problem as a google.rpc.Status in the request's own form,
// JSON or protobuf.
func WriteStatus(w http.ResponseWriter, r *http.Request, p *problem.Error) {
	var raw []byte
	var err error
	kind := "application/x-protobuf"
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media == "application/json" {
		kind = media
		raw, err = protojson.Marshal(rpcStatus(p).Proto())
	} else {
		raw, err = proto.Marshal(rpcStatus(p).Proto())
	}
	if err != nil { // no body is better than none of the answer
		raw = nil
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(rpcHTTPStatus(p))
	_, _ = w.Write(raw) // the client may be gone
}
