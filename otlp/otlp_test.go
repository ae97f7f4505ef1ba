package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/otlp"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// desk takes requests and answers as it is told.
type desk struct {
	part  otlp.Partial
	err   error
	panic bool
	got   []otlp.Request
	scope door.Scope
}

func (d *desk) Export(_ context.Context, s door.Scope, r otlp.Request) (otlp.Partial, error) {
	if d.panic {
		panic("a bad call")
	}
	d.got, d.scope = append(d.got, r), s
	return d.part, d.err
}

// gate knows two tokens.
type gate struct{}

func (gate) Token(_ context.Context, secret string) (web.Principal, error) {
	switch secret {
	case "sender":
		return web.Principal{Role: web.Sender, Tenants: []tenant.ID{"acme", "bolt"}}, nil
	case "reader":
		return web.Principal{Role: web.Tenant, Tenants: []tenant.ID{"acme"}}, nil
	}
	return web.Principal{}, problem.New(problem.Unauthenticated, "the token is not known")
}

func (gate) Session(context.Context, string) (web.Principal, error) {
	return web.Principal{}, problem.New(problem.Unauthenticated, "no session")
}

type edge struct {
	*desk
	url  string
	conn *grpc.ClientConn
	log  *bytes.Buffer
}

func serve(t *testing.T, lim otlp.Limits, grpcLimit int) *edge {
	t.Helper()
	e := &edge{desk: &desk{}, log: &bytes.Buffer{}}
	d := otlp.Door{Signal: otlp.Metrics, To: e.desk, Limits: lim}
	none := otlp.Door{Signal: otlp.Traces}
	roles := []web.Role{web.Sender}
	routes := []web.Route{
		{Method: http.MethodPost, Path: "/v1/metrics", Kind: web.RPC, Roles: roles, Handle: d.HTTP},
		{Method: http.MethodPost, Path: "/v1/traces", Kind: web.RPC, Roles: roles, Handle: none.HTTP},
		{Method: web.GRPC, Path: otlp.Metrics.Method(), Kind: web.RPC, Roles: roles, Call: d.Call},
		{Method: web.GRPC, Path: otlp.Traces.Method(), Kind: web.RPC, Roles: roles, Call: none.Call},
	}
	w := web.Edge{Auth: gate{}, Now: time.Now, BodyTime: 300 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(e.log, nil))}
	s := httptest.NewServer(w.Mux(routes))
	t.Cleanup(s.Close)
	e.url = s.URL
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	rpc := w.RPC(routes, grpcLimit)
	done := make(chan error, 1)
	go func() { done <- rpc.Serve(l) }()
	t.Cleanup(func() { rpc.Stop(); require.NoError(t, <-done) })
	e.conn, err = grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.conn.Close()) })
	return e
}

func (e *edge) post(t *testing.T, path, token, kind, encoding string, body []byte) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+path, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Scope-OrgID", "acme")
	req.Header.Set("Content-Type", kind)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, raw
}

func with(t *testing.T, token string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token, "x-scope-orgid", "acme")
}

func request() pmetricotlp.ExportRequest {
	m := pmetric.NewMetrics()
	m.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty().SetName("a")
	return pmetricotlp.NewExportRequestFromMetrics(m)
}

