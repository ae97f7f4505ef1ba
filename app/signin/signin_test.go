package signin

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestAskingIsBoundedPerAddressAndInAll(t *testing.T) {
	var r rate
	for range perAddress {
		require.NoError(t, r.take("a@example.com", noon))
	}
	err := r.take("a@example.com", noon.Add(time.Minute))
	require.True(t, problem.Is(err, problem.TooMany))
	require.Equal(t, LinkAge-time.Minute, problem.From(err).RetryAfter)
	for n := range inAll - perAddress {
		require.NoError(t, r.take(fmt.Sprintf("%d@example.com", n), noon))
	}
	require.True(t, problem.Is(r.take("new@example.com", noon), problem.TooMany))
	require.Len(t, r.asked, inAll, "what is refused is not remembered")
	require.NoError(t, r.take("a@example.com", noon.Add(LinkAge)))
	require.Len(t, r.asked, 1)
}

// pigeon keeps pages, and holds them back until it is let go.
type pigeon struct {
	mu   sync.Mutex
	sent []channel.Page
	held chan struct{}
}

func (p *pigeon) Send(ctx context.Context, page channel.Page) (channel.Receipt, error) {
	select {
	case <-p.held:
	case <-ctx.Done():
		return channel.Receipt{}, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, page)
	return channel.Receipt{}, nil
}

func desk(p *pigeon, log *bytes.Buffer) *Desk {
	c := &catalog.Catalog{People: []catalog.Person{
		{ID: "ada", Contacts: []catalog.Contact{{Channel: "hook", To: "ada@example.com"}, {Channel: "mail", To: "Ada <ADA@example.com>"}}},
		{ID: "bob", Contacts: []catalog.Contact{{Channel: "hook", To: "bob@example.com"}, {Channel: "mail", To: "both@example.com"}}},
		{ID: "cem", Contacts: []catalog.Contact{{Channel: "mail", To: "both@example.com"}}},
	}}
	return New(Options{Catalog: func() *catalog.Catalog { return c }, Base: &url.URL{Scheme: "https", Host: "t.example.com"}, Signer: web.Signer{Key: make([]byte, 32)},
		Mail: func(name string) channel.Channel {
			if name != "mail" {
				return nil
			}
			return p
		}, Now: func() time.Time { return noon }, Logger: slog.New(slog.NewTextHandler(log, nil))})
}

// TestTheAnswerWaitsForNoMail: who asks cannot tell by the time either, and a stop
// waits for what is under way.
func TestTheAnswerWaitsForNoMail(t *testing.T) {
	p, log := &pigeon{held: make(chan struct{})}, &bytes.Buffer{}
	d := desk(p, log)
	for _, address := range []string{"ada@example.com", "bob@example.com", "both@example.com", "eve@example.com"} {
		require.NoError(t, d.Ask(address, "cookie", "/"), "with no mail sent")
	}
	close(p.held)
	require.NoError(t, d.Stop(t.Context()))
	require.Len(t, p.sent, 1, "only Ada's is an address in a mail channel that one person has")
	require.Contains(t, log.String(), "people share the address")
	require.NotContains(t, log.String(), "@example.com")
	require.True(t, problem.Is(d.Ask("ada@example.com", "cookie", "/"), problem.Unavailable), "it stops")
	value := p.sent[0].Links[0].URL[len("https://t.example.com"+Path+"/"):]
	l, err := d.Open(value, "cookie")
	require.NoError(t, err)
	require.Equal(t, catalog.PersonID("ada"), l.Person)
	_, err = d.Open(value, "")
	require.True(t, problem.Is(err, problem.Forbidden))
	_, err = d.Open(d.o.Signer.Sign("session", `{"person":"ada"}`, noon.Add(time.Hour)), "cookie")
	require.True(t, problem.Is(err, problem.Forbidden), "signed for something else")
}

func TestAStopCutsShortWhatLasts(t *testing.T) {
	p, log := &pigeon{held: make(chan struct{})}, &bytes.Buffer{}
	d := desk(p, log)
	require.NoError(t, d.Ask("ada@example.com", "cookie", "/"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, d.Stop(ctx), context.Canceled)
	require.Empty(t, p.sent)
}
