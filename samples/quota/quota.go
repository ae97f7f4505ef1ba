// Package quota bounds what each tenant may send, so that one of them cannot
// take the room of its neighbours: series that are sending at a time, and samples
// a second. It counts what was taken and refused, tenant by tenant.
//
// It knows tenants and hashes of series. It must not know requests, labels or
// what a refusal is answered with; time comes in with every call.
package quota

import (
	"maps"
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/tenant"
)

// Limits of a Book. Zero fields take the defaults.
type Limits struct {
	Series           int     // sending at a time, of one tenant; default 100,000
	SamplesPerSecond float64 // of one tenant, over half a minute; default 200,000
	// OtherSeries bounds the series of the product and of all tenants that nobody
	// onboarded, together: they are stored, and nobody vouches for them. Default
	// 1,000,000.
	OtherSeries int
}

func (l Limits) withDefaults() Limits {
	if l.Series <= 0 {
		l.Series = 100_000
	}
	if l.SamplesPerSecond <= 0 {
		l.SamplesPerSecond = 200_000
	}
	if l.OtherSeries <= 0 {
		l.OtherSeries = 1_000_000
	}
	return l
}

const (
	burst = 30 * time.Second // how long a full rate may have been saved up: history is sent in one go
	// Active is how long a series that is not sent any more takes room.
	Active = 30 * time.Minute
	sweep  = time.Minute // between two looks for series that are not sent any more
	window = time.Minute // over which the rate is shown
)

// Book keeps the tenants' accounts. Safe for concurrent use.
type Book struct {
	lim      Limits
	mu       sync.RWMutex
	accounts map[tenant.ID]*Account
	swept    time.Time
	others   shared
	crowd    *Account // of all those for whom no room is left
}

// shared counts the series of accounts that share one bound.
type shared struct {
	mu sync.Mutex
	n  int
}

func (s *shared) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n += n
}

func (s *shared) room(most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n < most
}

// take counts one more, if there is room.
func (s *shared) take(most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n >= most {
		return false
	}
	s.n++
	return true
}

// New makes a book without accounts.
func New(l Limits) *Book {
	b := &Book{lim: l.withDefaults(), accounts: map[tenant.ID]*Account{}}
	b.crowd = b.account(time.Time{})
	b.crowd.other, b.crowd.shut = true, true
	return b
}

func (b *Book) account(now time.Time) *Account {
	return &Account{book: b, seen: map[uint64]int64{}, refused: map[string]int64{}, tokens: b.lim.SamplesPerSecond * burst.Seconds(), at: now, last: now}
}

// Account gives the account of a tenant. other says that it shares the bound of
// those nobody onboarded.
func (b *Book) Account(id tenant.ID, other bool, now time.Time) *Account {
	b.mu.RLock()
	a, due := b.accounts[id], now.Sub(b.swept) > Active
	b.mu.RUnlock()
	if a == nil || due {
		a = b.open(id, other, now)
	}
	a.belongs(other)
	return a
}

// open makes an account; those that were idle for long are closed meanwhile. Who
// shares a bound that has no room gets none of its own: a sender that names a new
// tenant with every series must not fill the memory.
func (b *Book) open(id tenant.ID, other bool, now time.Time) *Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.swept) > Active {
		b.swept = now
		maps.DeleteFunc(b.accounts, func(_ tenant.ID, a *Account) bool { return a.idle(now) })
	}
	a := b.accounts[id]
	if a == nil {
		if other && !b.others.room(b.lim.OtherSeries) {
			return b.crowd
		}
		a = b.account(now)
		b.accounts[id] = a
	}
	return a
}

// Usage is what was seen of a tenant since this process started.
type Usage struct {
	Series           int              `json:"series"`       // sent within the last half hour
	SeriesLimit      int              `json:"series_limit"` // of a tenant nobody onboarded: of all of these together
	SamplesPerSecond float64          `json:"samples_per_second"`
	SamplesLimit     float64          `json:"samples_per_second_limit"`
	Accepted         int64            `json:"accepted_samples"`
	Refused          map[string]int64 `json:"refused_samples"` // by reason
}

// Usage of a tenant; the zero Usage with its limits when it sent nothing.
func (b *Book) Usage(id tenant.ID, now time.Time) Usage {
	b.mu.RLock()
	a := b.accounts[id]
	b.mu.RUnlock()
	u := Usage{SeriesLimit: b.lim.Series, SamplesLimit: b.lim.SamplesPerSecond, Refused: map[string]int64{}}
	if a == nil {
		return u
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep(now)
	if a.other {
		u.SeriesLimit = b.lim.OtherSeries
	}
	u.Series, u.Accepted, u.SamplesPerSecond = len(a.seen), a.accepted, a.pace.PerSecond(now)
	maps.Copy(u.Refused, a.refused)
	return u
}

// Accounts counts the tenants that sent lately.
func (b *Book) Accounts() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.accounts)
}
