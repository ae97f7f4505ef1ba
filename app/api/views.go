package api

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

const sessionAge = 12 * time.Hour

// Frame is what every page carries for a viewer.
func (s *Server) Frame(p web.Principal) view.Frame {
	f := view.Frame{Environment: s.Environments()[0], Now: s.Now(), Zone: time.UTC, Anonymous: p.Role == web.Link || p.Name == ""}
	if p.Role != web.Link {
		f.Viewer = s.viewer(p)
	}
	if p.Session != "" {
		f.CSRF = s.Signer.FormToken(p.Session)
	}
	return f
}

// HTML starts an answer that is a page.
func HTML(w http.ResponseWriter, status int) http.ResponseWriter {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return w
}

// FailView prints an error of a view: to the sign-in, or as a page that says
// what to do.
func (s *Server) FailView(w http.ResponseWriter, r *http.Request, e *problem.Error) {
	if e.Kind == problem.Unauthenticated && r.Method == http.MethodGet {
		http.Redirect(w, r, "/login?"+url.Values{"next": {withoutCap(r.URL)}}.Encode(), http.StatusSeeOther)
		return
	}
	title := http.StatusText(e.Kind.Status())
	_ = s.Views.Message(HTML(w, e.Kind.Status()), view.MessagePage{Frame: s.Frame(web.Principal{}), Status: e.Kind.Status(), Title: title,
		Text: Sentence(e.Message), Hint: Sentence(e.Hint), Links: []view.Link{{Name: "Sign in", URL: "/login"}}})
}

func withoutCap(u *url.URL) string {
	q := u.Query()
	q.Del("cap")
	return (&url.URL{Path: u.Path, RawQuery: q.Encode()}).String()
}

// Sentence makes one of a message: a capital letter and a full stop.
func Sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func (s *Server) loginView(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	page := s.loginPage(w, r, localPath(r.URL.Query().Get("next")))
	return s.Views.Login(HTML(w, http.StatusOK), page)
}

// localPath keeps a path of our own; anything else becomes the start page.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, "\\") {
		return "/"
	}
	return next
}

func (s *Server) login(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	next := localPath(r.FormValue("next"))
	p, err := s.Access.Token(r.Context(), strings.TrimSpace(r.FormValue("token")))
	if err == nil && !p.Role.Staff() {
		err = problem.New(problem.Forbidden, "a token of this role cannot sign in here")
	}
	if err != nil {
		page := s.loginPage(w, r, next)
		page.Error = Sentence(problem.From(err).Message)
		return s.Views.Login(HTML(w, http.StatusUnauthorized), page)
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
