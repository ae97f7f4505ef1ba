package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Token is what is stored of a credential: never the secret, only its hash.
type Token struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	Tenants   []string  `json:"tenants"` // "*" covers all
	Hash      string    `json:"hash"`    // hex SHA-256 of the whole token
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"` // zero: never
	CreatedBy string    `json:"created_by"`
	Team      string    `json:"team"` // of a responder
	// LastUsedAt is when it was presented last, to the hour once tocsin restarted;
	// zero: never.
	LastUsedAt time.Time `json:"last_used_at"`
	// SignedOutAt ends every session that was opened with it before; zero: none.
	SignedOutAt time.Time `json:"signed_out_at"`
}

// Wish is what a new token shall be.
type Wish struct {
	Name    string
	Role    Role
	Tenants []string  // "*" covers all; those of Staff need none
	Team    string    // of a Responder
	Expires time.Time // zero: never
	By      string    // who makes it
}

// Token makes a credential with 256 random bits and returns the text that is shown
// once.
func (w Wish) Token(now time.Time) (Token, string, error) {
	tenants := w.Tenants
	switch {
	case w.Name == "" || len(w.Name) > 100:
		return Token{}, "", problem.New(problem.Invalid, "a token needs a name of at most 100 bytes")
	case !slices.Contains(Roles(), w.Role):
		return Token{}, "", problem.New(problem.Invalid, "role is not one of %s", roleNames())
	case (w.Role == Responder) != (w.Team != ""):
		return Token{}, "", problem.New(problem.Invalid, "a responder's token needs a team, and no other has one")
	case w.Role.Staff() && len(tenants) == 0:
		tenants = []string{"*"}
	case w.Role.Staff() && !slices.Contains(tenants, "*"):
		return Token{}, "", problem.New(problem.Invalid, "a token of this role covers every tenant").WithHint("leave tenants out, or make a token of role tenant or sender")
	case len(tenants) == 0:
		return Token{}, "", problem.New(problem.Invalid, "tenants is empty").WithHint(`name the tenants, or "*" for all of them`)
	}
	for _, t := range tenants {
		if t == "*" {
			continue
		}
		if _, err := tenant.ParseID(t); err != nil {
			return Token{}, "", err
		}
	}
	raw := make([]byte, 38)
	if _, err := rand.Read(raw); err != nil {
		return Token{}, "", problem.Wrap(err, problem.Internal, "no random numbers")
	}
	id := hex.EncodeToString(raw[:6])
	secret := "tsn_" + id + "_" + base64.RawURLEncoding.EncodeToString(raw[6:])
	return Token{ID: id, Name: w.Name, Role: w.Role, Team: w.Team, Tenants: tenants, Hash: hash(secret), CreatedAt: now.UTC(), ExpiresAt: w.Expires, CreatedBy: w.By}, secret, nil
}

func roleNames() string {
	names := make([]string, len(Roles()))
	for i, r := range Roles() {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// TokenID cuts the public part out of a token's text; empty when it is none.
func TokenID(secret string) string {
	rest, ok := strings.CutPrefix(secret, "tsn_")
	if !ok {
		return ""
	}
	id, _, ok := strings.Cut(rest, "_")
	if !ok || len(id) != 12 {
		return ""
	}
	return id
}

// Check compares a presented secret in constant time and makes the principal.
func (t Token) Check(secret string, now time.Time) (Principal, error) {
	if subtle.ConstantTimeCompare([]byte(hash(secret)), []byte(t.Hash)) != 1 {
		return Principal{}, problem.New(problem.Unauthenticated, "the token is not known").WithHint("tocsin token create makes one")
	}
	return t.Principal(now)
}

// Principal is who the token stands for; Unauthenticated once it has expired.
func (t Token) Principal(now time.Time) (Principal, error) {
	if !t.ExpiresAt.IsZero() && now.After(t.ExpiresAt) {
		return Principal{}, problem.New(problem.Unauthenticated, "the token has expired").WithHint("tocsin token create makes a new one")
	}
	p := Principal{Name: "token:" + t.Name, TokenID: t.ID, Role: t.Role, Team: t.Team}
	for _, s := range t.Tenants {
		if s == "*" {
			p.Any = true
			continue
		}
		p.Tenants = append(p.Tenants, tenant.ID(s))
	}
	return p, nil
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Signer makes and checks the signed values that stand in links, cookies and
// forms. Key is at least 32 random bytes.
type Signer struct{ Key []byte }

type signed struct {
	Purpose string    `json:"p"`
	Subject string    `json:"s"`
	Expires time.Time `json:"e"`
}

// Sign binds a subject to a purpose until a time.
func (s Signer) Sign(purpose, subject string, expires time.Time) string {
	raw, err := json.Marshal(signed{purpose, subject, expires.UTC().Truncate(time.Second)})
	if err != nil {
		panic(err) // three strings and a time always encode
	}
	return base64.RawURLEncoding.EncodeToString(raw) + "." + base64.RawURLEncoding.EncodeToString(s.mac(raw))
}

// Open gives the subject back; the same error for all that is wrong but age.
func (s Signer) Open(purpose, value string, now time.Time) (subject string, err error) {
	bad := problem.New(problem.Forbidden, "the link is not valid").WithHint("open the newest page or ticket, or sign in")
	body, mac, ok := strings.Cut(value, ".")
	raw, err1 := base64.RawURLEncoding.DecodeString(body)
	got, err2 := base64.RawURLEncoding.DecodeString(mac)
	if !ok || err1 != nil || err2 != nil || !hmac.Equal(got, s.mac(raw)) {
		return "", bad
	}
	var v signed
	if json.Unmarshal(raw, &v) != nil || v.Purpose != purpose {
		return "", bad
	}
	if now.After(v.Expires) {
		return "", problem.New(problem.Forbidden, "the link has expired").WithHint("sign in to see the incident")
	}
	return v.Subject, nil
}

func (s Signer) mac(raw []byte) []byte {
	m := hmac.New(sha256.New, s.Key)
	m.Write(raw)
	return m.Sum(nil)
}

// FormToken is the hidden field that a form of this session or link must bring.
func (s Signer) FormToken(session string) string {
	return base64.RawURLEncoding.EncodeToString(s.mac([]byte("form\x00" + session))[:18])
}
