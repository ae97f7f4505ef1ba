package remotewrite

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/problem"
)

type label struct{ name, value string }

// plain is a decoded request in a form that can be compared.
type plain struct {
	labels     []label
	samples    []Sample
	histograms int
	natives    []string // those that are valid
	exemplars  []string
}

func bits(ss []Sample) []string {
	out := []string{}
	for _, s := range ss {
		out = append(out, fmt.Sprintf("%d %x %d", s.T, math.Float64bits(s.V), s.Start))
	}
	return out
}

func readAll(t testing.TB, r *Request, lim Limits) ([]plain, error) {
	t.Helper()
	out := []plain{}
	for _, s := range r.Series {
		p := plain{samples: s.Samples, histograms: len(s.Histograms) + s.Invalid}
		for _, h := range s.Histograms {
			p.natives = append(p.natives, native(h))
		}
		for _, x := range s.Exemplars {
			p.exemplars = append(p.exemplars, fmt.Sprint(x.Labels, math.Float64bits(x.Value), x.Ts))
		}
		err := Labels(s.Key, lim, func(n, v []byte) { p.labels = append(p.labels, label{string(n), string(v)}) })
		if err == nil {
			err = s.Err
		}
		if err != nil {
			return out, err
		}
		out = append(out, p)
	}
	return out, nil
}

func requireSame(t testing.TB, want, got []plain) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i].labels, got[i].labels)
		require.Equal(t, bits(want[i].samples), bits(got[i].samples))
		require.Equal(t, want[i].histograms, got[i].histograms)
		require.Equal(t, want[i].natives, got[i].natives)
		require.Equal(t, want[i].exemplars, got[i].exemplars)
	}
}

func plainV1(w *prompb.WriteRequest) []plain {
	out := []plain{}
	for _, ts := range w.Timeseries {
		p := plain{histograms: len(ts.Histograms), exemplars: exemplarsV1(ts.Exemplars)}
		for _, h := range ts.Histograms {
			p.natives = append(p.natives, nativeV1(h)...)
		}
		for _, l := range ts.Labels {
			p.labels = append(p.labels, label{l.Name, l.Value})
		}
		for _, s := range ts.Samples {
			p.samples = append(p.samples, Sample{T: s.Timestamp, V: s.Value})
		}
		out = append(out, p)
	}
	return out
}

func plainV2(w *writev2.Request) []plain {
	out := []plain{}
	for _, ts := range w.Timeseries {
		p := plain{histograms: len(ts.Histograms), exemplars: exemplarsV2(w.Symbols, ts.Exemplars)}
		for _, h := range ts.Histograms {
			p.natives = append(p.natives, nativeV2(h)...)
		}
		for i := 0; i+1 < len(ts.LabelsRefs); i += 2 {
			p.labels = append(p.labels, label{w.Symbols[ts.LabelsRefs[i]], w.Symbols[ts.LabelsRefs[i+1]]})
		}
		for _, s := range ts.Samples {
			p.samples = append(p.samples, Sample{T: s.Timestamp, V: s.Value, Start: s.StartTimestamp})
		}
		out = append(out, p)
	}
	return out
}

var values = []float64{0, 1, -1.5, math.NaN(), math.Inf(1), math.MaxFloat64, math.Float64frombits(0x7ff0000000000002)}

func randomV1(r *rand.Rand) *prompb.WriteRequest {
	w := &prompb.WriteRequest{}
	for range r.IntN(20) {
		ts := prompb.TimeSeries{}
		for i := range r.IntN(6) {
			ts.Labels = append(ts.Labels, prompb.Label{Name: fmt.Sprintf("l%d", i), Value: strings.Repeat("ü", r.IntN(90))})
		}
		for range r.IntN(4) {
			ts.Samples = append(ts.Samples, prompb.Sample{Value: values[r.IntN(len(values))], Timestamp: r.Int64() >> r.IntN(60) * int64(1-2*r.IntN(2))})
		}
		if r.IntN(4) == 0 {
			ts.Exemplars = []prompb.Exemplar{{Value: 3, Labels: []prompb.Label{{Name: "trace_id", Value: "x"}}}}
			ts.Histograms = []prompb.Histogram{{Sum: 4, Timestamp: 9, Count: &prompb.Histogram_CountInt{CountInt: 3}}}
			for range r.IntN(3) {
				i, f := randomHistogram(r)
				ts.Histograms = append(ts.Histograms, prompb.FromIntHistogram(9, i), prompb.FromFloatHistogram(10, f))
			}
		}
		w.Timeseries = append(w.Timeseries, ts)
	}
	if r.IntN(2) == 0 {
		w.Metadata = []prompb.MetricMetadata{{MetricFamilyName: "m", Help: "h"}, {MetricFamilyName: "d", Help: "how long", Unit: "seconds", Type: prompb.MetricMetadata_MetricType(r.IntN(8))}}
	}
	return w
}

