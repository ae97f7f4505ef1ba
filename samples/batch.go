package samples

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/problem"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// header is what the door decided on a request and could not decide again at
// replay: by whose credential it came, which replicas did not count, who was
// unknown at the time.
type header struct {
	Proto   remotewrite.Version `json:"proto,omitempty"`
	JSON    bool                `json:"json,omitempty"` // of OTLP
	Scope   Scope               `json:"scope"`
	Losers  []loser             `json:"losers,omitempty"`
	Unknown []tenant.ID         `json:"unknown,omitempty"`
}

// loser is a replica that was not the elected one. Sender is bytes: its
// separator is no valid UTF-8.
type loser struct {
	Sender  []byte `json:"sender"`
	Replica string `json:"replica"`
}

// judge decides what depends on the moment: the door asks elections and the list
// of tenants, a replay asks the header.
type judge interface {
	counts(sender, replica string) bool
	unknown(id tenant.ID) bool
}

// report says what became of a request's items.
type report struct {
	refused      map[string]int
	deduplicated int // samples and histograms of replicas that do not count
	starts       int // starts after their own sample, which were not believed
}

func (r *report) refuse(reason string, n int) {
	if n == 0 {
		return
	}
	if r.refused == nil {
		r.refused = map[string]int{}
	}
	r.refused[reason] += n
}

// build makes the batch of decoded series. The same series, scope, time and
// judgements make the same batch.
func (d *Door) build(series []remotewrite.Series, adm *Admission, at time.Time, j judge) (*Batch, report) {
	w := builder{cache: d.cache, latest: at.Add(d.opts.MaxAhead).UnixMilli(), b: &Batch{ReceivedAt: at, Series: make([]Series, 0, len(series))}}
	rep, memo := &w.rep, memory{judge: j}
	for i, in := range d.cache.find(adm.fallback, series) {
		s := &series[i]
		switch {
		case in.refused != "":
			rep.refuse(in.refused, items(s))
			continue
		case !adm.Admits(in.tenant):
			rep.refuse(refusedTenant, items(s))
			continue
		case in.replica != "" && !memo.counts(in.sender, in.replica):
			rep.deduplicated += items(s)
			continue
		}
		unknown := memo.unknown(in.tenant)
		if n := w.take(in, s, unknown); n > 0 && unknown {
			d.noteUnknown(in, n, at)
		}
	}
	return w.b, w.rep
}

// items is what a series brings besides exemplars.
func items(s *remotewrite.Series) int {
	n := len(s.Samples) + len(s.Histograms) + s.Invalid
	if len(s.Parts) > 0 {
		n++
	}
	return n
}

func (d *Door) noteUnknown(in *info, samples int, at time.Time) {
	series := 0
	if in.listed.CompareAndSwap(false, true) {
		series = 1
	}
	d.unknown.saw(in.tenant, series, samples, at)
}

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

// recorded judges as the header says.
type recorded struct{ head *header }

func (r recorded) counts(sender, replica string) bool {
	return !slices.ContainsFunc(r.head.Losers, func(l loser) bool {
		return string(l.Sender) == sender && l.Replica == replica
	})
}

func (r recorded) unknown(id tenant.ID) bool { return slices.Contains(r.head.Unknown, id) }

// Decode makes the Batch of a journal's record again: the series and samples that
// were taken when it was received, in their order. The labels' names are those of
// the options now. IDs are of this process.
func (d *Door) Decode(r Record) (*Batch, error) {
	var h header
	if err := json.Unmarshal(r.Header, &h); err != nil {
		return nil, problem.Wrap(err, problem.Malformed, "the header of a record of samples cannot be read")
	}
	adm, err := h.Scope.Open()
	if err != nil {
		return nil, err
	}
	if r.Kind == OTLPKind {
		return d.decodeOTLP(r, &h, &adm)
	}
	req := d.requests.Get().(*remotewrite.Request)
	defer d.release(req)
	if err := req.Decode(h.Proto, r.Body, d.opts.Limits); err != nil {
		return nil, err
	}
	if r.Version < 2 { // histograms and exemplars were not taken when it was received
		for i := range req.Series {
			s := &req.Series[i]
			s.Histograms, s.Exemplars, s.Invalid = nil, nil, 0
		}
	}
	b, _ := d.build(req.Series, &adm, r.At, recorded{&h})
	return b, nil
}
