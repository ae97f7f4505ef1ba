package policies

import (
	"fmt"
	"slices"
	"sync"

	"github.com/tocsin-alerting/tocsin/app/plan"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
)

// RevisionAnswer is a revision of the policy with what it changed.
type RevisionAnswer struct {
	rollout.Revision
	// Changed is what it changed of the revision before; null where none before is kept.
	Changed *Changed `json:"changed"`
}

// Changed is how a revision differs from the one before.
type Changed struct {
	Before   int      `json:"before"`   // the number of that one
	Rules    []string `json:"rules"`    // what differs, one sentence each
	Settings []string `json:"settings"` // the same, besides SLIs and rules
	Unknown  string   `json:"unknown"`  // why nobody can say; empty: it is said
}

// Words are all of it, one sentence each.
func (c Changed) Words() []string {
	switch out := slices.Concat(c.Rules, c.Settings); {
	case c.Unknown != "":
		return []string{c.Unknown}
	case len(out) == 0:
		return []string{"no rule and no setting"}
	default:
		return out
	}
}

// history remembers what revisions changed: texts are kept as they are. The zero value is
// ready; safe for concurrent use.
type history struct {
	mu    sync.Mutex
	known map[[2]string]Changed // by the hashes of both texts
}

const mostKnown = 2000 // changes that are remembered

// Changed says what some of the stored revisions changed, without the texts. list is all
// of them, the oldest first.
func (s *API) Changed(list []rollout.Revision, of func(rollout.Revision) bool) []RevisionAnswer {
	h := &s.history
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known == nil || len(h.known) > mostKnown {
		h.known = map[[2]string]Changed{}
	}
	out := []RevisionAnswer{}
	var last read
	for i, r := range list {
		if !of(r) {
			continue
		}
		a := RevisionAnswer{Revision: r}
		a.Text = ""
		if i > 0 {
			before, key := list[i-1], [2]string{list[i-1].Sha, r.Sha}
			c, ok := h.known[key]
			if !ok {
				was := last
				if was.number != before.Number {
					was = parsed(before)
				}
				last = parsed(r)
				c = compare(was, last)
				h.known[key] = c
			}
			c.Before = before.Number
			a.Changed = &c
		}
		out = append(out, a)
	}
	return out
}

// read is a revision as it is understood; without a policy this release cannot.
type read struct {
	number int
	policy *profiles.Policy
}

func parsed(r rollout.Revision) read {
	p, err := profiles.Stored("policy", []byte(r.Text))
	if err != nil {
		p = nil
	}
	return read{r.Number, p}
}

func compare(before, after read) Changed {
	c := Changed{Rules: []string{}, Settings: []string{}}
	for _, r := range []read{before, after} {
		if r.policy == nil {
			c.Unknown = fmt.Sprintf("revision %d cannot be read by this release", r.number)
			return c
		}
	}
	c.Rules, c.Settings = append(c.Rules, plan.Rules(before.policy, after.policy)...), profiles.Settings(before.policy, after.policy)
	return c
}
