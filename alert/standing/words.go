package standing

import (
	"fmt"
	"math"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
)

// reason is the evidence in a sentence.
func reason(a alert.Alert) string {
	ev := a.Evidence
	what := things(alert.Things(a.Service, a.Noun), a.Slice)
	if len(ev.Tenants) > 0 {
		what += fmt.Sprintf(" of %d tenants", len(ev.Tenants))
	}
	if a.Kind == rule.Traffic {
		because := ""
		if ev.Expecting != "" {
			because = "; " + ev.Expecting
		}
		return fmt.Sprintf("%.0f %s in %s, since %s; usual %.0f; evidence %.1f of %.1f needed%s",
			ev.N, what, alert.Lasting(a.AsOf.Sub(a.OnsetAt)), alert.Clock(a.OnsetAt, a.AsOf), ev.Expected, ev.Score, ev.Needed, because)
	}
	if a.Kind == rule.BurnRate {
		return burnWords(ev, what)
	}
	did := "failed"
	switch {
	case a.Kind == rule.Declines:
		did = "were declined"
	case a.Kind == rule.Latency && ev.Over > 0:
		did = "took longer than " + seconds(ev.Over)
	case a.Kind == rule.Latency:
		did = "took longer than each tenant's own limit"
	}
	if ev.Test == alert.Change && ev.N > 0 {
		return fmt.Sprintf("%s of %s %s for %s, since %s; %s in the hour before; evidence %.1f of %.1f needed%s", alert.Percent(ev.K/ev.N), what, did,
			alert.Lasting(a.AsOf.Sub(a.OnsetAt)), alert.Clock(a.OnsetAt, a.AsOf), alert.Percent(ev.Usual), ev.Score, ev.Needed, who(a))
	}
	return fmt.Sprintf("%.0f of %.0f %s %s since %s; usual is %s; evidence %.1f of %.1f needed%s",
		ev.K, ev.N, what, did, alert.Clock(a.OnsetAt, a.AsOf), alert.Percent(ev.Usual), ev.Score, ev.Needed, who(a))
}

// fewFailures is how many failures may be one customer's retries.
const fewFailures = 100

// who says how many customers it is, or that nobody does where that matters.
func who(a alert.Alert) string {
	switch ev := a.Evidence; {
	case ev.Customers != nil:
		return "; " + customers(ev)
	case a.Kind == rule.Errors && len(ev.Tenants) == 0 && ev.K < fewFailures:
		return "; no customer information: judged by missing successes"
	}
	return ""
}

// customers says how many failed, as far as failures say whose they are.
func customers(ev alert.Evidence) string {
	about, s := "", "s"
	if ev.Estimated {
		about = "about "
	}
	if math.Round(*ev.Customers) == 1 {
		s = ""
	}
	said := fmt.Sprintf("%s%.0f customer%s", about, *ev.Customers, s)
	if ev.Nameless >= 1 {
		said += fmt.Sprintf(", and %.0f failures that name nobody", ev.Nameless)
	}
	return said
}

// things names events in a slice.
func things(s string, slice sli.Slice) string {
	for _, d := range slice {
		switch d.Label {
		case "acquirer", "issuer", "peer":
			s += fmt.Sprintf(" through %s %s", d.Label, d.Value)
		case "country":
			s += " in " + d.Value
		default:
			s += fmt.Sprintf(" with %s %s", d.Label, d.Value)
		}
	}
	return s
}

// seconds writes a bucket's edge: 250 ms, 2.5 s.
func seconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%g ms", s*1000)
	}
	return fmt.Sprintf("%g s", s)
}

// burnWords is the evidence of a burn rate in a sentence.
func burnWords(ev alert.Evidence, what string) string {
	for _, w := range detect.BurnWindows() {
		if w.Name == ev.Test {
			return fmt.Sprintf("%.0f of %.0f %s failed within %s: %.1f times what the objective allows, and of the last %s as well; %g times is too fast",
				ev.K, ev.N, what, alert.Lasting(time.Duration(w.Long)*time.Millisecond), ev.Score, alert.Lasting(time.Duration(w.Short)*time.Millisecond), w.Factor)
		}
	}
	return fmt.Sprintf("%.0f of %.0f %s failed: %.1f times what the objective allows", ev.K, ev.N, what, ev.Score)
}
