package quota

import (
	"sync"
	"time"
)

// Account is what one tenant has used. Safe for concurrent use.
type Account struct {
	book *Book

	shut bool // no series has room in it

	mu      sync.Mutex
	other   bool             // its series count under the shared bound
	seen    map[uint64]int64 // hash of a series to when it was last sent, unix seconds
	swept   time.Time
	full    bool      // at the last look no series could give way
	tokens  float64   // samples that may come now; negative: a request was let through on credit
	at      time.Time // of tokens
	last    time.Time // anything was sent
	pace    Rate
	refused map[string]int64

	accepted int64
}

// belongs moves the account's series under the bound that applies to it.
func (a *Account) belongs(other bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.other == other {
		return
	}
	a.other = other
	if other {
		a.book.others.add(len(a.seen))
	} else {
		a.book.others.add(-len(a.seen))
	}
}

// Series notes that a series is sent and says whether there is room for it.
func (a *Account) Series(hash uint64, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = now
	if a.shut {
		return false
	}
	if _, ok := a.seen[hash]; ok {
		a.seen[hash] = now.Unix()
		return true
	}
	if !a.room() {
		if a.full && now.Sub(a.swept) < sweep {
			return false
		}
		a.swept = time.Time{}
		a.sweep(now)
		if !a.room() {
			a.full = true
			return false
		}
	}
	if a.other && !a.book.others.take(a.book.lim.OtherSeries) {
		return false
	}
	a.full = false
	a.seen[hash] = now.Unix()
	return true
}

func (a *Account) room() bool {
	if a.other {
		return a.book.others.room(a.book.lim.OtherSeries)
	}
	return len(a.seen) < a.book.lim.Series
}

// sweep forgets what was not sent for long; the caller holds the lock.
func (a *Account) sweep(now time.Time) {
	if now.Sub(a.swept) < sweep {
		return
	}
	a.swept = now
	oldest, before := now.Add(-Active).Unix(), len(a.seen)
	for h, at := range a.seen {
		if at < oldest {
			delete(a.seen, h)
		}
	}
	if a.other {
		a.book.others.add(len(a.seen) - before)
	}
}

// Open says whether samples may come now, and if not, in how long. Who asks takes
// all of a request or nothing of it: what is too much is a debt, and the next ones
// wait until it is paid.
func (a *Account) Open(now time.Time) (ok bool, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = now
	a.earn(now)
	if a.tokens > 0 {
		return true, 0
	}
	return false, time.Duration((1 - a.tokens) / a.book.lim.SamplesPerSecond * float64(time.Second))
}

func (a *Account) earn(now time.Time) {
	if d := now.Sub(a.at); d > 0 {
		rate := a.book.lim.SamplesPerSecond
		a.tokens, a.at = min(a.tokens+rate*d.Seconds(), rate*burst.Seconds()), now
	}
}

// Took counts samples that were taken.
func (a *Account) Took(n int, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pace.Add(n, now)
	a.tokens -= float64(n)
	a.accepted += int64(n)
}

// Refused counts samples that were refused for a reason.
func (a *Account) Refused(reason string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused[reason] += int64(n)
}

// idle says whether nothing was sent for so long that nothing takes room.
func (a *Account) idle(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.last) <= Active {
		return false
	}
	if a.other {
		a.book.others.add(-len(a.seen))
	}
	return true
}
