package smtp_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/channel/smtp"
	"github.com/tocsin-alerting/tocsin/internal/peer"
	"github.com/tocsin-alerting/tocsin/problem"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

func picture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, 40, 20))))
	return b.Bytes()
}

func samplePage(t *testing.T) channel.Page {
	t.Helper()
	subject := "payments through acquirer Zürich fail for 7 tenants: 98% of attempts, 41% of their volume"
	return channel.Page{ID: "pg_01k0000000000000000000000", Key: "k", To: "anna@example.com", Name: "Anna Ödegård", Subject: subject,
		Text:   subject + "\n\nSince 13:00 CET (12:00 UTC)\n412 of 420 attempts failed\n\nTicket: #7 https://rt.example.com/7\nIncident: 12 https://t.example.com/i/12?c=a&d=b\n\nAcknowledge (opens a page with a button):\nhttps://t.example.com/ack/abc?x=1&y=2\n",
		AckURL: "https://t.example.com/ack/abc?x=1&y=2", ThreadKey: "production/inc_1",
		Links:   []channel.Link{{Name: "Ticket", URL: "https://rt.example.com/7"}, {Name: "Incident", URL: "https://t.example.com/i/12?c=a&d=b"}},
		Picture: &channel.Picture{Name: "incident-12.png", Content: picture(t), Alt: "failure ratio \"since\" noon"}}
}

func mailer(t *testing.T, address string) *smtp.Mail {
	t.Helper()
	m, err := smtp.New(smtp.Options{Address: address, From: "Tocsin <tocsin@bell.example.com>", TLS: smtp.None, HelloName: "bell.example.com", Timeout: 5 * time.Second, Now: clock})
	require.NoError(t, err)
	return m
}

func TestAPageArrivesWholeAndReadable(t *testing.T) {
	server := peer.StartMailpit(t)
	m, p := mailer(t, server.SMTPAddr), samplePage(t)
	got, err := m.Send(context.Background(), p)
	require.NoError(t, err)
	require.Contains(t, got.Detail, "250")

	list := server.Messages(t)
	require.Len(t, list, 1)
	mail := server.Message(t, list[0].ID)
	require.Equal(t, p.Subject, mail.Subject)
	require.Equal(t, p.ID+"@bell.example.com", mail.MessageID)
	require.Equal(t, peer.MailAddress{Name: "Tocsin", Address: "tocsin@bell.example.com"}, mail.From)
	require.Equal(t, []peer.MailAddress{{Name: p.Name, Address: p.To}}, mail.To)
	require.Equal(t, p.Text, strings.ReplaceAll(mail.Text, "\r\n", "\n"))
	require.Contains(t, mail.HTML, `href="https://t.example.com/ack/abc?x=1&amp;y=2"`)
	require.Contains(t, mail.HTML, `src="cid:dashboard"`)
	require.Contains(t, mail.HTML, `content="light dark"`)
	require.Contains(t, mail.HTML, "failure ratio &#34;since&#34; noon")
	require.Equal(t, 1, strings.Count(mail.HTML, "412 of 420 attempts failed"))
	require.Equal(t, 1, strings.Count(mail.HTML, "https://rt.example.com/7"), "a link stands once")
	require.Contains(t, mail.HTML, `<a href="https://rt.example.com/7">Ticket: #7</a>`)
	require.Empty(t, mail.Attachments)
	require.Len(t, mail.Inline, 1)
	require.Equal(t, "dashboard", mail.Inline[0].ContentID)
	require.Equal(t, p.Picture.Content, server.Part(t, mail.ID, mail.Inline[0].PartID))

	h := server.Header(t, mail.ID)
	require.Equal(t, noon.Format(time.RFC1123Z), h.Get("Date"))
	require.Equal(t, "auto-generated", h.Get("Auto-Submitted"))
	require.Regexp(t, `^<incident\.[0-9a-f]{24}@bell\.example\.com>$`, h.Get("References"))
	require.Equal(t, h.Get("References"), h.Get("In-Reply-To"))

	// Sent again after a crash it is the same mail; another page of the incident
	// is another mail in the same thread.
	_, err = m.Send(context.Background(), p)
	require.NoError(t, err)
	p.ID, p.Picture, p.AckURL = "pg_2", nil, ""
	_, err = m.Send(context.Background(), p)
	require.NoError(t, err)
	list = server.Messages(t)
	require.Len(t, list, 3)
	ids, threads := map[string]int{}, map[string]int{}
	for _, s := range list {
		ids[server.Message(t, s.ID).MessageID]++
		threads[server.Header(t, s.ID).Get("References")]++
	}
	require.Equal(t, 2, ids["pg_01k0000000000000000000000@bell.example.com"])
	require.Len(t, ids, 2)
	require.Len(t, threads, 1)
}

