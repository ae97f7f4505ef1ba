package views

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/dashboards"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

func (v *Views) tenants(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	l, err := v.look(r.Context())
	if err != nil {
		return err
	}
	l = l.covered(p)
	tone, cursor := r.URL.Query().Get("state"), r.URL.Query().Get("cursor")
	page := view.TenantsPage{Frame: v.frame(r, p), Query: search(r, "q"), Of: len(l.standing)}
	page.Filter = page.Query != "" || tone != ""
	n := map[view.Tone]int{}
	for _, s := range l.standing {
		n[s.tone]++
	}
	for _, t := range view.Tones() {
		page.Tones = append(page.Tones, view.Choice{Value: string(t), Name: fmt.Sprintf("%s (%d)", strings.ToLower(t.Word()), n[t]), Chosen: string(t) == tone})
	}
	for _, s := range l.standing {
		if tone != "" && string(s.tone) != tone || !matches(page.Query, string(s.tenant.ID), s.tenant.Name) {
			continue
		}
		page.Total++
		if string(s.tenant.ID) <= cursor || len(page.Rows) > listLength {
			continue
		}
		if len(page.Rows) == listLength {
			if page.Next == "" {
				page.Next = with(r, "cursor", page.Rows[listLength-1].ID)
			}
			continue
		}
		row := view.TenantLine{ID: string(s.tenant.ID), Name: s.tenant.Name, URL: v.tenantURL(p, string(s.tenant.ID)), Tone: s.tone, Say: s.say}
		row.PerMinute, row.PerMinuteOf = s.volume()
		if at := s.glance.LastReceivedAt; at != nil {
			row.LastAt = *at
		}
		page.Rows = append(page.Rows, row)
	}
	if cursor != "" {
		page.First = with(r, "cursor", "")
	}
	return v.entry.Pages.Tenants(web.HTML(w, http.StatusOK), page)
}

// known is all there is to show of a tenant, read in its owner at one moment.
type known struct {
	profile   profiles.Profile
	revisions []profiles.Triple
	status    evaluate.Status
	standing  []string
}

