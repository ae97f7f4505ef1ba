package flow

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/store"
)

// Drills holds oncall.Drill by id, beside the pages of the default environment.
const Drills = "drill"

const modes = "team" // Mode by team, in the partition of DutySubject

// DrillAge is how old the passed drill may be that a team goes live with.
const DrillAge = 30 * 24 * time.Hour

// Mode is whether a team is paged for real, and who decided so. A team without
// one is as the configuration says.
type Mode struct {
	Team   catalog.TeamID `json:"team"`
	Live   bool           `json:"live"`
	At     time.Time      `json:"at"`
	By     string         `json:"by"`
	Reason string         `json:"reason"`
	Drill  string         `json:"drill"` // id of the drill it rests on; empty: none
}

// Live says whether a team is paged for real at this moment.
func (s *Shared) Live(t catalog.TeamID) bool {
	if m, ok := s.Mode(t); ok {
		return m.Live
	}
	return s.Settings.Live(t)
}

// Mode is what was decided of a team; ok is false when nothing was.
func (s *Shared) Mode(t catalog.TeamID) (m Mode, ok bool) {
	all := s.modes.Load()
	if all == nil {
		return m, false
	}
	m, ok = (*all)[t]
	return m, ok
}

// GoLive has a team paged for real. It needs a drill that has passed lately, or
// force with a reason.
func (s *Shared) GoLive(tx *partition.Tx, team catalog.TeamID, force bool, reason, actor string) (Mode, error) {
	if _, ok := s.Rules().Catalog.Team(team); !ok {
		return Mode{}, noTeam()
	}
	drills, err := s.TeamDrills(tx.Context(), team)
	if err != nil {
		return Mode{}, err
	}
	m := Mode{Team: team, Live: true, At: tx.Now().UTC(), By: actor, Reason: oneLine(reason)}
	n := slices.IndexFunc(drills, func(d oncall.Drill) bool {
		return d.State == oncall.DrillPassed && tx.Now().Sub(*d.FinishedAt) <= DrillAge
	})
	switch {
	case n >= 0:
		m.Drill = drills[n].ID
		m.Reason = cmp.Or(m.Reason, "a drill has passed: "+drills[n].Detail)
	case !force:
		return Mode{}, problem.New(problem.Conflict, "no drill of the team has passed within the last 30 days").
			WithHint("run: tocsin drill --team %s; or go live with --force and a reason", team)
	case m.Reason == "":
		return Mode{}, problem.New(problem.Invalid, "going live without a passed drill needs a reason").WithHint("say why, in a few words")
	default:
		m.Reason = "without a passed drill: " + m.Reason
	}
	return m, s.putMode(tx, m, "team "+string(team)+" is live from now on: it is paged for real; "+m.Reason)
}

// Observe has a team no longer paged: what would be sent is recorded. Pages that
// have not left yet do not leave.
func (s *Shared) Observe(tx *partition.Tx, team catalog.TeamID, reason, actor string) (Mode, error) {
	if _, ok := s.Rules().Catalog.Team(team); !ok {
		return Mode{}, noTeam()
	}
	m := Mode{Team: team, At: tx.Now().UTC(), By: actor, Reason: oneLine(reason)}
	return m, s.putMode(tx, m, strings.TrimSuffix("team "+string(team)+" is observed from now on: nobody of it is paged; "+m.Reason, "; "))
}

