package evolution

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// Pin keeps a profile at a tier or a revision, whatever is observed. A roll back is
// a pin at the revision that is gone back to.
type Pin struct {
	Tier     string     `json:"tier"`     // one of the two
	Revision int        `json:"revision"` // of the profile
	Until    *time.Time `json:"until"`    // not included; nil: until it is taken out
	Reason   string     `json:"reason"`
	By       string     `json:"by"`
	At       time.Time  `json:"at"`
}

// String says where the pin keeps the profile.
func (p Pin) String() string {
	if p.Tier != "" {
		return "tier " + p.Tier
	}
	return fmt.Sprintf("revision %d", p.Revision)
}

// Words say all of a pin.
func (p Pin) Words() string {
	return fmt.Sprintf("pinned at %s%s by %s: %s", p, until(p.Until), p.By, p.Reason)
}

// Freeze lets no profile follow anything: no proposal, no promotion, no opt-in.
type Freeze struct {
	Until  *time.Time `json:"until"` // not included; nil: until it is taken out
	Reason string     `json:"reason"`
	By     string     `json:"by"`
	At     time.Time  `json:"at"`
}

// Words say all of a freeze.
func (f Freeze) Words() string {
	return fmt.Sprintf("frozen%s by %s: %s", until(f.Until), f.By, f.Reason)
}

func until(t *time.Time) string {
	if t == nil {
		return ""
	}
	return " until " + clock(*t)
}

// held says why nothing may be proposed or promoted: the pin before the freeze, the
// freeze before what else there is.
func (s State) held(other string) string {
	switch {
	case s.Pin != nil:
		return s.Pin.Words()
	case s.Freeze != nil:
		return s.Freeze.Words()
	}
	return other
}

// expire ends what has ended by now.
func (c *Change) expire(now time.Time) {
	over := func(t *time.Time) bool { return t != nil && !now.Before(*t) }
	s := &c.State
	if s.Pin != nil && over(s.Pin.Until) {
		c.Assign = "the pin at " + s.Pin.String() + " has ended"
		c.log("profile.unpinned", "", "the pin at %s has ended; %s had set it: %s", s.Pin, s.Pin.By, s.Pin.Reason)
		s.Pin = nil
	}
	if s.Freeze != nil && over(s.Freeze.Until) {
		c.Assign = "the freeze has ended"
		c.log("profile.thawed", "", "the freeze has ended; %s had set it: %s", s.Freeze.By, s.Freeze.Reason)
		s.Freeze = nil
	}
	if s.Refused != nil && !now.Before(s.Refused.Until) {
		s.Refused, c.Changed = nil, true
	}
}

// Due is when a Look has something to end or to promote; zero: nothing by time alone.
func (s State) Due() (at time.Time) {
	take := func(t *time.Time) {
		if t != nil && !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = *t
		}
	}
	if s.Pin != nil {
		take(s.Pin.Until)
	}
	if s.Freeze != nil {
		take(s.Freeze.Until)
	}
	if s.Proposal != nil && s.Proposal.Held == "" {
		take(&s.Proposal.Until)
	}
	return at
}

// said says whether a decision of a person is explained and not over already.
func said(reason string, end *time.Time, now time.Time) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return problem.New(problem.Invalid, "reason is missing").WithHint("whoever reads the profile asks why")
	case len(reason) > 500:
		return problem.New(problem.Invalid, "reason is longer than 500 bytes")
	case end != nil && !end.After(now):
		return problem.New(problem.Invalid, "until is over already").WithHint("give a time in the future, or leave it out")
	}
	return nil
}

// PinAt pins a profile; it replaces a pin that is there.
func PinAt(s State, p Pin, now time.Time) (Change, error) {
	if err := said(p.Reason, p.Until, now); err != nil {
		return Change{}, err
	}
	if (p.Tier == "") == (p.Revision == 0) || p.Revision < 0 {
		return Change{}, problem.New(problem.Invalid, "a pin needs a tier or a revision, and not both")
	}
	c := Change{State: s}
	p.At = now.UTC()
	c.State.Pin = &p
	c.Assign = p.Words()
	c.log("profile.pinned", p.By, "the profile is %s", p.Words())
	return c, nil
}

// Unpin takes a pin out.
func Unpin(s State, by, reason string, now time.Time) (Change, error) {
	if err := said(reason, nil, now); err != nil {
		return Change{}, err
	}
	if s.Pin == nil {
		return Change{}, problem.New(problem.Conflict, "the profile is not pinned").WithHint("a pin of the policy is taken out there")
	}
	c := Change{State: s}
	c.Assign = fmt.Sprintf("%s took out the pin at %s: %s", by, s.Pin, reason)
	c.State.Pin = nil
	c.log("profile.unpinned", by, "%s", c.Assign)
	return c, nil
}

// FreezeFor freezes a profile; it replaces a freeze that is there.
func FreezeFor(s State, f Freeze, now time.Time) (Change, error) {
	if err := said(f.Reason, f.Until, now); err != nil {
		return Change{}, err
	}
	c := Change{State: s}
	f.At = now.UTC()
	c.State.Freeze = &f
	c.log("profile.frozen", f.By, "the profile is %s", f.Words())
	return c, nil
}

// Thaw ends a freeze.
func Thaw(s State, by, reason string, now time.Time) (Change, error) {
	if err := said(reason, nil, now); err != nil {
		return Change{}, err
	}
	if s.Freeze == nil {
		return Change{}, problem.New(problem.Conflict, "the profile is not frozen").WithHint("a calendar entry that holds revisions is ended in the policy")
	}
	c := Change{State: s}
	c.State.Freeze = nil
	c.Assign = fmt.Sprintf("%s ended the freeze: %s", by, reason)
	c.log("profile.thawed", by, "%s", c.Assign)
	return c, nil
}

// Promote puts the proposal in force because a person says so, whatever its record.
func Promote(s State, by, reason string, now time.Time) (Change, error) {
	if err := said(reason, nil, now); err != nil {
		return Change{}, err
	}
	switch why := s.held(""); {
	case s.Proposal == nil:
		return Change{}, problem.New(problem.Conflict, "nothing is proposed").WithHint("tocsin profile explain says what is observed")
	case why != "":
		return Change{}, problem.New(problem.Conflict, "the profile is %s", why).WithHint("unpin or thaw it first")
	}
	c := Change{State: s}
	c.promote(by, fmt.Sprintf("%s; %s promoted it: %s", s.Proposal.Cause, by, reason))
	return c, nil
}

// Refuse drops the proposal; its tier is not proposed again for thirty days.
func Refuse(s State, by, reason string, now time.Time) (Change, error) {
	if err := said(reason, nil, now); err != nil {
		return Change{}, err
	}
	if s.Proposal == nil {
		return Change{}, problem.New(problem.Conflict, "nothing is proposed").WithHint("tocsin profile explain says what is observed")
	}
	c := Change{State: s}
	p := s.Proposal
	c.State.Proposal, c.State.Toward = nil, nil
	c.State.Refused = &Refusal{Tier: p.To, Until: now.UTC().Add(refusedFor), By: by, Reason: reason}
	c.log("profile.refused", by, "proposal %d, from tier %s to %s, is refused until %s: %s", p.Number, p.From, p.To, clock(c.State.Refused.Until), reason)
	return c, nil
}
