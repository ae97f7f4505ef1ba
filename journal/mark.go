package journal

import "time"

// Mark is up to where a state holds what was received: every batch that
// ends at or before At in the journal of that name, and those that came before
// Time in another's.
type Mark struct {
	At      Position  `json:"at"`
	Journal string    `json:"journal,omitempty"`
	Time    time.Time `json:"time"`
}
