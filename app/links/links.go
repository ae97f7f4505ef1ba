// Package links makes every address that leaves the process from the external one:
// of incidents, dashboards and the button of a page, signed where they let somebody in.
//
// It knows addresses and the signer; it must not know what answers at them.
package links

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/send"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/web"
)

// Maker makes the addresses. All fields are needed.
type Maker struct {
	Base   *url.URL
	Signer web.Signer
	Now    func() time.Time
	Rule   func(name string) (rule.Rule, bool)
}

// PagePurpose is what the link of a person's page is signed for.
const PagePurpose = "page"

const (
	linkAge = 30 * 24 * time.Hour // of a signed link to one incident
	ackAge  = 7 * 24 * time.Hour  // of the button of one page
)

// At is the address of a path.
func (l Maker) At(path string, q url.Values) string {
	u := l.Base.JoinPath(path)
	u.RawQuery = q.Encode()
	return u.String()
}

// Incident is the incident's view with a signed, expiring, read-only capability.
func (l Maker) Incident(id string) string {
	return l.At("/incidents/"+id, url.Values{"cap": {l.Cap(id)}})
}

// Cap is the capability to read one incident, as ?cap= has it.
func (l Maker) Cap(id string) string {
	// Whole days, so that the same document has the same link and is not written
	// to the ticket again for nothing.
	until := l.Now().Truncate(24 * time.Hour).Add(linkAge)
	return l.Signer.Sign(web.LinkPurpose, id, until)
}

// Dashboard opens the rule's dashboard for the incident's tenant and slice at
// the firing time.
func (l Maker) Dashboard(i incident.Incident) string {
	lead, ok := send.Lead(i)
	if !ok || lead.Kind == rule.Source { // nothing is drawn of what does not arrive
		return l.Incident(string(i.ID))
	}
	r, _ := l.Rule(lead.Rule)
	r.Name = lead.Rule
	path, query, _ := strings.Cut(dashboards.ForRule(r, lead.Environment).Path(send.Whose(i), i.Slice, lead.OnsetAt, lead.StartsAt), "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return l.Incident(string(i.ID))
	}
	q.Set("incident", string(i.ID))
	q.Set("environment", i.Environment)
	q.Set("cap", l.Cap(string(i.ID)))
	return l.At(path, q)
}

// Acknowledge is the link bound to one person's page.
func (l Maker) Acknowledge(p oncall.Page) string {
	return l.At("/p/"+l.Signer.Sign(PagePurpose, p.Environment+"/"+string(p.ID), p.RequestedAt.Add(ackAge)), nil)
}

// Key reads the key that signs links and sessions, or makes it.
func Key(dir string) ([]byte, error) {
	path := filepath.Join(dir, "link.key")
	key, err := os.ReadFile(path)
	if err == nil && len(key) >= 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, problem.Wrap(err, problem.Unavailable, "the key of signed links cannot be read").WithHint("check the rights on link.key below --storage.path")
	}
	key = make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, problem.Wrap(err, problem.Internal, "no random numbers")
	}
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "the key of signed links cannot be written")
	}
	return key, nil
}
