package calendar

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/rota"
)

// ahead is how far the next date is looked for: the 29th of February may be eight
// years away.
const ahead = 8*366 + 1

// today is ahead for who asks only whether it holds now.
const today = 0

// enough is how many days ahead the end of what holds is looked for.
const enough = 400

// stretch is days from one to another, both included, as year*10000+month*100+day;
// of every year without the year, where the last may lie in the year after.
type stretch struct {
	first, last int
	yearly      bool
}

// parseDays reads a date like 2026-11-27 or 12-31, or two of a kind with .. between.
func parseDays(text string) (stretch, bool) {
	a, b, two := strings.Cut(text, "..")
	if !two {
		b = a
	}
	first, yearly, ok := parseDay(a)
	last, other, ok2 := parseDay(b)
	return stretch{first, last, yearly}, ok && ok2 && yearly == other && (yearly || first <= last)
}

func parseDay(text string) (day int, yearly, ok bool) {
	if yearly = len(text) == len("12-31"); yearly {
		text = "2024-" + text // a leap year: every day there can be
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, false, false
	}
	if yearly {
		return number(t) % 10_000, true, true
	}
	return number(t), false, true
}

var dayForm = regexp.MustCompile(`^(?:(\d{4})-)?(\d\d)-(\d\d)$`)

// unlike says what is wrong with days that cannot be parsed.
func unlike(text string) string {
	days := strings.SplitN(text, "..", 2)
	for _, day := range days {
		m := dayForm.FindStringSubmatch(day)
		if m == nil {
			return "a day must be like 2026-11-27, like 12-31 for every year, or two of a kind like 12-24..12-26"
		}
		month, _ := strconv.Atoi(m[2])
		if _, _, ok := parseDay(day); ok {
			continue
		}
		if month < 1 || month > 12 {
			return "there is no such month; the first two digits after the year are the month's"
		}
		year, _ := strconv.Atoi(cmp.Or(m[1], "2024"))
		return fmt.Sprintf("there is no such day: %s has %d", time.Month(month), time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day())
	}
	if len(days[0]) == len(days[1]) {
		return "the first day lies after the last"
	}
	return "both days must be of one year each, or both of every year"
}

func number(t time.Time) int { return t.Year()*10_000 + int(t.Month())*100 + t.Day() }

func (s stretch) has(day int) bool {
	if s.yearly {
		day %= 10_000
	}
	if s.first <= s.last {
		return s.first <= day && day <= s.last
	}
	return day >= s.first || day <= s.last
}

// over says whether no day from this one on is in the stretch.
func (s stretch) over(day int) bool { return !s.yearly && day > s.last }

// onDates says whether the instant lies in the part that counts of one of the days,
// and when that may change, as far as so many days ahead. Days that touch are one.
func (e *compiled) onDates(at time.Time, ahead int) (in bool, until time.Time) {
	local := at.In(e.zone)
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
	for d := -2; d <= ahead; d++ { // what began the day before yesterday may reach into today
		day := midnight.AddDate(0, 0, d)
		if !e.listed(number(day)) {
			if in || e.past(number(day)) { // no day reaches over the next one
				break
			}
			continue
		}
		if in && d > enough {
			break
		}
		from, to := rota.Wall(day.Add(e.from), 0, e.zone), rota.Wall(day.Add(e.to), 0, e.zone)
		switch {
		case in && from.After(until):
			return in, until
		case !at.Before(from) && at.Before(to) || in:
			in = true
			if to.After(until) {
				until = to
			}
		case at.Before(from):
			return false, from
		}
	}
	return in, until
}

func (e *compiled) listed(day int) bool {
	for _, s := range e.days {
		if s.has(day) {
			return true
		}
	}
	return false
}

func (e *compiled) past(day int) bool {
	for _, s := range e.days {
		if !s.over(day) {
			return false
		}
	}
	return true
}
