package tenants

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/review"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/evaluate"
	"github.com/tocsin-alerting/tocsin/evolution"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rule"
	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// ExplainAnswer is a tenant's profile with all that it follows from.
type ExplainAnswer struct {
	Tenant   tenant.ID     `json:"tenant"`
	Standing []string      `json:"standing"` // where it stands, one sentence each
	Course   course.Course `json:"course"`
	Profile  ProfileAnswer `json:"profile"`
	Sees     []Sight       `json:"sees"` // at this hour, while samples come
	// SeesNothing says why nothing is seen at all now; empty: something is.
	SeesNothing string              `json:"sees_nothing"`
	WhoFails    []WhoFails          `json:"who_fails"` // of SLIs of which something says it
	Revisions   []profiles.Revision `json:"revisions"` // the newest first, at most 20
	// Record is how the teams that are called for its rules were called for it, by what
	// people said since; empty for a tenant's own token.
	Record []state.TeamRecord `json:"record"`
}

// Sight is which faults of a slice are seen, at this hour.
type Sight struct {
	Environment           string    `json:"environment"`
	SLI                   string    `json:"sli"`
	Rule                  string    `json:"rule"`
	Kind                  rule.Kind `json:"kind"`
	Slice                 sli.Slice `json:"slice"`
	InShadow              bool      `json:"in_shadow"`
	RatePerMinute         float64   `json:"rate_per_minute"`
	Usual                 float64   `json:"usual"`
	FivePointsSeenSeconds *float64  `json:"five_points_seen_seconds"`
	OutageSeenSeconds     *float64  `json:"outage_seen_seconds"`
	Words                 string    `json:"words"`
}

// WhoFails is what is known of the customers of an SLI that fail.
type WhoFails struct {
	Environment string `json:"environment"`
	SLI         string `json:"sli"`
	evaluate.CustomersStatus
	Words string `json:"words"`
}

const explained = 20 // revisions

// PinRequest keeps a profile at a tier or a revision.
type PinRequest struct {
	Tier     string `json:"tier"`
	Revision int    `json:"revision"`
	Until    string `json:"until"` // RFC 3339; empty: until it is taken out
	Reason   string `json:"reason"`
}

// ReturnRequest takes a profile back to a revision.
type ReturnRequest struct {
	To     int    `json:"to"` // 0: the one before
	Reason string `json:"reason"`
}

// FreezeRequest lets a profile follow nothing for a while.
type FreezeRequest struct {
	Until  string `json:"until"` // RFC 3339; empty: until it is thawed
	Reason string `json:"reason"`
}

// RuleOverrideRequest changes a rule for one tenant until a time.
type RuleOverrideRequest struct {
	Rule        string `json:"rule"` // empty: every rule
	Severity    string `json:"severity"`
	Sensitivity string `json:"sensitivity"`
	Off         bool   `json:"off"`
	Until       string `json:"until"` // RFC 3339
	Reason      string `json:"reason"`
}

func (s *API) profileRoutes() []web.Route {
	const under = "/api/v1/tenants/{id}/profile"
	route := func(method, path, summary string, request any, h web.Handler) web.Route {
		return web.Route{Method: method, Path: under + path, Summary: summary, Roles: web.Enablers, Tenant: "id", Request: request, Response: ExplainAnswer{}, Handle: h}
	}
	return []web.Route{
		{Method: "GET", Path: "/api/v1/profiles/waiting", Summary: "The proposed profiles that only a person can decide about, the longest first", Roles: web.People, Response: WaitsAnswer{}, Handle: s.waiting},
		{Method: "GET", Path: under + "/explain", Summary: "A tenant's profile with all that it follows from, and which faults it sees at this hour", Roles: web.Readers, Tenant: "id", Response: ExplainAnswer{}, Handle: s.explainProfile},
		route("POST", "/pin", "Keep a tenant's profile at a tier or a revision", PinRequest{}, s.pinProfile),
		route("POST", "/unpin", "Let a pinned profile follow again", web.ReasonRequest{}, s.steer(evolution.Unpin)),
		route("POST", "/rollback", "Take a profile back to a revision and keep it there until it is unpinned", ReturnRequest{}, s.rollBackProfile),
		route("POST", "/freeze", "Let a profile follow nothing: no tier, no opt-in, no policy", FreezeRequest{}, s.freezeProfile),
		route("POST", "/thaw", "Let a frozen profile follow again", web.ReasonRequest{}, s.steer(evolution.Thaw)),
		route("POST", "/promote", "Put the proposed revision in force", web.ReasonRequest{}, s.steer(evolution.Promote)),
		route("POST", "/refuse", "Drop the proposed revision; its tier is not proposed again for thirty days", web.ReasonRequest{}, s.steer(evolution.Refuse)),
		route("POST", "/overrides", "Change a rule for one tenant until a time", RuleOverrideRequest{}, s.overrideProfile),
		route("DELETE", "/overrides", "End the overrides of ?rule= that were made here; without it those of every rule", nil, s.endOverride),
	}
}

