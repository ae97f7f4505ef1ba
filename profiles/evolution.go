package profiles

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/rule"
)

// Evolution says how profiles follow what is observed, and how a changed policy
// reaches everybody.
type Evolution struct {
	// GrowAfter is how long the volume must be in a higher tier before it is proposed;
	// default 24h.
	GrowAfter time.Duration `yaml:"grow_after"`
	// ShrinkAfter is the same for a lower tier; default 168h.
	ShrinkAfter time.Duration `yaml:"shrink_after"`
	// Margin is the part of a tier's bound by which the volume must be beyond it;
	// default 0.2; with 0 the bound itself counts.
	Margin float64 `yaml:"margin"`
	// ShadowFor is how long a proposed revision runs beside the active one; default 24h.
	ShadowFor time.Duration `yaml:"shadow_for"`
	// Promote says who puts a revision in force: record (default), when what it would
	// have paged is within the budget, or person.
	Promote string `yaml:"promote"`
	// AcceptAfter is how long a lasting change fires before it is taken as the usual;
	// default 168h.
	AcceptAfter time.Duration `yaml:"accept_after"`
	// Stages are the percentages of tenants that get a changed policy, one after the
	// other; default 1, 10, 100.
	Stages []float64 `yaml:"stages"`
	// StageFor is how long each stage runs in shadow; default 24h.
	StageFor time.Duration `yaml:"stage_for"`
	// ShadowPagesPerWeek is how many pages a week more than the policy in force a
	// changed one may have called for in shadow, over all tenants of a team; a stage
	// with more is halted. Default: the team's budget of false pages; with 0 one more halts.
	ShadowPagesPerWeek *float64 `yaml:"shadow_pages_per_week"`
}

// accepts is after how many seconds a rule takes a change that lasts for the usual; of
// kinds that learn nothing 0.
func (p *Policy) accepts(k rule.Kind) float64 {
	if !k.Budgeted() {
		return 0
	}
	return p.Evolution.AcceptAfter.Seconds()
}

// Who promotes.
const (
	ByRecord = "record"
	ByPerson = "person"
)

// Promoters lists them.
func Promoters() []string { return []string{ByRecord, ByPerson} }

const defaultMargin = 0.2

// setting is one of the durations of an Evolution.
type setting struct {
	key             string
	value           *time.Duration
	least, standard time.Duration
}

func (e *Evolution) durations() []setting {
	const day = 24 * time.Hour
	return []setting{{"grow_after", &e.GrowAfter, time.Hour, day}, {"shrink_after", &e.ShrinkAfter, time.Hour, 7 * day}, {"shadow_for", &e.ShadowFor, time.Minute, day},
		{"accept_after", &e.AcceptAfter, day, 7 * day}, {"stage_for", &e.StageFor, time.Minute, day}}
}

// fill puts the defaults where nothing was read; that of Margin was there before.
func (e *Evolution) fill() {
	for _, d := range e.durations() {
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if e.Promote == "" {
		e.Promote = ByRecord
	}
	if len(e.Stages) == 0 {
		e.Stages = []float64{1, 10, 100}
	}
}

// check names what is wrong with filled settings.
func (e Evolution) check() (faults []string) {
	for _, d := range e.durations() {
		if *d.value < d.least {
			faults = append(faults, "evolution."+d.key+" must be at least "+d.least.String())
		}
	}
	if !(e.Margin >= 0 && e.Margin < 1) {
		faults = append(faults, "evolution.margin must be at least 0 and below 1, for example 0.2")
	}
	if !slices.Contains(Promoters(), e.Promote) {
		faults = append(faults, "evolution.promote must be record or person")
	}
	sound := e.Stages[len(e.Stages)-1] == 100 && slices.IsSorted(e.Stages)
	for i, s := range e.Stages {
		sound = sound && s > 0 && s <= 100 && (i == 0 || s > e.Stages[i-1])
	}
	if !sound {
		faults = append(faults, "evolution.stages must be percentages that grow and end with 100, for example [1, 10, 100]")
	}
	if n := e.ShadowPagesPerWeek; n != nil && !(*n >= 0) {
		faults = append(faults, "evolution.shadow_pages_per_week must not be negative")
	}
	return faults
}
