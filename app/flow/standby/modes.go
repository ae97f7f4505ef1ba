package standby

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/ledger"
	"github.com/tocsin-alerting/tocsin/oncall"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
)

const modes = "team" // Mode by team, in the partition of Subject

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
func (b *Book) Live(t catalog.TeamID) bool {
	if m, ok := b.Mode(t); ok {
		return m.Live
	}
	return b.Default(t)
}

// Mode is what was decided of a team; ok is false when nothing was.
func (b *Book) Mode(t catalog.TeamID) (m Mode, ok bool) {
	all := b.modes.Load()
	if all == nil {
		return m, false
	}
	m, ok = (*all)[t]
	return m, ok
}

// GoLive has a team paged for real. It needs a drill that has passed lately, or
// force with a reason.
func (b *Book) GoLive(tx *partition.Tx, team catalog.TeamID, force bool, reason, actor string) (Mode, error) {
	if _, ok := b.Catalog().Team(team); !ok {
		return Mode{}, NoTeam()
	}
	drills, err := b.Drills(tx.Context(), team)
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
	return m, b.putMode(tx, m, "team "+string(team)+" is live from now on: it is paged for real; "+m.Reason)
}

// Observe has a team no longer paged: what would be sent is recorded. Pages that
// have not left yet do not leave.
func (b *Book) Observe(tx *partition.Tx, team catalog.TeamID, reason, actor string) (Mode, error) {
	if _, ok := b.Catalog().Team(team); !ok {
		return Mode{}, NoTeam()
	}
	m := Mode{Team: team, At: tx.Now().UTC(), By: actor, Reason: oneLine(reason)}
	return m, b.putMode(tx, m, strings.TrimSuffix("team "+string(team)+" is observed from now on: nobody of it is paged; "+m.Reason, "; "))
}

// NoTeam is that the catalog lists no such team.
func NoTeam() error {
	return problem.New(problem.NotFound, "there is no such team").WithHint("give the id of an entry under teams in the catalog")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (b *Book) putMode(tx *partition.Tx, m Mode, says string) error {
	kind := "team.observed"
	if m.Live {
		kind = "team.live"
	}
	tx.Log(ledger.Entry{Subject: "team/" + string(m.Team), Kind: kind, Actor: m.By, Reason: says, Data: partition.Payload(m)})
	tx.After(func() {
		next := map[catalog.TeamID]Mode{m.Team: m}
		if all := b.modes.Load(); all != nil {
			for t, old := range *all {
				if t != m.Team {
					next[t] = old
				}
			}
		}
		b.modes.Store(&next)
	})
	return tx.Put(modes, string(m.Team), "team", 1, m)
}

// loadModes reads what was decided of teams, as Load does.
func (b *Book) loadModes(ctx context.Context) error {
	for {
		if b.Here() {
			return nil
		}
		before := b.modes.Load()
		list, err := partition.AllOf[Mode](ctx, b.Store, Subject, modes)
		if err != nil {
			return err
		}
		all := map[catalog.TeamID]Mode{}
		for _, m := range list {
			all[m.Team] = m
		}
		if b.modes.CompareAndSwap(before, &all) {
			return nil
		}
	}
}
