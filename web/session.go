package web

import (
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Session is a person's, as it is stored. That of a token is not stored: its cookie
// names the token and when it was opened, so that signing in with a token needs
// nothing that could be broken.
type Session struct {
	ID       string    `json:"id"`     // of the link that opened it
	Person   string    `json:"person"` // id in the catalog
	OpenedAt time.Time `json:"opened_at"`
	EndsAt   time.Time `json:"ends_at"`
	EndedAt  time.Time `json:"ended_at"` // by signing out; zero: not
}

// personSession begins the subject of a person's cookie; a token's id is hex.
const personSession = "person/"

// Subject is what the cookie names.
func (s Session) Subject() string { return personSession + s.ID }

// Live says whether the session has neither ended nor been ended.
func (s Session) Live(now time.Time) bool { return s.EndedAt.IsZero() && now.Before(s.EndsAt) }

// SessionID cuts a person's session out of a cookie's subject; empty when it is a
// token's.
func SessionID(subject string) string {
	id, ok := strings.CutPrefix(subject, personSession)
	if !ok {
		return ""
	}
	return id
}

// TokenSession is the subject of the cookie of a session opened with a token.
func TokenSession(tokenID string, opened time.Time) string {
	return tokenID + "/" + strconv.FormatInt(opened.UnixNano(), 10)
}

// ParseTokenSession gives back what TokenSession was made of. A cookie of before
// sessions had a time counts as the oldest.
func ParseTokenSession(subject string) (tokenID string, opened time.Time) {
	tokenID, at, _ := strings.Cut(subject, "/")
	ns, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		ns = 0
	}
	return tokenID, time.Unix(0, ns)
}

// Session is who a session stands for that was opened with the token.
func (t Token) Session(opened, now time.Time) (Principal, error) {
	if !t.SignedOutAt.IsZero() && !opened.After(t.SignedOutAt) {
		return Principal{}, problem.New(problem.Unauthenticated, "the session was ended").WithHint("sign in again")
	}
	return t.Principal(now)
}
