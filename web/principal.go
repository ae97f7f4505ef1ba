// Package web is the HTTP edge: one route table makes the mux and the one role
// check; tokens, sessions and signed links say who asks; answers and problems
// are printed here.
//
// It knows HTTP and identities. What a route does is a function its owner
// hands in; web reads no store and decides nothing about alerts.
package web

import (
	"slices"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// Role says what a token may do at all; the route table says where.
type Role string

// The roles served now.
const (
	Admin  Role = "admin"  // everything
	Sender Role = "sender" // sends samples for its tenants
	Tenant Role = "tenant" // reads its own tenant
	// Link is not a token's role: it is what a signed link to one incident may do.
	Link Role = "link"
	// Replica is not a token's role either: another tocsin of the same cluster.
	Replica Role = "replica"
)

// Roles lists those a token can have.
func Roles() []Role { return []Role{Admin, Sender, Tenant} }

// Principal is who asks.
type Principal struct {
	Name    string // "token:NAME", "person:ID" or "link:INCIDENT"
	TokenID string
	Role    Role
	// Any says that the credential covers every tenant; else Tenants lists them.
	Any     bool
	Tenants []tenant.ID
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
