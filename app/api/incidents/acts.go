package incidents

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/app/flow/response"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/incident"
	"github.com/tocsin-alerting/tocsin/partition"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/web"
)

// ActRequest is what a person does to an incident through the API.
type ActRequest struct {
	// Person is an id in the catalog; empty: the session's person or the token's
	// name. A responder names nobody else.
	Person string `json:"person"`
	Note   string `json:"note"`
}

// HolderAnswer says who has an incident.
type HolderAnswer struct {
	Taken bool      `json:"taken"` // by this call
	By    string    `json:"by"`
	Since time.Time `json:"since"`
	Text  string    `json:"text"`
}

func (s *API) person(in ActRequest, p web.Principal) (incident.Actor, error) {
	switch {
	case p.Role == web.Responder && in.Person != "" && in.Person != p.Person:
		return incident.Actor{}, problem.New(problem.Forbidden, "a responder does not act for somebody else").WithHint("leave person out")
	case p.Person != "":
		in.Person = p.Person
	case in.Person == "":
		return incident.Actor{Name: p.Name}, nil
	}
	if c, ok := s.Flow.Rules().Catalog.Person(catalog.PersonID(in.Person)); ok {
		return incident.Actor{Person: c.ID, Name: c.Name, ITSMUser: c.ITSMUser}, nil
	}
	return incident.Actor{}, problem.New(problem.Invalid, "the person is not in the catalog").WithHint("give the id of an entry under people, or leave it out")
}

// act runs one person's decision on an incident.
func (s *API) act(w http.ResponseWriter, r *http.Request, p web.Principal, do func(tx *partition.Tx, k *response.Desk, id string, by incident.Actor, in ActRequest) (any, error)) error {
	var in ActRequest
	if r.ContentLength != 0 {
		if err := web.ReadJSON(r, &in); err != nil {
			return err
		}
	}
	i, err := s.One(r.Context(), r.PathValue("id"), p)
	if err != nil {
		return err
	}
	if err := p.Acts(string(i.Team)); err != nil {
		return err
	}
	by, err := s.person(in, p)
	if err != nil {
		return err
	}
	var out any
	err = s.Decide(r.Context(), response.Subject(i.Environment), func(tx *partition.Tx, _ *flow.Handler) (err error) {
		out, err = do(tx, s.Flow.Incidents(), string(i.ID), by, in)
		return err
	})
	if err != nil {
		return err
	}
	if out == nil {
		if i, err = s.One(r.Context(), string(i.ID), p); err != nil {
			return err
		}
		out = s.answer(r.Context(), i, p)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *API) acknowledge(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	return s.act(w, r, p, func(tx *partition.Tx, k *response.Desk, id string, by incident.Actor, _ ActRequest) (any, error) {
		holder, err := k.Acknowledge(tx, id, by, "api")
		return HolderAnswer{Taken: holder.Taken, By: holder.By.String(), Since: holder.Since, Text: holder.Text}, err
	})
}

func (s *API) resolve(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	return s.act(w, r, p, func(tx *partition.Tx, k *response.Desk, id string, by incident.Actor, in ActRequest) (any, error) {
		return nil, k.Resolve(tx, id, by, "api", in.Note)
	})
}

func (s *API) release(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	return s.act(w, r, p, func(tx *partition.Tx, k *response.Desk, id string, by incident.Actor, in ActRequest) (any, error) {
		return nil, k.Release(tx, id, by, "api", in.Note)
	})
}

func (s *API) note(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	key := r.Header.Get("Idempotency-Key")
	return s.act(w, r, p, func(tx *partition.Tx, k *response.Desk, id string, by incident.Actor, in ActRequest) (any, error) {
		if strings.TrimSpace(in.Note) == "" {
			return nil, problem.New(problem.Invalid, "note is empty")
		}
		if key == "" {
			key = strconv.FormatInt(tx.Now().UnixNano(), 36)
		}
		return nil, k.Note(tx, id, by, key, in.Note)
	})
}
