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
	Proto   remotewrite.Version `json:"proto"`
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
	deduplicated int // samples of replicas that do not count
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

// build makes the batch of a decoded request. The same request, scope, time and
// judgements make the same batch.
func (d *Door) build(req *remotewrite.Request, adm *Admission, at time.Time, j judge) (*Batch, report) {
	var rep report
	latest := at.Add(d.opts.MaxAhead).UnixMilli()
	infos := d.cache.find(adm.fallback, req.Series)
	b := &Batch{ReceivedAt: at, Series: make([]Series, 0, len(infos))}
	memo := memory{judge: j}
	for i, in := range infos {
		s := &req.Series[i]
		switch {
		case in.refused != "":
			rep.refuse(in.refused, len(s.Samples)+s.Histograms)
			continue
		case !adm.Admits(in.tenant):
			rep.refuse(refusedTenant, len(s.Samples)+s.Histograms)
			continue
		case in.replica != "" && !memo.counts(in.sender, in.replica):
			rep.deduplicated += len(s.Samples)
			continue
		}
		rep.refuse(refusedHistogram, s.Histograms)
		taken := notAfter(s.Samples, latest)
		rep.refuse(refusedAhead, len(s.Samples)-len(taken))
		if len(taken) == 0 {
			continue
		}
		unknown := memo.unknown(in.tenant)
		if unknown {
			d.noteUnknown(in, len(taken), at)
		}
		b.Series = append(b.Series, Series{ID: in.id, Tenant: in.tenant, Labels: in.labels, Unknown: unknown, Samples: taken})
		b.Samples += len(taken)
	}
	return b, rep
}

// notAfter is the samples up to latest, in place.
func notAfter(samples []Sample, latest int64) []Sample {
	for i := range samples {
		if samples[i].T > latest {
			return slices.DeleteFunc(samples, func(s Sample) bool { return s.T > latest })
		}
	}
	return samples
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
func (d *Door) Decode(head, body []byte, at time.Time) (*Batch, error) {
	var h header
	if err := json.Unmarshal(head, &h); err != nil {
		return nil, problem.Wrap(err, problem.Malformed, "the header of a remote write record cannot be read")
	}
	adm, err := h.Scope.Open()
	if err != nil {
		return nil, err
	}
	req := d.requests.Get().(*remotewrite.Request)
	defer d.release(req)
	if err := req.Decode(h.Proto, body, d.opts.Limits); err != nil {
		return nil, err
	}
	b, _ := d.build(req, &adm, at, recorded{&h})
	return b, nil
}
