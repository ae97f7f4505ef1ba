// Package impact decides whether what is wrong is enough to call a person for, or a
// ticket is all it should be.
//
// It knows parts of the volume, money, numbers of tenants and what a policy demands of
// them. It must not know incidents, policies, detectors, stores or clocks: what counts
// at a moment is an argument.
package impact

import (
	"fmt"
	"strconv"
	"strings"
)

// Facts are what is at stake.
type Facts struct {
	Share float64 `json:"share"` // of the volume of all tenants that is affected, 0..1
	Sure  float64 `json:"sure"`  // the part of Share whose evidence is enough for a call
	// Unknown says that some of the affected volume is not known.
	Unknown bool `json:"unknown"`
	// LossPerMinute is what fails and usually does not, in the unit of the tenants'
	// value_per_transaction; 0: nothing, or no value is known.
	LossPerMinute float64 `json:"loss_per_minute"`
	Lost          float64 `json:"lost"`     // of Sure, what does not go well that usually does
	Tenants       int     `json:"tenants"`  // that are affected
	Priority      string  `json:"priority"` // one of them that is marked priority; empty: none is
	// Weak is evidence that is enough for a ticket and too little for a call; nil:
	// there is none.
	Weak *Weak `json:"weak,omitempty"`
}

// Weak is the strongest evidence that is too little for a call.
type Weak struct {
	Evidence float64 `json:"evidence"` // nats
	Needed   float64 `json:"needed"`   // nats
}

// And adds what other tenants have at stake in the same fault.
func (f Facts) And(o Facts) Facts {
	out := f.flags(o)
	out.Share, out.Sure = min(1, f.Share+o.Share), min(1, f.Sure+o.Sure)
	out.LossPerMinute, out.Tenants, out.Lost = f.LossPerMinute+o.LossPerMinute, f.Tenants+o.Tenants, min(1, f.Lost+o.Lost)
	return out
}

// Or is the larger of two views of one fault of the same tenants.
func (f Facts) Or(o Facts) Facts {
	out := f.flags(o)
	out.Share, out.Sure = max(f.Share, o.Share), max(f.Sure, o.Sure)
	out.LossPerMinute, out.Tenants, out.Lost = max(f.LossPerMinute, o.LossPerMinute), max(f.Tenants, o.Tenants), max(f.Lost, o.Lost)
	return out
}

func (f Facts) flags(o Facts) Facts {
	out := Facts{Unknown: f.Unknown || o.Unknown, Priority: f.Priority, Weak: f.Weak}
	if out.Priority == "" || o.Priority != "" && o.Priority < out.Priority {
		out.Priority = o.Priority
	}
	if out.Weak == nil || o.Weak != nil && o.Weak.Evidence > out.Weak.Evidence {
		out.Weak = o.Weak
	}
	return out
}

// Floor is reached by any one of its parts.
type Floor struct {
	Share         float64 `json:"share"`           // of the volume of all tenants; 0: every tenant is enough
	LossPerMinute float64 `json:"loss_per_minute"` // 0: no loss is enough by itself
	Tenants       int     `json:"tenants"`         // 0: no number is enough by itself
}

// Limits are what counts at one moment for one team.
type Limits struct {
	Floor
	Of    int    `json:"of"`    // tenants that there are
	Night string `json:"night"` // "22:00-07:00 Europe/Berlin" while it is; empty: it is day
	// Grown is how many times as large, by volume or tenants, other tenants' faults must make
	// an incident that somebody took before they call; 0: a default.
	Grown float64 `json:"grown,omitempty"`
	Held  string  `json:"held"` // why nobody is called at all; empty: somebody may be
}

// Verdict is the answer, with its reason.
type Verdict struct {
	Wakes  bool   `json:"wakes"`
	Reason string `json:"reason"`
}

