package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
)

// ITSM lists the ticket systems.
type ITSM struct {
	Default string   `yaml:"default"` // default register
	Systems []System `yaml:"systems"`
}

// System is one ticket system.
type System struct {
	Name             string `yaml:"name"`
	Kind             string `yaml:"kind"` // register, rt
	URL              string `yaml:"url"`
	TokenFile        string `yaml:"token_file"`
	Queue            string `yaml:"queue"`
	CorrelationField string `yaml:"correlation_field"`
	// ResolutionField is the field of a ticket that says how it was resolved, for an rt
	// system a custom field; Verdicts says what its values mean: real, false, expected,
	// duplicate. Values that are not listed say nothing.
	ResolutionField string                   `yaml:"resolution_field"`
	Verdicts        map[string]alert.Verdict `yaml:"verdicts"`
	Mode            string                   `yaml:"mode"` // observe (default), live
	Poll            time.Duration            `yaml:"poll"` // how often changes are asked for; default 5s
}

func (t ITSM) check(fault func(string, ...any)) {
	names := map[string]bool{}
	for i, s := range t.Systems {
		where := fmt.Sprintf("itsm.systems[%d] (%s)", i, s.Name)
		if s.Name == "" || names[s.Name] {
			fault("%s: name is missing or used twice", where)
		}
		names[s.Name] = true
		if s.Mode != "observe" && s.Mode != "live" {
			fault("%s: mode must be observe or live", where)
		}
		s.checkVerdicts(where, fault)
		switch s.Kind {
		case "register":
		case "rt":
			if s.URL == "" || s.TokenFile == "" || s.Queue == "" {
				fault("%s: an rt system needs url, token_file and queue", where)
			}
		default:
			fault("%s: kind must be register or rt", where)
		}
		if s.Poll < time.Second {
			fault("%s: poll must be at least 1s", where)
		}
	}
	if !names[t.Default] {
		fault("itsm.default names no system under itsm.systems")
	}
}

func (s System) checkVerdicts(where string, fault func(string, ...any)) {
	if (s.ResolutionField == "") != (len(s.Verdicts) == 0) {
		fault("%s: resolution_field and verdicts belong together: which field of a ticket says how it was resolved, and what its values mean", where)
	}
	if s.ResolutionField != "" && s.Kind == "register" {
		fault("%s: the register has no field for how a ticket was resolved; say what it was on the incident's page", where)
	}
	seen := map[string]bool{}
	for _, code := range slices.Sorted(maps.Keys(s.Verdicts)) {
		if !slices.Contains(alert.Verdicts(), s.Verdicts[code]) {
			fault("%s: verdicts: what a resolution means must be one of %v", where, alert.Verdicts())
		}
		if seen[strings.ToLower(code)] {
			fault("%s: verdicts: upper and lower case are the same to a ticket system, so that two of the resolutions are one", where)
		}
		seen[strings.ToLower(code)] = true
	}
}

// Verdict is what a ticket's resolution says that it was; empty: nothing.
func (s System) Verdict(resolution string) alert.Verdict {
	for code, v := range s.Verdicts {
		if strings.EqualFold(code, strings.TrimSpace(resolution)) {
			return v
		}
	}
	return ""
}
