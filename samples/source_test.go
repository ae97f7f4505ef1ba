package samples

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/door"
)

// TestAPairOfReplicasIsOneSource: whichever of them counts, the source is the same and
// is heard at least every half minute, so that one of them may go.
func TestAPairOfReplicasIsOneSource(t *testing.T) {
	f := newFixture(t)
	by := door.Scope{Any: true, Sender: "token:eu"}
	from := func(replica string, at time.Duration) {
		f.now = noon.Add(at)
		f.send(by, series(t, f.now, "up{cluster=eu,prometheus=k8s,prometheus_replica="+replica+",tenant=acme}", 1))
	}
	for at := time.Duration(0); at < 2*time.Minute; at += 15 * time.Second {
		if at < time.Minute {
			from("a", at) // then it dies
		}
		from("b", at+time.Second)
	}
	last := noon
	for _, b := range f.batches {
		require.Equal(t, "eu/k8s", b.Series[0].Source)
		require.Equal(t, "token:eu", b.Sender)
		require.LessOrEqual(t, b.ReceivedAt.Sub(last), 46*time.Second)
		last = b.ReceivedAt
	}
	require.Equal(t, 106*time.Second, last.Sub(noon))

	f.send(by, series(t, f.now, "up{tenant=acme}", 1), series(t, f.now.Add(time.Hour), "up{tenant=bolt}", 1))
	b := f.batches[len(f.batches)-1]
	require.Empty(t, b.Series[0].Source, "who names no cluster is known by the credential")
	require.Equal(t, 1, b.Refused)
	again, err := f.Decode(f.records[len(f.records)-1])
	require.NoError(t, err)
	require.Equal(t, b.Sender, again.Sender)
	require.Equal(t, b.Refused, again.Refused)
}
