package evaluate

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
	default:
		return nil
	}
	x := m.cells[0].people
	if x == nil {
		return st
	}
	if h := &x.met[0]; h.number == m.newest/afresh {
		st.ThisHour, st.Estimated = h.crowd.Size(), h.crowd.Level() > 0
	}
	if all := x.named.v + x.nameless.v; all > 0 {
		st.NamedShare = x.named.v / all
	}
	return st
}
