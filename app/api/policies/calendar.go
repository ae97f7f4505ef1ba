package policies

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/flow"
	"github.com/tocsin-alerting/tocsin/calendar"
	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/web"
)

// CalendarEntry is an entry of the policy's calendar as of now.
type CalendarEntry struct {
	calendar.Entry
	Holds bool `json:"holds"` // now, for those it concerns
	// ChangesAt is when that may change; null: never again.
	ChangesAt *time.Time `json:"changes_at"`
	When      string     `json:"when"`        // in words
	Follows   string     `json:"follows"`     // what follows while it lasts
	Whom      string     `json:"whom"`        // it concerns
	Concerns  int        `json:"tenants_now"` // how many tenants
	Behind    string     `json:"behind"`      // the entry that counts instead where both hold; empty: none
	Holding   []string   `json:"holding"`     // what waits or is silent because of it
}

func (s *API) listAnnounced(w http.ResponseWriter, r *http.Request, p web.Principal) error {
	l, err := web.ParseListing(r)
	if err != nil {
		return err
	}
	var on *calendar.Scope
	zone := time.UTC
	if id := r.URL.Query().Get("tenant"); id != "" {
		t, ok := s.Flow.Directory().Get(tenant.ID(id))
		if !ok || !p.Covers(t.ID) {
			return problem.New(problem.NotFound, "there is no such tenant")
		}
		on, zone = calendar.Of(t, s.Flow.Settings.Environment), Zone(t.Timezone)
	}
	list, err := s.Flow.Announcements(r.Context(), on, s.Now())
	if err != nil {
		return problem.Wrap(err, problem.Unavailable, "the store cannot be read")
	}
	entries := s.Flow.Rules().Policy.Calendar().Entries()
	type numbered struct {
		CalendarEntry
		number int // of two with one effect the first counts: the order is the policy's
	}
	var all []numbered
	for _, a := range list {
		all = append(all, numbered{Announced(a, zone), slices.IndexFunc(entries, func(e calendar.Entry) bool { return e.Name == a.Name })})
	}
	slices.SortFunc(all, func(a, b numbered) int { return a.number - b.number })
	return web.WriteJSON(w, http.StatusOK, web.Cut(all, func(x numbered) string { return fmt.Sprintf("%08d", x.number) }, l))
}

// Announced is an entry as it is answered; zone is that of what it names by instants.
func Announced(a flow.Announced, zone *time.Location) CalendarEntry {
	x := CalendarEntry{Entry: a.Entry, Holds: a.Holds, When: a.When(zone), Follows: a.Follows(), Whom: a.Whom(), Concerns: a.Tenants, Behind: a.Behind, Holding: a.Holding}
	if !a.ChangesAt.IsZero() {
		until := a.ChangesAt.UTC()
		x.ChangesAt = &until
	}
	return x
}

// Zone finds a tenant's zone; UTC when there is no such.
func Zone(name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		z = time.UTC
	}
	return z
}
