package view

import "time"

// OnCallPage says who is called.
type OnCallPage struct {
	Frame
	Teams []DutyCard
	// Earlier, Now and Later move the two weeks.
	Earlier, ThisWeek, Later string
}

// DutyCard is one team.
type DutyCard struct {
	ID, Name string
	Who      string // empty: nobody, and Problem says why
	Until    time.Time
	Reason   string
	Next     string
	NextFrom time.Time
	Observed bool
	Problem  string
	Rota     *Rota // nil: the team has no schedule
	Shifts   []ShiftRow
}

// ShiftRow is a stretch of a schedule.
type ShiftRow struct {
	Who      string // empty: nobody
	From, To time.Time
	Reason   string
	Now      bool
}

// Rota is a picture of some weeks: a row for each week, a column for each day.
type Rota struct {
	Width, Height int
	Alt           string
	Days          []RotaDay
	Bars          []RotaBar
	People        []RotaPerson
	NowX, NowY    int // where now is; NowY 0: outside
}

// RotaDay is a cell.
type RotaDay struct {
	X, Y, W, H int
	Label      string
	Today      bool
}

// RotaBar is a part of a day on which one person is on call.
type RotaBar struct {
	X, Y, W, H int
	Class      string // of the person
	Label      string // where a shift begins, or its week
	Title      string
}

// RotaPerson is an entry of the legend.
type RotaPerson struct{ Class, Name string }

// Shift is what a rota is drawn of.
type Shift struct {
	Who      string // empty: nobody
	From, To time.Time
}

// The rota's measures: units of the picture, which a phone shows at half size.
const (
	dayWidth, weekHeight, dayHead, barHeight = 112, 92, 34, 44
	rotaColours                              = 6
)

// NewRota draws shifts over whole weeks from a Monday on, in the zone.
func NewRota(shifts []Shift, monday time.Time, weeks int, zone *time.Location, now time.Time) *Rota {
	r := &Rota{Width: 7 * dayWidth, Height: weeks * weekHeight}
	y, m, d := monday.In(zone).Date()
	day := func(n int) time.Time { return time.Date(y, m, d+n, 0, 0, 0, 0, zone) }
	class := map[string]string{}
	for n := range 7 * weeks {
		from, to := day(n), day(n+1)
		x, top := n%7*dayWidth, n/7*weekHeight
		cell := RotaDay{X: x, Y: top, W: dayWidth, H: weekHeight, Label: from.Format("Mon 2"), Today: !now.Before(from) && now.Before(to)}
		if n == 0 || from.Day() == 1 {
			cell.Label = from.Format("Mon 2 Jan")
		}
		r.Days = append(r.Days, cell)
		at := func(t time.Time) int { return x + int(float64(dayWidth)*float64(t.Sub(from))/float64(to.Sub(from))) }
		if cell.Today {
			r.NowX, r.NowY = at(now), top+dayHead
		}
		for _, s := range shifts {
			begin, end := later(s.From, from), earlier(s.To, to)
			if !begin.Before(end) {
				continue
			}
			if _, known := class[s.Who]; !known {
				class[s.Who] = "nobody"
				if s.Who != "" {
					class[s.Who] = "p" + string(rune('0'+len(r.People)%rotaColours))
					r.People = append(r.People, RotaPerson{class[s.Who], s.Who})
				}
			}
			b := RotaBar{X: at(begin), Y: top + dayHead, W: max(at(end)-at(begin), 1), H: barHeight, Class: class[s.Who]}
			b.Title = orNobody(s.Who) + ", " + s.From.In(zone).Format("Mon 2 Jan 15:04") + " to " + s.To.In(zone).Format("Mon 2 Jan 15:04")
			if begin.Equal(s.From) || n%7 == 0 {
				b.Label = short(orNobody(s.Who), earlier(s.To, day(n-n%7+7)).Sub(begin))
			}
			r.Bars = append(r.Bars, b)
		}
	}
	r.Alt = "Rota from " + day(0).Format("Mon 2 Jan") + " to " + day(7*weeks-1).Format("Mon 2 Jan") + "; the list below says the same."
	return r
}

// short is as much of a name as fits into the time it is drawn over.
func short(name string, over time.Duration) string {
	letters := int((over.Hours()/24*dayWidth - 12) / 13)
	if runes := []rune(name); len(runes) > letters {
		if letters < 4 {
			return ""
		}
		return string(runes[:letters-1]) + "…"
	}
	return name
}

func orNobody(name string) string {
	if name == "" {
		return "nobody"
	}
	return name
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
