package flow_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// TestAPageThatCannotBeSentIsSeenToWait: the channel fails for a while, and a
// restart in between forgets nothing.
func TestAPageThatCannotBeSentIsSeenToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		down := func(context.Context) error { return errors.New("down") }
		w.mail.breaks(down)
		l := w.begin(t)
		waits := func(oldest string) {
			t.Helper()
			var want strings.Builder
			want.WriteString("# HELP tocsin_flow_oldest_delivery_seconds How long ago the oldest delivery that is not over was due; 0: none.\n# TYPE tocsin_flow_oldest_delivery_seconds gauge\n")
			want.WriteString(`tocsin_flow_oldest_delivery_seconds{verb="page"} ` + oldest + "\n")
			want.WriteString(`tocsin_flow_oldest_delivery_seconds{verb="picture"} 0` + "\n" + `tocsin_flow_oldest_delivery_seconds{verb="ticket"} 0` + "\n")
			require.NoError(t, testutil.CollectAndCompare(l.shared.Metrics.Outbox.Waiting, strings.NewReader(want.String()), "tocsin_flow_oldest_delivery_seconds"))
			require.Equal(t, 6, testutil.CollectAndCount(l.shared.Metrics.Outbox.Waiting))
		}
		waits("0")
		l.offer(t, "a1", fault("acme"))
		after(12 * time.Second) // due after the 2 s in which others' alerts are gathered
		waits("10")
		l.end()
		l = w.begin(t)
		after(8 * time.Second)
		waits("18")
		w.mail.breaks(nil)
		after(time.Minute)
		require.Len(t, w.mail.carried(), 1)
		waits("0")
		l.end()
	})
}
