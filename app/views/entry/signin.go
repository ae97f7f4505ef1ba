package entry

import (
	"crypto/hmac"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/access"
	"github.com/tocsin-alerting/tocsin/app/signin"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// signinCookie binds links to the browser that asks for them.
const (
	signinCookie    = "tocsin_login"
	signinCookieAge = time.Hour // longer than a link lives
)

var cookieForm = regexp.MustCompile(`^[A-Za-z0-9_-]{32}$`)

// browser is the value of the sign-in cookie; empty: there is none.
func browser(r *http.Request) string {
	c, err := r.Cookie(signinCookie)
	if err != nil || !cookieForm.MatchString(c.Value) {
		return ""
	}
	return c.Value
}

// keepBrowser sets the sign-in cookie for a while, or with an empty value removes it.
func (s *Entry) keepBrowser(w http.ResponseWriter, value string) {
	c := &http.Cookie{Name: signinCookie, Value: value, Path: "/login", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.Links.Base.Scheme == "https", MaxAge: -1}
	if value != "" {
		c.MaxAge = int(signinCookieAge.Seconds())
	}
	http.SetCookie(w, c)
}

// loginPage is the sign-in form; links are offered where a mail channel is.
func (s *Entry) loginPage(w http.ResponseWriter, r *http.Request, next string) view.LoginPage {
	page := view.LoginPage{Frame: s.Frame(web.Principal{}), Path: "/login", Next: next}
	if s.SignIn == nil || !s.Mails() {
		return page
	}
	b := browser(r)
	if b == "" {
		b = signin.Random()
	}
	s.keepBrowser(w, b)
	page.LinkPath, page.CSRF = signin.Path, s.Signer.FormToken("login/"+b)
	return page
}

func (s *Entry) formOf(r *http.Request, session string) error {
	if !hmac.Equal([]byte(r.PostFormValue("csrf")), []byte(s.Signer.FormToken(session))) {
		return problem.New(problem.Forbidden, "the form is not of this browser").WithHint("load the page again; it needs cookies")
	}
	return nil
}

// askLink takes an address. The answer does not depend on whose it is.
func (s *Entry) askLink(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	b := browser(r)
	if b == "" {
		return problem.New(problem.Forbidden, "the form is not of this browser").WithHint("load the page again; it needs cookies")
	}
	if err := s.formOf(r, "login/"+b); err != nil {
		return err
	}
	next := localPath(r.PostFormValue("next"))
	if len(next) > 500 { // it stands in the link
		next = "/"
	}
	if err := s.SignIn.Ask(r.PostFormValue("address"), b, next); err != nil {
		return err
	}
	s.keepBrowser(w, b)
	return s.Pages.Message(web.HTML(w, http.StatusOK), view.MessagePage{Frame: s.Frame(web.Principal{}), Title: "Look at your mail",
		Text:  "If exactly one person of the catalog has this mail address, a link to sign in is on its way. It works once, within 15 minutes, in this browser.",
		Hint:  "If nothing comes, ask whoever keeps the catalog for your address in it, or sign in with a token.",
		Links: []view.Link{{Name: "Sign in", URL: "/login"}}})
}

// linkView is what the link opens. Opening it changes nothing: programs that look
// at mail open links too.
func (s *Entry) linkView(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, p, err := s.link(r)
	if err != nil {
		return err
	}
	f := s.Frame(web.Principal{})
	f.CSRF = s.Signer.FormToken("link/" + l.ID + "/" + browser(r))
	return s.Pages.SignIn(web.HTML(w, http.StatusOK), view.SignInPage{Frame: f, Path: r.URL.Path, Name: p.Name})
}

func (s *Entry) link(r *http.Request) (signin.Link, catalog.Person, error) {
	l, err := s.SignIn.Open(r.PathValue("link"), browser(r))
	if err != nil {
		return l, catalog.Person{}, err
	}
	p, ok := s.Flow.Rules().Catalog.Person(l.Person)
	if !ok {
		return l, p, problem.New(problem.Forbidden, "the link's person is not in the catalog any more").WithHint("sign in with a token")
	}
	if p.Name == "" {
		p.Name = string(p.ID)
	}
	return l, p, nil
}

// linkPress is the button: it uses the link up.
func (s *Entry) linkPress(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, p, err := s.link(r)
	if err != nil {
		return err
	}
	if err := s.formOf(r, "link/"+l.ID+"/"+browser(r)); err != nil {
		return err
	}
	if err := s.Here(r.Context(), access.Subject); err != nil {
		return err
	}
	v, err := s.Access.OpenSession(r.Context(), s.Flow.Owner(access.Subject), l.ID, p.ID, sessionAge)
	if err != nil {
		return err
	}
	s.keepBrowser(w, "")
	s.signedIn(w, v.Subject(), v.EndsAt)
	http.Redirect(w, r, localPath(l.Next), http.StatusSeeOther)
	return nil
}

// signedIn sets the cookie of a session.
func (s *Entry) signedIn(w http.ResponseWriter, subject string, until time.Time) {
	http.SetCookie(w, &http.Cookie{Name: web.SessionCookie, Value: s.Signer.Sign(web.SessionPurpose, subject, until), Path: "/", Expires: until,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.Links.Base.Scheme == "https"})
}

// logout ends this session, or with ?everywhere every one of the person or token.
func (s *Entry) logout(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	if err := s.endSessions(r, p, r.URL.Query().Has("everywhere")); err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{Name: web.SessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

func (s *Entry) endSessions(r *http.Request, p web.Principal, everywhere bool) error {
	if p.Person == "" && !everywhere {
		return nil // a token's session is its cookie
	}
	if err := s.Here(r.Context(), access.Subject); err != nil {
		return err
	}
	owner := s.Flow.Owner(access.Subject)
	if p.Person == "" {
		return s.Access.EndTokenSessions(r.Context(), owner, p.TokenID, p.Name)
	}
	if everywhere {
		return s.Access.EndSessions(r.Context(), owner, p.Person, p.Name, "signed out everywhere", func(web.Session) bool { return true })
	}
	subject, err := s.Signer.Open(web.SessionPurpose, p.Session, s.Now())
	if err != nil {
		return err
	}
	return s.Access.EndSessions(r.Context(), owner, p.Person, p.Name, "signed out", func(v web.Session) bool { return v.ID == web.SessionID(subject) })
}

// viewer is the name shown of who looks.
func (s *Entry) viewer(p web.Principal) string {
	if c, ok := s.Flow.Rules().Catalog.Person(catalog.PersonID(p.Person)); ok && p.Person != "" && c.Name != "" {
		return c.Name
	}
	return strings.TrimPrefix(strings.TrimPrefix(p.Name, "token:"), "person:")
}
