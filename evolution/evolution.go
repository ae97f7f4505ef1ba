// Package evolution decides how one tenant's profile follows the volume that is
// observed of it: when another tier is proposed, how long it runs in shadow, and
// when it is promoted, by its record or by a person; and what holds all of that
// back: a pin, a freeze, a calendar entry.
//
// It knows volumes, names of tiers and times. It must not know rules, policies,
// detectors, stores or clocks: settings and now are arguments.
package evolution

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/ledger"
)

// Tier is a class of tenants by volume. From is its least volume, in transactions a
// minute, included; the first begins at 0.
type Tier struct {
	Name string
	From float64
}

// Settings are what the policy says.
type Settings struct {
	Tiers       []Tier // the smallest first
	GrowAfter   time.Duration
	ShrinkAfter time.Duration
	Margin      float64       // the part of a bound by which the volume must be beyond it
	ShadowFor   time.Duration // at least, before a proposal is promoted
	// KnownAfter is how much later than a page it is known what the other rules made of
	// the fault: a proposal is in shadow for so much longer, so that its last pages count.
	KnownAfter time.Duration
	SeenFor    time.Duration // of the last day that must be observed before the volume is known; for the words
	ByPerson   bool          // only a person promotes
}

// State is what is decided of one tenant. The zero State is a tenant that was just
// onboarded.
type State struct {
	Tier     string    `json:"tier"` // by volume; empty: the policy has none, or nothing was looked at yet
	TPM      float64   `json:"tpm"`  // transactions a minute, to a power of two; 0: not known
	Toward   *Toward   `json:"toward"`
	Proposal *Proposal `json:"proposal"` // in shadow
	Made     int       `json:"made"`     // proposals so far
	Refused  *Refusal  `json:"refused"`
	Pin      *Pin      `json:"pin"`
	Freeze   *Freeze   `json:"freeze"`
}

// Toward is another tier in which the volume has been without interruption.
type Toward struct {
	Tier  string    `json:"tier"`
	Since time.Time `json:"since"`
}

// Proposal is a tier that runs in shadow beside the one in force.
type Proposal struct {
	Number int       `json:"number"`
	From   string    `json:"from"` // tiers
	To     string    `json:"to"`
	Cause  string    `json:"cause"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"` // not promoted before
	Held   string    `json:"held"`  // why it waits although that is over; empty: it does not
	// WaitsSince is since when only a person can decide; nil: it is in shadow still, or
	// something else holds it.
	WaitsSince *time.Time `json:"waits_since"`
	Extra      int        `json:"extra"` // pages that only the proposal would have made
	Agreed     int        `json:"agreed"`
	Missed     int        `json:"missed"` // pages that only the rules in force made
	// Tickets that call nobody, and that only one of the two would open.
	Tickets       int    `json:"tickets"`
	TicketsMissed int    `json:"tickets_missed"`
	Pages         []Page `json:"pages"` // the oldest first, at most mostPages
}

