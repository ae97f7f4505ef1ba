package alert

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Lasting is a duration as people say it.
func Lasting(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f seconds", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	}
	return fmt.Sprintf("%.0f hours", d.Hours())
}

// Percent is a share as people say it.
func Percent(share float64) string {
	if share < 0.001 {
		return fmt.Sprintf("%.2f%%", 100*share)
	}
	return fmt.Sprintf("%.1f%%", 100*share)
}

// Count is a number as people say it, of events or of events a minute: whole and in groups of
// three, with a tenth below ten and two digits below one.
func Count(n float64) string {
	switch size := math.Abs(n); {
	case math.IsNaN(n) || math.IsInf(n, 0):
		return "unknown"
	case n != 0 && size < 0.95:
		return strconv.FormatFloat(n, 'g', 2, 64)
	case size < 10 && math.Abs(n-math.Round(n)) > 0.05:
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(math.Abs(math.Round(n)), 'f', 0, 64)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	if n < 0 {
		return "-" + b.String()
	}
	return b.String()
}

// Things names the events of a service: by the noun of what counts them, else by the
// service's own name.
func Things(service, noun string) string {
	switch {
	case noun != "":
		return noun
	case service == "":
		return "events"
	case strings.HasSuffix(service, "s"):
		return service
	}
	return service + " events"
}

// Clock is the time of day in UTC, with the date when that is not now's.
func Clock(t, now time.Time) string {
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05 UTC")
	}
	return t.Format("2006-01-02 15:04:05 UTC")
}
