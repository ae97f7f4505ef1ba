package tenancy

import (
	"fmt"
	"strings"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/api/tenants"
	"github.com/tocsin-alerting/tocsin/rule"
)

// view is what one rule sees in slices in which it sees the same.
type view struct {
	rule, environment, words string
	shadow                   bool
}

// seeRows say which faults are seen at this hour, each once for all slices of which it is
// true: a tenant of one acquirer, method and country has the same four times.
func seeRows(a tenants.ExplainAnswer) (rows [][]string) {
	heading := "sees now"
	if a.SeesNothing != "" {
		rows = append(rows, []string{heading, "nothing: " + a.SeesNothing})
		heading = "would see"
	}
	var order []view
	var asked [][]string
	of := map[view][]tenants.Sight{}
	for _, s := range a.Sees {
		if s.Words == "" {
			continue
		}
		if s.Kind == rule.PromQL { // whatever else is seen
			first := ""
			if asked == nil {
				first = "asks"
			}
			asked = append(asked, []string{first, s.Rule + ": " + s.Words})
			continue
		}
		v := view{s.Rule, s.Environment, s.Words, s.InShadow}
		if of[v] == nil {
			order = append(order, v)
		}
		of[v] = append(of[v], s)
	}
	for _, v := range order {
		where := []string{v.environment}
		least, most := of[v][0].RatePerMinute, of[v][0].RatePerMinute
		for _, s := range of[v] {
			in := "all"
			if len(s.Slice) > 0 {
				in = s.Slice.Key()
			}
			where = append(where, in)
			least, most = min(least, s.RatePerMinute), max(most, s.RatePerMinute)
		}
		switch from, to := alert.Count(least), alert.Count(most); {
		case most <= 0:
		case from == to || least <= 0:
			where = append(where, to+" a minute")
		default:
			where = append(where, from+" to "+to+" a minute")
		}
		if v.shadow {
			where = append(where, "in shadow")
		}
		rows = append(rows, []string{heading, fmt.Sprintf("%s (%s): %s", v.rule, strings.Join(where, ", "), v.words)})
		heading = ""
	}
	return append(rows, asked...)
}
