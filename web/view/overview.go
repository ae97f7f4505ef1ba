package view

import "time"

// Tone is how something stands, in one of few colours; every tone has a word
// and a sign of its own, colour alone says nothing.
type Tone string

// The tones, the worst first.
const (
	Broken   Tone = "broken"   // a critical alert fires
	Degraded Tone = "degraded" // a warning fires
	Blind    Tone = "blind"    // no samples arrive any more
	Waiting  Tone = "waiting"  // none ever arrived
	Learning Tone = "learning" // only hard faults are seen yet
	Fine     Tone = "fine"
	Off      Tone = "off" // paused or retired
)

// Tones lists all, the worst first.
func Tones() []Tone { return []Tone{Broken, Degraded, Blind, Waiting, Learning, Fine, Off} }

// Word is the tone as people read it.
func (t Tone) Word() string {
	return map[Tone]string{Broken: "Broken", Degraded: "Degraded", Blind: "Blind", Waiting: "Nothing came yet", Learning: "Learning", Fine: "Fine", Off: "Not watched"}[t]
}

// Sign goes before the word.
func (t Tone) Sign() string {
	return map[Tone]string{Broken: "✕", Degraded: "!", Blind: "?", Waiting: "…", Learning: "◔", Fine: "✓", Off: "–"}[t]
}

// NavItem is one entry of the navigation.
type NavItem struct {
	Name, URL string
	Here      bool
}

// OverviewPage answers "healthy or blind?".
type OverviewPage struct {
	Frame
	Tone    Tone
	Verdict string // one sentence
	Detail  string // may be empty
	// Begin is set on an installation without tenants: what to do first.
	Begin bool
	// Troubles are what somebody should look at, a sentence each.
	Troubles  []string
	PerSecond float64 // samples taken in
	Services  []ServiceCard
	Wall      Wall
	Sources   []SourceRow
	// SourcesURL leads to all; empty: not offered.
	SourcesURL string
}

// ServiceCard is one service in one environment.
type ServiceCard struct {
	Service, Environment string
	Tone                 Tone
	Say                  string // how it stands, in a sentence
	PerMinute            float64
	PerMinuteOf          string // what is counted, e.g. payments
	Watched, Blind       int
	Learning             int
	Incidents            []IncidentRow // open ones
	More                 int           // further ones
	Team                 string
	OnCall               string // name; empty: nobody, and Problem says why
	Until                time.Time
	Observed             bool // the team is not paged, only recorded
	Problem              string
}

// Wall is every tenant as a small field, the worst first.
type Wall struct {
	Fields []Field
	Counts []ToneCount // tones that occur, the worst first
	Total  int
	Rest   int // further ones that are not drawn
	Alt    string
}

// Field is one tenant of the wall.
type Field struct {
	Name, URL string
	Tone      Tone
}

// ToneCount is how many have a tone, with the list of them.
type ToneCount struct {
	Tone Tone
	N    int
	URL  string
}

// SourceRow is one sender.
type SourceRow struct {
	Name, Environment string
	Tone              Tone
	Say               string
	LastAt            time.Time // zero: never
	PerSecond         float64   // samples
	Series, Tenants   int
	Late, Refused     float64
	Service           string // whose it is; may be empty
}

// SourcesPage lists what sends.
type SourcesPage struct {
	Frame
	Rows    []SourceRow
	Unknown []UnknownRow // tenants that send and were never onboarded
}

// UnknownRow is a tenant nobody onboarded.
type UnknownRow struct {
	ID              string
	FirstAt, LastAt time.Time
	Series, Samples float64
}

// Choice is an option of a filter.
type Choice struct {
	Value, Name string
	Chosen      bool
}

// TenantsPage lists tenants.
type TenantsPage struct {
	Frame
	Query  string
	Tones  []Choice
	Rows   []TenantLine
	Next   string // link to the next part; empty: this is all
	First  string // link back to the beginning; empty: this is it
	Total  int    // that match
	Of     int    // of all
	Filter bool   // a filter is set
}

// TenantLine is one tenant of the list.
type TenantLine struct {
	ID, Name, URL string
	Tone          Tone
	Say           string // why it has that tone
	PerMinute     float64
	PerMinuteOf   string
	LastAt        time.Time // zero: nothing ever came
}
