package alert

import (
	"time"

	"github.com/tocsin-alerting/tocsin/sli"
)

// Word is what somebody said of an alert, for what runs in shadow beside the rules that
// raised it.
type Word struct {
	Service string    `json:"service"`
	Slice   sli.Slice `json:"slice"`
	// From and To are when what it was about began and ended, with as much before and
	// after as two sets of rules may be apart.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Said Verdict   `json:"said"`
	By   string    `json:"by"`
}

// About says whether what began at an instant is of the fault that the word is about.
func (w Word) About(service string, slice sli.Slice, at time.Time) bool {
	return service == w.Service && slice.Related(w.Slice) && !at.Before(w.From) && !at.After(w.To)
}