func randomV2(r *rand.Rand) *writev2.Request {
	w := &writev2.Request{Symbols: []string{""}}
	for i := range 200 {
		w.Symbols = append(w.Symbols, fmt.Sprintf("s%d%s", i, strings.Repeat("x", r.IntN(40))))
	}
	for range r.IntN(20) {
		ts := writev2.TimeSeries{}
		for range r.IntN(6) {
			ts.LabelsRefs = append(ts.LabelsRefs, uint32(1+r.IntN(200)), uint32(r.IntN(201)))
		}
		for range r.IntN(4) {
			ts.Samples = append(ts.Samples, writev2.Sample{Value: values[r.IntN(len(values))], Timestamp: r.Int64N(1 << 41), StartTimestamp: r.Int64N(2) * r.Int64N(1<<41)})
		}
		if r.IntN(4) == 0 {
			ts.Histograms = []writev2.Histogram{{Sum: 4, Timestamp: 9}}
			for range r.IntN(3) {
				i, f := randomHistogram(r)
				ts.Histograms = append(ts.Histograms, writev2.FromIntHistogram(r.Int64N(9), 9, i), writev2.FromFloatHistogram(0, 10, f))
			}
			ts.Exemplars = []writev2.Exemplar{{Value: 1, LabelsRefs: []uint32{1, 2}}}
			ts.Metadata = writev2.Metadata{HelpRef: 3}
		}
		w.Timeseries = append(w.Timeseries, ts)
	}
	return w
}

type marshaler interface{ Marshal() ([]byte, error) }

func packed(t testing.TB, m marshaler) []byte {
	t.Helper()
	raw, err := m.Marshal()
	require.NoError(t, err)
	return snappy.Encode(nil, raw)
}

func TestDecodeAgreesWithPrompb(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var req Request // used again and again, as the door does
	for range 300 {
		w1 := randomV1(rnd)
		require.NoError(t, req.Decode(V1, packed(t, w1), Limits{}))
		got, err := readAll(t, &req, Limits{})
		require.NoError(t, err)
		requireSame(t, plainV1(w1), got)
		require.Len(t, req.Metadata, len(w1.Metadata))
		for i, m := range w1.Metadata {
			require.Equal(t, Metadata{Family: m.MetricFamilyName, Type: strings.ToLower(m.Type.String()), Help: m.Help, Unit: m.Unit}, req.Metadata[i])
		}

		w2 := randomV2(rnd)
		require.NoError(t, req.Decode(V2, packed(t, w2), Limits{}))
		got, err = readAll(t, &req, Limits{})
		require.NoError(t, err)
		requireSame(t, plainV2(w2), got)
	}
}

// field encodes a length-delimited field for messages in unusual order.
func field(num byte, data []byte) []byte {
	out := append([]byte{num<<3 | 2}, byte(len(data)))
	if len(data) > 127 {
		panic("too long for this helper")
	}
	return append(out, data...)
}

func TestFieldOrderDoesNotMatter(t *testing.T) {
	sample, err := (&writev2.Sample{Value: 5, Timestamp: 7, StartTimestamp: 3}).Marshal()
	require.NoError(t, err)
	series := slices.Concat(
		field(2, sample),
		[]byte{1 << 3, 2},           // refs, not packed
		[]byte{6 << 3, 99},          // created_timestamp of a draft
		field(2, []byte{2 << 3, 8}), // a sample without start, nor value
		field(1, []byte{1}),         // refs, packed
		field(2, append([]byte{3 << 3, 4, 2 << 3, 9, 1<<3 | 1}, make([]byte, 8)...)), // all backwards
	)
	body := slices.Concat(field(5, series), field(4, []byte("v")), field(4, []byte("b")), field(4, []byte("a")))
	var req Request
	require.NoError(t, req.Decode(V2, snappy.Encode(nil, body), Limits{}))
	got, err := readAll(t, &req, Limits{})
	require.NoError(t, err)
	requireSame(t, []plain{{labels: []label{{"a", "b"}}, samples: []Sample{{7, 5, 3}, {8, 0, 99}, {9, 0, 4}}}}, got)

	l := func(n, v string) []byte { return field(1, slices.Concat(field(2, []byte(v)), field(1, []byte(n)))) }
	one := slices.Concat(field(2, []byte{2 << 3, 8}), l("a", "1"), l("b", "2"), field(9, []byte("later")), l("c", "3"))
	require.NoError(t, req.Decode(V1, snappy.Encode(nil, slices.Concat(field(1, one), field(1, l("d", "4")))), Limits{}))
	got, err = readAll(t, &req, Limits{})
	require.NoError(t, err)
	requireSame(t, []plain{
		{labels: []label{{"a", "1"}, {"b", "2"}, {"c", "3"}}, samples: []Sample{{8, 0, 0}}},
		{labels: []label{{"d", "4"}}},
	}, got)
}

