package remotewrite

import (
	"strings"
	"testing"

	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"
)

// The bound against bombs must not refuse what compresses as well as snappy can.
func TestDenseBodyIsRead(t *testing.T) {
	w := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{Labels: []prompb.Label{{Name: "a", Value: strings.Repeat("x", 1<<20)}}}}}
	var req Request
	require.NoError(t, req.Decode(V1, packed(t, w), Limits{}))
	got, err := readAll(t, &req, Limits{LabelValue: 1 << 20})
	require.NoError(t, err)
	requireSame(t, plainV1(w), got)
}

func TestContentType(t *testing.T) {
	for header, want := range map[string]Version{
		"":                       V1,
		"application/x-protobuf": V1,
		"application/x-protobuf;proto=prometheus.WriteRequest":         V1,
		"application/x-protobuf; proto=io.prometheus.write.v2.Request": V2,
		"application/x-protobuf;proto=io.prometheus.write.v3.Request":  0,
		"application/json":              0,
		"application/x-protobuf;;proto": 0,
	} {
		v, ok := ContentType(header)
		require.Equal(t, want, v, header)
		require.Equal(t, want != 0, ok, header)
	}
}
