package view

import "time"

// Frame is what every page carries around its content.
type Frame struct {
	// Product or environment shown beside the name tocsin; may be empty.
	Environment string
	// Viewer is the name of who is signed in; empty: nobody, or a signed link.
	Viewer string
	// CSRF is put into every form as the hidden field "csrf"; never empty on a
	// page that has a form which changes something.
	CSRF string
	// Zone is the viewer's; nil: UTC. Every time is shown in it and carries UTC
	// in its title.
	Zone *time.Location
	// Now is when the page was made; times of another day show their date.
	Now time.Time
	// Anonymous leaves out the navigation: the viewer holds a link to one thing.
	Anonymous bool
	// Nav is where the viewer may go.
	Nav []NavItem
	// Live says that the page's parts marked so stay fresh while it is open, where
	// scripts run.
	Live bool
}

// State of an incident as shown.
type State string

// The states, each with a word and a sign of its own: colour alone says nothing.
const (
	Open         State = "open"
	Acknowledged State = "acknowledged"
	Resolved     State = "resolved"
)

// Link is a named address; http(s) or a path. Anything else is not rendered as
// a link.
type Link struct{ Name, URL string }

// Dim is one dimension of a slice.
type Dim struct{ Label, Value string }

// Picture is an image of our own origin.
type Picture struct {
	URL     string // for light pages
	DarkURL string // for dark ones; empty: URL serves both
	Alt     string // the picture in a sentence
	Width   int    // layout size, so that nothing jumps; zero: 800 by 420
	Height  int
	Lazy    bool // fetched when somebody scrolls to it
}

// Numbers are the evidence in counts. Zero N: not shown.
type Numbers struct {
	What          string  // what K is, e.g. "Declined"; empty: "Failing"
	N, K          float64 // events and failures since the onset
	Usual         float64 // ratio 0..1
	Score, Needed float64 // evidence and the threshold it passed, nats
	Share         float64 // of the volume, 0..1; zero: not shown
	ShareOf       string  // of whose volume, e.g. "acme's payments"
	PerMinute     float64 // volume before the onset
}

// TenantRow is one tenant of an incident.
type TenantRow struct {
	ID, Name string
	URL      string // the tenant's dashboard at that time; may be empty
	N, K     float64
	Usual    float64
	Since    time.Time
	Over     bool // no longer failing
	Former   bool // the id is somebody else's now, or nobody's
}

// Event is one line of the timeline.
type Event struct {
	At     time.Time
	What   string // "Paged Maria by mail"
	Who    string // "tocsin", "Maria Rossi"
	Reason string // may be empty
}

// Reason answers one "why".
type Reason struct{ Question, Answer string }

// Form is a button that posts to Path. The CSRF token is added from the Frame.
type Form struct {
	Path   string            // own origin
	Hidden map[string]string // further hidden fields
}

// Ticket is the incident's record in the ticket system.
type Ticket struct {
	System string // "Request Tracker"
	Number string // what people call it; empty: not created yet
	URL    string
	State  string // as read back; may be empty
}

// IncidentPage is the view of one incident.
type IncidentPage struct {
	Frame
	Number      string // "1042"
	Headline    string // what is broken for whom
	State       State
	Severity    string // critical, warning, info
	Service     string
	Owner       string // team
	OwnerReason string
	Slice       []Dim

	OnsetAt    time.Time // since when it is bad
	FiredAt    time.Time // when it was noticed
	ResolvedAt time.Time // zero: it is not over

	Acknowledged   time.Time // zero: nobody has it
	AcknowledgedBy string
	ByViewer       bool   // the viewer has it
	Paged          string // who was called, e.g. "Maria Rossi"; empty: nobody
	PagedReason    string // why this person, or why nobody

	Numbers Numbers
	Tenants []TenantRow
	// TenantsHidden is how many more there are that the viewer may not see by name.
	TenantsHidden int
	Chart         *Picture
	Ticket        *Ticket
	Dashboard     string // URL at the firing time; may be empty
	Runbook       string // may be empty
	Links         []Link // further ones
	Timeline      []Event
	Why           []Reason
	// Acknowledge is nil where the viewer may not, or it is done.
	Acknowledge *Form
	// Note and Resolve are the other two things a person can do; nil: not offered.
	Note, Resolve *Form
	// Judge takes what a person says it was; nil: not offered.
	Judge *Form
	// Verdict is what somebody said: false, real, expected, duplicate; empty: nothing.
	Verdict, VerdictBy, VerdictReason string
	VerdictAt                         time.Time
}

