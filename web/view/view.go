// Package view renders what people look at in a browser: one style, made on
// the server, for phone and desktop, light and dark, keyboard and screen reader.
// One small script keeps pages fresh; without it everything works as well.
//
// It knows words, layout and escaping. It must not know handlers, sessions,
// stores or who may see what: a page shows exactly what its model holds.
package view

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
)

// ContentSecurityPolicy is what every page can live with and should be sent with.
const ContentSecurityPolicy = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

//go:embed templates/*.html
var templates embed.FS

// Views holds the parsed templates. Safe for concurrent use.
type Views struct {
	pages  map[string]*template.Template
	static *static
}

var pageNames = []string{"overview", "tenants", "tenant", "alerts", "oncall", "sources", "policy", "calendar", "ledger", "incident", "incidents", "ack", "login", "signin", "dashboard", "message"}

// New parses the templates and prepares the static files.
func New() (*Views, error) {
	s, err := newStatic()
	if err != nil {
		return nil, err
	}
	v := &Views{pages: make(map[string]*template.Template, len(pageNames)), static: s}
	for _, name := range pageNames {
		t, err := template.New(name).Funcs(funcs(s)).ParseFS(templates, "templates/layout.html", "templates/parts.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("view %s: %w", name, err)
		}
		v.pages[name] = t
	}
	return v, nil
}

// Overview writes the start page.
func (v *Views) Overview(w io.Writer, p OverviewPage) error { return v.write(w, "overview", p) }

// Tenants writes the list of tenants.
func (v *Views) Tenants(w io.Writer, p TenantsPage) error { return v.write(w, "tenants", p) }

// Tenant writes the view of one tenant.
func (v *Views) Tenant(w io.Writer, p TenantPage) error { return v.write(w, "tenant", p) }

// Alerts writes the list of alerts.
func (v *Views) Alerts(w io.Writer, p AlertsPage) error { return v.write(w, "alerts", p) }

// OnCall writes who is called.
func (v *Views) OnCall(w io.Writer, p OnCallPage) error { return v.write(w, "oncall", p) }

// Sources writes what sends.
func (v *Views) Sources(w io.Writer, p SourcesPage) error { return v.write(w, "sources", p) }

// Ledger writes a search in the record of decisions.
func (v *Views) Ledger(w io.Writer, p LedgerPage) error { return v.write(w, "ledger", p) }

// Incident writes the view of one incident.
func (v *Views) Incident(w io.Writer, p IncidentPage) error { return v.write(w, "incident", p) }

// Incidents writes the list.
func (v *Views) Incidents(w io.Writer, p IncidentsPage) error { return v.write(w, "incidents", p) }

// Ack writes what a page's bound link opens.
func (v *Views) Ack(w io.Writer, p AckPage) error { return v.write(w, "ack", p) }

// Login writes the sign-in form.
func (v *Views) Login(w io.Writer, p LoginPage) error { return v.write(w, "login", p) }

// SignIn writes what a one-time link opens.
func (v *Views) SignIn(w io.Writer, p SignInPage) error { return v.write(w, "signin", p) }

// Dashboard writes a rule's dashboard.
func (v *Views) Dashboard(w io.Writer, p DashboardPage) error { return v.write(w, "dashboard", p) }

// Message writes an error or a notice.
func (v *Views) Message(w io.Writer, p MessagePage) error { return v.write(w, "message", p) }

// write renders into memory first: a failure leaves w untouched, so that the
// handler can still answer with another page.
func (v *Views) write(w io.Writer, name string, page any) error {
	var b bytes.Buffer
	if err := v.pages[name].ExecuteTemplate(&b, "layout", page); err != nil {
		return fmt.Errorf("view %s: %w", name, err)
	}
	_, err := w.Write(b.Bytes())
	return err
}