func TestWhatComesFromOutsideMakesNoHeader(t *testing.T) {
	server := peer.StartMailpit(t)
	m := mailer(t, server.SMTPAddr)
	p := samplePage(t)
	p.Subject = "payments fail\r\nBcc: eve@example.com\r\n\r\nhello"
	p.Name = "Anna\r\nBcc: eve@example.com"
	p.ID = "pg_1>\r\nX-Evil: yes"
	p.ThreadKey = "x>\r\nX-Evil: yes"
	p.Picture.Name = "a\"\r\nX-Evil: yes.png"
	p.Picture.Alt = "</p><script>alert(1)</script>"
	p.Text = "first\n.\r\n..\r\nMAIL FROM:<eve@example.com>\n<script>alert(1)</script>\n"
	p.Links = []channel.Link{{Name: "<b>bad</b>", URL: "javascript:alert(1)"}}
	_, err := m.Send(context.Background(), p)
	require.NoError(t, err)
	list := server.Messages(t)
	require.Len(t, list, 1)
	require.Len(t, list[0].To, 1)
	require.Empty(t, list[0].Cc)
	mail := server.Message(t, list[0].ID)
	h := server.Header(t, mail.ID)
	require.NotContains(t, h, "Bcc")
	require.NotContains(t, h, "X-Evil")
	require.Equal(t, "payments fail Bcc: eve@example.com hello", mail.Subject)
	require.Equal(t, "Anna Bcc: eve@example.com", mail.To[0].Name)
	require.Regexp(t, `^page\.[0-9a-f]{24}@`, mail.MessageID)
	require.Equal(t, "dashboard.png", mail.Inline[0].FileName)
	require.Contains(t, mail.Text, "\n.\r\n..\r\nMAIL FROM")
	require.NotContains(t, mail.HTML, "<script>")
	require.NotContains(t, mail.HTML, "<b>bad")
	require.NotContains(t, mail.HTML, `href="javascript:`)
	for _, to := range []string{"anna@example.com\r\nRCPT TO:<eve@example.com>", "anna@example.com, eve@example.com", "", "anna"} {
		p.To = to
		_, err := m.Send(context.Background(), p)
		require.ErrorContains(t, err, "address cannot be used", "%q", to)
		require.False(t, problem.From(err).Retryable)
	}
	require.Len(t, server.Messages(t), 1)
}

func TestAServersReplyDecidesWhetherToTryAgain(t *testing.T) {
	server := peer.StartMailpit(t)
	m, p := mailer(t, server.SMTPAddr), samplePage(t)
	for _, c := range []struct {
		stage peer.ChaosStage
		code  int
		again bool
	}{
		{peer.ChaosRecipient, 450, true}, {peer.ChaosRecipient, 421, true}, {peer.ChaosRecipient, 550, false},
		{peer.ChaosSender, 451, true}, {peer.ChaosSender, 553, false},
	} {
		server.Chaos(t, c.stage, c.code, 100)
		_, err := m.Send(context.Background(), p)
		require.Error(t, err, "%s %d", c.stage, c.code)
		got := problem.From(err)
		require.Equal(t, c.again, got.Retryable, "%s %d: %v", c.stage, c.code, err)
		require.Contains(t, got.Message, map[bool]string{true: "for now", false: "for good"}[c.again])
		require.NotContains(t, got.Message, "may have arrived")
		require.NotContains(t, got.Message, p.To)
		require.Equal(t, c.again, got.Hint == "", "what is refused for good says what to do")
	}
	server.Chaos(t, peer.ChaosSender, 451, 0)
	_, err := m.Send(context.Background(), p)
	require.NoError(t, err)
	require.Len(t, server.Messages(t), 1)
}

func TestAuthentication(t *testing.T) {
	server := peer.StartMailpit(t, "--smtp-auth-accept-any", "--smtp-auth-allow-insecure")
	secret := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(secret, []byte("hunter2\n"), 0o600))
	m, err := smtp.New(smtp.Options{Address: server.SMTPAddr, From: "tocsin@example.com", TLS: smtp.None, Username: "bell", PasswordFile: secret, Now: clock})
	require.NoError(t, err)
	_, err = m.Send(context.Background(), samplePage(t))
	require.NoError(t, err)
	server.Chaos(t, peer.ChaosAuthentication, 535, 100)
	_, err = m.Send(context.Background(), samplePage(t))
	got := problem.From(err)
	require.False(t, got.Retryable)
	require.Contains(t, got.Hint, "password_file")
	require.NotContains(t, err.Error(), "hunter2")
	require.NoError(t, os.Remove(secret))
	_, err = m.Send(context.Background(), samplePage(t))
	require.ErrorContains(t, err, "password file")
}

func TestOptionsAreChecked(t *testing.T) {
	ok := smtp.Options{Address: "mail.example.com:587", From: "tocsin@example.com", Now: clock}
	_, err := smtp.New(ok)
	require.NoError(t, err)
	for name, change := range map[string]func(*smtp.Options){
		"no port":               func(o *smtp.Options) { o.Address = "mail.example.com" },
		"bad port":              func(o *smtp.Options) { o.Address = "mail.example.com:mail" },
		"no sender":             func(o *smtp.Options) { o.From = "tocsin" },
		"sender of two lines":   func(o *smtp.Options) { o.From = "tocsin@example.com\r\nBcc: eve@example.com" },
		"plain to elsewhere":    func(o *smtp.Options) { o.TLS = smtp.None },
		"unknown tls":           func(o *smtp.Options) { o.TLS = "maybe" },
		"user without password": func(o *smtp.Options) { o.Username = "bell" },
		"no clock":              func(o *smtp.Options) { o.Now = nil },
	} {
		o := ok
		change(&o)
		_, err := smtp.New(o)
		require.Error(t, err, name)
	}
	ok.TLS, ok.AllowPlain = smtp.None, true
	_, err = smtp.New(ok)
	require.NoError(t, err)
}