func TestBothVersionsHaveOneKey(t *testing.T) {
	w1 := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{Labels: []prompb.Label{{Name: "a", Value: strings.Repeat("x", 300)}, {Name: "b", Value: "2"}}}}}
	w2 := &writev2.Request{Symbols: []string{"", "a", strings.Repeat("x", 300), "b", "2"}, Timeseries: []writev2.TimeSeries{{LabelsRefs: []uint32{1, 2, 3, 4}}}}
	var r1, r2 Request
	require.NoError(t, r1.Decode(V1, packed(t, w1), Limits{}))
	require.NoError(t, r2.Decode(V2, packed(t, w2), Limits{}))
	require.Equal(t, r1.Series[0].Key, r2.Series[0].Key)
}

func TestRefusals(t *testing.T) {
	long := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{Labels: []prompb.Label{{Name: "name", Value: "12345678"}, {Name: "b", Value: "1"}}, Samples: []prompb.Sample{{}, {}}}, {}}}
	v2 := func(refs ...uint32) []byte {
		return packed(t, &writev2.Request{Symbols: []string{"", "name", "12345678"}, Timeseries: []writev2.TimeSeries{{LabelsRefs: refs}}})
	}
	claim := append([]byte{0xff, 0xff, 0xff, 0x0f}, 0, 'x') // 32 MiB out of six bytes
	for _, c := range []struct {
		name string
		v    Version
		body []byte
		lim  Limits
		want problem.Kind
	}{
		{"not snappy", V1, []byte("\xff\xff\xff\xff\xff"), Limits{}, problem.Malformed},
		{"empty", V1, nil, Limits{}, problem.Malformed},
		{"a bomb", V1, claim, Limits{}, problem.Malformed},
		{"a bomb over the limit", V1, claim, Limits{Decompressed: 1 << 20}, problem.TooLarge},
		{"field number 0", V1, snappy.Encode(nil, []byte{2, 0}), Limits{}, problem.Malformed},
		{"body", V1, packed(t, long), Limits{Body: 10}, problem.TooLarge},
		{"series", V1, packed(t, long), Limits{Series: 1}, problem.TooLarge},
		{"samples", V1, packed(t, long), Limits{Samples: 1}, problem.TooLarge},
		{"labels", V1, packed(t, long), Limits{Labels: 1}, problem.TooLarge},
		{"label name", V1, packed(t, long), Limits{LabelName: 3}, problem.TooLarge},
		{"label value", V1, packed(t, long), Limits{LabelValue: 7}, problem.TooLarge},
		{"2.0 labels", V2, v2(1, 2, 1, 2), Limits{Labels: 1}, problem.TooLarge},
		{"2.0 label name", V2, v2(1, 2), Limits{LabelName: 3}, problem.TooLarge},
		{"2.0 label value", V2, v2(1, 2), Limits{LabelValue: 7}, problem.TooLarge},
		{"2.0 odd references", V2, v2(1, 2, 1), Limits{}, problem.Malformed},
		{"2.0 unknown symbol", V2, v2(1, 3), Limits{}, problem.Malformed},
		{"cut", V1, snappy.Encode(nil, []byte{1<<3 | 2, 9, 1}), Limits{}, problem.Malformed},
		{"a label of a number", V1, snappy.Encode(nil, field(1, []byte{1 << 3, 1})), Limits{}, problem.Malformed},
		{"no such version", 3, packed(t, long), Limits{}, problem.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			var req Request
			err := req.Decode(c.v, c.body, c.lim)
			if err == nil {
				_, err = readAll(t, &req, c.lim)
			}
			require.Error(t, err)
			require.True(t, problem.Is(err, c.want), "%v", err)
		})
	}
}

