package samples

import (
	"strings"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// maxSenders bounds the elections that are remembered.
const maxSenders = 10_000

// election lets one of the replicas of a sender count. The elected one stays as
// long as it is heard; when it was silent for the given time the next one to come
// takes its place.
type election struct {
	silence time.Duration

	mu      sync.Mutex
	elected map[string]seat
}

type seat struct {
	replica string
	heard   time.Time
}

func newElection(silence time.Duration) *election {
	return &election{silence: silence, elected: map[string]seat{}}
}

// counts says whether the replica's samples are to be taken at now.
func (e *election) counts(sender, replica string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, ok := e.elected[sender]
	if ok && s.replica != replica && now.Sub(s.heard) < e.silence {
		return false
	}
	if !ok && len(e.elected) >= maxSenders {
		e.dropOldest()
	}
	if now.After(s.heard) {
		s.heard = now
	}
	e.elected[sender] = seat{replica: replica, heard: s.heard}
	return true
}

func (e *election) dropOldest() {
	oldest, first := "", true
	for k, s := range e.elected {
		if first || s.heard.Before(e.elected[oldest].heard) {
			oldest, first = k, false
		}
	}
	delete(e.elected, oldest)
}

// senderKey names a sender: its own tenant, where the credential fixes one, and
// the labels its replicas share. None of these may contain the separator's byte
// in valid UTF-8.
func senderKey(fallback tenant.ID, clusters []string) string {
	return string(fallback) + "\xff" + strings.Join(clusters, "\xff")
}
