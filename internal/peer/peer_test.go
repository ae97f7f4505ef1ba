package peer_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/smtp"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/internal/peer"
)

func TestRTAnswersOnlyWithItsToken(t *testing.T) {
	began := time.Now()
	rt := peer.StartRT(t)
	t.Logf("started in %s", time.Since(began))
	for token, want := range map[string]int{rt.Token: 200, rt.RootToken: 200, rt.People["ada"]: 200, "1-1-no": 401} {
		req, err := http.NewRequest(http.MethodGet, rt.URL+"/REST/2.0/queue/Incidents", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "token "+token)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		b, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, res.StatusCode)
		if want == 200 {
			require.Contains(t, string(b), "TocsinKey")
		}
	}
}

func TestMailpitKeepsMailAndFailsOnRequest(t *testing.T) {
	m := peer.StartMailpit(t)
	send := func() error {
		return smtp.SendMail(m.SMTPAddr, nil, "from@example.com", []string{"to@example.com"},
			[]byte("From: from@example.com\r\nTo: to@example.com\r\nSubject: hello\r\nX-Mark: 7\r\n\r\nthe text\r\n"))
	}
	require.NoError(t, send())
	list := m.Messages(t)
	require.Len(t, list, 1)
	require.Equal(t, "hello", list[0].Subject)
	require.Contains(t, m.Message(t, list[0].ID).Text, "the text")
	require.Equal(t, []string{"7"}, m.Header(t, list[0].ID)["X-Mark"])

	m.Chaos(t, peer.ChaosRecipient, 451, 100)
	require.ErrorContains(t, send(), "451")
	m.Chaos(t, peer.ChaosRecipient, 451, 0)
	require.NoError(t, send())
	require.Len(t, m.Messages(t), 2)
	m.Clear(t)
	require.Empty(t, m.Messages(t))
}

func TestPrometheusEvaluates(t *testing.T) {
	p := peer.StartPrometheus(t, "global: {scrape_interval: 1s}\n")
	res, err := http.Get(p.URL + "/api/v1/query?query=vector(42)")
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	var out struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&out))
	require.Equal(t, "42", out.Data.Result[0].Value[1])
}

func TestChromiumRuns(t *testing.T) {
	ctx := peer.ChromiumContext(t)
	_, err := chromedp.Run(ctx, chromedp.Navigate(
		"data:text/html,<p id=a>before</p><script>document.getElementById('a').textContent='after'</script>"))
	require.NoError(t, err)
	text, err := chromedp.Run(ctx, chromedp.Text("#a"))
	require.NoError(t, err)
	require.Equal(t, "after", text)
}
