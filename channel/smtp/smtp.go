// Package smtp is the channel that sends pages by mail: text and HTML with the
// picture inside, one mail per page, addressed by what stays the same between
// attempts, so that a mail sent twice shows as one.
//
// It knows mail and nothing of incidents. What a server's reply means for
// trying again is decided here; trying again is not.
package smtp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"net/mail"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/problem"
)

// TLSMode says how the connection is encrypted.
type TLSMode string

// The modes.
const (
	StartTLS TLSMode = "starttls" // required, the default
	Implicit TLSMode = "implicit" // TLS from the first byte, port 465
	None     TLSMode = "none"     // no encryption; only to this machine unless AllowPlain
)

// Options of the channel. Address, From and Now are needed.
type Options struct {
	Address      string // host:port
	From         string // address, or name and address
	Username     string // empty: no authentication
	PasswordFile string // read with every mail, so that a new password needs no restart
	TLS          TLSMode
	AllowPlain   bool           // TLS none to another machine was asked for by name
	RootCAs      *x509.CertPool // nil: the system's
	HelloName    string         // empty: the machine's name
	Timeout      time.Duration  // of every exchange with the server; default 15 s
	Now          func() time.Time
}

// Mail sends pages. Safe for concurrent use.
type Mail struct {
	o      Options
	host   string
	port   int
	from   *mail.Address
	domain string // of message ids
}

