package catalog

import (
	"slices"
	"time"
)

func (s *source) schedules() {
	for i, v := range s.c.Schedules {
		if !zone(v.TimeZone) {
			s.fault(s.at("schedules", i, "time_zone"), "time_zone is not known; use an IANA name, for example Europe/Berlin")
		}
		if len(v.Layers) == 0 {
			s.fault(s.at("schedules", i), "the schedule has no layers; add one with start, unit, every and members")
		}
		for n, l := range v.Layers {
			at := func(key ...any) place { return s.at("schedules", i, append([]any{"layers", n}, key...)...) }
			if _, err := time.Parse(StartLayout, l.Start); err != nil {
				s.fault(at("start"), "start must be a local date and time like 2026-01-05T09:00")
			}
			s.oneOf(at("unit"), "unit", l.Unit, "hour", "day", "week")
			if l.Every < 1 {
				s.fault(at("every"), "every must be at least 1: how many units a person stays on call")
			}
			if len(l.Members) == 0 {
				s.fault(at("members"), "the layer has no members; list people in the order of their turns")
			}
			for k, id := range l.Members {
				if _, ok := s.c.Person(id); !ok {
					s.fault(at("members", k), "members names a person who is not listed; add the person to people or correct the name")
				}
			}
			for k, h := range l.Hours {
				s.hours(h, func(key ...any) place { return at(append([]any{"hours", k}, key...)...) })
			}
		}
		for n, o := range v.Overrides {
			s.override(o, func(key string) place { return s.at("schedules", i, "overrides", n, key) })
		}
	}
}

func (s *source) override(o Override, at func(string) place) {
	if _, ok := s.c.Person(o.Person); !ok {
		s.fault(at("person"), "the override's person is not listed; add the person to people or correct the name")
	}
	if _, ok := s.c.Person(o.Instead); o.Instead != "" && !ok {
		s.fault(at("instead"), "instead names a person who is not listed; correct the name, or leave it out to replace whoever is on call")
	}
	from, err1 := time.Parse(StartLayout, o.From)
	to, err2 := time.Parse(StartLayout, o.To)
	switch {
	case err1 != nil:
		s.fault(at("from"), "from must be a local date and time like 2026-01-05T09:00")
	case err2 != nil:
		s.fault(at("to"), "to must be a local date and time like 2026-01-05T09:00")
	case !from.Before(to):
		s.fault(at("to"), "to must be after from")
	}
	if o.Reason == "" {
		s.fault(at("reason"), "an override needs a reason: whoever is woken by it asks")
	}
}

func (s *source) workingHours(team int, w WorkingHours) {
	at := func(key ...any) place { return s.at("teams", team, append([]any{"working_hours"}, key...)...) }
	if !zone(w.TimeZone) {
		s.fault(at("time_zone"), "time_zone is not known; use an IANA name, for example Europe/Berlin")
	}
	if s.has("teams", team, "working_hours") && len(w.Hours) == 0 {
		s.fault(at("hours"), "working_hours lists no hours; add some, for example {days: [mon, tue, wed, thu, fri], from: \"09:00\", to: \"17:00\"}")
	}
	for n, h := range w.Hours {
		s.hours(h, func(key ...any) place { return at(append([]any{"hours", n}, key...)...) })
	}
}

func (s *source) hours(h Hours, at func(...any) place) {
	for n, d := range h.Days {
		if _, ok := Weekday(d); !ok {
			s.fault(at("days", n), "a day must be one of mon, tue, wed, thu, fri, sat, sun")
		}
	}
	if _, ok := ClockTime(h.From); !ok || h.From == dayEnd {
		s.fault(at("from"), "from must be a time of day like 09:00")
	}
	if _, ok := ClockTime(h.To); !ok {
		s.fault(at("to"), "to must be a time of day like 17:00, at most 24:00")
	}
}

const dayEnd = "24:00"

var days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Days lists the days of the week as Hours name them.
func Days() []string { return slices.Clone(days) }

// Weekday reads a day of the week as Hours name it.
func Weekday(name string) (time.Weekday, bool) {
	n := slices.Index(days, name)
	return time.Weekday(max(n, 0)), n >= 0
}

// ClockTime reads a time of day as Hours give it, as time since midnight.
func ClockTime(text string) (time.Duration, bool) {
	if text == dayEnd {
		return 24 * time.Hour, true
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, false
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, true
}
