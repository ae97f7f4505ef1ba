package rule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/sli"
)

// Burn says what a rule of kind burn_rate is held to.
type Burn struct {
	// Objective is the share of events that must not fail, above 0 and below 1.
	Objective float64 `json:"objective"`
	// LeastEvents is how many events the long window must have.
	LeastEvents float64 `json:"least_events"`
}

// PromQL is the same question for Prometheus: it has a value where the rule fires,
// without labels. plain leaves out the modifier anchored, which not every backend
// knows.
func (b Burn) PromQL(spec sli.Spec, sel sli.Selection, slice sli.Slice, plain bool) string {
	query := spec.PromQL
	if plain {
		query = spec.PromQLPlain
	}
	var pairs []string
	for _, w := range detect.BurnWindows() {
		allowed := strconv.FormatFloat(w.Factor*(1-b.Objective), 'g', 10, 64)
		longBad, long := query(time.Duration(w.Long)*time.Millisecond, sel, slice)
		shortBad, short := query(time.Duration(w.Short)*time.Millisecond, sel, slice)
		pairs = append(pairs, fmt.Sprintf("(%s / %s > %s and %s / %s > %s and %s >= %g)", longBad, long, allowed, shortBad, short, allowed, long, b.LeastEvents))
	}
	return strings.Join(pairs, " or ")
}
