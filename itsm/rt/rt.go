// Package rt mirrors incidents into Request Tracker 5 over its REST2 interface.
//
// It knows RT's manners: a PUT answers 200 whether or not anything changed, an
// unknown custom field is dropped in silence, searches ignore case and skip
// what the user may not see, a merged ticket answers under its elder's id.
// Therefore it looks before it creates, and reads back whatever it wrote. It
// must not know what an incident is, nor when to try again.
//
// A ticket carries three custom fields: the correlation field (required) holds
// Ticket.Key, the version field and the severity field are used when the queue
// has them. A field in which people say how it was resolved is only read. Notes are comments whose subject starts with a mark made of the
// note's key. What somebody else did to status or owner is not undone before
// Changes has reported it.
package rt

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/itsm"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Options configure a Client. URL, Token and Queue are required.
type Options struct {
	Name             string                 // of the system, in messages; "rt" when empty
	URL              string                 // of RT's front page; REST2 lives below it
	Token            func() (string, error) // an authentication token of the service user; asked for every request
	User             string                 // login name of the service user; empty: read from the token
	Queue            string                 // where tickets go that name no queue
	Queues           []string               // further queues tickets may name; Changes and Check look at them too
	CorrelationField string                 // "TocsinKey" when empty
	VersionField     string                 // "TocsinVersion" when empty
	SeverityField    string                 // "Severity" when empty
	ResolutionField  string                 // where people say how a ticket was resolved; empty: it is not looked at
	RequestTimeout   time.Duration          // of one request; 15 s when zero
	HTTPClient       *http.Client           // a new one when nil; its redirect policy is replaced
	Logger           *slog.Logger           // silent when nil
	Now              func() time.Time       // time.Now when nil
}

// Client is one Request Tracker. It implements itsm.System.
type Client struct {
	opt  Options
	base string // of REST2, without a trailing slash
	http *http.Client
	log  *slog.Logger
	keys keyLocks

	mu       sync.Mutex
	names    map[string]string    // user id in the token -> login name
	queues   map[string]queueInfo // by name, for queueFresh
	seen     map[string]struct{}  // queues that Sync was sent to
	versions map[string]uint64    // by key, the newest written; for queues without the version field
	texts    map[string]string    // by ticket id, hash of the description known to stand there
	made     map[string]string    // by key, ids of tickets whose correlation field did not take
	reported int64                // newest transaction that Changes has handed out
}

var _ itsm.System = (*Client)(nil)

// remembered bounds each of the maps that only save requests.
const remembered = 10_000

// Names that are put into TicketSQL; no quotes, no backslash.
var (
	keyPattern  = regexp.MustCompile(`^[0-9A-Za-z._:@/+-]{1,200}$`)
	namePattern = regexp.MustCompile(`^[^'"\\{}\x00-\x1f]{1,200}$`)
)

