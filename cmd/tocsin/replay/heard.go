package replay

import (
	"fmt"
	"io"
	"strings"

	"github.com/tocsin-alerting/tocsin/app/backtest"
	"github.com/tocsin-alerting/tocsin/problem"
)

// nobody refuses a recording that has nothing of the tenants: a report of no alerts would
// read as if all had been well.
func (b Backtest) nobody(h backtest.Heard, lines []backtest.Line, label string, asked bool) error {
	if len(h.Silent) < len(h.Listed) || asked && len(lines) > 0 {
		return nil
	}
	e := problem.New(problem.Invalid, "the recording has nothing that the policy counts of the tenants in %s", b.Tenants)
	switch {
	case len(h.Strangers) > 0:
		return e.WithHint("its label %s names others: %s; list those", label, some(h.Strangers))
	case h.Nameless:
		return e.WithHint("its series have no label %s; labels.tenant of the configuration says which label names the tenant", label)
	}
	return e.WithHint("it has none of the policy's metrics between --from and --to; the slis of the policy name them")
}

// whose says what of the recording and of the list did not meet.
func (b Backtest) whose(w io.Writer, h backtest.Heard, incidents []backtest.Incident) {
	if len(h.Silent) > 0 {
		fmt.Fprintf(w, "nothing that the policy counts was recorded of %d of the %s in %s: %s\n", len(h.Silent), several(len(h.Listed), "tenant"), b.Tenants, some(h.Silent))
	}
	if len(h.Strangers) > 0 {
		fmt.Fprintf(w, "%s in the recording are not in %s, and not watched: %s\n", several(len(h.Strangers), "tenant"), b.Tenants, some(h.Strangers))
	}
	if unknown := h.Unknown(incidents); len(unknown) > 0 {
		fmt.Fprintf(w, "%s names tenants that are not in %s, whose faults nobody can find: %s\n", b.Incidents, b.Tenants, some(unknown))
	}
}

// some lists the first of many names.
func some(names []string) string {
	if more := len(names) - shown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), more)
	}
	return strings.Join(names, ", ")
}
