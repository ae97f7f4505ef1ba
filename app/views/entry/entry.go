// Package entry is how people come in: signing in with a token or a link sent by mail,
// the button of a page, and the frame that every page carries for whoever came in.
//
// Pages that a signed-in person walks through are in app/views.
package entry

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/access"
	"github.com/tocsin-alerting/tocsin/app/api/duty"
	"github.com/tocsin-alerting/tocsin/app/api/incidents"
	"github.com/tocsin-alerting/tocsin/app/links"
	"github.com/tocsin-alerting/tocsin/app/signin"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/blob"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

// Entry answers for what is open to somebody who has not signed in. SignIn and Mails
// may be nil; all other fields are needed.
type Entry struct {
	*state.State
	Access    *access.Keeper
	Incidents *incidents.API
	Duty      *duty.API
	Blobs     *blob.Dir
	Pages     *view.Views
	Links     links.Maker
	Signer    web.Signer
	// SignIn sends people links to sign in; Mails says whether a mail channel is
	// configured that could.
	SignIn *signin.Desk
	Mails  func() bool
}

// Routes are the rows of the route table.
func (s *Entry) Routes() []web.Route {
	static := s.Pages.StaticHandler()
	return []web.Route{
		{Method: "GET", Path: "/login", Summary: "Sign in", Kind: web.View, Open: true, Handle: s.loginView},
		{Method: "POST", Path: "/login", Summary: "Sign in", Kind: web.View, Open: true, Handle: s.login},
		{Method: "POST", Path: signin.Path, Summary: "Ask for a link to sign in", Kind: web.View, Open: true, Handle: s.askLink},
		{Method: "GET", Path: signin.Path + "/{link}", Summary: "A sign-in link", Kind: web.View, Open: true, Handle: s.linkView},
		{Method: "POST", Path: signin.Path + "/{link}", Summary: "The sign-in link's button", Kind: web.View, Open: true, Handle: s.linkPress},
		{Method: "POST", Path: "/logout", Summary: "Sign out; ?everywhere ends every session of the person or token", Kind: web.View, Roles: web.People, Handle: s.logout},
		{Method: "GET", Path: "/p/{token}", Summary: "A page's link", Kind: web.View, Open: true, Handle: s.ackView},
		{Method: "POST", Path: "/p/{token}", Summary: "The page's button", Kind: web.View, Open: true, Handle: s.ackPress},
		{Method: "GET", Path: "/static/", Summary: "Style", Kind: web.View, Open: true, Handle: func(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
			static.ServeHTTP(w, r)
			return nil
		}},
	}
}

const sessionAge = 12 * time.Hour

// Frame is what every page carries for a viewer.
func (s *Entry) Frame(p web.Principal) view.Frame {
	f := view.Frame{Environment: s.Environments()[0], Now: s.Now(), Zone: time.UTC, Anonymous: p.Role == web.Link || p.Name == ""}
	if p.Role != web.Link {
		f.Viewer = s.viewer(p)
	}
	if p.Session != "" {
		f.CSRF = s.Signer.FormToken(p.Session)
	}
	return f
}

// Fail prints an error of a view: to the sign-in, or as a page that says
// what to do.
func (s *Entry) Fail(w http.ResponseWriter, r *http.Request, e *problem.Error) {
	if e.Kind == problem.Unauthenticated && r.Method == http.MethodGet {
		http.Redirect(w, r, "/login?"+url.Values{"next": {withoutCap(r.URL)}}.Encode(), http.StatusSeeOther)
		return
	}
	title := http.StatusText(e.Kind.Status())
	_ = s.Pages.Message(web.HTML(w, e.Kind.Status()), view.MessagePage{Frame: s.Frame(web.Principal{}), Status: e.Kind.Status(), Title: title,
		Text: view.Sentence(e.Message), Hint: view.Sentence(e.Hint), Links: []view.Link{{Name: "Sign in", URL: "/login"}}})
}

func withoutCap(u *url.URL) string {
	q := u.Query()
	q.Del("cap")
	return (&url.URL{Path: u.Path, RawQuery: q.Encode()}).String()
}

func (s *Entry) loginView(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	page := s.loginPage(w, r, localPath(r.URL.Query().Get("next")))
	return s.Pages.Login(web.HTML(w, http.StatusOK), page)
}

// localPath keeps a path of our own; anything else becomes the start page.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, "\\") {
		return "/"
	}
	return next
}

func (s *Entry) login(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	next := localPath(r.FormValue("next"))
	p, err := s.Access.Token(r.Context(), strings.TrimSpace(r.FormValue("token")))
	if err == nil && !p.Role.Staff() {
		err = problem.New(problem.Forbidden, "a token of this role cannot sign in here")
	}
	if err != nil {
		page := s.loginPage(w, r, next)
		page.Error = view.Sentence(problem.From(err).Message)
		return s.Pages.Login(web.HTML(w, http.StatusUnauthorized), page)
	}
	now := s.Now()
	s.signedIn(w, web.TokenSession(p.TokenID, now), now.Add(sessionAge))
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// TicketOf is an incident's ticket as pages show it; nil: there is none.
func TicketOf(i incident.Incident) *view.Ticket {
	if i.Mirror.Ref.ID == "" {
		return nil
	}
	return &view.Ticket{System: i.Mirror.System, Number: i.Mirror.Ref.Number, URL: i.Mirror.Ref.URL, State: string(i.Mirror.Observed)}
}
