package dashboards

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Span is what a dashboard link asks to see: whose counts, which slice of
// them, and when.
type Span struct {
	Tenant tenant.ID // tenant.Product: all tenants
	Slice  sli.Slice // sorted by label; empty: the total
	From   time.Time
	To     time.Time
	At     time.Time // the moment of interest, marked in the picture; zero: none
}

// How much a link shows around a firing, and the bounds of what may be asked.
const (
	before  = time.Hour
	after   = 30 * time.Minute
	minSpan = 10 * time.Minute
	maxSpan = 31 * 24 * time.Hour
	maxDims = 8
	maxText = 500 // bytes of one label value
)

// Around is the span a person needs to judge a firing: from an hour before the
// onset to half an hour after it fired. A zero onset is taken as the firing.
func Around(onset, fired time.Time) (from, to time.Time) {
	if onset.IsZero() || onset.After(fired) {
		onset = fired
	}
	from, to = onset.Add(-before), fired.Add(after)
	if to.Sub(from) > maxSpan {
		from = to.Add(-maxSpan)
	}
	return from, to
}

// Path is the link, without scheme and host, that opens the rule's dashboard
// for the tenant and slice at the time it fired. onset may be zero.
func (d Dashboard) Path(t tenant.ID, slice sli.Slice, onset, fired time.Time) string {
	from, to := Around(onset, fired)
	return d.PathTo(Span{Tenant: t, Slice: slice, From: from, To: to, At: fired})
}

// PathTo is the link to any span; ParseQuery reads it back to whole seconds.
func (d Dashboard) PathTo(s Span) string {
	return "/dashboards/" + url.PathEscape(d.Rule) + "?" + s.Query().Encode()
}

// Query is the span as the link's parameters; encoded, they are sorted.
func (s Span) Query() url.Values {
	q := url.Values{}
	if s.Tenant != "" {
		q.Set("tenant", string(s.Tenant))
	}
	for _, d := range s.Slice {
		q.Add("slice", d.Label+"="+d.Value)
	}
	for key, t := range map[string]time.Time{"from": s.From, "to": s.To, "at": s.At} {
		if !t.IsZero() {
			q.Set(key, t.UTC().Format(time.RFC3339))
		}
	}
	return q
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,99}$`)

// ParseQuery reads a link's parameters: tenant (absent: all), slice
// ("label=value", repeated), from, to and at (RFC 3339). What is absent is
// filled: from and to around at, or around now the last hour and a half.
// Errors are of kind Invalid and name the parameter.
func ParseQuery(q url.Values, now time.Time) (Span, error) {
	s := Span{Tenant: tenant.Product, Slice: sli.Slice{}}
	if raw := q.Get("tenant"); raw != "" && raw != string(tenant.Product) {
		id, err := tenant.ParseID(raw)
		if err != nil {
			return Span{}, err
		}
		s.Tenant = id
	}
	var err error
	if s.Slice, err = parseSlice(q["slice"]); err != nil {
		return Span{}, err
	}
	for key, into := range map[string]*time.Time{"from": &s.From, "to": &s.To, "at": &s.At} {
		if *into, err = parseTime(key, q.Get(key)); err != nil {
			return Span{}, err
		}
	}
	s.fill(now.UTC().Truncate(time.Second))
	switch length := s.To.Sub(s.From); {
	case length <= 0:
		return Span{}, problem.New(problem.Invalid, "from is not before to")
	case length > maxSpan:
		return Span{}, problem.New(problem.Invalid, "from and to are more than 31 days apart").WithHint("ask for a shorter span")
	}
	return s, nil
}

func (s *Span) fill(now time.Time) {
	switch {
	case s.From.IsZero() && s.To.IsZero() && !s.At.IsZero():
		s.From, s.To = Around(time.Time{}, s.At)
	case s.From.IsZero() && s.To.IsZero():
		s.From, s.To = now.Add(-before-after), now
	case s.From.IsZero():
		s.From = s.To.Add(-before - after)
	case s.To.IsZero():
		s.To = s.From.Add(before + after)
	}
}

func parseSlice(raw []string) (sli.Slice, error) {
	out := make(sli.Slice, 0, len(raw))
	if len(raw) > maxDims {
		return nil, problem.New(problem.Invalid, "slice is given more than %d times", maxDims)
	}
	for _, r := range raw {
		label, value, ok := strings.Cut(r, "=")
		if !ok || !labelName.MatchString(label) || len(value) > maxText {
			return nil, problem.New(problem.Invalid, "slice cannot be read").WithHint("write slice=LABEL=VALUE, for example slice=acquirer=alpha; repeat it for more")
		}
		if slices.ContainsFunc(out, func(d sli.Dim) bool { return d.Label == label }) {
			return nil, problem.New(problem.Invalid, "slice names the same label twice")
		}
		out = append(out, sli.Dim{Label: label, Value: value})
	}
	slices.SortFunc(out, func(a, b sli.Dim) int { return strings.Compare(a.Label, b.Label) })
	return out, nil
}

func parseTime(key, raw string) (time.Time, error) {
	if raw == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, raw)
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}, problem.New(problem.Invalid, "%s is not a time", key).WithHint("write RFC 3339, for example 2026-03-01T03:12:00Z")
	}
	return t.UTC().Truncate(time.Second), nil
}

// Length of the span.
func (s Span) Length() time.Duration { return s.To.Sub(s.From) }

// Earlier and Later move the span by half its length.
func (s Span) Earlier() Span { return s.moved(-s.Length() / 2) }

// Later is the opposite of Earlier.
func (s Span) Later() Span { return s.moved(s.Length() / 2) }

// ZoomIn halves the span around the moment of interest when that is inside,
// else around its middle; never below ten minutes.
func (s Span) ZoomIn() Span { return s.zoomed(max(s.Length()/2, minSpan)) }

// ZoomOut doubles the span, up to 31 days.
func (s Span) ZoomOut() Span { return s.zoomed(min(s.Length()*2, maxSpan)) }

func (s Span) moved(by time.Duration) Span {
	s.From, s.To = s.From.Add(by), s.To.Add(by)
	return s
}

func (s Span) zoomed(length time.Duration) Span {
	centre := s.From.Add(s.Length() / 2)
	if !s.At.Before(s.From) && !s.At.After(s.To) {
		centre = s.At
	}
	s.From = centre.Add(-length / 2).Truncate(time.Second)
	s.To = s.From.Add(length)
	return s
}

// Step is the width of one Point that suits the span: whole minutes, at most
// some 370 points in a picture.
func (s Span) Step() time.Duration {
	for _, step := range []time.Duration{
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
	} {
		if s.Length() <= 370*step {
			return step
		}
	}
	return 2 * time.Hour
}
