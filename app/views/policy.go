package views

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
	"github.com/tocsin-alerting/tocsin/web/view"
)

const (
	revisionsShown = 50
	sentencesShown = 10 // of what each changed
)

// policy shows what is in force, how one policy follows another, and those before.
func (v *Views) policy(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	a, err := v.api.Policies.Policy(r.Context())
	if err != nil {
		return err
	}
	state, err := policy.Read(r.Context(), v.api.Store)
	if err != nil {
		return err
	}
	revisions, err := policy.Revisions(r.Context(), v.api.Store)
	if err != nil {
		return err
	}
	page := view.PolicyPage{Frame: v.frame(r, p), Number: a.Number, Sha: a.Sha, Since: a.Since, By: a.By, Because: view.Sentence(a.Because),
		Ledger: v.to(p, "/ledger", "/ledger", url.Values{"subject": {rollout.Subject}})}
	if state.Rollout.Number > 0 {
		page.Rollout = v.rollout(p, state.Rollout)
	}
	newest := revisions[max(0, len(revisions)-revisionsShown):]
	shown := v.api.Policies.Changed(revisions, func(r rollout.Revision) bool { return r.Number >= newest[0].Number })
	for _, x := range slices.Backward(shown) {
		row := view.PolicyRow{Number: x.Number, At: x.At, By: x.Author, Because: view.Sentence(x.Reason),
			From: map[rollout.Origin]string{rollout.FromFile: "a file", rollout.FromAPI: "the API", rollout.BuiltIn: "this release"}[x.Origin]}
		switch {
		case x.Number == state.Standing.InForce:
			row.Say = "in force"
		case state.Rollout.Open() && x.Number == state.Rollout.To:
			row.Say = "being rolled out"
		}
		if x.Changed != nil {
			for i, words := range x.Changed.Words() {
				if row.More = len(x.Changed.Words()) - i; i == sentencesShown {
					break
				}
				row.More, row.Changed = 0, append(row.Changed, words)
			}
		}
		page.Revisions = append(page.Revisions, row)
	}
	return v.entry.Pages.Policy(web.HTML(w, http.StatusOK), page)
}

func (v *Views) rollout(p web.Principal, r rollout.Rollout) *view.Rollout {
	out := &view.Rollout{To: r.To, State: strings.ReplaceAll(string(r.State), "_", " "), Tone: view.Fine, Why: view.Sentence(r.Why), By: r.Author, Because: view.Sentence(r.Reason), StartedAt: r.StartedAt}
	back := view.Watched{What: "tocsin policy rollback --reason TEXT", Why: fmt.Sprintf("puts revision %d in force for every tenant, at once", r.From)}
	switch r.State {
	case rollout.Shadow:
		out.State, out.Tone = "in shadow", view.Learning
		out.Commands = []view.Watched{back}
	case rollout.Halted:
		out.Tone = view.Degraded
		out.Commands = []view.Watched{{What: "tocsin policy resume --reason TEXT", Why: "goes on: its pages were right"}, back}
	case rollout.RolledBack, rollout.Superseded:
		out.Tone = view.Off
	}
	if r.EndedAt != nil {
		out.EndedAt = *r.EndedAt
	}
	for _, what := range r.Untried {
		out.Untried = append(out.Untried, view.Sentence(what))
	}
	for i, s := range r.Stages {
		row := view.Stage{Name: fmt.Sprintf("up to %g%%", s.Percent), Tenants: s.Tenants, Began: s.StartedAt != nil, Extra: s.Extra, Allowed: s.Allowed, Agreed: s.Agreed, Gone: s.Gone, Tickets: s.Tickets, Say: r.Says(i)}
		if len(s.Teams) > 1 {
			for _, t := range s.Teams {
				row.Teams = append(row.Teams, view.StageTeam(t))
			}
		}
		out.Stages = append(out.Stages, row)
	}
	for _, x := range slices.Backward(r.Pages) {
		var why []string
		for _, s := range x.Sayings() {
			why = append(why, view.Sentence(s))
		}
		row := view.TrialPage{Verdict: trialWords[x.Verdict], At: x.At, Tenant: x.Whose(), TenantURL: v.tenantURL(p, string(x.Tenant)), More: x.Tenants - 1, Rule: x.Rule, Slice: dims(x.Slice), Reason: strings.Join(why, " ")}
		if x.Tenant == tenant.Product {
			row.TenantURL, row.More = "", 0
		}
		out.Pages = append(out.Pages, row)
	}
	return out
}

var trialWords = map[rollout.Verdict]string{rollout.Extra: "Only the new one", rollout.Agreed: "Both", rollout.Gone: "Only the old one", rollout.Small: "A ticket, no page"}
