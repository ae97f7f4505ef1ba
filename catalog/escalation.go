package catalog

import "time"

const (
	maxRounds        = 10
	leastUnreachable = 30 * time.Second
	leastSilent      = 5 * time.Minute
)

func (s *source) escalation(team int, t Team) {
	for n, e := range t.Escalation {
		s.step(team, n, e)
	}
	at := func(key ...any) place { return s.at("teams", team, key...) }
	if t.EscalationRounds < 1 || t.EscalationRounds > maxRounds {
		s.fault(at("escalation_rounds"), "escalation_rounds must be from 1 to %d", maxRounds)
	}
	if t.UnreachableAfter < leastUnreachable {
		s.fault(at("unreachable_after"), "unreachable_after must be at least 30s")
	}
	if t.SilentAfter != 0 && t.SilentAfter < leastSilent {
		s.fault(at("silent_after"), "silent_after must be at least 5m; leave it out and nobody is asked again")
	}
	l := t.LastResort
	if s.has("teams", team, "last_resort") && (l.Person == "") == (l.Team == "") {
		s.fault(at("last_resort"), "last_resort names either a person or a team")
		return
	}
	if _, ok := s.c.Person(l.Person); l.Person != "" && !ok {
		s.fault(at("last_resort", "person"), "the last resort is not listed; add the person to people or correct the name")
	}
	other, ok := s.c.Team(l.Team)
	switch {
	case l.Team == "":
	case !ok:
		s.fault(at("last_resort", "team"), "the last resort is not listed; add it to teams or correct the name")
	case l.Team == t.ID:
		s.fault(at("last_resort", "team"), "a team cannot be its own last resort; name another one, or a person")
	case other.Schedule == "" && len(other.OnCall) == 0:
		s.fault(at("last_resort", "team"), "nobody of the last resort could be called; give that team a schedule, or people under oncall")
	}
	if l.After < 0 {
		s.fault(at("last_resort", "after"), "after of the last resort must be a duration like 10m")
	}
}

func (s *source) step(team, n int, e Step) {
	at := func(key string) place { return s.at("teams", team, "escalation", n, key) }
	if e.After <= 0 {
		s.fault(at("after"), "an escalation step needs after, a duration like 10m")
	}
	if (e.Schedule == "") == (e.Person == "") {
		s.fault(at(""), "an escalation step names either a schedule or a person")
		return
	}
	if _, ok := s.c.Schedule(e.Schedule); e.Schedule != "" && !ok {
		s.fault(at("schedule"), "the step's schedule is not listed; add it to schedules or correct the name")
	}
	if _, ok := s.c.Person(e.Person); e.Person != "" && !ok {
		s.fault(at("person"), "the step's person is not listed; add the person to people or correct the name")
	}
}
