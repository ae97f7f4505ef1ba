package incident

import (
	"maps"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/impact"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Stake is what one tenant is of the whole.
type Stake struct {
	Share    float64 `json:"share"`                 // of the volume of all tenants, 0..1; 0: not known
	Value    float64 `json:"value_per_transaction"` // 0: not known
	Priority bool    `json:"priority"`
	Held     bool    `json:"held,omitempty"` // the calendar lets nobody be called for it
}

// Stakes is whether what is wrong is enough to call somebody for.
type Stakes struct {
	// Limits are those of the moment at which the incident was decided about last.
	Limits  impact.Limits       `json:"limits"`
	Tenants map[tenant.ID]Stake `json:"tenants"` // of those that have alerts of their own
	Facts   impact.Facts        `json:"facts"`
	Most    impact.Facts        `json:"most"` // that there ever was of each
	impact.Verdict
	// SmallSince is since when somebody would have been called, had more been at
	// stake; nil: that was never all that it wanted in this opening.
	SmallSince *time.Time `json:"small_since"`
}

// Weigh says what counts from now on, and what one of the tenants is of the whole. It
// precedes every decision that may call somebody. An incident that was never weighed
// calls whatever is at stake.
func Weigh(i Incident, l impact.Limits, of map[tenant.ID]Stake) Incident {
	s := Stakes{}
	if i.Stakes != nil {
		s = *i.Stakes
	}
	s.Limits, s.Tenants = l, maps.Clone(s.Tenants)
	if s.Tenants == nil {
		s.Tenants = map[tenant.ID]Stake{}
	}
	maps.Copy(s.Tenants, of)
	i.Stakes = &s
	return i
}

// AtStake is what one alert by itself puts at stake, of a tenant that is so much of
// the whole.
func AtStake(a alert.Alert, of Stake) impact.Facts {
	i := Weigh(Incident{Alerts: []alert.Alert{a}}, impact.Limits{}, map[tenant.ID]Stake{a.Tenant: of})
	return i.facts()
}

// verdict judges what fires at this moment.
func (i Incident) verdict() (impact.Facts, impact.Verdict) {
	s := i.Stakes
	if s == nil {
		return impact.Facts{}, impact.Verdict{Wakes: true}
	}
	f := i.facts()
	v := s.Limits.Wakes(f)
	if !v.Wakes && s.Limits.Held == "" && i.Kind() == rule.Source {
		v = impact.Verdict{Wakes: true, Reason: "nobody watches the tenants of a silent source"}
	}
	return f, v
}

// facts adds up what fires. Of a tenant's alerts, and of all that are judged together,
// the one that concerns most counts: they see the same events.
func (i Incident) facts() (f impact.Facts) {
	type part struct{ share, sure, loss, lost float64 }
	parts := map[tenant.ID]part{}
	touched := map[tenant.ID]bool{}
	for n := range i.Alerts {
		a := &i.Alerts[n]
		if a.State != alert.Firing || a.Backlog {
			continue
		}
		st, p := i.Stakes.Tenants[a.Tenant], parts[a.Tenant]
		if a.Tenant == tenant.Product {
			st.Share = 1
			for _, id := range a.Evidence.Tenants {
				touched[id] = true
			}
		} else {
			touched[a.Tenant] = true
		}
		share := st.Share
		if a.Evidence.Share > 0 {
			share *= a.Evidence.Share
		}
		p.share, p.loss = max(p.share, share), max(p.loss, a.LostPerMinute()*st.Value)
		switch weak := weakness(a); {
		case weak != nil:
			if f.Weak == nil || weak.Evidence > f.Weak.Evidence {
				f.Weak = weak
			}
		case share <= 0:
			f.Unknown = true
		default:
			p.sure, p.lost = max(p.sure, share), max(p.lost, share*lostOf(a))
			if st.Priority && (f.Priority == "" || string(a.Tenant) < f.Priority) {
				f.Priority = string(a.Tenant)
			}
		}
		parts[a.Tenant] = p
	}
	all := parts[tenant.Product]
	delete(parts, tenant.Product)
	var own part
	for _, p := range parts {
		own = part{own.share + p.share, own.sure + p.sure, own.loss + p.loss, own.lost + p.lost}
	}
	f.Share, f.Sure = min(1, max(all.share, own.share)), min(1, max(all.sure, own.sure))
	f.LossPerMinute, f.Tenants, f.Lost = own.loss, len(touched), min(1, max(all.lost, own.lost))
	return f
}

// lostOf is the part of what an alert is about that does not go well and usually does.
func lostOf(a *alert.Alert) float64 {
	if a.Evidence.RatePerMinute <= 0 {
		return 0
	}
	return min(1, a.LostPerMinute()/a.Evidence.RatePerMinute)
}

// weakness is evidence that is too little for a call; nil: it is enough.
func weakness(a *alert.Alert) *impact.Weak {
	if n := a.Nats(); n < a.Evidence.ToPage {
		return &impact.Weak{Evidence: n, Needed: a.Evidence.ToPage}
	}
	return nil
}

// small says why what is at stake is too little to call somebody for; empty: it is
// enough.
func (b *build) small() string {
	s := b.Incident.Stakes
	_, v := b.Incident.verdict()
	if v.Wakes {
		return ""
	}
	if s.SmallSince == nil {
		with := *s
		with.SmallSince = &b.now
		b.Incident.Stakes, b.Changed = &with, true
	}
	return v.Reason
}

// smallSince says since when an incident was too small to call for; zero: it never was.
func (i Incident) smallSince() time.Time {
	if i.Stakes == nil || i.Stakes.SmallSince == nil {
		return time.Time{}
	}
	return *i.Stakes.SmallSince
}

// enough adds to a reason why what is at stake is enough.
func (b *build) enough(reason string) string {
	if _, v := b.Incident.verdict(); v.Reason != "" {
		reason += "; " + v.Reason
	}
	return reason
}

// judged brings the stakes of an incident up to date.
func (b *build) judged() {
	i := &b.Incident
	if i.Stakes == nil || i.State == StateResolved {
		return // how it was while it fired stays readable
	}
	s := *i.Stakes
	s.Facts, s.Verdict = i.verdict()
	s.Most = s.Most.Or(s.Facts)
	i.Stakes = &s
	i.learn(b.now)
}

// unsmall forgets that too little was at stake.
func (b *build) unsmall() {
	if s := b.Incident.Stakes; s != nil && s.SmallSince != nil {
		with := *s
		with.SmallSince = nil
		b.Incident.Stakes = &with
	}
}

// Unheard says why nobody was called, for as long as that is so; empty: somebody was,
// or nobody was to be.
func (i Incident) Unheard() string {
	if i.State == StateOpen && !i.Paged && !i.smallSince().IsZero() && !i.Stakes.Wakes {
		return i.Stakes.Reason
	}
	return ""
}
