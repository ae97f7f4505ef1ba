package views

import (
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

const rotaWeeks = 2

func (v *Views) onCall(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	now := v.api.Now()
	page := view.OnCallPage{Frame: v.frame(r, p)}
	day := now
	if s := r.URL.Query().Get("week"); s != "" {
		var err error
		if day, err = time.Parse(time.DateOnly, s); err != nil || day.Year() < 1970 || day.Year() > 9000 {
			return problem.New(problem.Invalid, "week is not a date").WithHint("write the date of a day in it, for example ?week=2026-03-02")
		}
	}
	week := func(t time.Time) string {
		return (&url.URL{Path: "/oncall", RawQuery: url.Values{"week": {t.Format(time.DateOnly)}}.Encode()}).String()
	}
	first := mondayOf(day, time.UTC)
	page.Earlier, page.ThisWeek, page.Later = week(first.AddDate(0, 0, -7)), "/oncall", week(first.AddDate(0, 0, 7))
	c := v.api.Flow.Rules().Catalog
	for _, t := range c.Teams {
		card, err := v.duty(c, t, day, now)
		if err != nil {
			return err
		}
		page.Teams = append(page.Teams, card)
	}
	return v.entry.Pages.OnCall(web.HTML(w, http.StatusOK), page)
}

// mondayOf is the beginning of the day's week in the zone; the day is taken by
// its date.
func mondayOf(day time.Time, zone *time.Location) time.Time {
	y, m, d := day.Date()
	back := (int(day.Weekday()) + 6) % 7
	return time.Date(y, m, d-back, 0, 0, 0, 0, zone)
}

func (v *Views) duty(c *catalog.Catalog, t catalog.Team, day, now time.Time) (view.DutyCard, error) {
	a := v.api.Duty.OnCall(t, now)
	card := view.DutyCard{ID: string(t.ID), Name: t.Name, Observed: !a.Live, Problem: a.Problem}
	if a.Now != nil {
		card.Who, card.Reason = a.Now.PersonName, view.Sentence(a.Now.Reason)
		if a.Now.Until != nil {
			card.Until = *a.Now.Until
		}
	}
	if a.Next != nil {
		card.Next, card.NextFrom = a.Next.PersonName, a.Next.From
	}
	s, ok := c.Schedule(t.Schedule)
	if !ok {
		return card, nil
	}
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	monday := mondayOf(day, zone)
	list, err := v.api.Duty.Shifts(s.ID, "", monday, monday.AddDate(0, 0, 7*rotaWeeks))
	if err != nil {
		return card, err
	}
	var shifts []view.Shift
	for _, x := range list {
		shifts = append(shifts, view.Shift{Who: x.PersonName, From: x.From, To: x.To})
		card.Shifts = append(card.Shifts, view.ShiftRow{Who: x.PersonName, From: x.From, To: x.To, Reason: x.Reason, Now: !now.Before(x.From) && now.Before(x.To)})
	}
	card.Rota = view.NewRota(shifts, monday, rotaWeeks, zone, now)
	return card, nil
}
