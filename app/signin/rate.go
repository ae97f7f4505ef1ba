package signin

import (
	"sync"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
)

// How many links may be asked for within LinkAge, by this process. Addresses that
// nobody has count as well: a refusal must not tell them apart.
const (
	perAddress = 3
	inAll      = 100
)

// rate remembers who was asked for lately: at most inAll entries.
type rate struct {
	mu    sync.Mutex
	asked []asked // the oldest first
}

type asked struct {
	at      time.Time
	address string
}

func (r *rate) take(address string, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.asked) > 0 && now.Sub(r.asked[0].at) >= LinkAge {
		r.asked = r.asked[1:]
	}
	same, first := 0, now
	for _, a := range r.asked {
		if a.address == address {
			if same == 0 {
				first = a.at
			}
			same++
		}
	}
	switch {
	case same >= perAddress:
		return refuse("a link to this address was asked for too often", first, now)
	case len(r.asked) >= inAll:
		return refuse("sign-in links were asked for too often", r.asked[0].at, now)
	}
	r.asked = append(r.asked, asked{now, address})
	return nil
}

func refuse(why string, first, now time.Time) error {
	return problem.New(problem.TooMany, "%s", why).WithHint("use the newest link, wait up to 15 minutes, or sign in with a token").WithRetryAfter(first.Add(LinkAge).Sub(now))
}
