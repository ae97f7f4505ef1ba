package send

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/blob"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/rule"
)

// painter makes another picture each time, and is not done before all have asked.
type painter struct {
	drawn atomic.Int32
	asked sync.WaitGroup
}

func (p *painter) Draw(context.Context, incident.Incident) ([]byte, error) {
	n := p.drawn.Add(1)
	p.asked.Wait()
	return fmt.Appendf(nil, "picture %d", n), nil
}

func TestTicketAndPageHaveTheSamePicture(t *testing.T) {
	blobs, err := blob.Open(t.TempDir())
	require.NoError(t, err)
	p := &painter{}
	s := &Sender{o: Options{Blobs: blobs, Pictures: p}}
	i := incident.Incident{ID: "inc_00000000000000000000000000", Openings: 1}
	var wg sync.WaitGroup
	got := make([]string, 8)
	p.asked.Add(len(got))
	for n := range got {
		wg.Go(func() {
			p.asked.Done()
			png, err := s.draw(t.Context(), i)
			if err == nil {
				got[n] = string(png)
			}
		})
	}
	wg.Wait()
	for _, g := range got {
		require.Equal(t, "picture 1", g)
	}
	require.EqualValues(t, 1, p.drawn.Load())
}

// TestAVolumeIsCaptionedByWhatIsCounted: by its noun, else by the service's name.
func TestAVolumeIsCaptionedByWhatIsCounted(t *testing.T) {
	r := rule.Rule{Kind: rule.Traffic, Service: "payments"}
	require.Equal(t, "payments a minute", Show(dashboards.Chart{}, r, 0).Caption)
	r.SLI.Noun = "refunds"
	require.Equal(t, "refunds a minute", Show(dashboards.Chart{}, r, 0).Caption)
}
