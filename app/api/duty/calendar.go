package duty

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

// CalendarRequest names what a calendar shows: one of the two.
type CalendarRequest struct {
	Schedule string `json:"schedule"`
	Person   string `json:"person"` // in every schedule
}

// CalendarAnswer is the address to subscribe to. Who has it can read the
// calendar until then.
type CalendarAnswer struct {
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expires_at"`
}

const (
	calendarPurpose = "calendar"
	calendarAge     = 400 * 24 * time.Hour
	calendarPast    = 30 * 24 * time.Hour
	calendarAhead   = 180 * 24 * time.Hour
)

// Calendars are read by programs that can neither sign in nor send a header.
func (s *API) Calendars() []web.Route {
	return []web.Route{{Method: "GET", Path: "/api/v1/oncall/{calendar}", Summary: "Shifts as an iCalendar, by a signed address", Kind: web.Raw, Open: true, Handle: s.calendar}}
}

func (s *API) makeCalendar(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	var in CalendarRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	if (in.Schedule == "") == (in.Person == "") {
		return problem.New(problem.Invalid, "give either schedule or person")
	}
	if err := s.known(catalog.ScheduleID(in.Schedule), catalog.PersonID(in.Person)); err != nil {
		return err
	}
	name, subject := in.Schedule, "schedule/"+in.Schedule
	if in.Person != "" {
		name, subject = in.Person, "person/"+in.Person
	}
	until := s.Now().UTC().Truncate(24 * time.Hour).Add(calendarAge)
	return web.WriteJSON(w, http.StatusCreated, CalendarAnswer{ExpiresAt: until,
		URL: s.Links.At("/api/v1/oncall/"+name+".ics", url.Values{"key": {s.Signer.Sign(calendarPurpose, subject, until)}})})
}

func (s *API) calendar(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	name, isCalendar := strings.CutSuffix(r.PathValue("calendar"), ".ics")
	subject, err := s.Signer.Open(calendarPurpose, r.URL.Query().Get("key"), s.Now())
	kind, id, _ := strings.Cut(subject, "/")
	if err != nil || !isCalendar || id != name {
		return problem.New(problem.Forbidden, "the calendar's address is not valid, or no longer").WithHint("make a new one: POST /api/v1/oncall/calendars")
	}
	var schedule catalog.ScheduleID
	var person catalog.PersonID
	if kind == "person" {
		person = catalog.PersonID(id)
	} else {
		schedule = catalog.ScheduleID(id)
	}
	// Whole days, so that a shift under way at the edge keeps its id for a day.
	day := s.Now().UTC().Truncate(24 * time.Hour)
	shifts, err := s.Shifts(schedule, person, day.Add(-calendarPast), day.Add(calendarAhead))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=300")
	_, _ = w.Write([]byte(s.iCalendar(name, shifts))) // the client may be gone
	return nil
}

func (s *API) iCalendar(name string, shifts []ShiftAnswer) string {
	c := ics.NewCalendar()
	c.SetProductId("-//tocsin//on call//EN")
	c.SetMethod(ics.MethodPublish)
	c.SetXWRCalName("On call: " + name)
	c.SetRefreshInterval("PT1H")
	for _, x := range shifts {
		if x.Person == "" {
			continue
		}
		e := c.AddEvent(x.Schedule + "/" + x.From.Format("20060102T150405Z") + "/" + x.Person + "@tocsin")
		e.SetDtStampTime(s.Now().UTC())
		e.SetStartAt(x.From)
		e.SetEndAt(x.To)
		e.SetSummary(x.PersonName + " is on call (" + x.Schedule + ")")
		e.SetDescription(x.Reason)
		e.SetTimeTransparency(ics.TransparencyTransparent) // being on call keeps nobody from a meeting
	}
	return c.Serialize(ics.WithNewLineWindows)
}
