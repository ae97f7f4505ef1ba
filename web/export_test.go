package web

import "time"

// NewToken makes the token of a wish, its parts in a row.
func NewToken(name string, role Role, tenants []string, expires, now time.Time, by string) (Token, string, error) {
	return Wish{Name: name, Role: role, Tenants: tenants, Expires: expires, By: by}.Token(now)
}
