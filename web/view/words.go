package view

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
)

// funcs are what the templates may call. The times take the page's Frame, for
// the zone and for "today".
func funcs(s *static) template.FuncMap {
	return template.FuncMap{
		"at":      func(f Frame, t time.Time) shown { return shown{f, t} },
		"sealed":  func(f Frame, form *Form) sealedForm { return sealedForm{f.CSRF, form} },
		"total":   func(p IncidentPage) int { return len(p.Tenants) + p.TenantsHidden },
		"asset":   func(name string) string { return s.byName[name] },
		"clock":   clock,
		"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"utc":     func(t time.Time) string { return t.UTC().Format("Mon 2 Jan 2006 15:04:05") + " UTC" },
		"zone":    zoneName,
		"count":   alert.Count,
		"add":     func(a, b int) int { return a + b },
		"tone":    func(name string) Tone { return Tone(name) },
		"float":   func(n int) float64 { return float64(n) },
		"rows":    func(f Frame, rows any) framed { return framed{f, rows} },
		"percent": percent,
		"verdict": verdict,
		"ratio":   func(k, n float64) float64 { return k / n },
		"lasted":  func(from, to time.Time) string { return lasted(to.Sub(from)) },
		"safe":    safeURL,
		"nats":    func(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) },
		"plural": func(n int, one, many string) string {
			if n == 1 {
				return "1 " + one
			}
			return strconv.Itoa(n) + " " + many
		},
	}
}

// shown is a time with the frame it is shown in, framed a list; sealedForm a form
// with its token.
type (
	shown struct {
		F Frame
		T time.Time
	}
	framed struct {
		Frame Frame
		Rows  any
	}
	sealedForm struct {
		CSRF string
		Form *Form
	}
)

// clock shows a time in the frame's zone, with the date when it is not today.
func clock(f Frame, t time.Time) string {
	zone := f.Zone
	if zone == nil {
		zone = time.UTC
	}
	t = t.In(zone)
	if now := f.Now.In(zone); !f.Now.IsZero() && now.Format(time.DateOnly) == t.Format(time.DateOnly) {
		return t.Format("15:04")
	}
	return t.Format("2 Jan 15:04")
}

// zoneName is the zone with its abbreviation now: "Europe/Berlin (CET)".
func zoneName(f Frame) string {
	if f.Zone == nil || f.Zone == time.UTC {
		return "UTC"
	}
	abbr, _ := f.Now.In(f.Zone).Zone()
	if abbr == f.Zone.String() || strings.HasPrefix(abbr, "+") || strings.HasPrefix(abbr, "-") {
		return f.Zone.String()
	}
	return f.Zone.String() + " (" + abbr + ")"
}

// percent writes a ratio so that small ones do not vanish: 100%, 38%, 1.2%, 0.04%.
func percent(r float64) string {
	p := r * 100
	switch {
	case math.IsNaN(p) || math.IsInf(p, 0):
		return "unknown"
	case p == 0:
		return "0%"
	case p < 0.01:
		return "under 0.01%"
	case p < 0.1:
		return fmt.Sprintf("%.2f%%", p)
	case p < 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", p), ".0") + "%"
	case p > 99 && p < 100:
		return fmt.Sprintf("%.1f%%", math.Min(p, 99.9))
	}
	return fmt.Sprintf("%.0f%%", p)
}

// lasted writes a duration as a person says it; the smallest unit is a minute.
func lasted(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

// safeURL passes http, https, mailto, tel and paths of our own; the rest
// becomes empty and is shown as text.
func safeURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || raw == "" {
		return ""
	}
	switch u.Scheme {
	case "http", "https":
		if u.Host == "" {
			return ""
		}
		return raw
	case "mailto", "tel":
		return raw
	case "":
		if strings.HasPrefix(raw, "/") && !strings.HasPrefix(raw, "//") && !strings.HasPrefix(raw, "/\\") {
			return raw
		}
	}
	return ""
}

// Sentence makes one of a message: a capital letter and a full stop.
func Sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// verdict is what somebody said an incident was, in words.
func verdict(v string) string {
	switch v {
	case "false":
		return "A false alarm"
	case "real":
		return "Real"
	case "expected":
		return "Expected"
	}
	return "A duplicate"
}
