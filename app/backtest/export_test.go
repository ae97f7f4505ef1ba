package backtest

import "github.com/tocsin-alerting/tocsin/tenant"

// Features lists what a tenant has after each change of its document.
func (r *Replay) Features(id tenant.ID) (out [][]string) {
	for _, e := range r.life {
		if e.doc.ID == id {
			out = append(out, e.doc.Features)
		}
	}
	return out
}

// Parallel is parallel.
var Parallel = parallel
