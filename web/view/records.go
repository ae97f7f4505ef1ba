package view

import "time"

// AlertsPage lists alerts.
type AlertsPage struct {
	Frame
	Query      string
	States     []Choice
	Severities []Choice
	Rows       []AlertRow
	Next       string
	Filter     bool
}

// AlertRow is one alert with where it leads.
type AlertRow struct {
	Rule, Tenant     string // tenant empty: all of them together
	TenantURL        string
	Dashboard        string
	Slice            []Dim
	Severity         string
	Firing           bool
	OnsetAt, FiredAt time.Time
	EndedAt          time.Time // zero: it fires
	Reason           string
	Incident         string // number
	IncidentURL      string
}

// LedgerPage searches the record of decisions.
type LedgerPage struct {
	Frame
	Subject, Kind, Text string
	From, To            string // as typed
	Kinds               []string
	Rows                []EntryRow
	Next                string
	// Note says what was looked through, and what was left out.
	Note  string
	Error string // what of the form cannot be used
}

// EntryRow is one decision.
type EntryRow struct {
	ID         string // of the row in the page
	At         time.Time
	Kind       string
	Subject    string
	SubjectURL string // the page of it, or the search for it
	Actor      string
	Reason     string
	Data       string // indented JSON; may be empty
	Hash       string
}
