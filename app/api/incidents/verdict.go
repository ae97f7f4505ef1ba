package incidents

import (
	"context"
	"net/http"
	"strings"

	"github.com/tocsin-alerting/tocsin/alert"
	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

// VerdictRequest is what a person says of an incident.
type VerdictRequest struct {
	// Verdict is false, real, expected or duplicate.
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	// Person is as in ActRequest.
	Person string `json:"person"`
}

const longestReason = 4000 // bytes

// Judge takes a person's verdict on an incident.
func (s *API) Judge(ctx context.Context, i incident.Incident, by incident.Actor, via, verdict, reason string) error {
	v, err := alert.ParseVerdict(verdict)
	if err != nil {
		return err
	}
	if reason = strings.TrimSpace(reason); len(reason) > longestReason {
		return problem.New(problem.Invalid, "the reason is longer than %d bytes", longestReason).WithHint("shorten it, or add a note")
	}
	return s.Decide(ctx, response.Subject(i.Environment), func(tx *partition.Tx, _ *flow.Handler) error {
		return s.Flow.Incidents().Judge(tx, string(i.ID), by, via, v, reason)
	})
}

func (s *API) verdict(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	var in VerdictRequest
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	i, err := s.One(r.Context(), r.PathValue("id"), p)
	if err != nil {
		return err
	}
	if err := p.Acts(string(i.Team)); err != nil {
		return err
	}
	by, err := s.person(ActRequest{Person: in.Person}, p)
	if err != nil {
		return err
	}
	if err := s.Judge(r.Context(), i, by, "api", in.Verdict, in.Reason); err != nil {
		return err
	}
	if i, err = s.One(r.Context(), string(i.ID), p); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, s.answer(r.Context(), i, p))
}
