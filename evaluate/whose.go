package evaluate

import "fmt"

// CustomersStatus is what is known of who fails.
type CustomersStatus struct {
	By string `json:"by"` // counter, label or spans
	// ThisHour is how many customers failed in this hour of the clock; 0 where a counter
	// says it, which is not told apart.
	ThisHour  float64 `json:"this_hour"`
	Estimated bool    `json:"estimated"` // there were too many to tell each apart
	// NamedShare is the share of the last minutes' failures that say whose they are;
	// below a half nobody knows who fails. 0 where nothing failed.
	NamedShare float64 `json:"named_share"`
	// Few says that all failures of a day are of one or two: who is named is no end
	// customer, and nobody knows who fails.
	Few bool `json:"few"`
}

// Words says it in a sentence.
func (c CustomersStatus) Words() string {
	about := ""
	if c.Estimated {
		about = "about "
	}
	switch {
	case c.By == "counter":
		return "a counter says it"
	case c.Few:
		return fmt.Sprintf("by %s, but all failures of a day are of one or two: name the end customer; missing successes tell", c.By)
	case c.NamedShare == 0:
		return fmt.Sprintf("by %s; nothing failed of late that says whose it is", c.By)
	case c.NamedShare < 0.5:
		return fmt.Sprintf("by %s, but only %.0f%% of failures say whose they are: missing successes tell", c.By, 100*c.NamedShare)
	}
	return fmt.Sprintf("by %s: %s%.0f customers this hour; %.0f%% of failures say whose they are", c.By, about, c.ThisHour, 100*c.NamedShare)
}

// whose tells what is known of who fails; nil where nothing says it.
func (m *meter) whose() *CustomersStatus {
	st := &CustomersStatus{}
	switch l := m.spec.Customers; {
	case m.spec.Histogram != "":
		return nil
	case m.spec.CustomersApart():
		st.By = "counter"
	case l != nil && l.Label != "":
		st.By = "label"
	case ofEvents(m.spec):
		st.By = "spans"
	case m.cells[0].lent != nil:
		st.By = "spans"
	default:
		return nil
	}
	x := m.cells[0].people
	if x == nil {
		x = m.cells[0].lent
	}
	if x == nil {
		return st
	}
	if h := &x.met[0]; h.number == m.newest/afresh {
		st.ThisHour, st.Estimated = h.crowd.Size(), h.crowd.Level() > 0
	}
	st.Few = x.day.few()
	if all := x.named.v + x.nameless.v; all > 0 {
		st.NamedShare = x.named.v / all
	}
	return st
}

// named is how many of the events say whose they are.
func (ev Event) named() float64 {
	if ev.Customers == nil || !(ev.Named > 0) {
		return 0
	}
	return min(ev.Named, ev.N)
}
