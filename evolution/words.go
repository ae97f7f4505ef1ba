package evolution

import (
	"fmt"
	"time"
)

// Words say where a tenant stands, the most important first, one sentence each. held
// is why nothing may change now besides what the state says.
func (s State) Words(set Settings, held string) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	is := "is"
	if s.Pin != nil {
		say("It is %s.", s.Pin.Words())
		is = "would be"
	}
	if s.Freeze != nil {
		say("It is %s.", s.Freeze.Words())
	}
	if i := set.index(s.Tier); i >= 0 {
		bounds := fmt.Sprintf("from %s transactions a minute", number(set.Tiers[i].From))
		if i+1 < len(set.Tiers) {
			bounds = fmt.Sprintf("from %s to %s transactions a minute", number(set.Tiers[i].From), number(set.Tiers[i+1].From))
		}
		by, volume := "By what was promised", "its volume is not known yet"+set.needs()
		switch {
		case s.TPM > 0:
			by, volume = "By volume", fmt.Sprintf("its volume is about %s a minute", number(s.TPM))
		case s.held(held) != "":
			by = "By what was promised when it was held"
		}
		say("%s it %s in tier %s (%s): %s.", by, is, s.Tier, bounds, volume)
	} else if len(set.Tiers) > 0 {
		say("It %s in no tier yet: its volume is not known%s, and none was promised.", is, set.needs())
	}
	if p := s.Proposal; p != nil {
		say("Proposal %d, from tier %s to %s, is in shadow since %s, until %s at least, because %s.", p.Number, p.From, p.To, clock(p.At), clock(p.Until), p.Cause)
		say("In shadow it would have made %d page(s) more, missed %d, and made %d that were made. Of what is too small to call somebody for it would have opened %d ticket(s) more and missed %d.", p.Extra, p.Missed, p.Agreed, p.Tickets, p.TicketsMissed)
		if right, wrong := p.said(); right+wrong > 0 {
			say("By what people said of those, it was right about %d and wrong about %d.", right, wrong)
		}
		if p.Held != "" {
			say("It waits: %s.", p.Held)
		}
		if p.WaitsSince != nil {
			say("Somebody must decide, since %s: tocsin profile promote puts it in force, tocsin profile refuse drops it.", clock(*p.WaitsSince))
		}
	} else if s.Toward != nil {
		after := set.GrowAfter
		if set.index(s.Toward.Tier) < set.index(s.Tier) {
			after = set.ShrinkAfter
		}
		say("Its volume has been that of tier %s since %s; after %s that is proposed.", s.Toward.Tier, clock(s.Toward.Since), after.Round(time.Minute))
	}
	if r := s.Refused; r != nil {
		say("Tier %s is not proposed before %s, because %s refused it: %s.", r.Tier, clock(r.Until), r.By, r.Reason)
	}
	if held != "" && s.Pin == nil {
		say("Nothing is proposed or promoted now: %s.", held)
	}
	return out
}

// needs says how much must be observed before a volume is known.
func (s Settings) needs() string {
	if s.SeenFor == 0 {
		return ""
	}
	return fmt.Sprintf(" (%g hours of the last day must be observed first)", s.SeenFor.Hours())
}

// said counts the pages that somebody has said something of, by whether the proposal was right.
func (p *Proposal) said() (right, wrong int) {
	for _, g := range p.Pages {
		switch {
		case g.Said == "" || g.Verdict == Agreed:
		case g.against():
			wrong++
		default:
			right++
		}
	}
	return right, wrong
}
