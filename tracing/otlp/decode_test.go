package otlp

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tocsin-alerting/tocsin/problem"
)

var keys = []string{"tenant.id", "service.name", "peer.service", "acquirer", "n", "f", "b", "list"}

// said is a span in plain values, to compare what two decoders read.
type said struct {
	trace, span, parent, state, name string
	kind                             Kind
	failed                           bool
	start, end                       uint64
	attributes, resource             []string
}

func values(vs []Value) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		if v.kind == absent {
			out[i] = "-"
		} else {
			out[i] = fmt.Sprintf("%d %s", v.kind, v.Append(nil))
		}
	}
	return out
}

func ours(t testing.TB, body []byte, e Encoding) ([]said, error) {
	var out []said
	err := NewDecoder(keys, Limits{}).Decode(body, e, func(s *Span) {
		out = append(out, said{string(s.TraceID), string(s.SpanID), string(s.ParentID), string(s.TraceState), string(s.Name), s.Kind, s.Failed, s.Start, s.End,
			values(s.Attributes), values(s.Resource)})
	})
	return out, err
}

// theirs is what the collector's own decoder reads of the same body.
func theirs(body []byte) ([]said, error) {
	var u ptrace.ProtoUnmarshaler
	traces, err := u.UnmarshalTraces(body)
	if err != nil {
		return nil, err
	}
	pick := func(m pcommon.Map) []string {
		out := make([]string, len(keys))
		for i, k := range keys {
			v, ok := m.Get(k)
			if !ok {
				out[i] = "-"
				continue
			}
			switch v.Type() {
			case pcommon.ValueTypeStr:
				out[i] = fmt.Sprintf("%d %s", text, v.Str())
			case pcommon.ValueTypeBool:
				out[i] = fmt.Sprintf("%d %t", boolean, v.Bool())
			case pcommon.ValueTypeInt:
				out[i] = fmt.Sprintf("%d %d", integer, v.Int())
			case pcommon.ValueTypeDouble:
				out[i] = fmt.Sprintf("%d %s", double, Value{kind: double, double: v.Double()}.Append(nil))
			default:
				out[i] = fmt.Sprintf("%d ", other)
			}
		}
		return out
	}
	id := func(b []byte) string {
		if !slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) {
			return ""
		}
		return string(b)
	}
	var out []said
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				tr, sp, pa := s.TraceID(), s.SpanID(), s.ParentSpanID()
				kind := Kind(0)
				if k := s.Kind(); k >= 0 && k <= ptrace.SpanKindConsumer {
					kind = Kind(k)
				}
				out = append(out, said{id(tr[:]), id(sp[:]), id(pa[:]), s.TraceState().AsRaw(), s.Name(), kind, s.Status().Code() == ptrace.StatusCodeError,
					uint64(s.StartTimestamp()), uint64(s.EndTimestamp()), pick(s.Attributes()), pick(rs.Resource().Attributes())})
			}
		}
	}
	return out, nil
}

// zeroless makes an id of zeros the absent one: pdata cannot tell them apart.
func zeroless(in []said) []said {
	for i := range in {
		for _, id := range []*string{&in[i].trace, &in[i].span, &in[i].parent} {
			if !slices.ContainsFunc([]byte(*id), func(b byte) bool { return b != 0 }) {
				*id = ""
			}
		}
	}
	return in
}

// sample is a request with everything in it.
func sample(spans int) ptrace.Traces {
	tr := ptrace.NewTraces()
	for r := range 2 {
		rs := tr.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", fmt.Sprint("payments-", r))
		rs.Resource().Attributes().PutStr("tenant.id", "shop-a")
		rs.Resource().Attributes().PutStr("host.name", "h")
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName("lib")
		for i := range spans {
			s := ss.Spans().AppendEmpty()
			s.SetTraceID([16]byte{1, byte(i), 15: 9})
			s.SetSpanID([8]byte{2, byte(i), 7: 9})
			if i%2 == 0 {
				s.SetParentSpanID([8]byte{3, byte(i), 7: 9})
			}
			s.SetName("POST /payments")
			s.SetKind(ptrace.SpanKind(i % 6))
			s.SetStartTimestamp(1_700_000_000_000_000_000)
			s.SetEndTimestamp(pcommon.Timestamp(1_700_000_000_000_000_000 + i*1_000_000))
			s.TraceState().FromRaw("ot=th:c;rv:12345678abcdef,x=y")
			a := s.Attributes()
			a.PutStr("acquirer", "alpha")
			a.PutStr("peer.service", "alpha")
			a.PutInt("n", -7)
			a.PutDouble("f", math.Pi)
			a.PutBool("b", i%2 == 0)
			a.PutEmptySlice("list").AppendEmpty().SetStr("x")
			for k := range 5 {
				a.PutStr(fmt.Sprint("http.request.header.x-", k), "some value of the usual length")
			}
			if i%3 == 0 {
				s.Status().SetCode(ptrace.StatusCodeError)
				s.Status().SetMessage("refused")
			}
			ev := s.Events().AppendEmpty()
			ev.SetName("exception")
			ev.Attributes().PutStr("acquirer", "not this one")
		}
	}
	return tr
}

func encode(t testing.TB, tr ptrace.Traces) []byte {
	var m ptrace.ProtoMarshaler
	body, err := m.MarshalTraces(tr)
	require.NoError(t, err)
	return body
}

