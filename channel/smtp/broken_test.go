package smtp_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-alerting/tocsin/channel/smtp"
	"github.com/tocsin-alerting/tocsin/problem"
)

// speak is a mail server that follows the script of a broken one: no real one
// can be told to fall silent after DATA. final is its answer to the end of the
// mail; "" hangs up instead, "silence" says nothing.
func speak(t *testing.T, final string, secure *tls.Config) (address string, mails chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	mails = make(chan string, 8)
	done := make(chan struct{})
	t.Cleanup(func() { close(done); _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c, final, mails, done)
		}
	}()
	return l.Addr().String(), mails
}

func serve(c net.Conn, final string, mails chan string, done chan struct{}) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	say := func(s string) { _, _ = fmt.Fprintf(c, "%s\r\n", s) }
	say("220 broken.example.com")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.TrimSpace(line)); {
		case verb == "DATA":
			say("354 go on")
			var body strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				body.WriteString(line)
			}
			mails <- body.String()
			switch final {
			case "":
				return
			case "silence":
				<-done
				return
			}
			say(final)
		case strings.HasPrefix(verb, "RSET"): // hangs up after the mail was taken
			return
		default:
			say("250 fine")
		}
	}
}

func TestNoAnswerAfterTheMailSaysItMayHaveArrived(t *testing.T) {
	for _, final := range []string{"", "silence"} {
		address, mails := speak(t, final, nil)
		m, err := smtp.New(smtp.Options{Address: address, From: "tocsin@example.com", TLS: smtp.None, Timeout: 500 * time.Millisecond, Now: clock})
		require.NoError(t, err)
		_, err = m.Send(context.Background(), samplePage(t))
		require.ErrorContains(t, err, "it may have arrived")
		require.True(t, problem.From(err).Retryable)
		require.Len(t, mails, 1)
	}
}

func TestTheContextEndsASilentConversation(t *testing.T) {
	address, mails := speak(t, "silence", nil)
	m, err := smtp.New(smtp.Options{Address: address, From: "tocsin@example.com", TLS: smtp.None, Timeout: time.Hour, Now: clock})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-mails; cancel() }()
	_, err = m.Send(ctx, samplePage(t))
	require.ErrorContains(t, err, "may have arrived")
}

func TestRepliesToTheMailItself(t *testing.T) {
	for final, again := range map[string]bool{"452 4.3.1 disk full": true, "552 5.3.4 too big": false, "554 5.7.1 looks like spam": false} {
		address, _ := speak(t, final, nil)
		_, err := mailer(t, address).Send(context.Background(), samplePage(t))
		require.Error(t, err)
		require.Equal(t, again, problem.From(err).Retryable, final)
		require.NotContains(t, err.Error(), "may have arrived")
	}
	address, _ := speak(t, "250 2.0.0 queued as ABC", nil)
	got, err := mailer(t, address).Send(context.Background(), samplePage(t))
	require.NoError(t, err, "a server that hangs up after it took the mail took it")
	require.Contains(t, got.Detail, "queued as ABC")
}

func TestAServerThatIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = mailer(t, l.Addr().String()).Send(context.Background(), samplePage(t))
	require.True(t, problem.From(err).Retryable)
	require.NotContains(t, err.Error(), "may have arrived")
}

func TestEncryption(t *testing.T) {
	cert, pool := certificate(t)
	address, mails := speak(t, "250 2.0.0 queued", &tls.Config{Certificates: []tls.Certificate{cert}})
	send := func(o smtp.Options) error {
		o.Address, o.From, o.Now, o.Timeout = address, "tocsin@example.com", clock, 5*time.Second
		m, err := smtp.New(o)
		require.NoError(t, err)
		_, err = m.Send(context.Background(), samplePage(t))
		return err
	}
	require.NoError(t, send(smtp.Options{TLS: smtp.Implicit, RootCAs: pool}))
	require.Len(t, mails, 1)
	err := send(smtp.Options{TLS: smtp.Implicit})
	require.ErrorContains(t, err, "certificate is not trusted")
	require.NotEmpty(t, problem.From(err).Hint)

	address, mails = speak(t, "250 2.0.0 queued", nil)
	require.ErrorContains(t, send(smtp.Options{TLS: smtp.StartTLS}), "STARTTLS")
	require.Empty(t, mails, "nothing is sent in the clear")
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broken"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