func gzipped(t testing.TB, raw []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(raw)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

func zstdded(t testing.TB, raw []byte) []byte {
	z, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return z.EncodeAll(raw, nil)
}

func TestHTTPHandsOnWhatWasSent(t *testing.T) {
	e := serve(t, otlp.Limits{}, 1<<20)
	raw, err := request().MarshalProto()
	require.NoError(t, err)
	doc, err := request().MarshalJSON()
	require.NoError(t, err)
	for _, c := range []struct {
		kind, encoding string
		body, want     []byte
	}{
		{"application/x-protobuf", "", raw, raw},
		{"application/x-protobuf", "identity", raw, raw},
		{"application/x-protobuf", "gzip", gzipped(t, raw), raw},
		{"application/x-protobuf", "zstd", zstdded(t, raw), raw},
		{"application/json; charset=utf-8", "gzip", gzipped(t, doc), doc},
	} {
		res, body := e.post(t, "/v1/metrics", "sender", c.kind, c.encoding, c.body)
		require.Equal(t, http.StatusOK, res.StatusCode, "%s", body)
		last := e.got[len(e.got)-1]
		require.Equal(t, otlp.Request{Body: c.want, JSON: strings.HasPrefix(c.kind, "application/json")}, last)
		require.Equal(t, door.Scope{Tenants: []tenant.ID{"acme", "bolt"}, OrgID: "acme"}, e.scope)
	}
}

// TestPartialSuccessIsReadByTheirTypes: both forms, as the SDKs' own types read it.
func TestPartialSuccessIsReadByTheirTypes(t *testing.T) {
	e := serve(t, otlp.Limits{}, 1<<20)
	raw, err := request().MarshalProto()
	require.NoError(t, err)
	e.part = otlp.Partial{Rejected: 3, Message: "three were too early"}
	check := func(r pmetricotlp.ExportResponse) {
		require.Equal(t, int64(3), r.PartialSuccess().RejectedDataPoints())
		require.Equal(t, "three were too early", r.PartialSuccess().ErrorMessage())
	}
	_, body := e.post(t, "/v1/metrics", "sender", "application/x-protobuf", "", raw)
	r := pmetricotlp.NewExportResponse()
	require.NoError(t, r.UnmarshalProto(body))
	check(r)
	doc, err := request().MarshalJSON()
	require.NoError(t, err)
	_, body = e.post(t, "/v1/metrics", "sender", "application/json", "", doc)
	r = pmetricotlp.NewExportResponse()
	require.NoError(t, r.UnmarshalJSON(body))
	check(r)
	r, err = pmetricotlp.NewGRPCClient(e.conn).Export(with(t, "sender"), request())
	require.NoError(t, err)
	check(r)
	e.part = otlp.Partial{}
	_, body = e.post(t, "/v1/metrics", "sender", "application/json", "", doc)
	require.JSONEq(t, `{"partialSuccess":{}}`, string(body))
	_, body = e.post(t, "/v1/metrics", "sender", "application/x-protobuf", "", raw)
	require.Empty(t, body)
}

func TestBadBodiesOverHTTP(t *testing.T) {
	e := serve(t, otlp.Limits{Body: 1000, Decompressed: 10_000}, 1<<20)
	big := make([]byte, 20_000)
	for _, c := range []struct {
		name, token, kind, encoding string
		body                        []byte
		status                      int
		says                        string
	}{
		{"wrong token", "nobody", "application/x-protobuf", "", nil, 401, "not known"},
		{"wrong role", "reader", "application/x-protobuf", "", nil, 403, "may not"},
		{"other type", "sender", "text/plain", "", nil, 415, "application/json"},
		{"no type", "sender", "", "", nil, 415, "application/json"},
		{"other encoding", "sender", "application/x-protobuf", "br", nil, 415, "gzip"},
		{"not gzip", "sender", "application/x-protobuf", "gzip", []byte("hello"), 400, "not gzip"},
		{"cut gzip", "sender", "application/x-protobuf", "gzip", gzipped(t, []byte("hello"))[:12], 400, "not gzip"},
		{"not zstd", "sender", "application/x-protobuf", "zstd", []byte("hello"), 400, "not zstd"},
		{"large", "sender", "application/x-protobuf", "", big, 413, "limit of 1000"},
		{"a gzip bomb", "sender", "application/x-protobuf", "gzip", gzipped(t, big), 413, "limit of 10000"},
		{"a zstd bomb", "sender", "application/x-protobuf", "zstd", zstdded(t, big), 413, "limit of 10000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := e.post(t, "/v1/metrics", c.token, c.kind, c.encoding, c.body)
			require.Equal(t, c.status, res.StatusCode, "%s", body)
			text := string(body)
			if c.status != 415 {
				var s spb.Status
				require.NoError(t, proto.Unmarshal(body, &s))
				text = s.Message
			}
			require.Contains(t, text, c.says)
			require.Empty(t, e.got)
		})
	}
	res, body := e.post(t, "/v1/traces", "sender", "application/json", "", []byte("{}"))
	require.Equal(t, http.StatusNotFound, res.StatusCode)
	require.Equal(t, "application/json", res.Header.Get("Content-Type"))
	var s spb.Status
	require.NoError(t, protojson.Unmarshal(body, &s))
	require.Contains(t, s.Message, "takes no traces")
}

