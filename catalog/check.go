package catalog

import (
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/fault"
)

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)

// StartLayout is how a layer's start is written: a local date and time.
const StartLayout = "2006-01-02T15:04"

// check finds every fault of the joined catalog.
func (s *source) check() {
	s.ids()
	s.teams()
	s.services()
	s.sources()
	s.people()
	s.schedules()
}

// ids checks that each id is usable and used once within its list.
func (s *source) ids() {
	each := func(list string, n int, id func(int) string) {
		seen := map[string]place{}
		for i := range n {
			at := s.at(list, i, "id")
			switch first, twice := seen[id(i)]; {
			case id(i) == "":
				s.fault(at, "an entry of %s has no id; give it one", list)
			case !idPattern.MatchString(id(i)):
				s.fault(at, "the id is not usable; 1 to 100 letters, digits, _ . and -, starting with a letter or digit")
			case twice:
				s.fault(at, "the id is used twice in %s, first at %s; rename or remove one", list, first)
			default:
				seen[id(i)] = at
			}
		}
	}
	each("teams", len(s.c.Teams), func(i int) string { return string(s.c.Teams[i].ID) })
	each("services", len(s.c.Services), func(i int) string { return string(s.c.Services[i].ID) })
	each("integrations", len(s.c.Integrations), func(i int) string { return string(s.c.Integrations[i].ID) })
	each("people", len(s.c.People), func(i int) string { return string(s.c.People[i].ID) })
	each("schedules", len(s.c.Schedules), func(i int) string { return string(s.c.Schedules[i].ID) })
}

func (s *source) oneOf(p place, what, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		s.fault(p, "%s must be one of %s", what, strings.Join(allowed, ", "))
	}
}

func (s *source) sources() {
	seen := map[string]bool{}
	for i, x := range s.c.Sources {
		switch {
		case x.Name == "":
			s.fault(s.at("sources", i, "name"), "a source has no name; it is the cluster label of its samples, else its token's name")
		case seen[x.Name]:
			s.fault(s.at("sources", i, "name"), "the source is listed twice; remove one")
		}
		seen[x.Name] = true
		if _, ok := s.c.Service(x.Service); !ok {
			s.fault(s.at("sources", i, "service"), "the source's service is not listed; add it to services or correct the name")
		}
	}
}

func (s *source) teams() {
	for i, t := range s.c.Teams {
		s.oneOf(s.at("teams", i, "kind"), "kind", t.Kind, "product", "operations", "enabler", "specialist")
		if t.Schedule != "" {
			if _, ok := s.c.Schedule(t.Schedule); !ok {
				s.fault(s.at("teams", i, "schedule"), "the team's schedule is not listed; add it to schedules or correct the name")
			}
		}
		for n, p := range t.OnCall {
			if _, ok := s.c.Person(p); !ok {
				s.fault(s.at("teams", i, "oncall", n), "oncall names a person who is not listed; add the person to people or correct the name")
			}
		}
		if t.Schedule == "" && len(t.OnCall) == 0 && s.owns(t.ID) {
			s.fault(s.at("teams", i), "the team owns something and nobody of it could be called; give it a schedule, or people under oncall")
		}
		s.escalation(i, t)
		if t.FalsePagesPerWeek < 0 || s.has("teams", i, "false_pages_per_week") && s.zero("teams", i, "false_pages_per_week") {
			s.fault(s.at("teams", i, "false_pages_per_week"), "false_pages_per_week must be more than 0; to page nobody run: tocsin observe TEAM")
		}
		if !t.Sensitivity.Known() {
			s.fault(s.at("teams", i, "sensitivity"), "sensitivity must be quiet, balanced or early")
		}
		s.workingHours(i, t.WorkingHours)
	}
}

func (s *source) owns(id TeamID) bool {
	return slices.ContainsFunc(s.c.Services, func(x Service) bool { return x.Team == id }) ||
		slices.ContainsFunc(s.c.Integrations, func(x Integration) bool { return x.Team == id })
}

// zero says whether the key's value is written as a zero, which the decoded
// value cannot tell from an absent one.
func (s *source) zero(list string, index int, key string) bool {
	var v float64
	return s.at(list, index, key).node.Decode(&v) == nil && v == 0
}

func (s *source) services() {
	for i, v := range s.c.Services {
		s.oneOf(s.at("services", i, "kind"), "kind", v.Kind, "digital", "cots", "foundational")
		if _, ok := s.c.Team(v.Team); !ok {
			s.fault(s.at("services", i, "team"), "a service belongs to exactly one team, and this one is not listed; add it to teams or correct the name")
		}
		for n, id := range v.Calls {
			if _, ok := s.c.Integration(id); !ok {
				s.fault(s.at("services", i, "calls", n), "calls names an integration that is not listed; add it to integrations or correct the name")
			}
		}
		s.link(i, "services", "runbook", v.Runbook)
		s.link(i, "services", "dashboard", v.Dashboard)
	}
	for i, v := range s.c.Integrations {
		s.link(i, "integrations", "runbook", v.Runbook)
		s.link(i, "integrations", "status_page", v.StatusPage)
		if _, ok := s.c.Team(v.Team); v.Team != "" && !ok {
			s.fault(s.at("integrations", i, "team"), "the integration's team is not listed; add it to teams, correct the name, or leave it out (then the calling service's team deals with it)")
		}
	}
}

func (s *source) link(i int, list, key, value string) {
	if value != "" && !Link(value) {
		s.fault(s.at(list, i, key), "%s must be an http or https address: it is a link in tickets and pages", key)
	}
}

// Link says whether people can open text in a browser.
func Link(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

func (s *source) people() {
	for i, p := range s.c.People {
		if !zone(p.TimeZone) {
			s.fault(s.at("people", i, "time_zone"), "time_zone is not known; use an IANA name, for example Europe/Berlin")
		}
		if len(p.Contacts) == 0 {
			s.fault(s.at("people", i), "the person has no contact; add one, for example {channel: mail, to: anna@example.com}, or {channel: log}")
		}
		for n, c := range p.Contacts {
			if c.Channel == "" {
				s.fault(s.at("people", i, "contacts", n), "the contact names no channel; use the name of one under channels in tocsin.yaml, or log")
			}
			mailed := slices.Contains([]string{"mail", "email", "smtp"}, c.Channel) || strings.Contains(c.To, "@")
			if mailed && !address(c.To) {
				s.fault(s.at("people", i, "contacts", n, "to"), "to is not a mail address; write it bare, for example anna@example.com")
			}
		}
	}
}

func zone(name string) bool {
	if name == "Local" || name == "" {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}

func address(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && a.Name == ""
}

// ChannelFaults checks people's contacts against the configured channels, name
// to kind: each must exist, and mail needs an address.
func (c *Catalog) ChannelFaults(kinds map[string]string) (faults fault.List) {
	for i, p := range c.People {
		for n, k := range p.Contacts {
			kind, ok := kinds[k.Channel]
			switch {
			case !ok:
				faults = append(faults, c.Fault(fault.Error, "people", i, "a contact of person "+string(p.ID)+" uses a channel that tocsin.yaml does not list under channels; add the channel or correct the contact", "contacts", n, "channel"))
			case kind == "smtp" && !address(k.To):
				faults = append(faults, c.Fault(fault.Error, "people", i, "a contact of person "+string(p.ID)+" goes by mail and its to is not a mail address", "contacts", n, "to"))
			}
		}
	}
	return faults
}
