package check

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/config"
	"github.com/tocsin-alerting/tocsin/fault"
)

// leastRota is how many people a rota needs so that each has two weeks off after
// a week on call, and one can be ill.
const leastRota = 3

func index(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// secrets looks at every file that the configuration names: fields called
// …_file, wherever they are. One that is missing fails at the first use, at
// night; one that others can read is no secret.
func secrets(c *config.Config) (faults fault.List) {
	each(reflect.ValueOf(c).Elem(), "", func(field, path string) {
		info, err := os.Stat(c.Path(path))
		name := field[strings.LastIndexByte(field, '.')+1:]
		switch {
		case err != nil:
			faults = append(faults, c.Fault(fault.Error, field, name+" cannot be read: "+cause(err)))
		case info.IsDir():
			faults = append(faults, c.Fault(fault.Error, field, name+" is a folder; name the file in it"))
		case name == "ca_file" || name == "cert_file": // these are public
		case info.Mode().Perm()&0o077 != 0:
			faults = append(faults, c.Fault(fault.Warning, field, fmt.Sprintf("%s can be read by others (%04o); chmod 600 it", name, info.Mode().Perm())))
		}
	})
	return faults
}

// each calls f with every field whose key ends in _file and has a value.
func each(v reflect.Value, field string, f func(field, path string)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			each(v.Elem(), field, f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			each(v.Index(i), index(field, i), f)
		}
	case reflect.Struct:
		for key, of := range fault.Keys(v.Type()) {
			at := key
			if field != "" {
				at = field + "." + key
			}
			value := v.FieldByIndex(of.Index)
			if strings.HasSuffix(key, "_file") && value.Kind() == reflect.String {
				if value.String() != "" {
					f(at, value.String())
				}
				continue
			}
			each(value, at, f)
		}
	}
}

// unwise is what a catalog may say and should not.
func unwise(c *config.Config, cat *catalog.Catalog) (faults fault.List) {
	warn := func(list string, i int, message string, path ...any) {
		faults = append(faults, cat.Fault(fault.Warning, list, i, message, path...))
	}
	if len(c.CatalogFiles) == 0 {
		return fault.List{c.Fault(fault.Warning, "catalog_files", "catalog_files is empty: the built-in team is reached by tocsin's log only; write a catalog with the people to call")}
	}
	if len(c.LiveTeams) == 0 {
		faults = append(faults, c.Fault(fault.Warning, "live_teams", "live_teams is empty: every team of the files is observed, and nobody is paged until tocsin live TEAM"))
	}
	for i, t := range cat.Teams {
		team := "team " + string(t.ID)
		owns := slices.ContainsFunc(cat.Services, func(s catalog.Service) bool { return s.Team == t.ID })
		switch {
		case !owns:
		case t.Schedule == "" && len(t.OnCall) < 2:
			warn("teams", i, team+": one person is always on call; give the team a schedule")
		case t.LastResort.Zero() && len(t.Escalation) == 0:
			warn("teams", i, team+": nobody else is called when the person on call does not answer; add escalation steps and a last_resort")
		case t.LastResort.Zero():
			warn("teams", i, team+": the escalation ends without a last resort: when all its steps are silent nobody is called any more; add last_resort", "escalation")
		}
	}
	for i, s := range cat.Schedules {
		people := map[catalog.PersonID]bool{}
		for _, l := range s.Layers {
			for _, m := range l.Members {
				people[m] = true
			}
		}
		if len(people) < leastRota {
			warn("schedules", i, fmt.Sprintf("schedule %s: %d on a rota; with fewer than %d nobody can be ill or on holiday", s.ID, len(people), leastRota))
		}
		if !used(cat, s.ID) {
			warn("schedules", i, "schedule "+string(s.ID)+": no team names it")
		}
	}
	for i, s := range cat.Services {
		if s.Runbook == "" {
			warn("services", i, "service "+string(s.ID)+": no runbook; whoever is called at night has nothing to follow")
		}
	}
	for i, p := range cat.People {
		if callable(cat, p.ID) && !slices.ContainsFunc(p.Contacts, func(k catalog.Contact) bool { return kind(c, k.Channel) != "log" }) {
			warn("people", i, "person "+string(p.ID)+": reached by tocsin's log only; add a contact that wakes them", "contacts")
		}
	}
	return faults
}

func kind(c *config.Config, channel string) string {
	for _, ch := range c.Channels {
		if ch.Name == channel {
			return ch.Kind
		}
	}
	return ""
}

func used(cat *catalog.Catalog, id catalog.ScheduleID) bool {
	return slices.ContainsFunc(cat.Teams, func(t catalog.Team) bool {
		return t.Schedule == id || slices.ContainsFunc(t.Escalation, func(e catalog.Step) bool { return e.Schedule == id })
	})
}

// callable says whether anybody could have tocsin call the person.
func callable(cat *catalog.Catalog, id catalog.PersonID) bool {
	return slices.ContainsFunc(cat.Teams, func(t catalog.Team) bool {
		return slices.Contains(t.OnCall, id) || t.LastResort.Person == id || slices.ContainsFunc(t.Escalation, func(e catalog.Step) bool { return e.Person == id })
	}) || slices.ContainsFunc(cat.Schedules, func(s catalog.Schedule) bool {
		return slices.ContainsFunc(s.Layers, func(l catalog.Layer) bool { return slices.Contains(l.Members, id) })
	})
}
