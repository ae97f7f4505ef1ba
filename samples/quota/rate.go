package quota

import "time"

// Rate counts what comes over the last minute. The zero Rate works; it is not safe
// for concurrent use.
type Rate struct {
	began   time.Time
	started time.Time // of the window at hand
	now     int64     // in the window at hand
	before  int64     // in the one before
}

// Add counts n at a time.
func (r *Rate) Add(n int, now time.Time) {
	if r.began.IsZero() {
		r.began = now
	}
	r.roll(now)
	r.now += int64(n)
}

// PerSecond is the rate over the last minute, or since the first Add.
func (r *Rate) PerSecond(now time.Time) float64 {
	r.roll(now)
	left := 1 - now.Sub(r.started).Seconds()/window.Seconds()
	over := window
	if known := now.Sub(r.began); known < window {
		over = max(known, time.Second)
	}
	return (float64(r.now) + left*float64(r.before)) / over.Seconds()
}

func (r *Rate) roll(now time.Time) {
	switch age := now.Sub(r.started); {
	case age < window:
	case age < 2*window:
		r.before, r.now, r.started = r.now, 0, r.started.Add(window)
	default:
		r.before, r.now, r.started = 0, 0, now
	}
}
