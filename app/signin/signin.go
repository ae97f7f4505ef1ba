// Package signin sends people a one-time link to the mail address that the
// catalog has of them.
//
// Whoever asks learns nothing: what depends on the address is done after the
// answer. A link is signed and stored nowhere; that it was used is known by the
// session it opened (app/api).
package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

// Path is where the pages of links are.
const Path = "/login/link"

const (
	// LinkAge is how long a link can be used.
	LinkAge     = 15 * time.Minute
	purpose     = "login"
	sendTimeout = time.Minute
)

// Link is what a link says, signed.
type Link struct {
	ID      string           `json:"id"` // of the session that it opens, once
	Person  catalog.PersonID `json:"person"`
	Browser string           `json:"browser"` // hash of the cookie of who asked
	Next    string           `json:"next"`    // path to go to afterwards
}

// Options of a Desk; all are needed.
type Options struct {
	Catalog func() *catalog.Catalog
	// Mail gives a configured mail channel by name; nil: it is none of these.
	Mail   func(name string) channel.Channel
	Base   *url.URL
	Signer web.Signer
	Now    func() time.Time
	Logger *slog.Logger
}

// Desk takes addresses and sends links. Safe for concurrent use.
type Desk struct {
	o    Options
	rate rate
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup
	mu   sync.Mutex
	over bool // it stops and takes nothing more
}

// New makes a Desk; Stop ends it.
func New(o Options) *Desk {
	d := &Desk{o: o}
	d.ctx, d.stop = context.WithCancel(context.Background())
	return d
}

// Stop lets mails under way be sent until ctx ends, then cuts them short.
func (d *Desk) Stop(ctx context.Context) error {
	d.mu.Lock()
	d.over = true
	d.mu.Unlock()
	finished := make(chan struct{})
	go func() { d.wg.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-ctx.Done():
	}
	d.stop()
	<-finished
	return ctx.Err()
}

// Ask sends a link to the address if it is that of one person. The error is the
// same and as fast whether it is or not.
func (d *Desk) Ask(address, cookie, next string) error {
	address = bare(address)
	if address == "" {
		return problem.New(problem.Invalid, "this is not a mail address").WithHint("for example anna@example.com")
	}
	if err := d.rate.take(address, d.o.Now()); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return problem.New(problem.Unavailable, "tocsin stops").WithRetryAfter(time.Second)
	}
	d.wg.Go(func() {
		ctx, cancel := context.WithTimeout(d.ctx, sendTimeout)
		defer cancel()
		if err := d.send(ctx, address, cookie, next); err != nil {
			d.o.Logger.Warn("a sign-in link was not sent", "error", err)
		}
	})
	return nil
}

func (d *Desk) send(ctx context.Context, address, cookie, next string) error {
	p, c, ok := d.find(address)
	if !ok {
		return nil
	}
	now := d.o.Now()
	until := now.Add(LinkAge)
	l := Link{ID: Random(), Person: p.ID, Browser: browser(cookie), Next: next}
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	to := d.o.Base.JoinPath(Path, d.o.Signer.Sign(purpose, string(raw), until)).String()
	_, err = d.o.Mail(c.Channel).Send(ctx, channel.Page{ID: "login-" + l.ID, Key: "login/" + l.ID, To: c.To, Name: p.Name, Subject: "Sign in to tocsin",
		Text: "Sign in to tocsin\n\nSomebody, probably you, asked for a link to sign in. It works once, until " + until.UTC().Format("15:04") +
			" UTC, in the browser that asked for it.\n\nSign in: " + to + "\n\nIf you did not ask, do nothing: nobody can use it without your mail and that browser.\n",
		Links: []channel.Link{{Name: "Sign in", URL: to}}, About: channel.About{Person: string(p.ID), RequestedAt: now}})
	return err
}

// find gives the person of an address. One that several people share stands for
// none of them.
func (d *Desk) find(address string) (who catalog.Person, by catalog.Contact, ok bool) {
	for _, p := range d.o.Catalog().People {
		n := slices.IndexFunc(p.Contacts, func(c catalog.Contact) bool { return bare(c.To) == address && d.o.Mail(c.Channel) != nil })
		if n < 0 {
			continue
		}
		if ok {
			d.o.Logger.Warn("a sign-in link was not sent: people share the address", "person", p.ID, "other", who.ID)
			return who, by, false
		}
		who, by, ok = p, p.Contacts[n], true
	}
	return who, by, ok
}

// Open reads a link, which must be of this browser. Nothing is used up by it.
func (d *Desk) Open(value, cookie string) (Link, error) {
	var l Link
	raw, err := d.o.Signer.Open(purpose, value, d.o.Now())
	if err != nil || json.Unmarshal([]byte(raw), &l) != nil {
		return l, problem.New(problem.Forbidden, "the sign-in link is not valid or too old").WithHint("ask for a new one; it works for 15 minutes")
	}
	if subtle.ConstantTimeCompare([]byte(l.Browser), []byte(browser(cookie))) != 1 {
		return Link{}, problem.New(problem.Forbidden, "another browser asked for this sign-in link").WithHint("open it in the browser that asked, or ask for a new one in this one")
	}
	return l, nil
}

// Random is a value of 192 random bits for a cookie or an id.
func Random() string {
	raw := make([]byte, 24)
	_, _ = rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

func browser(cookie string) string {
	sum := sha256.Sum256([]byte("browser\x00" + cookie))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// bare is an address as it is compared; empty when it is none.
func bare(address string) string {
	a, err := mail.ParseAddress(strings.TrimSpace(address))
	if err != nil || len(a.Address) > 254 {
		return ""
	}
	return strings.ToLower(a.Address)
}
