package simulate

import (
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// Sample is one value of a series, ready to be sent.
type Sample struct {
	Labels labels.Labels
	T      time.Time // of the value; milliseconds count
	Value  float64
	Start  time.Time // when the counter was zero; sent by version 2 only
}

// EncodeV1 makes the body of a remote write 1.0 request, one entry a sample in
// the order given, compressed.
func EncodeV1(samples []Sample) ([]byte, error) {
	req := prompb.WriteRequest{Timeseries: make([]prompb.TimeSeries, len(samples))}
	for i, s := range samples {
		req.Timeseries[i] = prompb.TimeSeries{
			Labels:  prompb.FromLabels(s.Labels, nil),
			Samples: []prompb.Sample{{Value: s.Value, Timestamp: s.T.UnixMilli()}},
		}
	}
	raw, err := req.Marshal()
	if err != nil {
		return nil, err
	}
	return snappy.Encode(nil, raw), nil
}

// EncodeV2 makes the body of a remote write 2.0 request, with the counters'
// type and start timestamps.
func EncodeV2(samples []Sample) ([]byte, error) {
	symbols := writev2.NewSymbolTable()
	req := writev2.Request{Timeseries: make([]writev2.TimeSeries, len(samples))}
	for i, s := range samples {
		sample := writev2.Sample{Value: s.Value, Timestamp: s.T.UnixMilli()}
		if !s.Start.IsZero() {
			sample.StartTimestamp = s.Start.UnixMilli()
		}
		req.Timeseries[i] = writev2.TimeSeries{
			LabelsRefs: symbols.SymbolizeLabels(s.Labels, nil),
			Samples:    []writev2.Sample{sample},
			Metadata:   writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER},
		}
	}
	req.Symbols = symbols.Symbols()
	raw, err := req.Marshal()
	if err != nil {
		return nil, err
	}
	return snappy.Encode(nil, raw), nil
}