// New checks the options; it makes no request.
func New(opt Options) (*Client, error) {
	if opt.Name == "" {
		opt.Name = "rt"
	}
	u, err := url.Parse(opt.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, problem.New(problem.Invalid, "url of ticket system %s is not usable", opt.Name).
			WithHint("give the address of Request Tracker's front page, for example https://rt.example.com")
	}
	if opt.Token == nil {
		return nil, problem.New(problem.Invalid, "ticket system %s has no token", opt.Name).WithHint("set token_file")
	}
	opt.CorrelationField = orElse(opt.CorrelationField, "TocsinKey")
	opt.VersionField = orElse(opt.VersionField, "TocsinVersion")
	opt.SeverityField = orElse(opt.SeverityField, "Severity")
	for _, name := range append([]string{opt.Queue, opt.CorrelationField, opt.VersionField, opt.SeverityField, orElse(opt.ResolutionField, opt.SeverityField)}, opt.Queues...) {
		if !namePattern.MatchString(name) {
			return nil, problem.New(problem.Invalid, "a queue or field name of ticket system %s is not usable", opt.Name).
				WithHint("1 to 200 characters without quotes, backslashes and braces")
		}
	}
	if opt.RequestTimeout <= 0 {
		opt.RequestTimeout = 15 * time.Second
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	client := &http.Client{}
	if opt.HTTPClient != nil {
		*client = *opt.HTTPClient
	}
	// The token must not follow a redirect to another host.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		opt: opt, base: strings.TrimSuffix(opt.URL, "/") + "/REST/2.0", http: client,
		log: opt.Logger.With("itsm", opt.Name), keys: keyLocks{held: map[string]*keyLock{}},
		names: map[string]string{}, queues: map[string]queueInfo{}, seen: map[string]struct{}{},
		versions: map[string]uint64{}, texts: map[string]string{}, made: map[string]string{},
	}, nil
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// self is the login name of the token's user: REST2 does not say, but a token
// is "1-<user id>-<secret>", and everybody may read their own record.
func (c *Client) self(ctx context.Context) (string, error) {
	if c.opt.User != "" {
		return c.opt.User, nil
	}
	token, err := c.token()
	if err != nil {
		return "", err
	}
	parts := strings.SplitN(token, "-", 3)
	if len(parts) != 3 || !digits(parts[1]) {
		return "", problem.New(problem.Unauthenticated, "%s: the token is not an authentication token of Request Tracker", c.opt.Name).
			WithHint("make one under Settings, Auth Tokens; or set the user's name")
	}
	c.mu.Lock()
	name := c.names[parts[1]]
	c.mu.Unlock()
	if name != "" {
		return name, nil
	}
	var user struct{ Name string }
	if _, err := c.call(ctx, request{method: http.MethodGet, path: "/user/" + parts[1], what: "user"}, &user); err != nil {
		return "", err
	}
	if user.Name == "" {
		return "", c.untaken(nil, "user")
	}
	c.mu.Lock()
	remember(c.names, parts[1], user.Name)
	c.mu.Unlock()
	return user.Name, nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// remember sets m[k], forgetting everything first when the map is full.
func remember[V any](m map[string]V, k string, v V) {
	if len(m) >= remembered {
		clear(m)
	}
	m[k] = v
}

// watched lists the queues that Changes looks at.
func (c *Client) watched() []string {
	out := append([]string{c.opt.Queue}, c.opt.Queues...)
	c.mu.Lock()
	for q := range c.seen {
		out = append(out, q)
	}
	c.mu.Unlock()
	slices.Sort(out)
	return slices.Compact(out)
}

// untaken is the error for a write that was answered with success and is not
// there when read back.
func (c *Client) untaken(cause error, fields ...string) *problem.Error {
	return problem.Wrap(cause, problem.Unavailable, "%s answered with success but did not take: %s", c.opt.Name, strings.Join(fields, ", ")).
		WithHint("tried again by itself; if it stays, see the service user's rights on the queue (ModifyTicket, CommentOnTicket, " +
			"OwnTicket, ReassignTicket, SeeCustomField, ModifyCustomField) and the values the field allows")
}

// keyLocks lets one Sync at a time work on a ticket.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]*keyLock
}

type keyLock struct {
	turn    chan struct{} // capacity one; full while somebody works
	waiting int
}

// lock waits for the key's turn or the end of ctx.
func (l *keyLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	l.mu.Lock()
	k := l.held[key]
	if k == nil {
		k = &keyLock{turn: make(chan struct{}, 1)}
		l.held[key] = k
	}
	k.waiting++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.waiting--; k.waiting == 0 {
			delete(l.held, key)
		}
	}
	select {
	case k.turn <- struct{}{}:
		return func() { <-k.turn; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, problem.Wrap(context.Cause(ctx), problem.Unavailable, "gave up waiting for another write to the same ticket")
	}
}

// isPrecondition tells that somebody changed the ticket between read and write.
func isPrecondition(err error) bool { return errors.Is(err, errPrecondition) }