// IncidentRow is one line of the list.
type IncidentRow struct {
	Number, URL, Headline string
	State                 State
	Severity              string
	Service, Owner        string
	Since                 time.Time
	ResolvedAt            time.Time
	AcknowledgedBy        string
	Tenants               int
	Ticket                *Ticket
}

// IncidentsPage lists incidents in the order given.
type IncidentsPage struct {
	Frame
	Rows []IncidentRow
	Next string // link to the next part; empty: this is all
	// OpenOnly says that resolved ones are left out; Other leads to the other form.
	OpenOnly bool
	Other    string
	// What the list is narrowed to. Without States no filter is offered.
	Query                     string
	States, Severities, Teams []Choice
	Filter                    bool // something beyond the state is set
}

// AckPage is what a link bound to one person and page opens. Opening it changes
// nothing; the button does.
type AckPage struct {
	Frame
	Person   string // whose link this is
	Number   string
	Headline string
	Severity string
	State    State
	OnsetAt  time.Time
	FiredAt  time.Time
	Numbers  Numbers
	Chart    *Picture
	// TakenBy and TakenAt: somebody has it; ByPerson: it is the link's person.
	TakenBy    string
	TakenAt    time.Time
	ByPerson   bool
	ResolvedAt time.Time
	// Take is the button; nil when it is taken, over, or the link has expired.
	Take *Form
	// Drill says that it is a test: nothing is broken, and there is no incident.
	Drill bool
	// Links: the incident's view, dashboard, ticket, runbook.
	Links []Link
}

// SignInPage is what a one-time link opens: the button that uses it.
type SignInPage struct {
	Frame
	Path string // where the button posts to
	Name string // of the person who will be signed in
}

// LoginPage asks for a token, or for the address that a link is sent to.
type LoginPage struct {
	Frame
	LinkPath string // where the form with an address posts to; empty: not offered
	Path     string // where the form with a token posts to
	Next     string // where to go afterwards; a path
	Error    string // what was wrong; never the token
}

// Query is one PromQL expression, shown to be copied.
type Query struct{ Title, PromQL string }

// DashboardPage is a rule's dashboard over a span of time.
type DashboardPage struct {
	Frame
	Rule     string
	Summary  string
	Service  string
	Tenant   string // empty: all tenants
	Slice    []Dim
	From, To time.Time
	At       time.Time // the moment the link is about; zero: none
	Chart    *Picture
	Numbers  Numbers // of the span; Score and Needed zero
	// Links that move the span; an empty one is not offered.
	Earlier, Later, ZoomIn, ZoomOut, Reset string
	// Presets are usual spans that end now.
	Presets []NavItem
	// Choose is the form that goes anywhere; nil: not offered.
	Choose  *DashboardForm
	Queries []Query
	Runbook string
	Links   []Link
}

// DashboardForm chooses whose counts, which slice and when.
type DashboardForm struct {
	Path     string
	Tenant   string
	From, To string // as an input of type datetime-local has them, in UTC
	Hidden   map[string]string
	Tenants  []string // offered; the viewer may type another
	Slices   []Choice
}

// MessagePage says why there is nothing to see and what to do.
type MessagePage struct {
	Frame
	Status int    // 404; zero: not shown
	Title  string // "This link has expired"
	Text   string // one or two sentences
	Hint   string // what to do; may be empty
	Links  []Link
}
