package tenancy

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/api/tenants"
	"github.com/tocsin-alerting/tocsin/cmd/tocsin/console"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/rule"
)

// Status shows what arrives for a tenant and what was learned.
type Status struct {
	ID string `arg:"" help:"Tenant."`
}

// Run carries the command out.
func (t Status) Run(ctx context.Context, c *console.Client) error {
	var s tenants.TenantStatus
	if err := c.Call(ctx, http.MethodGet, tenantPath(t.ID)+"/status", nil, &s); err != nil {
		return err
	}
	return c.Print(s, nil, tenantStatusRows(s))
}

func tenantStatusRows(s tenants.TenantStatus) [][]string {
	last := "never"
	if s.LastSampleAt != nil {
		last = s.LastSampleAt.Format(time.RFC3339)
	}
	rows := [][]string{
		{"state", string(s.State)},
		{"series", fmt.Sprintf("%d match an SLI, %d of them sending", s.Series, s.SeriesLive)},
		{"last sample", last},
		{"blind", fmt.Sprint(s.Blind)},
		{"sends", fmt.Sprintf("%.1f samples a second of %.0f, %d series of %d; %d samples taken%s", s.Usage.SamplesPerSecond, s.Usage.SamplesLimit,
			s.Usage.Series, s.Usage.SeriesLimit, s.Usage.Accepted, console.Refused(s.Usage.Refused))},
		{"not judged", fmt.Sprintf("%d samples late, %d of series over the limit or not a number, %d of a second sender; %.0f events after their step had closed, %.0f over gaps", s.LateSamples, s.RefusedSamples, s.RivalSamples, s.LateEvents, s.GapEvents)},
	}
	if s.Young {
		until := "24 h of samples"
		if s.YoungUntil != nil {
			until = s.YoungUntil.Format(time.RFC3339)
		}
		rows = append(rows, []string{"learning", "only hard faults fire until " + until})
	}
	for _, x := range s.SLIs {
		rows = append(rows, []string{"sli " + x.Name, fmt.Sprintf("%s a minute by %s, steps of %gs", alert.Count(x.RatePerMinute), x.Source, x.StepSeconds)})
		if b := x.Beside; b != nil && b.Counts {
			rows = append(rows, []string{"  only compared", fmt.Sprintf("with %s, which counts: %s a minute", b.Source, alert.Count(b.RatePerMinute))})
		} else if b != nil {
			rows = append(rows, []string{"  beside", fmt.Sprintf("%s a minute by %s, %s; %.2f%% fail, here %.2f%%", alert.Count(b.RatePerMinute), b.Source, fewer(b.Difference), 100*b.FailureRatio, 100*x.FailureRatio)})
		}
		if x.CannotJudge != "" {
			rows = append(rows, []string{"  cannot judge", x.CannotJudge})
		}
		if x.Customers != nil {
			rows = append(rows, []string{"  who fails", x.Customers.Words()})
		}
		for _, sl := range x.Slices {
			name := sl.Slice.Key()
			if name == "" {
				name = "total"
			}
			evidence := ""
			if sl.Kind != rule.Absent {
				evidence = fmt.Sprintf("evidence %.1f of %.1f; ", sl.Score, sl.Needed)
			}
			rows = append(rows, []string{"  " + name, fmt.Sprintf("%s: %s; %s%s", sl.Rule, usually(sl), evidence, smallest(sl))})
		}
	}
	if len(s.SLIsWithoutSeries) > 0 {
		rows = append(rows, []string{"no series for", strings.Join(s.SLIsWithoutSeries, ", ")})
	}
	for i, u := range s.SeriesWithoutSLI {
		name := ""
		if i == 0 {
			name = "no SLI for"
		}
		rows = append(rows, []string{name, fmt.Sprintf("%s (%d samples)", u.Metric, u.Samples)})
	}
	return rows
}

// fewer says a difference that is positive when the other source saw fewer events.
func fewer(d float64) string {
	if d < 0 {
		return fmt.Sprintf("%.1f%% more", -100*d)
	}
	return fmt.Sprintf("%.1f%% fewer", 100*d)
}

// usually says what is usual in the words of the rule's kind.
func usually(s evaluate.SliceStatus) string {
	switch {
	case s.Kind == rule.Traffic:
		return alert.Count(s.RatePerMinute) + " a minute usually"
	case s.Kind == rule.Absent:
		return alert.Count(s.RatePerMinute) + " a minute"
	case s.Kind == rule.BurnRate:
		return fmt.Sprintf("%.2f%% may fail", 100*s.Usual)
	case s.Kind == rule.Latency && s.OverSeconds == nil:
		return "no limit is learned yet"
	case s.OverSeconds != nil:
		return fmt.Sprintf("%.2f%% usually take over %g s", 100*s.Usual, *s.OverSeconds)
	}
	return fmt.Sprintf("%.2f%% usually", 100*s.Usual)
}

func smallest(s evaluate.SliceStatus) string {
	if s.Kind == rule.Traffic {
		if s.OutageSeenSeconds == nil {
			return "a total loss is never seen at this volume"
		}
		return fmt.Sprintf("sees a total loss after %s", time.Duration(*s.OutageSeenSeconds*float64(time.Second)).Round(time.Second))
	}
	if s.Kind == rule.Absent {
		return "sees " + s.Sees()
	}
	if s.Kind == rule.BurnRate {
		return fmt.Sprintf("sees %.2f%% failing for an hour", 100*s.Upper)
	}
	if s.SmallestFault == nil {
		return "no fault is seen within ten minutes at this volume"
	}
	return fmt.Sprintf("sees %.1f points more within ten minutes", 100**s.SmallestFault)
}
