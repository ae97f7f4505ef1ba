package standing

import (
	"math"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/detect"
	"github.com/tocsin-alerting/tocsin/rule"
)

const (
	// halvedSure is how sure it must be that approvals are below half of the usual, in
	// nats: one chance in twenty that they are not.
	halvedSure = 3
	// halvedFades is the time over which that is judged, ms, beside all since the onset:
	// a mild fault of some hours must not hide that it became a grave one.
	halvedFades = 300_000
	// movedShare is a part of what a slice misses: when all miss less, the rest moved
	// elsewhere.
	movedShare = 0.5
)

// Lately counts the events of the last minutes, fading: all, and those that were declined.
type Lately struct{ N, K float64 }

// Fade is what is left of older counts after a step so long (ms).
func Fade(length int64) float64 { return math.Exp(-float64(length) / halvedFades) }

// Follow adds a step; fade is what [Fade] says of it.
func (l *Lately) Follow(n, k, fade float64) { l.N, l.K = l.N*fade+n, l.K*fade+k }

// Severity is how severe a share of declines is by its evidence since the onset, and why
// that is not the rule's own severity. A rule of kind declines is judged as errors are:
// the declined share against the usual one, slice by slice. What differs is what it is
// worth.
func (l Lately) Severity(r *rule.Rule, ev alert.Evidence) (rule.Severity, string) {
	if r.Severity != rule.Warning {
		return r.Severity, ""
	}
	half := 1 - (1-ev.Usual)/2 // fewer than half of the usual approvals are given
	if detect.Beyond(ev.N, ev.K, half) >= halvedSure || detect.Beyond(l.N, l.K, half) >= halvedSure {
		return rule.Critical, "approvals are below half of the usual"
	}
	return r.Severity, ""
}

// Moved says whether traffic that a slice misses came another way: all together, of which
// the slice is a part, miss so much less. It is then no loss.
func Moved(all, slice float64) bool { return all < movedShare*slice }