// FuzzDecode holds the decoder to prompb: what both read must be equal, and what
// prompb writes must be read.
func FuzzDecode(f *testing.F) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 10 {
		raw, err := randomV1(rnd).Marshal()
		require.NoError(f, err)
		f.Add(raw, false)
		raw, err = randomV2(rnd).Marshal()
		require.NoError(f, err)
		f.Add(raw, true)
	}
	f.Add([]byte{1<<3 | 2, 2, 1<<3 | 2, 0}, false)
	f.Add([]byte{5<<3 | 2, 4, 1 << 3, 0, 1 << 3, 0, 4<<3 | 2, 0}, true)
	f.Fuzz(func(t *testing.T, raw []byte, two bool) {
		v, want := V1, []plain(nil)
		var peerErr error
		var again []byte
		if two {
			var w writev2.Request
			v, peerErr = V2, w.Unmarshal(raw)
			for _, ts := range w.Timeseries {
				for _, ref := range ts.LabelsRefs {
					if int(ref) >= len(w.Symbols) || len(ts.LabelsRefs)%2 != 0 {
						return
					}
				}
			}
			if peerErr == nil {
				want = plainV2(&w)
				again = rewritten(t, want, true)
			}
		} else {
			var w prompb.WriteRequest
			if peerErr = w.Unmarshal(raw); peerErr == nil {
				want = plainV1(&w)
				again = rewritten(t, want, false)
			}
		}
		lim := Limits{LabelName: 1 << 20, LabelValue: 1 << 20, Labels: 1 << 20}
		var req Request
		err := req.Decode(v, snappy.Encode(nil, raw), lim)
		if err == nil {
			var got []plain
			if got, err = readAll(t, &req, lim); err == nil && peerErr == nil && !createdByDraft(raw, two) {
				requireSame(t, want, got)
			}
		}
		if peerErr == nil {
			require.NoError(t, req.Decode(v, snappy.Encode(nil, again), lim))
			got, err := readAll(t, &req, lim)
			require.NoError(t, err)
			requireSame(t, counted(want), counted(got))
		}
	})
}

// counted forgets what rewritten does not write.
func counted(in []plain) []plain {
	for i := range in {
		in[i].natives, in[i].exemplars = nil, nil
	}
	return in
}

// rewritten marshals what was read without the unknown fields, which prompb keeps
// even where they are no valid protobuf (groups, field numbers out of range).
func rewritten(t *testing.T, ps []plain, two bool) []byte {
	var one prompb.WriteRequest
	v2 := writev2.Request{Symbols: []string{""}}
	for _, p := range ps {
		s1 := prompb.TimeSeries{Histograms: make([]prompb.Histogram, p.histograms)}
		s2 := writev2.TimeSeries{Histograms: make([]writev2.Histogram, p.histograms)}
		for _, l := range p.labels {
			s1.Labels = append(s1.Labels, prompb.Label{Name: l.name, Value: l.value})
			n := uint32(len(v2.Symbols))
			v2.Symbols = append(v2.Symbols, l.name, l.value)
			s2.LabelsRefs = append(s2.LabelsRefs, n, n+1)
		}
		for _, s := range p.samples {
			s1.Samples = append(s1.Samples, prompb.Sample{Timestamp: s.T, Value: s.V})
			s2.Samples = append(s2.Samples, writev2.Sample{Timestamp: s.T, Value: s.V, StartTimestamp: s.Start})
		}
		one.Timeseries, v2.Timeseries = append(one.Timeseries, s1), append(v2.Timeseries, s2)
	}
	raw, err := one.Marshal()
	if two {
		raw, err = v2.Marshal()
	}
	require.NoError(t, err)
	return raw
}

// createdByDraft says whether a body may hold field 6 of the drafts, which prompb
// does not know.
func createdByDraft(raw []byte, two bool) bool { return two && slices.Contains(raw, byte(6<<3)) }

func BenchmarkDecode(b *testing.B) {
	w := &prompb.WriteRequest{}
	for i := range 2000 {
		w.Timeseries = append(w.Timeseries, prompb.TimeSeries{Labels: []prompb.Label{
			{Name: "__name__", Value: "payment_transactions_total"}, {Name: "acquirer", Value: "alpha"}, {Name: "country", Value: "DE"},
			{Name: "instance", Value: "10.0.0.1:9100"}, {Name: "job", Value: "gateway"}, {Name: "method", Value: "card"},
			{Name: "result", Value: "success"}, {Name: "tenant", Value: fmt.Sprintf("tenant-%04d", i)},
		}, Samples: []prompb.Sample{{Value: float64(i), Timestamp: 1_800_000_000_000}}})
	}
	body := packed(b, w)
	b.Run("here", func(b *testing.B) {
		b.ReportAllocs()
		var req Request
		for b.Loop() {
			require.NoError(b, req.Decode(V1, body, Limits{}))
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2000, "ns/sample")
	})
	b.Run("prompb", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			raw, err := snappy.Decode(nil, body)
			require.NoError(b, err)
			var got prompb.WriteRequest
			require.NoError(b, got.Unmarshal(raw))
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2000, "ns/sample")
	})
}