// New checks the options; it does not connect.
func New(o Options) (*Mail, error) {
	if o.TLS == "" {
		o.TLS = StartTLS
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Now == nil {
		return nil, problem.New(problem.Internal, "the mail channel was given no clock")
	}
	m := &Mail{o: o}
	host, port, err := net.SplitHostPort(o.Address)
	if err == nil {
		m.host = host
		m.port, err = strconv.Atoi(port)
	}
	if err != nil || host == "" || m.port < 1 || m.port > 65535 {
		return nil, problem.New(problem.Invalid, "the address of the mail server is not usable").WithHint("host:port, for example mail.example.com:587")
	}
	if m.from, err = mail.ParseAddress(o.From); err != nil || hasControl(o.From) {
		return nil, problem.New(problem.Invalid, "from of the mail channel is not a mail address").WithHint("for example tocsin@example.com")
	}
	m.domain = m.from.Address[strings.LastIndex(m.from.Address, "@")+1:]
	switch o.TLS {
	case StartTLS, Implicit:
	case None:
		if !o.AllowPlain && !loopback(host) {
			return nil, problem.New(problem.Invalid, "pages to a mail server on another machine must be encrypted: they carry links that act for a person").
				WithHint("set tls to starttls or implicit")
		}
	default:
		return nil, problem.New(problem.Invalid, "tls of the mail channel is not known").WithHint("starttls, implicit or none")
	}
	if (o.Username == "") != (o.PasswordFile == "") {
		return nil, problem.New(problem.Invalid, "the mail channel needs both username and password_file, or neither")
	}
	return m, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// hasControl says whether a string could end a header line.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f })
}

// Send sends one mail. An error after which the mail may still arrive says so;
// since its Message-ID is that of the page, sending it again is harmless.
func (m *Mail) Send(ctx context.Context, p channel.Page) (channel.Receipt, error) {
	msg, err := m.message(p)
	if err != nil {
		return channel.Receipt{}, err
	}
	wire := &wire{mode: m.o.TLS, tls: m.tls()}
	client, err := m.client(wire)
	if err != nil {
		return channel.Receipt{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 4*m.o.Timeout)
	defer cancel()
	// The library watches the context only while it connects. Cutting the wire
	// is safe at any moment; a polite end in the middle of a mail would end the
	// mail.
	defer context.AfterFunc(ctx, wire.cut)()
	defer wire.cut()
	if err := client.DialWithContext(ctx); err != nil {
		return channel.Receipt{}, refusal(err, "the mail server could not be used")
	}
	err = client.Send(msg)
	if msg.IsDelivered() { // accepted; what came after that does not matter
		_ = client.Close()
		return channel.Receipt{Detail: "250 " + oneLine(msg.ServerResponse())}, nil
	}
	if err == nil {
		return channel.Receipt{}, problem.New(problem.Unavailable, "the mail server did not say whether it took the mail; it may have arrived")
	}
	return channel.Receipt{}, refusal(err, "the mail was refused")
}

// wire is one connection, and the means to cut it.
type wire struct {
	mode TLSMode
	tls  *tls.Config
	mu   sync.Mutex
	conn net.Conn
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.conn = conn
	w.mu.Unlock()
	if w.mode != Implicit {
		return conn, nil
	}
	secure := tls.Client(conn, w.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

func (m *Mail) tls() *tls.Config {
	return &tls.Config{ServerName: m.host, RootCAs: m.o.RootCAs, MinVersion: tls.VersionTLS12}
}

func (m *Mail) client(w *wire) (*gomail.Client, error) {
	opts := []gomail.Option{gomail.WithPort(m.port), gomail.WithTimeout(m.o.Timeout), gomail.WithoutNoop(),
		gomail.WithTLSConfig(w.tls), gomail.WithDialContextFunc(w.dial)}
	switch m.o.TLS {
	case StartTLS:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case Implicit:
		opts = append(opts, gomail.WithSSL())
	case None:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if m.o.HelloName != "" {
		opts = append(opts, gomail.WithHELO(m.o.HelloName))
	}
	if m.o.Username != "" {
		raw, err := os.ReadFile(m.o.PasswordFile)
		if err != nil {
			return nil, problem.Wrap(err, problem.Invalid, "the password file of the mail channel cannot be read").WithHint("check password_file and its permissions")
		}
		kinds := []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin}
		if m.o.TLS == None {
			kinds = []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc}
		}
		opts = append(opts, gomail.WithOpportunisticSMTPAuth(kinds...), gomail.WithUsername(m.o.Username), gomail.WithPassword(strings.TrimRight(string(raw), "\r\n")))
	}
	c, err := gomail.NewClient(m.host, opts...)
	if err != nil {
		return nil, problem.Wrap(err, problem.Invalid, "the mail channel cannot be set up with these options")
	}
	return c, nil
}

// refusal says what a failure means: a reply 4xx and everything on the network
// may pass, a reply 5xx will not.
func refusal(err error, what string) error {
	code := replyCode(err)
	text, _, _ := strings.Cut(oneLine(err.Error()), ", affected recipient") // an address is nobody's business in a record
	var send *gomail.SendError
	if errors.As(err, &send) && code == 0 && (send.Reason == gomail.ErrSMTPDataClose || send.Reason == gomail.ErrWriteContent) {
		p := problem.Wrap(err, problem.Unavailable, "the mail was sent and no answer came: it may have arrived")
		if send.Reason == gomail.ErrWriteContent {
			p.Message = "the connection was lost while the mail was sent; it has probably not arrived, but it may have"
		}
		return p
	}
	if code >= 500 {
		e := problem.Wrap(err, problem.Invalid, "%s for good (%d): %s", what, code, text)
		return e.WithHint("%s", advice(code))
	}
	if code >= 400 {
		return problem.Wrap(err, problem.Unavailable, "%s for now (%d): %s", what, code, text)
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return problem.Wrap(err, problem.Unavailable, "the mail server's certificate is not trusted").WithHint("check the server's name and certificate")
	}
	return problem.Wrap(err, problem.Unavailable, "%s: %s", what, text)
}

// replyCode is the server's reply in err; 0 when it gave none.
func replyCode(err error) int {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return reply.Code
	}
	var send *gomail.SendError
	if errors.As(err, &send) {
		return send.ErrorCode()
	}
	return 0
}

func advice(code int) string {
	switch code {
	case 530, 534, 535, 538:
		return "check username, password_file and tls of the channel"
	case 550, 551, 553:
		return "check the person's address in the catalog, and whether the server may send there"
	case 552:
		return "the server takes no mail of this size"
	}
	return "ask whoever runs the mail server"
}

func oneLine(s string) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	return string(r[:min(len(r), 300)])
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}
