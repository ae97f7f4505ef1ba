package rollout

import (
	"fmt"
	"time"
)

// Reading is a policy that a process read from its files, or that is built in.
type Reading struct {
	Revision Revision // needs no number
	// Last is what the same process read before; nil: nothing.
	Last *File
	// Known says that the text is one of the stored revisions'.
	Known bool
	// Joins says that the process is one of several and new among them.
	Joins bool
	// InForce is the revision in force; the zero value: none is.
	InForce Revision
}

// Read decides what a read policy means. A text that is no news to its reader
// changes nothing, whatever was put in force since: a policy applied through the API
// stays until somebody changes the file. One that is news is in force at once.
// ok is false when nothing changes.
func Read(s State, in Reading, now time.Time) (c Change, ok bool) {
	switch r := in.Revision; {
	case s.Standing.InForce == 0:
		return Put(s, r, now), true
	case r.Sha == in.InForce.Sha,
		in.Last != nil && in.Last.Sha == r.Sha,
		in.Last == nil && in.Joins && in.Known,              // its files are behind the others', or what is in force came by the API
		r.Origin == BuiltIn && in.InForce.Origin == FromAPI: // nobody changed it: another release brought it
		return Change{State: s}, false
	default:
		r.Reason = fmt.Sprintf("%s, and differs from what was read before", r.Reason)
		return Put(s, r, now), true
	}
}
