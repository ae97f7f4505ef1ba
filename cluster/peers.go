package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

// Scheme is how replicas say who they are to each other: Authorization: Replica SECRET.
const Scheme = "Replica"

// Forwarded is the header that a request passed on by another replica carries:
// it is not passed on again.
const Forwarded = "X-Tocsin-Forwarded"

// MinSecret is the least length of the secret that replicas share.
const MinSecret = 32

// Secret reads the secret that replicas share, anew at every use.
func Secret(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", problem.Wrap(err, problem.Invalid, "the cluster's secret cannot be read").WithHint("check cluster.secret_file")
	}
	text := strings.TrimSpace(string(raw))
	if len(text) < MinSecret {
		return "", problem.New(problem.Invalid, "the cluster's secret is shorter than %d characters", MinSecret).WithHint("head -c 32 /dev/urandom | base64 > FILE makes one; give it to every replica")
	}
	return text, nil
}

// Peers asks the other replicas. Safe for concurrent use.
type Peers struct {
	Self    string
	Secret  func() (string, error)
	Client  *http.Client // without redirects
	members atomic.Pointer[[]store.Member]
}

// NewPeers makes the asker of replica self.
func NewPeers(self string, secret func() (string, error)) *Peers {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost, t.Proxy = 32, nil // replicas are neighbours
	return &Peers{Self: self, Secret: secret, Client: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Set notes who lives.
func (p *Peers) Set(members []store.Member) { p.members.Store(&members) }

// Members lists who lives, this replica too.
func (p *Peers) Members() []store.Member {
	if m := p.members.Load(); m != nil {
		return *m
	}
	return nil
}

// Others lists the members but this one.
func (p *Peers) Others() []store.Member {
	var out []store.Member
	for _, m := range p.Members() {
		if m.ID != p.Self {
			out = append(out, m)
		}
	}
	return out
}

// Member finds one by id.
func (p *Peers) Member(id string) (store.Member, bool) {
	for _, m := range p.Members() {
		if m.ID == id {
			return m, true
		}
	}
	return store.Member{}, false
}

// maxAnswer bounds what a replica's answer may be.
const maxAnswer = 64 << 20

// Do sends a request to a member's inner door and gives the answer's body; a
// status other than 2xx is an error of its kind.
func (p *Peers) Do(ctx context.Context, m store.Member, method, path string, body []byte) ([]byte, error) {
	secret, err := p.Secret()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(m.URL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, problem.Wrap(err, problem.Internal, "replica %s cannot be asked", m.ID)
	}
	req.Header.Set("Authorization", Scheme+" "+secret)
	req.Header.Set(Forwarded, p.Self)
	res, err := p.Client.Do(req)
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "replica %s does not answer", m.ID).WithHint("check cluster.advertise of that replica").WithRetryAfter(time.Second)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, problem.Wrap(err, problem.Unavailable, "the answer of replica %s was cut off", m.ID).WithRetryAfter(time.Second)
	case res.StatusCode == http.StatusNotFound:
		return nil, problem.New(problem.NotFound, "replica %s does not have it", m.ID)
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return nil, problem.New(problem.Unavailable, "replica %s does not know this one", m.ID).WithHint("the file of cluster.secret_file must be the same on every replica")
	case res.StatusCode/100 != 2:
		return nil, problem.New(problem.Unavailable, "replica %s answered %d", m.ID, res.StatusCode).WithRetryAfter(time.Second)
	}
	return raw, nil
}

// Everyone asks all other members at once and joins the errors. A member that
// leaves may fail: it takes nothing any more.
func (p *Peers) Everyone(ctx context.Context, method, path string, body []byte) error {
	others := p.Others()
	errs := make([]error, len(others))
	var wg sync.WaitGroup
	for i, m := range others {
		wg.Go(func() {
			if _, err := p.Do(ctx, m, method, path, body); err != nil && !m.Leaving {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Received is one thing that a replica received and journals with all others.
type Received struct {
	Kind    string
	Version int
	At      time.Time
	Header  []byte
	Body    []byte
}

// Encode is the form in which Received travels.
func (r Received) Encode() []byte {
	out := make([]byte, 0, len(r.Kind)+len(r.Header)+len(r.Body)+40)
	out = binary.AppendVarint(out, int64(r.Version))
	out = binary.AppendVarint(out, r.At.UnixNano())
	for _, part := range [][]byte{[]byte(r.Kind), r.Header} {
		out = append(binary.AppendUvarint(out, uint64(len(part))), part...)
	}
	return append(out, r.Body...)
}

// DecodeReceived reads what Encode made; the parts alias c.
func DecodeReceived(c []byte) (r Received, err error) {
	bad := problem.New(problem.Malformed, "what a replica sent is cut off or damaged")
	version, n := binary.Varint(c)
	if n <= 0 {
		return r, bad
	}
	at, m := binary.Varint(c[n:])
	if m <= 0 {
		return r, bad
	}
	c = c[n+m:]
	var parts [2][]byte
	for i := range parts {
		size, k := binary.Uvarint(c)
		if k <= 0 || size > uint64(len(c)-k) {
			return r, bad
		}
		parts[i], c = c[k:k+int(size)], c[k+int(size):]
	}
	return Received{Kind: string(parts[0]), Version: int(version), At: time.Unix(0, at).UTC(), Header: parts[1], Body: c}, nil
}
