package evaluate

import "math"

// What one customer does does not keep others from paying. Where successes are missing,
// failures count whatever is said of who fails: a counter that stands still while an
// outage goes past it must hide nothing.

const (
	payingLate  = 300_000.0   // ms after which late successes count 1/e
	payingHour  = 3_600_000.0 // and those they are compared with
	payingLeast = 30          // successes that must be expected of late
	payingGone  = 0.5         // share of them below which they are missing
	payingGiven = 10_800_000  // ms after which what is left is what there is
)

// paying are the successes of a cell whose failures are capped.
type paying struct {
	known      int64 // ms that they were followed for, an hour at most
	gone       int64 // ms that they have been missing for; 0: they are not
	late, hour float64
}

// payingFades are what is left of late successes, and of an hour's, after so many ms.
func payingFades(length int64) [2]float64 {
	return [2]float64{math.Exp(-float64(length) / payingLate), math.Exp(-float64(length) / payingHour)}
}

// follow adds the successes of a step of so many ms. While they are missing, what was
// usual before stays what they are compared with.
func (o *paying) follow(successes float64, length int64, fades *[2]float64) {
	o.late = o.late*fades[0] + math.Max(successes, 0)
	if o.gone == 0 {
		o.hour = o.hour*fades[1] + math.Max(successes, 0)
		o.known = min(o.known+length, int64(payingHour))
	}
	expected := o.hour * payingLate / payingHour
	switch {
	case o.known < int64(payingHour) || expected < payingLeast || o.late >= payingGone*expected:
		o.gone = 0
	case o.gone >= payingGiven:
		*o = paying{late: o.late}
	default:
		o.gone += length
	}
}

// missing says whether far fewer succeed than lately.
func (o *paying) missing() bool { return o.gone > 0 }
