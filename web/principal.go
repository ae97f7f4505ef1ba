// Package web is the HTTP edge: one route table makes the mux and the one role
// check; tokens, sessions and signed links say who asks; answers and problems
// are printed here.
//
// It knows HTTP and identities. What a route does is a function its owner
// hands in; web reads no store and decides nothing about alerts.
package web

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// Role says what a token may do at all; the route table says where.
type Role string

// The roles of tokens and of people.
const (
	Admin           Role = "admin"            // everything
	Enabler         Role = "enabler"          // onboards tenants, brings teams to live
	Responder       Role = "responder"        // acts on the incidents of one team
	ProductManager  Role = "product-manager"  // onboards tenants and opts them in
	ChangeManager   Role = "change-manager"   // sees everything; changes are decided later
	IncidentManager Role = "incident-manager" // acts on every incident and changes who is on call
	Auditor         Role = "auditor"          // sees everything, changes nothing
	Sender          Role = "sender"           // sends samples for its tenants
	Pipeline        Role = "pipeline"         // asks about deployments; nothing is served for it yet
	Tenant          Role = "tenant"           // reads its own tenant
	// Link is not a token's role: it is what a signed link to one incident may do.
	Link Role = "link"
	// Replica is not a token's role either: another tocsin of the same cluster.
	Replica Role = "replica"
)

// Roles lists those a token can have.
func Roles() []Role {
	return []Role{Admin, Enabler, Responder, ProductManager, ChangeManager, IncidentManager, Auditor, Sender, Pipeline, Tenant}
}

// Staff says whether the role is of people who see all tenants: it covers every
// one, because what they decide together, such as incidents, has no owner among
// tenants.
func (r Role) Staff() bool {
	return slices.Contains([]Role{Admin, Enabler, Responder, ProductManager, ChangeManager, IncidentManager, Auditor}, r)
}

// Who may do something, as the rows of the route table say it. Not to be changed.
var (
	Administrators = []Role{Admin}
	People         = slices.DeleteFunc(Roles(), func(r Role) bool { return !r.Staff() })
	Onboarders     = []Role{Admin, Enabler, ProductManager}
	Responders     = []Role{Admin, Responder, IncidentManager} // a responder: of the own team
	Managers       = []Role{Admin, IncidentManager}
	Enablers       = []Role{Admin, Enabler, IncidentManager}
	Readers        = append(slices.Clone(People), Tenant)
	Senders        = []Role{Admin, Sender}
	Replicas       = []Role{Replica}
)

// Linked adds who has a signed link to one incident.
func Linked(roles []Role) []Role { return append(slices.Clone(roles), Link) }

// Principal is who asks.
type Principal struct {
	Name    string // "token:NAME", "person:ID" or "link:INCIDENT"
	TokenID string
	Role    Role
	// Any says that the credential covers every tenant; else Tenants lists them.
	Any     bool
	Tenants []tenant.ID
	// Team is whose incidents a Responder's token may act on; empty for other roles.
	Team string
	// Person is the id of the catalog's person whose session it is; Teams are those
	// that may call them. Empty for tokens.
	Person string
	Teams  []string
	// Incident is the only one a Link may see.
	Incident string
	// Session says that a browser's cookie brought the credential: changing
	// requests need the form's token.
	Session string
}

// Covers says whether the credential covers a tenant.
func (p Principal) Covers(id tenant.ID) bool { return p.Any || slices.Contains(p.Tenants, id) }

// Sees says whether the credential may see an incident that touches tenants.
func (p Principal) Sees(incident string, touched []tenant.ID) bool {
	if p.Role == Link {
		return p.Incident == incident
	}
	return p.Any || slices.ContainsFunc(touched, p.Covers)
}

// Acts says whether the principal may act on what belongs to a team. That its
// role may act at all stands in the route table.
func (p Principal) Acts(team string) error {
	if p.Role == Responder && (team == "" || p.Team != team) && !slices.Contains(p.Teams, team) {
		return problem.New(problem.Forbidden, "the incident belongs to another team").WithHint("a responder acts on the own team's incidents; an incident manager on all")
	}
	return nil
}