func (v *Views) tenant(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	if err := v.api.Here(r.Context(), id.Subject()); err != nil { // who serves it knows it best
		return err
	}
	t, ok := v.api.Flow.Directory().Get(id)
	if !ok {
		return problem.New(problem.NotFound, "there is no such tenant").WithHint("look for it in the list of tenants; one that was never onboarded is among the sources")
	}
	var k known
	err := v.api.Decide(r.Context(), id.Subject(), func(tx *partition.Tx, h *flow.Handler) (err error) {
		k.status = h.Status(id, tx.Now())
		if k.revisions, err = course.Revisions(tx, id); err != nil {
			return err
		}
		if _, k.standing, err = h.Profiles().Standing(tx, t); err != nil {
			return err
		}
		k.profile, err = v.api.Flow.Profiles().Profile(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	incidents, err := v.api.Incidents.All(r.Context(), p)
	if err != nil {
		return err
	}
	page := view.TenantPage{Frame: v.frame(r, p), ID: string(id), Name: t.Name, Facts: facts(t, k.status), Signals: v.signals(t, k, p), Silent: silent(k),
		Ledger: v.to(p, "/ledger", "/ledger", map[string][]string{"subject": {id.Subject()}})}
	var open []incident.Incident
	for _, i := range incidents {
		if !slices.ContainsFunc(i.Tenants, func(x incident.Tenant) bool { return x.ID == id }) {
			continue
		}
		if i.State != incident.StateResolved {
			open = append(open, i)
			page.Open = append(page.Open, v.row(i, p))
		} else if len(page.Past) < 10 {
			page.Past = append(page.Past, v.row(i, p))
		}
	}
	page.Asked = queried(id, k.profile.Rules, open)
	stands := judge(t, glance(t, k.status), firing(open)[id]).seenBy(p)
	page.Tone, page.Say = stands.tone, stands.say
	if page.Say == "" {
		page.Say = "Nothing is broken, and it is seen."
	}
	page.Watches, page.Standing = watches(k.profile), k.standing
	recent := k.revisions[max(0, len(k.revisions)-maxRevisions-1):] // one more, to compare the oldest shown with
	for _, x := range slices.Backward(v.api.Flow.Profiles().Explain(r.Context(), recent)) {
		if len(page.Revisions) == maxRevisions {
			break
		}
		page.Revisions = append(page.Revisions, view.Revision{Number: x.Number, At: x.At, Author: v.actorName(x.Author), Cause: x.Cause, Changes: x.Diff.Words})
	}
	return v.entry.Pages.Tenant(web.HTML(w, http.StatusOK), page)
}

// watches sets each rule beside the reason why the tenant has it; a reason that
// speaks of no rule stands alone.
func watches(p profiles.Profile) []view.Watched {
	out := make([]view.Watched, 0, len(p.Reasons))
	for n, what := range p.Describe() {
		w := view.Watched{What: what}
		for _, reason := range p.Reasons {
			if why, ok := strings.CutPrefix(reason, p.Rules[n].Name+": "); ok {
				w.Why = view.Sentence(why)
			}
		}
		out = append(out, w)
	}
	for _, reason := range p.Reasons {
		name, _, _ := strings.Cut(reason, ": ")
		if !slices.ContainsFunc(p.Rules, func(r rule.Rule) bool { return r.Name == name }) {
			out = append(out, view.Watched{What: view.Sentence(reason)})
		}
	}
	return out
}

// maxRevisions bounds the timeline; the API lists all of them.
const maxRevisions = 30

func glance(t tenant.Tenant, st evaluate.Status) evaluate.Glance {
	return evaluate.Glance{Tenant: t.ID, Watched: t.Watched(), Blind: st.Blind, Young: st.Young, LastReceivedAt: st.LastReceivedAt}
}

// facts are the tenant's document and what arrives, as a person wants them.
func facts(t tenant.Tenant, st evaluate.Status) []view.Fact {
	out := []view.Fact{{Name: "State", Value: string(t.State)}, {Name: "Onboarded", Value: t.OnboardedAt.UTC().Format("2 January 2006")}, {Name: "Time zone", Value: t.Timezone}}
	add := func(name, value string) {
		if value != "" {
			out = append(out, view.Fact{Name: name, Value: value})
		}
	}
	add("Features", strings.Join(t.Features, ", "))
	add("Services", strings.Join(t.Services, ", "))
	add("Countries", strings.Join(t.Countries, ", "))
	add("Integrations", strings.Join(t.Integrations, ", "))
	if t.ExpectedTPM > 0 {
		add("Expected", alert.Count(t.ExpectedTPM)+" transactions a minute")
	}
	if t.Priority {
		add("Priority", "may wake somebody on its own at night")
	}
	if st.LastReceivedAt != nil {
		add("Samples", fmt.Sprintf("last at %s UTC; %d series, %d of them sending", st.LastReceivedAt.UTC().Format("2 Jan 15:04:05"), st.Series, st.SeriesLive))
	}
	if st.LateSamples > 0 || st.RefusedSamples > 0 {
		add("Left out", fmt.Sprintf("%d samples came too late, %d were over a limit", st.LateSamples, st.RefusedSamples))
	}
	if st.Young && st.YoungUntil != nil && st.LastReceivedAt != nil {
		add("Learning", "only hard faults are seen until "+st.YoungUntil.UTC().Format("2 Jan 15:04")+" UTC")
	}
	return out
}

// silent are the SLIs of the profile of which nothing came.
func silent(k known) []string {
	if k.status.LastReceivedAt == nil {
		return nil
	}
	var out []string
	for _, s := range profiles.SLIs(k.profile.Rules) {
		if !slices.ContainsFunc(k.status.SLIs, func(x evaluate.SLIStatus) bool { return x.Name == s.Name }) && !slices.Contains(out, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

// What a tenant's page shows of a signal.
const (
	signalSpan   = 3 * time.Hour
	signalHeight = 320
)

func (v *Views) signals(t tenant.Tenant, k known, p web.Principal) []view.Signal {
	now := minutes(v.api.Now())
	var out []view.Signal
	for n, s := range k.status.SLIs {
		g := view.Signal{ID: "signal-" + strconv.Itoa(n), Name: s.Name, Environment: s.Environment, PerMinute: s.RatePerMinute}
		for _, x := range s.Slices {
			rl, ok := v.api.Rule(x.Rule)
			if !ok {
				continue
			}
			path := dashboards.ForRule(rl, s.Environment).PathTo(dashboards.Span{Tenant: t.ID, Slice: x.Slice}) + "&environment=" + s.Environment
			row := view.SignalRow{Rule: x.Rule, Slice: dims(x.Slice), PerMinute: pace(x), Usual: usual(rl, x), Sees: sees(x), Firing: x.Firing, Learning: x.Young}
			if v.may(p, http.MethodGet, "/dashboards/{rule}") {
				row.URL = path
			}
			if g.Chart == nil && len(x.Slice) == 0 && row.URL != "" {
				q := dashboards.Span{Tenant: t.ID, From: now.Add(-signalSpan), To: now}.Query()
				q.Set("environment", s.Environment)
				q.Set("height", strconv.Itoa(signalHeight))
				g.Chart = drawn(&url.URL{Path: "/dashboards/" + x.Rule + "/picture", RawQuery: q.Encode()}, fmt.Sprintf("%s of %s over the last three hours", s.Name, t.Name))
				g.Chart.Height, g.Chart.Lazy = signalHeight, n > 0
			}
			if len(x.Slice) == 0 || x.Firing {
				g.Rows = append(g.Rows, row)
			} else {
				g.More = append(g.More, row)
			}
		}
		slices.SortStableFunc(g.Rows, byRule)
		slices.SortStableFunc(g.More, byRule)
		out = append(out, g)
	}
	return out
}

// queried are the rules that ask the metrics history, and whether an alert of theirs fires in
// one of the incidents.
func queried(id tenant.ID, rules []rule.Rule, open []incident.Incident) (out []view.SignalRow) {
	for _, r := range rules {
		words := evaluate.Asks(r)
		if words == "" {
			continue
		}
		firing := slices.ContainsFunc(open, func(i incident.Incident) bool {
			return slices.ContainsFunc(i.Alerts, func(a alert.Alert) bool {
				return a.Tenant == id && a.Service == r.Service && a.Rule == r.Name && a.State == alert.Firing
			})
		})
		out = append(out, view.SignalRow{Rule: r.Name, Sees: []string{words}, Firing: firing})
	}
	return out
}

// pace is the volume at which it is told what is seen: this hour's, where that is known.
func pace(x evaluate.SliceStatus) float64 { return cmp.Or(x.HourRate, x.RatePerMinute) }

func byRule(a, b view.SignalRow) int {
	return cmp.Or(cmp.Compare(a.Rule, b.Rule), slices.CompareFunc(a.Slice, b.Slice, func(x, y view.Dim) int {
		return cmp.Or(cmp.Compare(x.Label, y.Label), cmp.Compare(x.Value, y.Value))
	}))
}

func percent(r float64) string { return hundredths(r) + "%" }

// hundredths writes a ratio times a hundred with two digits that count.
func hundredths(r float64) string {
	if r >= 0.1 {
		return strconv.FormatFloat(100*r, 'f', 0, 64)
	}
	return strconv.FormatFloat(100*r, 'g', 2, 64)
}

// usual says what is usual in the words of the rule's kind.
func usual(r rule.Rule, x evaluate.SliceStatus) string {
	switch r.Kind {
	case rule.Errors:
		return percent(x.Usual) + " fail"
	case rule.BurnRate:
		return percent(x.Usual) + " may fail"
	case rule.Declines:
		return percent(x.Usual) + " are declined"
	case rule.Latency:
		if x.OverSeconds == nil {
			return "not learned yet"
		}
		return fmt.Sprintf("%s take over %s", percent(x.Usual), time.Duration(*x.OverSeconds*float64(time.Second)).Round(time.Millisecond))
	case rule.Absent:
		return ""
	}
	return alert.Count(x.RatePerMinute) + " a minute"
}

// sees says which faults are seen at this hour, and after how long.
func sees(x evaluate.SliceStatus) []string {
	if words := x.Sees(); words != "" {
		return strings.Split(words, "; ")
	}
	return nil
}
