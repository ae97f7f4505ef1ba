// Package response is what follows from an alert in an environment: the incident that explains
// it, who is called and called next, its ticket and its picture, and what comes back of
// them: results, acknowledgements, verdicts and what people do in the ticket system.
//
// The deciders are router, incident and oncall; a Desk hands one's output to the next and
// stores it, all in the commit that took the input.
package response

import (
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow/directory"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/flow/standby"
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/selfobs"
	"github.com/tocsin-alerting/tocsin/store"
)

// Collections of an environment's incidents.
const (
	Incidents = "incident" // incident.Incident by id
	active    = "active"   // the ids of those that are open or were resolved lately
	Pages     = "page"     // oncall.Page by id
	// Escalations holds oncall.Escalation by incident, beside the incidents.
	Escalations = "escalation"
	// Drills holds oncall.Drill by id, beside the pages of the default environment.
	Drills   = "drill"
	counters = "counter" // the last number given

	// Environments names those that have had incidents, each in its incidents' partition.
	Environments = "environment"
)

// Subject names an environment's incidents as a subject.
func Subject(environment string) string { return "incidents/" + environment }

// Desk decides about the incidents of every environment, each within the partition of
// its Subject. It has no state of its own; the fields are to be set before use. Safe for
// concurrent use.
type Desk struct {
	Rules     func() policy.Rules
	Directory *directory.Directory
	Scale     *whole.Scale
	Duty      *standby.Book
	Metrics   *Metrics
	// Tracer makes traces of the way from a request to a page; nil: none.
	Tracer *selfobs.Tracer
	Logger *slog.Logger

	Environment string // the default one, of drills
	// Ticket says which system takes a team's tickets, in which queue, and
	// whether anything may be written there.
	Ticket func(catalog.Team) (system, queue string, live bool)
	// Channels names the configured ways to page.
	Channels func() []string
	// IncidentURL is the address of an incident's view, with its signed link.
	IncidentURL func(id string) string

	// Opened is told of an environment that has an incident.
	Opened func(environment string)
	// Teach tells the tenants of an incident what somebody has just said that it was.
	Teach func(tx *partition.Tx, i incident.Incident)
}

// Input takes what an environment's incidents are told: an alert's state, what became of
// a ticket, a picture or a page, or what somebody did in the ticket system.
func (k *Desk) Input(tx *partition.Tx, in store.Input) error {
	switch in.Kind {
	case InputAlert:
		return k.alertChanged(tx, in)
	case InputObserved:
		return k.observed(tx, in)
	}
	return k.outcome(tx, in)
}

// Timer takes a timer of an incident, a page or a drill.
func (k *Desk) Timer(tx *partition.Tx, t store.Timer) error {
	switch t.Kind {
	case timerForget:
		tx.Delete(active, t.Subject)
		return nil
	case oncall.EscalateTimer:
		return k.escalate(tx, t.Subject)
	case oncall.ContactTimer:
		return k.undelivered(tx, t.Subject)
	case oncall.DrillTimer:
		return k.drillOver(tx, t.Subject)
	}
	i, err := getIncident(tx, incidentID(t.Subject))
	if err != nil {
		return err
	}
	if t.Kind == incident.SilentTimer {
		return k.apply(tx, incident.Silent(k.weigh(i, nil, tx.Now()), tx.Now()))
	}
	open, err := activeIncidents(tx)
	if err != nil {
		return err
	}
	return k.apply(tx, incident.Settled(k.weighAmong(open, i, nil, tx.Now()), tx.Now()))
}

func incidentID(subject string) string {
	return strings.TrimPrefix(subject, "incident/")
}

// Metrics of incidents. No series carries a tenant.
type Metrics struct {
	Opened      prometheus.Counter
	Verdicts    *prometheus.CounterVec // by verdict
	PageSeconds prometheus.Histogram   // from onset to sent
}

// NewMetrics registers the metrics, all series at zero.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		Opened:      prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_flow_incidents_opened_total", Help: "Incidents opened."}),
		Verdicts:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_flow_verdicts_total", Help: "Verdicts that people gave on incidents."}, []string{"verdict"}),
		PageSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tocsin_flow_page_delay_seconds", Help: "From the fault's onset until the page was sent.", Buckets: []float64{15, 30, 45, 60, 90, 120, 300, 600, 1800, 3600}}),
	}
	r.MustRegister(m.Opened, m.Verdicts, m.PageSeconds)
	for _, v := range alert.Verdicts() {
		m.Verdicts.WithLabelValues(string(v))
	}
	return m
}