func TestDecode(t *testing.T) {
	tr := sample(7)
	body := encode(t, tr)
	want, err := theirs(body)
	require.NoError(t, err)
	got, err := ours(t, body, Protobuf)
	require.NoError(t, err)
	require.Len(t, got, 14)
	require.Equal(t, want, got)

	var m ptrace.JSONMarshaler
	js, err := m.MarshalTraces(tr)
	require.NoError(t, err)
	got, err = ours(t, js, JSON)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// tag and delimited write protobuf by hand, so that fields stand in any order.
func delimited(field int, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	out := varint(uint64(field)<<3 | 2)
	return append(append(out, varint(uint64(len(body)))...), body...)
}

func varint(v uint64) []byte {
	var b []byte
	for v >= 0x80 {
		b, v = append(b, byte(v)|0x80), v>>7
	}
	return append(b, byte(v))
}

func TestDecodeFieldOrder(t *testing.T) {
	attr := func(f int, k, v string) []byte {
		return delimited(f, delimited(1, []byte(k)), delimited(2, delimited(1, []byte(v))))
	}
	back := func(f int, k, v string) []byte { // the value before its key
		return delimited(f, delimited(2, delimited(1, []byte(v))), delimited(1, []byte(k)))
	}
	resource := delimited(1, attr(1, "tenant.id", "shop-a"), attr(1, "tenant.id", "second"))
	span := delimited(2, back(9, "acquirer", "alpha"), delimited(5, []byte("pay")), delimited(1, make([]byte, 16)))
	for name, body := range map[string][]byte{
		"resource first": delimited(1, resource, delimited(2, span)),
		"resource last":  delimited(1, delimited(2, span), resource),
		"unknown fields": delimited(1, delimited(99, []byte("x")), delimited(2, delimited(77), span), resource, delimited(3, []byte("schema"))),
	} {
		got, err := ours(t, body, Protobuf)
		require.NoError(t, err, name)
		want, err := theirs(body)
		require.NoError(t, err, name)
		require.Equal(t, want, zeroless(got), name)
		require.Equal(t, "1 shop-a", got[0].resource[0], "%s: of a key that comes twice the first counts", name)
		require.Equal(t, "1 alpha", got[0].attributes[3], name)
	}
}

func TestDecodeRefuses(t *testing.T) {
	body := encode(t, sample(3))
	for n := 1; n < len(body); n += 7 {
		_, err := ours(t, body[:n], Protobuf)
		if err != nil {
			require.True(t, problem.Is(err, problem.Malformed), "cut at %d", n)
		}
	}
	for name, c := range map[string]struct {
		lim Limits
	}{"bytes": {Limits{Body: 10}}, "spans": {Limits{Spans: 5}}, "attributes": {Limits{Attributes: 2}}} {
		err := NewDecoder(keys, c.lim).Decode(body, Protobuf, func(*Span) {})
		require.True(t, problem.Is(err, problem.TooLarge), name)
	}
	_, err := ours(t, []byte(`{"resourceSpans": 3`), JSON)
	require.True(t, problem.Is(err, problem.Malformed))
	_, err = ours(t, []byte{0x08, 0x01}, Protobuf) // resource_spans as a number
	require.True(t, problem.Is(err, problem.Malformed))
}

func TestDecodeAllocatesNothingPerSpan(t *testing.T) {
	body := encode(t, sample(256))
	d := NewDecoder(keys, Limits{})
	n := 0
	take := func(*Span) { n++ }
	allocs := testing.AllocsPerRun(10, func() { require.NoError(t, d.Decode(body, Protobuf, take)) })
	require.Less(t, allocs, 20.0, "for 512 spans")
}

// FuzzDecode holds the decoder to the collector's own. What both accept they
// read the same, and what the collector writes is accepted: it reads forms that
// nobody writes (groups, field numbers out of range), which are refused here.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, sample(2)))
	f.Add(delimited(1, delimited(2, delimited(2, delimited(5, []byte("pay")))), delimited(1)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := ours(t, body, Protobuf)
		want, theirErr := theirs(body)
		if theirErr != nil {
			return // they read more of it than we do
		}
		if err == nil {
			require.Equal(t, want, zeroless(got))
		}
		var u ptrace.ProtoUnmarshaler
		tr, err := u.UnmarshalTraces(body)
		require.NoError(t, err)
		again, err := ours(t, encode(t, tr), Protobuf)
		require.NoError(t, err)
		require.Equal(t, want, zeroless(again))
	})
}

// BenchmarkDecode sets the streaming decoder beside pdata's unmarshal, both
// counting the failed spans.
func BenchmarkDecode(b *testing.B) {
	body := encode(b, sample(256))
	run := func(name string, once func() int) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n += once()
			}
			require.NotZero(b, n)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/512, "ns/span")
		})
	}
	d := NewDecoder(keys, Limits{})
	run("streaming", func() (failed int) {
		_ = d.Decode(body, Protobuf, func(s *Span) {
			if s.Failed {
				failed++
			}
		})
		return failed
	})
	run("pdata", func() (failed int) {
		var u ptrace.ProtoUnmarshaler
		tr, _ := u.UnmarshalTraces(body)
		for _, rs := range tr.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					if s.Status().Code() == ptrace.StatusCodeError {
						failed++
					}
				}
			}
		}
		return failed
	})
}
