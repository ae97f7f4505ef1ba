package samples

import (
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/samples/quota"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// memory spares the judge questions it has just answered: series of one tenant
// and one replica stand together.
type memory struct {
	judge   judge
	sender  string
	replica string
	elected bool
	tenant  tenant.ID
	foreign bool
}

func (m *memory) counts(sender, replica string) bool {
	if m.sender != sender || m.replica != replica {
		m.sender, m.replica, m.elected = sender, replica, m.judge.counts(sender, replica)
	}
	return m.elected
}

func (m *memory) unknown(id tenant.ID) bool {
	if id == tenant.Product {
		return false
	}
	if m.tenant != id {
		m.tenant, m.foreign = id, m.judge.unknown(id)
	}
	return m.foreign
}

// live judges by elections and by Known, once for each question of a request,
// and notes the answers for the header.
type live struct {
	d    *Door
	at   time.Time
	head *header
	seen map[contender]bool
	who  map[tenant.ID]bool

	of      tenant.ID // whose account is at hand
	account *quota.Account
	limited bool
	taken   int           // samples not counted in the account yet
	wait    time.Duration // until the first tenant over its rate may send again
}

type contender struct{ sender, replica string }

func (l *live) counts(sender, replica string) bool {
	k := contender{sender, replica}
	ok, asked := l.seen[k]
	if asked {
		return ok
	}
	ok = l.d.replicas.counts(sender, replica, l.at)
	if l.seen == nil {
		l.seen = map[contender]bool{}
	}
	l.seen[k] = ok
	if !ok {
		l.head.Losers = append(l.head.Losers, loser{Sender: []byte(sender), Replica: replica})
	}
	return ok
}

func (l *live) unknown(id tenant.ID) bool {
	u, asked := l.who[id]
	if asked {
		return u
	}
	u = !l.d.opts.Known(id)
	if l.who == nil {
		l.who = map[tenant.ID]bool{}
	}
	l.who[id] = u
	if u {
		l.head.Unknown = append(l.head.Unknown, id)
	}
	return u
}

// open takes up the account of a tenant. Series of one tenant stand together.
func (l *live) open(id tenant.ID, unknown bool) {
	if l.account != nil && l.of == id {
		return
	}
	l.done()
	l.of, l.account = id, l.d.quotas.Account(id, unknown || id == tenant.Product, l.at)
	if l.limited = slices.Contains(l.head.Limited, id); l.limited {
		return
	}
	if ok, wait := l.account.Open(l.at); !ok {
		l.limited, l.wait = true, max(l.wait, wait)
		l.head.Limited = append(l.head.Limited, id)
	}
}

// touched is for how long a series that was counted is not counted again.
const touched = 60

func (l *live) surplus(i int, in *info, unknown bool) string {
	l.open(in.tenant, unknown)
	if l.limited {
		return refusedRate
	}
	now := l.at.Unix()
	if at := in.counted.Load(); now-at < touched && now >= at {
		return ""
	}
	if l.account.Series(in.hash, l.at) {
		in.counted.Store(now)
		return ""
	}
	for len(l.head.Surplus) <= i/8 {
		l.head.Surplus = append(l.head.Surplus, 0)
	}
	l.head.Surplus[i/8] |= 1 << (i % 8)
	return refusedSeries
}

func (l *live) refused(in *info, reason string, samples int) {
	if l.account == nil || l.of != in.tenant {
		l.open(in.tenant, l.unknown(in.tenant))
	}
	l.account.Refused(reason, samples)
}

func (l *live) took(samples int) { l.taken += samples }

func (l *live) done() {
	if l.taken > 0 {
		l.account.Took(l.taken, l.at)
		l.taken = 0
	}
}

// recorded judges as the header says.
type recorded struct{ head *header }

func (r recorded) surplus(i int, in *info, _ bool) string {
	switch {
	case slices.Contains(r.head.Limited, in.tenant):
		return refusedRate
	case i/8 < len(r.head.Surplus) && r.head.Surplus[i/8]>>(i%8)&1 == 1:
		return refusedSeries
	}
	return ""
}

func (r recorded) refused(*info, string, int) {}
func (r recorded) took(int)                   {}
func (r recorded) done()                      {}

func (r recorded) counts(sender, replica string) bool {
	return !slices.ContainsFunc(r.head.Losers, func(l loser) bool {
		return string(l.Sender) == sender && l.Replica == replica
	})
}

func (r recorded) unknown(id tenant.ID) bool { return slices.Contains(r.head.Unknown, id) }