// Wakes says whether the facts are enough to call somebody.
func (l Limits) Wakes(f Facts) Verdict {
	if l.Held != "" {
		return Verdict{Reason: l.Held}
	}
	if why := l.enough(f); why != "" {
		return Verdict{Wakes: true, Reason: why}
	}
	small := "certain but small: " + f.Words()
	if w := f.Weak; w != nil && f.Share >= l.Share {
		small = fmt.Sprintf("certain enough for a ticket and not for a call (evidence %.1f of %.1f): %s", w.Evidence, w.Needed, f.Words())
	}
	return Verdict{Reason: small + "; " + l.Demand()}
}

func (l Limits) enough(f Facts) string {
	switch {
	case f.Priority != "":
		return "tenant " + f.Priority + " is marked priority"
	case l.Tenants > 0 && f.Tenants >= l.Tenants:
		return fmt.Sprintf("%s are affected, %d are enough", tenants(f.Tenants), l.Tenants)
	case l.LossPerMinute > 0 && f.LossPerMinute >= l.LossPerMinute:
		return fmt.Sprintf("%s a minute is lost, %s is enough", number(f.LossPerMinute), number(l.LossPerMinute))
	case l.Share <= 0 && f.Weak == nil:
		return fmt.Sprintf("every tenant counts: there are %d", l.Of)
	case f.Unknown:
		return "how much of the volume is affected is not known yet"
	case l.Share > 0 && f.Sure < l.Share && f.Lost >= l.lost():
		return fmt.Sprintf("%s of all volume is lost, %s is enough", Percent(f.Lost), Percent(l.lost()))
	case f.Sure <= 0 || f.Sure < l.Share:
	case l.Share <= 0:
		return fmt.Sprintf("every tenant counts: there are %d", l.Of)
	default:
		return fmt.Sprintf("%s of all volume is affected, %s is enough", Percent(f.Sure), Percent(l.Share))
	}
	return ""
}

// The parts of the volume that a call needs to be affected which are enough when all of
// them is lost: who loses everything loses more than who has ten times as much and fails
// for a twentieth of it, and what is no fault loses a tenth of that at most.
const (
	lostByDay   = 0.1
	lostAtNight = 0.2
)

// lost is the part of the volume that is enough when nothing of it goes well.
func (l Limits) lost() float64 {
	if l.Night != "" {
		return lostAtNight * l.Share
	}
	return lostByDay * l.Share
}

// Words say how much it is.
func (f Facts) Words() string {
	parts := []string{Percent(f.Share) + " of all volume", tenants(f.Tenants)}
	if f.LossPerMinute > 0 {
		parts = append(parts, number(f.LossPerMinute)+" a minute lost")
	}
	return strings.Join(parts, ", ")
}

// Demand says what a call needs.
func (l Limits) Demand() string {
	parts := []string{}
	if l.Share > 0 {
		parts = append(parts, Percent(l.Share)+" of all volume, "+Percent(l.lost())+" lost")
	} else {
		parts = append(parts, "more evidence")
	}
	if l.Tenants > 0 {
		parts = append(parts, tenants(l.Tenants))
	}
	if l.LossPerMinute > 0 {
		parts = append(parts, number(l.LossPerMinute)+" a minute lost")
	}
	parts = append(parts, "a tenant marked priority")
	when := "a call"
	if l.Night != "" {
		when = "a call at night (" + l.Night + ")"
	}
	return when + " needs " + strings.Join(parts[:len(parts)-1], ", ") + " or " + parts[len(parts)-1]
}

func tenants(n int) string {
	if n == 1 {
		return "1 tenant"
	}
	return strconv.Itoa(n) + " tenants"
}

// Percent writes a part of the volume with two digits: 12%, 1.5%, 0.02%.
func Percent(share float64) string {
	if share <= 0 {
		return "0%"
	}
	p, err := strconv.ParseFloat(strconv.FormatFloat(share*100, 'g', 2, 64), 64)
	if err != nil || p < 0.0001 {
		return "under 0.0001%"
	}
	return strconv.FormatFloat(p, 'f', -1, 64) + "%"
}

// number writes money or events with at least three digits and no exponent.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
