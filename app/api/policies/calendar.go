package policies

import (
	"fmt"
	"net/http"
	"time"

	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/web"
)

// CalendarEntry is an entry of the policy's calendar as of now.
type CalendarEntry struct {
	calendar.Entry
	Holds bool `json:"holds"` // now, for those it concerns
	// ChangesAt is when that may change; null: never again.
	ChangesAt *time.Time `json:"changes_at"`
}

func (s *API) listAnnounced(w http.ResponseWriter, r *http.Request, _ web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	type numbered struct {
		CalendarEntry
		number int // of two with one effect the first counts: the order is the policy's
	}
	c, now := s.Flow.Rules().Policy.Calendar(), s.Now()
	var all []numbered
	for i, e := range c.Entries() {
		x := numbered{CalendarEntry{Entry: e}, i}
		in, until := c.Holds(e.Name, now)
		if x.Holds = in; !until.IsZero() {
			until = until.UTC()
			x.ChangesAt = &until
		}
		all = append(all, x)
	}
	return web.WriteJSON(w, http.StatusOK, web.Cut(all, func(x numbered) string { return fmt.Sprintf("%08d", x.number) }, l))
}