// WaitsAnswer is what waits for a person.
type WaitsAnswer struct {
	Items []evolution.Wait `json:"items"`
}

func (s *API) waiting(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	waits, err := review.Waits(r.Context(), s.Store)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	return web.WriteJSON(w, http.StatusOK, WaitsAnswer{Items: waits})
}

// Explanation is a tenant's profile with all that it follows from.
func (s *API) Explanation(ctx context.Context, id tenant.ID) (ExplainAnswer, error) {
	if err := s.Here(ctx, id.Subject()); err != nil { // who serves it knows it best
		return ExplainAnswer{}, err
	}
	t, ok := s.Flow.Directory().Get(id)
	if !ok {
		return ExplainAnswer{}, problem.New(problem.NotFound, "there is no such tenant")
	}
	a := ExplainAnswer{Tenant: id, Standing: []string{}, Sees: []Sight{}, WhoFails: []WhoFails{}, Revisions: []profiles.Revision{}, Record: []state.TeamRecord{}}
	var triples []profiles.Triple
	var status evaluate.Status
	err := s.Decide(ctx, id.Subject(), func(tx *partition.Tx, h *flow.Handler) (err error) {
		if a.Course, a.Standing, err = h.Profiles().Standing(tx, t); err != nil {
			return err
		}
		p, err := s.Flow.Profiles().Profile(tx, id)
		if err != nil {
			return err
		}
		a.Profile, status = profileAnswer(p), h.Status(id, tx.Now())
		triples, err = course.Revisions(tx, id)
		return err
	})
	if err != nil {
		return a, err
	}
	a.Sees, a.SeesNothing = append(append(a.Sees, sights(status)...), queried(a.Profile.Rules)...), unseen(t, status)
	for _, x := range status.SLIs {
		if c := x.Customers; c != nil {
			a.WhoFails = append(a.WhoFails, WhoFails{Environment: x.Environment, SLI: x.Name, CustomersStatus: *c, Words: c.Words()})
		}
	}
	triples = triples[max(0, len(triples)-explained-1):] // one more, to compare the oldest shown with
	all := s.Flow.Profiles().Explain(ctx, triples)
	for i := len(all) - 1; i >= 0 && len(a.Revisions) < explained; i-- {
		a.Revisions = append(a.Revisions, all[i])
	}
	return a, nil
}

// unseen says why no fault of the tenant can be seen now; empty: one can.
func unseen(t tenant.Tenant, st evaluate.Status) string {
	switch {
	case t.State == tenant.Paused || t.State == tenant.Retired:
		return fmt.Sprintf("the tenant is %s", t.State)
	case st.LastReceivedAt == nil:
		return "no sample that a rule counts ever came"
	case st.Blind && st.LastSampleAt != nil:
		return "no sample has come since " + st.LastSampleAt.UTC().Format("2006-01-02 15:04 UTC")
	}
	return ""
}

func sights(st evaluate.Status) (out []Sight) {
	for _, x := range st.SLIs {
		for i, list := range [][]evaluate.SliceStatus{x.Slices, x.Shadow} {
			for _, v := range list {
				rate := v.HourRate
				if rate == 0 {
					rate = v.RatePerMinute
				}
				out = append(out, Sight{Environment: x.Environment, SLI: x.Name, Rule: v.Rule, Kind: v.Kind, Slice: v.Slice, InShadow: i == 1, RatePerMinute: rate,
					Usual: v.Usual, FivePointsSeenSeconds: v.FivePointsSeenSeconds, OutageSeenSeconds: v.OutageSeenSeconds, Words: v.Sees()})
			}
		}
	}
	return out
}

// queried are the rules that ask the metrics history, of which nothing is learned.
func queried(rules []rule.Rule) (out []Sight) {
	for _, r := range rules {
		if words := evaluate.Asks(r); words != "" {
			out = append(out, Sight{SLI: r.SLI.Name, Rule: r.Name, Kind: r.Kind, Slice: sli.Slice{}, Words: words})
		}
	}
	return out
}

func (s *API) explainProfile(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	a, err := s.Explanation(r.Context(), tenant.ID(r.PathValue("id")))
	if err != nil {
		return err
	}
	if p.Role.Staff() {
		if a.Record, err = s.recordOf(r.Context(), a); err != nil {
			return err
		}
	}
	return web.WriteJSON(w, http.StatusOK, a)
}

// recordOf are the records of the teams that own what a tenant is watched for.
func (s *API) recordOf(ctx context.Context, a ExplainAnswer) ([]state.TeamRecord, error) {
	teams := map[catalog.TeamID]bool{}
	for _, r := range a.Profile.Rules {
		team, _ := s.Flow.Rules().Catalog.Owner(catalog.ServiceID(r.Service))
		teams[team.ID] = true
	}
	return s.TeamRecords(ctx, a.Tenant, func(t catalog.TeamID) bool { return teams[t] })
}