func noTeam() error {
	return problem.New(problem.NotFound, "there is no such team").WithHint("give the id of an entry under teams in the catalog")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (s *Shared) putMode(tx *partition.Tx, m Mode, says string) error {
	kind := "team.observed"
	if m.Live {
		kind = "team.live"
	}
	tx.Log(ledger.Entry{Subject: "team/" + string(m.Team), Kind: kind, Actor: m.By, Reason: says, Data: partition.Payload(m)})
	tx.After(func() {
		next := map[catalog.TeamID]Mode{m.Team: m}
		if all := s.modes.Load(); all != nil {
			for t, old := range *all {
				if t != m.Team {
					next[t] = old
				}
			}
		}
		s.modes.Store(&next)
	})
	return tx.Put(modes, string(m.Team), "team", 1, m)
}

// loadModes reads what was decided of teams, as LoadDuty does.
func (s *Shared) loadModes(ctx context.Context) error {
	for {
		if _, here := s.SeatOf(DutySubject); here {
			return nil
		}
		before := s.modes.Load()
		records, err := partition.All(ctx, s.Store, store.PartitionOf(DutySubject), modes)
		if err != nil {
			return err
		}
		all := map[catalog.TeamID]Mode{}
		for _, r := range records {
			m, err := decode[Mode](r)
			if err != nil {
				return err
			}
			all[m.Team] = m
		}
		if s.modes.CompareAndSwap(before, &all) {
			return nil
		}
	}
}

// TeamDrills lists the drills of a team, or of all, the newest first.
func (s *Shared) TeamDrills(ctx context.Context, team catalog.TeamID) ([]oncall.Drill, error) {
	records, err := partition.All(ctx, s.Store, store.PartitionOf(IncidentsSubject(s.Settings.Environment)), Drills)
	if err != nil {
		return nil, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	out := []oncall.Drill{}
	for _, r := range records {
		d, err := decode[oncall.Drill](r)
		if err != nil {
			return nil, err
		}
		if team == "" || d.Team == team {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b oncall.Drill) int { return strings.Compare(b.ID, a.ID) })
	return out, nil
}

// StartDrill tests the way to whoever of a team is on call. To be called in the
// partition of the default environment's incidents.
func (h *Handler) StartDrill(tx *partition.Tx, team catalog.TeamID, by string) (oncall.Drill, error) {
	t, ok := h.s.Rules().Catalog.Team(team)
	if !ok {
		return oncall.Drill{}, noTeam()
	}
	records, err := tx.List(Drills)
	if err != nil {
		return oncall.Drill{}, err
	}
	for _, r := range records {
		d, err := decode[oncall.Drill](r)
		if err != nil {
			return d, err
		}
		if d.Team == team && d.State == oncall.DrillWaiting {
			return d, problem.New(problem.Conflict, "a drill of the team is under way").WithHint("it ends at %s at the latest", d.EndsAt.Format(time.RFC3339))
		}
	}
	duty, err := h.s.Roster().Who(team, tx.Now())
	if err != nil {
		return oncall.Drill{}, err
	}
	c := oncall.StartDrill(h.s.Settings.Environment, duty, by, cmp.Or(t.UnreachableAfter, catalog.DefaultUnreachable), h.s.Settings.Channels(), tx.Now())
	return c.Drill, h.drill(tx, c)
}

func (h *Handler) drill(tx *partition.Tx, c oncall.DrillChange) error {
	tx.Log(c.Ledger...)
	for _, t := range c.Timers {
		tx.SetTimer(t)
	}
	if c.Page != nil {
		if err := h.applyPage(tx, *c.Page); err != nil {
			return err
		}
	}
	if !c.Changed {
		return nil
	}
	return tx.Put(Drills, c.Drill.ID, oncall.DrillKind, oncall.DrillVersion, c.Drill)
}

func getDrill(tx *partition.Tx, id string) (oncall.Drill, error) {
	var d oncall.Drill
	ok, err := tx.Get(Drills, id, &d)
	if err == nil && !ok {
		err = problem.New(problem.NotFound, "there is no such drill")
	}
	return d, err
}

// drilled tells a page's drill how the page stands.
func (h *Handler) drilled(tx *partition.Tx, p oncall.Page) error {
	d, err := getDrill(tx, p.Place.Drill)
	if err != nil {
		return err
	}
	return h.drill(tx, oncall.Drilled(d, p, tx.Now()))
}

// drillOver is the drill's timer.
func (h *Handler) drillOver(tx *partition.Tx, id string) error {
	d, err := getDrill(tx, id)
	if err != nil {
		return err
	}
	p, err := getPage(tx, string(d.Page))
	if err != nil {
		return err
	}
	return h.drill(tx, oncall.DrillOver(d, p, tx.Now()))
}

// passDrill is the button of a drill's page. One that is over stays as it is.
func (h *Handler) passDrill(tx *partition.Tx, p oncall.Page) (incident.Holder, error) {
	d, err := getDrill(tx, p.Place.Drill)
	if err != nil || d.State != oncall.DrillWaiting {
		return incident.Holder{Over: true, Text: "The drill is over: " + d.Detail + "."}, err
	}
	who := h.s.actor(p.Person)
	c, a := oncall.Acknowledge(p, oncall.Actor{Person: who.Person, Name: who.Name}, tx.Now())
	if err := h.applyPage(tx, c); err != nil {
		return incident.Holder{}, err
	}
	return incident.Holder{Taken: a.First, By: who, Via: "page", Since: a.Since, Text: "The drill has passed."}, h.drilled(tx, c.Page)
}
