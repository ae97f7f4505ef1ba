package evaluate

import (
	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
)

// A rule of kind declines is judged as errors are: the declined share against the
// usual one, slice by slice. What differs is what it is worth.

const (
	// halvedSure is how sure it must be that approvals are below half of the usual, in
	// nats: one chance in twenty that they are not.
	halvedSure = 3
	// halvedFades is the time over which that is judged, ms, beside all since the onset:
	// a mild fault of some hours must not hide that it became a grave one.
	halvedFades = 300_000
)

// lately counts the events of the last minutes, fading.
type lately struct{ n, k float64 }

func (l *lately) follow(n, k, fade float64) { l.n, l.k = l.n*fade+n, l.k*fade+k }

// gradeDeclines is how severe a share of declines is, and why it is more than usual.
func (w *watch) gradeDeclines(r *ruleState, ev alert.Evidence) (rule.Severity, string) {
	if r.Severity != rule.Warning {
		return r.Severity, ""
	}
	half := 1 - (1-ev.Usual)/2 // fewer than half of the usual approvals are given
	if detect.Beyond(ev.N, ev.K, half) >= halvedSure || detect.Beyond(w.late.n, w.late.k, half) >= halvedSure {
		return rule.Critical, "approvals are below half of the usual"
	}
	return r.Severity, ""
}
