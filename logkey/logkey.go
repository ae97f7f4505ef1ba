// Package logkey names the attributes of log lines that people search by: the
// same thing has the same key in every package.
package logkey

// What a line is about.
const (
	Incident    = "incident"    // its number, as people say it
	Tenant      = "tenant"      // its id
	Partition   = "partition"   // its number
	Destination = "destination" // name of a ticket system or channel, or "pictures"
)
