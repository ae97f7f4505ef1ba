package profiles

import (
	"math"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/rota"
)

// Impact says what must be at stake before somebody is called; what is certain and
// smaller is a ticket. A tenant marked priority is enough by itself.
type Impact struct {
	Day   Floor `yaml:"day"`
	Night Night `yaml:"night"`
	// LeastWeight is the share of its team's budget that the smallest tenant's rules
	// have at least, as a part of an equal share; default 0.1.
	LeastWeight float64 `yaml:"least_weight"`
	// Grown is how many times as much of the volume, or as many tenants, an incident that
	// somebody has must come to concern before they are called again for what joined since,
	// where that is enough for a call by itself; above 1, default 2.
	Grown float64 `yaml:"grown"`
}

// Floor is reached by any one of its parts; what is left out has a default.
type Floor struct {
	Share         float64 `yaml:"share"`           // of all tenants' volume that is affected, 0 to 1; default by how many tenants there are
	LossPerMinute float64 `yaml:"loss_per_minute"` // what fails and usually does not, in value_per_transaction's unit; default: no loss is enough by itself
	Tenants       int     `yaml:"tenants"`         // that are affected; default 3, at night 5
}

// Night is a part of every day, in wall-clock time of the zone of the team's working
// hours, with the floor that counts then.
type Night struct {
	From          string  `yaml:"from"`            // default 22:00
	To            string  `yaml:"to"`              // default 07:00
	Share         float64 `yaml:"share"`           // as by day
	LossPerMinute float64 `yaml:"loss_per_minute"` // as by day
	Tenants       int     `yaml:"tenants"`         // as by day
}

// Floor is what must be at stake at night.
func (n Night) Floor() Floor {
	return Floor{Share: n.Share, LossPerMinute: n.LossPerMinute, Tenants: n.Tenants}
}

func (i *Impact) fill() {
	if i.Night.From == "" && i.Night.To == "" {
		i.Night.From, i.Night.To = "22:00", "07:00"
	}
	if i.LeastWeight == 0 {
		i.LeastWeight = 0.1
	}
	if i.Grown == 0 {
		i.Grown = 2
	}
}

// check names what is wrong with filled settings.
func (i Impact) check() (faults []string) {
	if _, ok := catalog.ClockTime(i.Night.From); !ok || i.Night.From == "24:00" {
		faults = append(faults, "impact.night.from must be a time of day like 22:00")
	}
	if _, ok := catalog.ClockTime(i.Night.To); !ok {
		faults = append(faults, "impact.night.to must be a time of day like 07:00")
	}
	for _, f := range []struct {
		at string
		Floor
	}{{"impact.day", i.Day}, {"impact.night", i.Night.Floor()}} {
		if !(f.Share >= 0 && f.Share <= 1) {
			faults = append(faults, f.at+".share must be between 0 and 1: it is a part of the service's volume")
		}
		if !(f.LossPerMinute >= 0) {
			faults = append(faults, f.at+".loss_per_minute must not be negative")
		}
		if f.Tenants < 0 {
			faults = append(faults, f.at+".tenants must not be negative")
		}
	}
	if !(i.LeastWeight > 0 && i.LeastWeight <= 1) {
		faults = append(faults, "impact.least_weight must be above 0 and at most 1")
	}
	if !(i.Grown > 1) || math.IsInf(i.Grown, 1) {
		faults = append(faults, "impact.grown must be above 1, for example 2: an incident is to grow by more than nothing")
	}
	return faults
}

// Limits are what a call needs at an instant where so many tenants share a team's
// budget, and where it is night in the zone for that team. The night demands nothing
// less than the day.
func (i Impact) Limits(tenants int, zone *time.Location, now time.Time) impact.Limits {
	l := impact.Limits{Floor: impact.Floor(i.Day).Or(impact.Day(tenants)), Of: tenants, Grown: i.Grown}
	hours := []catalog.Hours{{From: i.Night.From, To: i.Night.To}}
	if in, _ := rota.Within(hours, zone, now); !in {
		return l
	}
	night := impact.Floor(i.Night.Floor()).Or(impact.AtNight(tenants))
	l.Share, l.Tenants = max(l.Share, night.Share), max(l.Tenants, night.Tenants)
	l.LossPerMinute = max(l.LossPerMinute, night.LossPerMinute)
	l.Night = rota.Words(hours)[len("every day "):] + " " + zone.String()
	return l
}
