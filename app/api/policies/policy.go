// Package policies is how the policy is planned, rolled out and taken back through the
// API, and what its calendar announces.
//
// What a rollout does next is decided by rollout, in the policy's owner.
package policies

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/api/incidents"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/course"
	"github.com/tocsin-alerting/tocsin/app/flow/policy"
	"github.com/tocsin-alerting/tocsin/app/plan"
	"github.com/tocsin-alerting/tocsin/app/state"
	"github.com/tocsin-alerting/tocsin/fault"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/profiles"
	"github.com/tocsin-alerting/tocsin/rollout"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// API answers for the policy. All fields are needed.
type API struct {
	*state.State
	Incidents *incidents.API
	// Check reads a policy as the files' are read, with the catalog in force.
	Check    func(text []byte) (*profiles.Policy, fault.List)
	planning sync.Mutex // one plan at a time
	history  history
}

// maxPolicy bounds the document with a policy in it.
const maxPolicy = 1 << 20

// PolicyAnswer is the policy in force, how it came to be, and what follows it.
type PolicyAnswer struct {
	rollout.Revision
	Since   time.Time        `json:"since"` // it is in force
	By      string           `json:"by"`    // who put it in force
	Because string           `json:"because"`
	Before  int              `json:"before"`  // the revision before; 0: there is none to go back to
	Rollout *rollout.Rollout `json:"rollout"` // the one under way; null: none is
}

// PolicyRequest is a policy to plan with.
type PolicyRequest struct {
	Policy string `json:"policy"` // the YAML text
}

// PolicyEditRequest is a policy to put in force.
type PolicyEditRequest struct {
	Policy string `json:"policy"` // the YAML text
	Reason string `json:"reason"`
	Now    bool   `json:"now"` // for every tenant at once, without stages and shadow
}

// PlanAnswer is what a policy would change.
type PlanAnswer struct {
	plan.Plan
	Against int         `json:"against"` // the revision in force that it is compared with
	Sha     string      `json:"sha"`     // of the planned text
	Same    bool        `json:"same"`    // the very text that is in force
	Stages  []PlanStage `json:"stages"`
	// StageFor is how long each stage is run in shadow.
	StageFor float64 `json:"stage_for_seconds"`
}

// PlanStage is how many tenants a stage would add.
type PlanStage struct {
	Percent float64 `json:"percent"`
	Tenants int     `json:"tenants"`
}

// RollbackRequest names what to go back to.
type RollbackRequest struct {
	To     int    `json:"to"` // 0: the revision before
	Reason string `json:"reason"`
}

// RolloutAnswer is the newest rollout, and what is in force.
type RolloutAnswer struct {
	InForce int              `json:"in_force"`
	Changed bool             `json:"changed"` // by this request
	Rollout *rollout.Rollout `json:"rollout"` // null: there was none
	// Kept are the tenants that keep the profile they have, where this request put a
	// policy in force for all others at once; null: it did not.
	Kept *rollout.Keeps `json:"kept"`
}

func rolloutAnswer(s rollout.State, changed bool) RolloutAnswer {
	a := RolloutAnswer{InForce: s.Standing.InForce, Changed: changed, Kept: s.Keeps}
	if s.Rollout.Number > 0 {
		a.Rollout = &s.Rollout
	}
	return a
}

// Routes are the rows of the route table.
func (s *API) Routes() []web.Route {
	editors := []web.Role{web.Admin, web.Enabler}
	return []web.Route{
		{Method: "GET", Path: "/api/v1/policy", Summary: "The policy in force, and since when and why", Roles: web.People, Response: PolicyAnswer{}, Handle: s.getPolicy},
		{Method: "POST", Path: "/api/v1/policy", Summary: "Roll a policy out in stages, or (now) put it in force at once; the ETag is the revision in force", Roles: editors, Body: maxPolicy, Request: PolicyEditRequest{}, Response: RolloutAnswer{}, Status: http.StatusAccepted, Handle: s.editPolicy},
		{Method: "POST", Path: "/api/v1/policy/plan", Summary: "What a policy would change, for how many tenants and for the largest by name; nothing is stored", Roles: web.People, Body: maxPolicy, Request: PolicyRequest{}, Response: PlanAnswer{}, Handle: s.planPolicy},
		{Method: "POST", Path: "/api/v1/policy/rollback", Summary: "Put the policy before, or a named revision, in force for every tenant at once", Roles: web.Enablers, Request: RollbackRequest{}, Response: RolloutAnswer{}, Handle: s.rollBackPolicy},
		{Method: "GET", Path: "/api/v1/policy/rollout", Summary: "The newest rollout: its stages, and the pages that it would have made", Roles: web.People, Response: RolloutAnswer{}, Handle: s.getRollout},
		{Method: "POST", Path: "/api/v1/policy/rollout/resume", Summary: "Go on with a halted rollout, because its pages are right", Roles: editors, Request: web.ReasonRequest{}, Response: RolloutAnswer{}, Handle: s.resumeRollout},
		{Method: "GET", Path: "/api/v1/policy/revisions", Summary: "Every revision of the policy, the oldest first, with what it changed and without texts", Roles: web.People, Response: web.List[RevisionAnswer]{}, Handle: s.listPolicyRevisions},
		{Method: "GET", Path: "/api/v1/policy/revisions/{number}", Summary: "One revision of the policy with its text and what it changed", Roles: web.People, Response: RevisionAnswer{}, Handle: s.getPolicyRevision},
		{Method: "GET", Path: "/api/v1/calendar", Summary: "What the policy in force announces, and whether it holds now", Roles: web.People, Response: web.List[CalendarEntry]{}, Handle: s.listAnnounced},
	}
}