// answerExplained is the answer of all that decides about a profile.
func (s *API) answerExplained(w http.ResponseWriter, r *http.Request) error {
	a, err := s.Explanation(r.Context(), tenant.ID(r.PathValue("id")))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, a)
}

// decideProfile lets f decide about the tenant's profile.
func (s *API) decideProfile(w http.ResponseWriter, r *http.Request, p web.Principal, f func(*partition.Tx, *flow.Handler, course.Course) (evolution.Change, error)) error {
	id := tenant.ID(r.PathValue("id"))
	err := s.Decide(r.Context(), id.Subject(), func(tx *partition.Tx, h *flow.Handler) error {
		return h.Profiles().Steer(tx, id, p.Name, func(c course.Course) (evolution.Change, error) { return f(tx, h, c) })
	})
	if err != nil {
		return err
	}
	return s.answerExplained(w, r)
}

// steer is a decision that needs a reason only.
func (s *API) steer(f func(evolution.State, string, string, time.Time) (evolution.Change, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request, p web.Principal) error {
		var in web.ReasonRequest
		if err := web.ReadJSON(r, &in); err != nil {
			return err
		}
		return s.decideProfile(w, r, p, func(tx *partition.Tx, _ *flow.Handler, c course.Course) (evolution.Change, error) {
			return f(c.State, p.Name, in.Reason, tx.Now())
		})
	}
}

func (s *API) pinProfile(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var in PinRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	until, err := ending(in.Until)
	if err != nil {
		return err
	}
	return s.pin(w, r, p, func(course.Course) (evolution.Pin, error) {
		return evolution.Pin{Tier: in.Tier, Revision: in.Revision, Until: until, Reason: in.Reason, By: p.Name}, nil
	})
}

// rollBackProfile pins at an earlier revision: without the pin the next look would
// undo it.
func (s *API) rollBackProfile(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var in ReturnRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	return s.pin(w, r, p, func(c course.Course) (evolution.Pin, error) {
		to := in.To
		if to == 0 {
			to = c.Newest - 1
		}
		if to < 1 {
			return evolution.Pin{}, problem.New(problem.Conflict, "there is no revision before")
		}
		return evolution.Pin{Revision: to, Reason: in.Reason, By: p.Name}, nil
	})
}

func (s *API) pin(w http.ResponseWriter, r *http.Request, p web.Principal, of func(course.Course) (evolution.Pin, error)) error {
	id := tenant.ID(r.PathValue("id"))
	return s.decideProfile(w, r, p, func(tx *partition.Tx, h *flow.Handler, c course.Course) (evolution.Change, error) {
		pin, err := of(c)
		if err != nil {
			return evolution.Change{}, err
		}
		if err := h.Profiles().CanPin(tx, id, pin); err != nil {
			return evolution.Change{}, err
		}
		return evolution.PinAt(c.State, pin, tx.Now())
	})
}

func (s *API) freezeProfile(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var in FreezeRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	until, err := ending(in.Until)
	if err != nil {
		return err
	}
	return s.decideProfile(w, r, p, func(tx *partition.Tx, _ *flow.Handler, c course.Course) (evolution.Change, error) {
		return evolution.FreezeFor(c.State, evolution.Freeze{Until: until, Reason: in.Reason, By: p.Name}, tx.Now())
	})
}

// ending reads a time that something ends at; nil when there is none.
func ending(text string) (*time.Time, error) {
	t, err := web.ParseTime(text, "until")
	if err != nil || t.IsZero() {
		return nil, err
	}
	t = t.UTC()
	return &t, nil
}

func (s *API) overrideProfile(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var in RuleOverrideRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	until, err := web.ParseTime(in.Until, "until")
	if err != nil {
		return err
	}
	o := profiles.Override{Tenant: r.PathValue("id"), Rule: in.Rule, Severity: in.Severity, Sensitivity: in.Sensitivity, Off: in.Off, Until: until, Reason: in.Reason, By: p.Name}
	err = s.Decide(r.Context(), tenant.ID(o.Tenant).Subject(), func(tx *partition.Tx, h *flow.Handler) error { return h.Profiles().Override(tx, o) })
	if err != nil {
		return err
	}
	return s.answerExplained(w, r)
}

func (s *API) endOverride(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	id := tenant.ID(r.PathValue("id"))
	err := s.Decide(r.Context(), id.Subject(), func(tx *partition.Tx, h *flow.Handler) error {
		return h.Profiles().EndOverride(tx, id, r.URL.Query().Get("rule"), p.Name)
	})
	if err != nil {
		return err
	}
	return s.answerExplained(w, r)
}
