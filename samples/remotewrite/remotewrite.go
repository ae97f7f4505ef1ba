// Package remotewrite reads the bodies of Prometheus remote write 1.0
// (prometheus.WriteRequest) and 2.0 (io.prometheus.write.v2.Request).
//
// It knows the wire format and its limits and nothing else: not tenants, not
// storage, not HTTP beyond the names of content types. It must not import the
// TSDB, so that its fuzz target builds in seconds. Nothing is allocated per
// sample: a series is handed on as the raw bytes of its labels, made to serve as
// the key of a cache, and labels are read only when that cache does not know
// the key.
package remotewrite

import (
	"mime"
	"strings"

	"github.com/prometheus/prometheus/model/exemplar"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Version of the protocol.
type Version uint8

// The versions that are understood.
const (
	V1 Version = 1
	V2 Version = 2
)

// The message names a Content-Type may carry in its proto parameter.
const (
	protoV1 = "prometheus.WriteRequest"
	protoV2 = "io.prometheus.write.v2.Request"
)

// ContentType gives the version that a request's Content-Type header asks for.
// A header without a proto parameter means 1.0, and so does an absent header:
// senders older than the header's second version leave it out. ok is false for
// everything that has to be answered with 415.
func ContentType(header string) (v Version, ok bool) {
	if strings.TrimSpace(header) == "" {
		return V1, true
	}
	media, params, err := mime.ParseMediaType(header)
	if err != nil || media != "application/x-protobuf" {
		return 0, false
	}
	switch params["proto"] {
	case "", protoV1:
		return V1, true
	case protoV2:
		return V2, true
	}
	return 0, false
}

// Limits bound what one request may cost. Zero fields take the defaults.
type Limits struct {
	Body         int // compressed bytes; default 16 MiB
	Decompressed int // bytes; default 64 MiB
	Series       int // per request; default 100,000
	Samples      int // per request, with histograms; default 1,000,000
	Buckets      int // per native histogram; default 4,096
	Labels       int // per series; default 64
	LabelName    int // bytes; default 256
	LabelValue   int // bytes; default 4,096
}

// WithDefaults fills the fields that are zero.
func (l Limits) WithDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.Body, 16<<20)
	def(&l.Decompressed, 64<<20)
	def(&l.Series, 100_000)
	def(&l.Samples, 1_000_000)
	def(&l.Buckets, 4096)
	def(&l.Labels, 64)
	def(&l.LabelName, 256)
	def(&l.LabelValue, 4096)
	return l
}

// Sample is one float observation.
type Sample struct {
	T     int64   // milliseconds since 1970
	V     float64 // NaN with the stale marker's bits means the series ended
	Start int64   // when its counter started, in milliseconds; 0 when not said
}

// Series is one series of a request.
type Series struct {
	// Key is the series' labels as they came, in the encoding that Labels reads.
	// Requests of both versions have equal keys for equal labels in equal order.
	// It is valid until the Request is used again.
	Key        []byte
	Samples    []Sample // owned, as the next two, by whoever took the Request
	Histograms []Histogram
	Exemplars  []exemplar.Exemplar
	Invalid    int   // histograms that contradict themselves or have too many buckets, left out
	Err        error // its labels are over a limit (2.0; for 1.0 Labels says it); Key is empty

	// Of a classic histogram or a summary that came as one piece, as OTLP's do:
	// the series it stands for, at At. Remote write has none.
	Parts []Part
	At    Sample // its time and start
}

// Part is one of the series that a classic histogram or a summary stands for.
type Part struct {
	Kind PartKind
	Edge float64 // of a bucket or a quantile
	V    float64
}

// PartKind says which suffix and label a Part adds to its series.
type PartKind uint8

// The kinds of parts.
const (
	PartBucket   PartKind = iota // _bucket, le
	PartCount                    // _count
	PartSum                      // _sum
	PartQuantile                 // no suffix, quantile
)

// Request is a decoded body. It may be used again: Decode keeps its buffers and
// gives every body a new array of samples.
type Request struct {
	Series     []Series
	Samples    int        // over all series
	Histograms int        // those left out too
	Exemplars  int        // those left out too
	Metadata   []Metadata // of 1.0; 2.0 says it with every series, where it is not read

	raw     []byte   // decompressed body
	keys    []byte   // keys that had to be put together
	symbols [][]byte // of 2.0
	refs    []uint32 // of the series at hand
	exrefs  []uint32 // of the exemplar at hand
	buckets int      // of all histograms
	version Version
	spans   []span    // per series: where its key and samples are
	arena   []Sample  // of all series
	key     keyBuffer // of the series at hand
}

// span says where the parts of a series are, while arrays may still grow.
type span struct {
	own      bool // the key is in keys, not in raw
	key, end int
	from, to int // in arena
}

func malformed(err error, format string, args ...any) error {
	return problem.Wrap(err, problem.Malformed, format, args...)
}

func tooLarge(what string, limit int) error {
	return problem.New(problem.TooLarge, "the request has more %s than the limit of %d", what, limit).
		WithHint("lower max_samples_per_send in the sender's queue_config, or raise the limit")
}

// Held is the number of bytes that r keeps for its next use, about.
func (r *Request) Held() int {
	return cap(r.raw) + cap(r.keys) + 96*cap(r.Series) + 24*cap(r.symbols)
}