// Refusal is a person's no to a tier. It is not proposed again before Until.
type Refusal struct {
	Tier   string    `json:"tier"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

const refusedFor = 30 * 24 * time.Hour

// Input is what is known at the moment of a decision.
type Input struct {
	Settings Settings
	TPM      float64 // mean of the last day
	Known    bool    // enough of that day was observed
	Promised float64 // at onboarding
	Held     string  // why nothing may be proposed or promoted now, besides what State says; empty: it may
	Unseen   bool    // the proposal does not run in shadow now: its time there begins anew
}

// Change is what a decision makes of a State.
type Change struct {
	State   State
	Changed bool
	Ledger  []ledger.Entry // without a subject
	// Assign is the cause of a revision that comes in force by the decision; empty:
	// none does.
	Assign string
}

func (c *Change) log(kind, actor, format string, args ...any) {
	c.Changed = true
	c.Ledger = append(c.Ledger, ledger.Entry{Kind: kind, Actor: actor, Reason: fmt.Sprintf(format, args...)})
}

// Look takes note of the volume and decides what is due at now.
func Look(s State, in Input, now time.Time) Change {
	c := Change{State: s}
	c.expire(now)
	c.measure(in)
	if !c.place(in) {
		return c
	}
	at := in.Settings.index(c.State.Tier)
	if in.Known {
		c.follow(in, at, now)
	}
	held := c.State.held(in.Held)
	if p := c.State.Proposal; p != nil && in.Unseen {
		next := *p
		next.Until = now.UTC().Add(in.Settings.ShadowFor + in.Settings.KnownAfter)
		c.State.Proposal, c.Changed = &next, true
	}
	switch p := c.State.Proposal; {
	case p == nil && held == "":
		c.propose(in, at, now)
	case p == nil:
	case held == "" && !now.Before(p.Until):
		why := c.byRecord(in.Settings, now)
		c.hold(why)
		c.wait(why != "", now)
	default:
		c.hold(held)
		c.wait(false, now)
	}
	return c
}

// wait notes since when a proposal waits for a person.
func (c *Change) wait(waits bool, now time.Time) {
	p := c.State.Proposal
	if p == nil || waits == (p.WaitsSince != nil) {
		return
	}
	next, at := *p, now.UTC()
	if next.WaitsSince = nil; waits {
		next.WaitsSince = &at
	}
	c.State.Proposal, c.Changed = &next, true
}

// measure keeps the volume to a power of two, and only when it has doubled or halved:
// what follows from it need not move with every hour.
func (c *Change) measure(in Input) {
	if !in.Known || !(in.TPM >= 0) || math.IsInf(in.TPM, 1) {
		return
	}
	tpm := Rounded(in.TPM)
	if old := c.State.TPM; tpm != old && (old == 0 || in.TPM >= 2*old || in.TPM <= old/2) {
		c.State.TPM, c.Changed = tpm, true
	}
}

// Rounded is the power of two nearest to a volume; below an eighth it is that.
func Rounded(tpm float64) float64 {
	return math.Exp2(math.Round(math.Log2(math.Max(tpm, 0.125))))
}

// place sees that the tenant is in a tier that the policy has; false: it has none.
func (c *Change) place(in Input) bool {
	s := &c.State
	if len(in.Settings.Tiers) == 0 {
		if s.Tier != "" || s.Proposal != nil {
			s.Tier, s.Toward, s.Proposal = "", nil, nil
			c.log("profile.tier", "", "the policy has no tiers any more")
			c.Assign = "the policy has no tiers any more"
		}
		return false
	}
	if p := s.Proposal; p != nil && (in.Settings.index(p.To) < 0 || in.Settings.index(p.From) < 0) {
		c.withdraw("the policy has other tiers now")
	}
	if in.Settings.index(s.Tier) >= 0 {
		c.promise(in)
		return s.Tier != ""
	}
	if s.Tier == "" && !in.Known && !(in.Promised > 0) {
		return false // nobody knows its size: it has what all have
	}
	tpm, of := in.Promised, "promised"
	if in.Known {
		tpm, of = in.TPM, "observed"
	}
	old := s.Tier
	s.Tier, s.Toward = in.Settings.of(tpm), nil
	why := fmt.Sprintf("%s transactions a minute are %s: tier %s", number(tpm), of, s.Tier)
	if old != "" {
		why += fmt.Sprintf("; the policy has no tier %s any more", old)
		c.Assign = why
	}
	c.log("profile.tier", "", "%s", why)
	return true
}

// promise moves a tenant whose volume was never known to the tier of what is promised of
// it now, within the bounds that hold now.
func (c *Change) promise(in Input) {
	s, old := &c.State, c.State.Tier
	if s.TPM > 0 || s.held(in.Held) != "" {
		return
	}
	next, why := "", "no volume is known of it, and none is promised any more"
	if in.Promised > 0 {
		next = in.Settings.of(in.Promised)
		why = fmt.Sprintf("%s transactions a minute are promised: tier %s instead of %s", number(in.Promised), next, old)
	}
	if next == old {
		return
	}
	s.Tier, s.Toward, c.Assign = next, nil, why
	c.log("profile.tier", "", "%s", why)
}

// follow notes in which direction the volume is beyond the tier's bounds, and takes
// back a proposal that it no longer speaks for.
func (c *Change) follow(in Input, at int, now time.Time) {
	s, set := &c.State, in.Settings
	if p := s.Proposal; p != nil {
		to, from := set.index(p.To), set.index(p.From)
		switch {
		case to > from && in.TPM < set.Tiers[to].From, to < from && in.TPM >= set.Tiers[from].From:
			c.withdraw(fmt.Sprintf("the volume is %s a minute: tier %s fits", number(in.TPM), p.From))
		default:
			return
		}
	}
	next := ""
	switch {
	case at+1 < len(set.Tiers) && in.TPM >= set.Tiers[at+1].From*(1+set.Margin):
		next = set.Tiers[at+1].Name
	case at > 0 && in.TPM < set.Tiers[at].From*(1-set.Margin):
		next = set.Tiers[at-1].Name
	}
	switch {
	case next == "" && s.Toward != nil:
		s.Toward, c.Changed = nil, true
	case next != "" && (s.Toward == nil || s.Toward.Tier != next):
		s.Toward, c.Changed = &Toward{Tier: next, Since: now.UTC()}, true
	}
}

// propose puts the tier that the volume has been in for long enough in shadow.
func (c *Change) propose(in Input, at int, now time.Time) {
	s, set := &c.State, in.Settings
	if s.Toward == nil {
		return
	}
	if r := s.Refused; r != nil && r.Tier == s.Toward.Tier {
		return
	}
	to, after, least := set.index(s.Toward.Tier), set.GrowAfter, ""
	switch bound := set.Tiers[at].From; {
	case to < at:
		after, least = set.ShrinkAfter, fmt.Sprintf("below %s by a margin of %g%%, where tier %s begins", number(bound), 100*set.Margin, s.Tier)
	default:
		least = fmt.Sprintf("above %s by a margin of %g%%, where tier %s begins", number(set.Tiers[to].From), 100*set.Margin, s.Toward.Tier)
	}
	if now.Sub(s.Toward.Since) < after {
		return
	}
	s.Made++
	s.Proposal = &Proposal{Number: s.Made, From: s.Tier, To: s.Toward.Tier, At: now.UTC(), Until: now.UTC().Add(set.ShadowFor + set.KnownAfter), Pages: []Page{},
		Cause: fmt.Sprintf("the volume is %s transactions a minute, %s, since %s", number(in.TPM), least, clock(s.Toward.Since))}
	who := "it is promoted by its record"
	if set.ByPerson {
		who = "a person promotes it"
	}
	c.log("profile.proposed", "", "proposal %d, from tier %s to %s, because %s; it runs in shadow until %s, then %s",
		s.Made, s.Proposal.From, s.Proposal.To, s.Proposal.Cause, clock(s.Proposal.Until), who)
}

// byRecord promotes a proposal that made no page of its own and missed none within
// the time it has to be in shadow, up to now, but for those of which somebody said that it
// was right; else it says why not.
func (c *Change) byRecord(set Settings, now time.Time) (waits string) {
	if set.ByPerson {
		return "a person promotes it, or refuses it"
	}
	p, span := c.State.Proposal, set.ShadowFor
	extra, missed, tickets, right := 0, 0, 0, 0
	for _, g := range p.Pages {
		switch {
		case g.lost():
			return fmt.Sprintf("it would have called nobody for what %s said was real, at %s: a person decides", g.By, clock(g.At))
		case now.Sub(g.At) > span || g.Verdict == Agreed:
		case !g.against():
			right++
		case g.Verdict == Extra:
			extra++
		case g.Verdict == Missed:
			missed++
		default:
			tickets++
		}
	}
	if extra+missed > 0 || tickets > mostTickets {
		return fmt.Sprintf("within %s it would have made %d page(s) more than the rules in force and missed %d of theirs, and opened or missed %d ticket(s) of what is too small to call somebody for, of %d allowed: that must be over first, or a person decides", span, extra, missed, tickets, mostTickets)
	}
	why := fmt.Sprintf("%s; in shadow since %s it would have made the pages that were made, %d, and no other within %s; %d ticket(s) differ", p.Cause, clock(p.At), p.Agreed, span, tickets)
	if right > 0 {
		why += fmt.Sprintf("; %d more page(s) or ticket(s) differ, and it was right by what was said of them", right)
	}
	c.promote("tocsin", why)
	return ""
}

// promote puts the proposal in force.
func (c *Change) promote(by, why string) {
	p := c.State.Proposal
	c.State.Tier, c.State.Toward, c.State.Proposal = p.To, nil, nil
	c.Assign = fmt.Sprintf("tier %s instead of %s: %s", p.To, p.From, why)
	c.log("profile.promoted", by, "proposal %d is in force: %s", p.Number, c.Assign)
}

func (c *Change) withdraw(why string) {
	p := c.State.Proposal
	c.State.Proposal, c.State.Toward = nil, nil
	c.log("profile.withdrawn", "", "proposal %d, from tier %s to %s, is taken back: %s", p.Number, p.From, p.To, why)
}

// hold says why a proposal waits, once.
func (c *Change) hold(why string) {
	p := c.State.Proposal
	if p == nil || p.Held == why {
		return
	}
	next := *p
	next.Held = why
	c.State.Proposal = &next
	if why == "" {
		c.log("profile.resumed", "", "proposal %d waits no longer", p.Number)
		return
	}
	c.log("profile.held", "", "proposal %d waits: %s", p.Number, why)
}

func (s Settings) index(name string) int {
	return slices.IndexFunc(s.Tiers, func(t Tier) bool { return t.Name == name })
}

// of is the tier of a volume.
func (s Settings) of(tpm float64) string {
	for _, t := range slices.Backward(s.Tiers) {
		if tpm >= t.From {
			return t.Name
		}
	}
	return s.Tiers[0].Name
}

func number(v float64) string {
	if v >= 10 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