// TestBackPressureIsSaidSoThatSendersWait: what may succeed later always says
// when, and never looks like a loss.
func TestBackPressureIsSaidSoThatSendersWait(t *testing.T) {
	e := serve(t, otlp.Limits{}, 1<<20)
	for _, c := range []struct {
		err   error
		http  int
		after string
		code  codes.Code
		delay time.Duration
	}{
		{problem.New(problem.TooMany, "full"), 429, "2", codes.ResourceExhausted, 2 * time.Second},
		{problem.New(problem.Unavailable, "behind").WithRetryAfter(7 * time.Second), 503, "7", codes.Unavailable, 7 * time.Second},
		{problem.New(problem.NoSpace, "the disk is full"), 503, "30", codes.Unavailable, 30 * time.Second},
		{problem.New(problem.Malformed, "not OTLP"), 400, "", codes.InvalidArgument, 0},
		{problem.New(problem.TooLarge, "too large"), 413, "", codes.ResourceExhausted, 0},
		{io.ErrClosedPipe, 500, "", codes.Internal, 0},
	} {
		e.err = c.err
		res, _ := e.post(t, "/v1/metrics", "sender", "application/x-protobuf", "", nil)
		require.Equal(t, c.http, res.StatusCode)
		require.Equal(t, c.after, res.Header.Get("Retry-After"))
		_, err := pmetricotlp.NewGRPCClient(e.conn).Export(with(t, "sender"), request())
		s := status.Convert(err)
		require.Equal(t, c.code, s.Code(), s)
		var delay time.Duration
		for _, d := range s.Details() {
			if r, ok := d.(interface{ GetRetryDelay() *durationpb.Duration }); ok {
				delay = r.GetRetryDelay().AsDuration()
			}
		}
		require.Equal(t, c.delay, delay, s)
		require.NotContains(t, s.Message(), "closed pipe", "a cause is not the client's")
	}
}

func TestCallsPassTheSameCheck(t *testing.T) {
	e := serve(t, otlp.Limits{}, 2000)
	client := pmetricotlp.NewGRPCClient(e.conn)
	code := func(err error) codes.Code { return status.Code(err) }
	_, err := client.Export(t.Context(), request())
	require.Equal(t, codes.Unauthenticated, code(err))
	_, err = client.Export(with(t, "nobody"), request())
	require.Equal(t, codes.Unauthenticated, code(err))
	_, err = client.Export(with(t, "reader"), request())
	require.Equal(t, codes.PermissionDenied, code(err))
	for _, compressor := range []string{"gzip", "zstd", ""} {
		_, err = client.Export(with(t, "sender"), request(), grpc.UseCompressor(compressor))
		require.NoError(t, err, compressor)
		raw, err := request().MarshalProto()
		require.NoError(t, err)
		require.Equal(t, otlp.Request{Body: raw}, e.got[len(e.got)-1])
		require.Equal(t, "acme", e.scope.OrgID)
	}
	taken := len(e.got)
	big := request()
	big.Metrics().ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).SetDescription(strings.Repeat("x", 5000))
	for _, compressor := range []string{"gzip", "zstd", ""} {
		_, err = client.Export(with(t, "sender"), big, grpc.UseCompressor(compressor))
		require.Equal(t, codes.ResourceExhausted, code(err), "%s: %v", compressor, err)
		require.Empty(t, status.Convert(err).Details(), "sending it again cannot help")
	}
	_, err = client.Export(with(t, "nobody"), big)
	require.Equal(t, codes.Unauthenticated, code(err), "who may not send is not read")
	require.Len(t, e.got, taken)
	require.Equal(t, codes.Unimplemented, code(e.conn.Invoke(with(t, "sender"), "/grpc.health.v1.Health/Check", &spb.Status{}, &spb.Status{})))
	require.Equal(t, codes.Unimplemented, code(e.conn.Invoke(with(t, "sender"), otlp.Traces.Method(), &spb.Status{}, &spb.Status{})))
	e.panic = true
	_, err = client.Export(with(t, "sender"), request())
	require.Equal(t, codes.Internal, code(err))
	require.Contains(t, e.log.String(), "panicked")
	e.panic = false
	_, err = client.Export(with(t, "sender"), request())
	require.NoError(t, err, "one bad call ends nothing")
}

// TestAMessageThatDoesNotArriveIsNotWaitedFor: neither over gRPC nor over HTTP,
// and the sender may try again.
func TestAMessageThatDoesNotArriveIsNotWaitedFor(t *testing.T) {
	e := serve(t, otlp.Limits{}, 1<<20)
	s, err := e.conn.NewStream(with(t, "sender"), &grpc.StreamDesc{ClientStreams: true}, otlp.Metrics.Method())
	require.NoError(t, err)
	require.Equal(t, codes.Unavailable, status.Code(s.RecvMsg(&spb.Status{})))

	r, w := io.Pipe()
	go func() { _, _ = w.Write([]byte{10}) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/v1/metrics", r)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer sender")
	req.Header.Set("Content-Type", "application/x-protobuf")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	defer res.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	require.Empty(t, e.got)

	none, err := e.conn.NewStream(with(t, "sender"), &grpc.StreamDesc{ClientStreams: true}, otlp.Metrics.Method())
	require.NoError(t, err)
	require.NoError(t, none.CloseSend())
	require.Equal(t, codes.InvalidArgument, status.Code(none.RecvMsg(&spb.Status{})), "a call without a message")
}
