package profiles

import (
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/rota"
)

// Limits are what a call needs at an instant where so many tenants share a team's
// budget, and where it is night in the zone for that team. The night demands nothing
// less than the day.
func (i Impact) Limits(tenants int, zone *time.Location, now time.Time) impact.Limits {
	l := impact.Limits{Floor: impact.Floor(i.Day).Or(impact.Day(tenants)), Of: tenants}
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
