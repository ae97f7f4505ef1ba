package samples

import (
	"testing"

	"github.com/prometheus/prometheus/prompb"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/door"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// FuzzDecodeRecord: a record of the journal is refused with words, or makes a batch
// whose counts agree with what is in it.
func FuzzDecodeRecord(f *testing.F) {
	x := newFixture(&testing.T{})
	x.strange["who"] = true
	x.send(door.Scope{Any: true}, series(f, noon, "a{tenant=acme,prometheus_replica=one,cluster=c}", 1, 2), series(f, noon, "b{tenant=who}", 1), series(f, noon, "c{}", 1))
	x.send(door.Scope{Tenants: []tenant.ID{"acme"}}, []prompb.TimeSeries{series(f, noon, "a{}", 1)}...)
	require.Len(f, x.records, 2)
	for _, r := range x.records {
		f.Add(r.Kind, r.Version, r.Header, r.Body)
	}
	f.Add(OTLPKind, OTLPVersion, []byte(`{"scope":{"any":true},"json":true}`), []byte("\x02\x04{}"))
	f.Add(RecordKind, 1, []byte(`{"scope":{"any":true},"limited":["acme"],"surplus":"AQ=="}`), x.records[0].Body)
	f.Add(RecordKind, 2, []byte(`{"losers":[{"sender":"/w==","replica":"one"}]}`), []byte{})
	f.Fuzz(func(t *testing.T, kind string, version int, header, body []byte) {
		b, err := x.Decode(Record{Kind: kind, Version: version, At: noon, Header: header, Body: body})
		if err != nil {
			require.NotEqual(t, problem.Internal, problem.From(err).Kind, "%v", err)
			return
		}
		n := 0
		for _, s := range b.Series {
			require.NotEmpty(t, s.Tenant)
			require.Equal(t, string(s.Tenant), s.Labels.Get("tenant"))
			if !s.Derived {
				n += len(s.Samples)
			}
		}
		require.Equal(t, b.Samples, n)
	})
}
