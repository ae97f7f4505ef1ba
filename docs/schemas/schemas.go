// Package schemas has the JSON Schemas of the files that people write, for their
// editors. They are made of the types by make docs; a test holds them current.
package schemas

import "embed"

// Files are NAME.json for each kind of file.
//
//go:embed *.json
var Files embed.FS

// Kinds lists the names that there are.
func Kinds() []string { return []string{"config", "catalog", "policy", "tenants"} }