// Policy tells of the policy in force.
func (s *API) Policy(ctx context.Context) (PolicyAnswer, error) {
	state, err := policy.Read(ctx, s.Store)
	if err != nil {
		return PolicyAnswer{}, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	r, err := policy.Revision(ctx, s.Store, state.Standing.InForce)
	if err != nil {
		return PolicyAnswer{}, err
	}
	a := PolicyAnswer{Revision: r, Since: state.Standing.At, By: state.Standing.By, Because: state.Standing.Reason, Before: state.Standing.Before}
	if state.Rollout.Open() {
		a.Rollout = &state.Rollout
	}
	return a, nil
}

func (s *API) getPolicy(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	a, err := s.Policy(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("ETag", web.ETag(a.Number))
	return web.WriteJSON(w, http.StatusOK, a)
}

// readPolicy reads a policy from a request; all its faults come at once.
func (s *API) readPolicy(text string) (*profiles.Policy, fault.List, error) {
	if text == "" {
		return nil, nil, problem.New(problem.Invalid, "policy is missing: the YAML text of a policy")
	}
	p, faults := s.Check([]byte(text))
	if err := faults.Problem("the policy", "correct them all; nothing was changed"); err != nil {
		return nil, nil, err
	}
	return p, faults, nil
}

func (s *API) planPolicy(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	var in PolicyRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	match, err := web.IfMatch(r)
	if err != nil {
		return err
	}
	p, faults, err := s.readPolicy(in.Policy)
	if err != nil {
		return err
	}
	state, err := policy.Read(r.Context(), s.Store)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	if err := policy.Matches(state, match); err != nil {
		return err
	}
	if !s.planning.TryLock() { // each keeps a processor busy that has samples to judge
		return problem.New(problem.TooMany, "another plan is being made").WithHint("try again in some seconds").WithRetryAfter(5 * time.Second)
	}
	defer s.planning.Unlock()
	a, err := s.plan(r.Context(), state, p)
	if err != nil {
		return err
	}
	for _, f := range faults {
		a.Warnings = append(a.Warnings, f.String())
	}
	if state.Rollout.Open() {
		a.Warnings = append(a.Warnings, fmt.Sprintf("policy revision %d is being rolled out; this compares with revision %d, from which it began", state.Rollout.To, a.Against))
	}
	w.Header().Set("ETag", web.ETag(a.Against))
	return web.WriteJSON(w, http.StatusOK, a)
}

func (s *API) plan(ctx context.Context, state rollout.State, p *profiles.Policy) (PlanAnswer, error) {
	rules := s.Flow.Rules()
	volumes, err := s.Flow.Volumes(ctx)
	if err != nil {
		return PlanAnswer{}, err
	}
	firing, err := s.firing(ctx)
	if err != nil {
		return PlanAnswer{}, err
	}
	tenants := s.Flow.Directory().List()
	now := s.Now()
	observe := func(p *profiles.Policy, t tenant.Tenant) profiles.Observation {
		return s.Flow.Profiles().Under(p, t, now)
	}
	a := PlanAnswer{Against: rules.Revision, Sha: p.Sha, Same: p.Sha == rules.Policy.Sha, Stages: []PlanStage{}}
	steered, err := course.Steered(ctx, s.Store)
	if err != nil {
		return PlanAnswer{}, problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	a.Plan = plan.Make(plan.Input{Before: rules.Policy, After: p, Tenants: tenants, Observe: observe, Volume: volumes, Firing: firing, Now: now,
		Steered: steered, HasRevision: course.Has(ctx, s.Store)})
	r := rollout.Draft(state, policy.Settings(rules.Policy, p, rules.Catalog), ids(plan.Largest(tenants, volumes)))
	a.StageFor = r.StageFor
	for i, n := range r.Adds(ids(tenants)) {
		a.Stages = append(a.Stages, PlanStage{Percent: r.Stages[i].Percent, Tenants: n})
	}
	return a, nil
}

// firing lists the alerts that fire now.
func (s *API) firing(ctx context.Context) ([]alert.Key, error) {
	list, err := s.Incidents.All(ctx, web.Principal{Any: true, Role: web.Admin})
	if err != nil {
		return nil, err
	}
	var out []alert.Key
	for _, i := range list {
		for _, a := range i.Alerts {
			if a.State == alert.Firing {
				out = append(out, a.Key)
			}
		}
	}
	return out, nil
}

func ids(tenants []tenant.Tenant) []tenant.ID {
	out := make([]tenant.ID, len(tenants))
	for i, t := range tenants {
		out[i] = t.ID
	}
	return out
}

func (s *API) editPolicy(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var in PolicyEditRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	match, err := web.IfMatch(r)
	if err != nil {
		return err
	}
	edit := policy.Edit{Match: match, Now: in.Now, By: p.Name, Reason: in.Reason}
	if edit.Policy, _, err = s.readPolicy(in.Policy); err != nil {
		return err
	}
	if err := s.Here(r.Context(), rollout.Subject); err != nil { // before what costs something
		return err
	}
	volumes, err := s.Flow.Volumes(r.Context())
	if err != nil {
		return err
	}
	edit.Last = ids(plan.Largest(s.Flow.Directory().List(), volumes))
	if in.Now {
		if edit.Keeps, err = s.Flow.Keeps(r.Context()); err != nil {
			return problem.Wrap(err, problem.Unavailable, "the store cannot be read")
		}
	}
	return s.changePolicy(w, r, http.StatusAccepted, func(tx *partition.Tx) (rollout.State, bool, error) { return s.Flow.Policy().Edit(tx, edit) })
}

func (s *API) rollBackPolicy(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var in RollbackRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	if err := s.Here(r.Context(), rollout.Subject); err != nil { // before what costs something
		return err
	}
	keeps, err := s.Flow.Keeps(r.Context())
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	return s.changePolicy(w, r, http.StatusOK, func(tx *partition.Tx) (rollout.State, bool, error) {
		state, err := s.Flow.Policy().RollBack(tx, in.To, p.Name, in.Reason, keeps)
		return state, true, err
	})
}

func (s *API) resumeRollout(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var in web.ReasonRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	return s.changePolicy(w, r, http.StatusOK, func(tx *partition.Tx) (rollout.State, bool, error) {
		state, err := s.Flow.Policy().Resume(tx, p.Name, in.Reason)
		return state, true, err
	})
}

func (s *API) changePolicy(w http.ResponseWriter, r *http.Request, status int, f func(tx *partition.Tx) (rollout.State, bool, error)) error {
	var a RolloutAnswer
	err := s.Decide(r.Context(), rollout.Subject, func(tx *partition.Tx, _ *flow.Handler) error {
		state, changed, err := f(tx)
		a = rolloutAnswer(state, changed)
		return err
	})
	if err != nil {
		return err
	}
	if !a.Changed {
		status = http.StatusOK
	}
	w.Header().Set("ETag", web.ETag(a.InForce))
	return web.WriteJSON(w, status, a)
}

func (s *API) getRollout(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	state, err := policy.Read(r.Context(), s.Store)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	w.Header().Set("ETag", web.ETag(state.Standing.InForce))
	return web.WriteJSON(w, http.StatusOK, rolloutAnswer(state, false))
}

func (s *API) listPolicyRevisions(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	list, err := policy.Revisions(r.Context(), s.Store)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	part := web.Cut(list, func(r rollout.Revision) string { return fmt.Sprintf("%08d", r.Number) }, l)
	asked := func(r rollout.Revision) bool {
		return slices.ContainsFunc(part.Items, func(x rollout.Revision) bool { return x.Number == r.Number })
	}
	return web.WriteJSON(w, http.StatusOK, web.List[RevisionAnswer]{Items: s.Changed(list, asked), Next: part.Next})
}

func (s *API) getPolicyRevision(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 1 {
		return problem.New(problem.Malformed, "a policy revision is a number from 1")
	}
	rev, err := policy.Revision(r.Context(), s.Store, n)
	if err != nil {
		return err
	}
	list, err := policy.Revisions(r.Context(), s.Store)
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	a := RevisionAnswer{Revision: rev}
	for _, x := range s.Changed(list, func(r rollout.Revision) bool { return r.Number == n }) {
		a.Changed = x.Changed
	}
	return web.WriteJSON(w, http.StatusOK, a)
}
