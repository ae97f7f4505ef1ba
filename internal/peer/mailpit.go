package peer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Mailpit is a mail server that keeps what it is sent and shows it over HTTP.
type Mailpit struct {
	SMTPAddr string // host:port
	APIURL   string // http://127.0.0.1:port
}

// StartMailpit runs a mail server until the test ends; flags are added to its
// command line. Faults can be switched on with Chaos.
func StartMailpit(t testing.TB, flags ...string) Mailpit {
	t.Helper()
	bin, _, err := binary(mailpit)
	if err == nil {
		_, err = os.Stat(bin)
	}
	if err != nil {
		missing(t, "module github.com/axllent/mailpit; make test-deps builds it")
	}
	dir := t.TempDir()
	smtp, api := "127.0.0.1:"+strconv.Itoa(freePort(t)), "127.0.0.1:"+strconv.Itoa(freePort(t))
	args := append([]string{"--smtp", smtp, "--listen", api, "--database", filepath.Join(dir, "mail.db"),
		"--enable-chaos", "--disable-version-check"}, flags...)
	p := start(t, exec.Command(bin, args...), filepath.Join(dir, "out.log"))
	m := Mailpit{SMTPAddr: smtp, APIURL: "http://" + api}
	if err := p.answers(m.APIURL+"/readyz", nil); err != nil {
		t.Fatalf("mailpit: %v", err)
	}
	return m
}

// MailAddress is a name with its address.
type MailAddress struct {
	Name    string
	Address string
}

// MailSummary is one line of the list of messages.
type MailSummary struct {
	ID      string
	From    MailAddress
	To      []MailAddress
	Cc      []MailAddress
	Subject string
	Created time.Time
}

// MailPart is an attachment or an inline part of a message.
type MailPart struct {
	PartID      string
	FileName    string
	ContentType string
	ContentID   string // without the angle brackets; what cid: names
	Size        int
}

// Mail is one whole message.
type Mail struct {
	ID          string
	MessageID   string
	From        MailAddress
	To          []MailAddress
	Subject     string
	Text        string
	HTML        string
	Attachments []MailPart
	Inline      []MailPart
}

// Messages lists what was received, the newest first, at most 500.
func (m Mailpit) Messages(t testing.TB) []MailSummary {
	t.Helper()
	var out struct {
		Messages []MailSummary `json:"messages"`
	}
	m.decode(t, "/api/v1/messages?limit=500", &out)
	return out.Messages
}

// Message reads one message.
func (m Mailpit) Message(t testing.TB, id string) Mail {
	t.Helper()
	var out Mail
	m.decode(t, "/api/v1/message/"+id, &out)
	return out
}

// Header reads a message's header as it was sent.
func (m Mailpit) Header(t testing.TB, id string) http.Header {
	t.Helper()
	var out http.Header
	m.decode(t, "/api/v1/message/"+id+"/headers", &out)
	return out
}

// Part reads the bytes of an attachment or inline part.
func (m Mailpit) Part(t testing.TB, id, part string) []byte {
	t.Helper()
	return m.do(t, http.MethodGet, "/api/v1/message/"+id+"/part/"+part, nil)
}

// Clear removes all messages.
func (m Mailpit) Clear(t testing.TB) {
	t.Helper()
	m.do(t, http.MethodDelete, "/api/v1/messages", nil)
}

// ChaosStage is where in the SMTP conversation the server fails.
type ChaosStage string

// The stages that can fail.
const (
	ChaosSender         ChaosStage = "Sender"
	ChaosRecipient      ChaosStage = "Recipient"
	ChaosAuthentication ChaosStage = "Authentication"
)

// Chaos makes the share (0 to 100 percent) of conversations fail at the stage
// with an SMTP code of 400 to 599; the other stages work again. Zero percent
// mends everything.
func (m Mailpit) Chaos(t testing.TB, stage ChaosStage, code, percent int) {
	t.Helper()
	type trigger struct{ ErrorCode, Probability int }
	body := map[ChaosStage]trigger{}
	for _, s := range []ChaosStage{ChaosSender, ChaosRecipient, ChaosAuthentication} {
		body[s] = trigger{451, 0}
	}
	body[stage] = trigger{code, percent}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	m.do(t, http.MethodPut, "/api/v1/chaos", b)
}

func (m Mailpit) decode(t testing.TB, path string, into any) {
	t.Helper()
	if err := json.Unmarshal(m.do(t, http.MethodGet, path, nil), into); err != nil {
		t.Fatalf("mailpit %s: %v", path, err)
	}
}

func (m Mailpit) do(t testing.TB, method, path string, body []byte) []byte {
	t.Helper()
	b, err := m.request(method, path, body)
	if err != nil {
		t.Fatalf("mailpit %s %s: %v", method, path, err)
	}
	return b
}

func (m Mailpit) request(method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, m.APIURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.200s", res.StatusCode, b)
	}
	return b, err
}
