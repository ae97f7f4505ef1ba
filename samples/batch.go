package samples

import (
	"encoding/json"
	"math"
	"time"

	"github.com/tocsin-alerting/tocsin/door"
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
	Scope   door.Scope          `json:"scope"`
	Losers  []loser             `json:"losers,omitempty"`
	Unknown []tenant.ID         `json:"unknown,omitempty"`
	// Limited sent faster than they may: nothing of theirs was taken.
	Limited []tenant.ID `json:"limited,omitempty"`
	// Surplus has a bit for every series of the request, from the first on: set,
	// when there was no room for it.
	Surplus []byte `json:"surplus,omitempty"`
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
	// surplus says why a series, the i-th of the request, is over its tenant's
	// limits; empty: it is not.
	surplus(i int, in *info, unknown bool) string
	// refused and took note what became of a tenant's samples.
	refused(in *info, reason string, samples int)
	took(samples int)
	// done is called once, at the end.
	done()
}

// report says what became of a request's items.
type report struct {
	refused      map[string]int
	deduplicated int // samples and histograms of replicas that do not count
	spared       int // exemplars of such replicas
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
func (d *Door) build(series []remotewrite.Series, adm *door.Admission, at time.Time, j judge) (*Batch, report) {
	w := builder{cache: d.cache, latest: at.Add(d.opts.MaxAhead).UnixMilli(), b: &Batch{ReceivedAt: at, Series: make([]Series, 0, len(series))}}
	rep, memo := &w.rep, memory{judge: j}
	one, only := adm.Only()
	for i, in := range d.cache.find(one, series) {
		s := &series[i]
		switch {
		case in.refused != "":
			rep.refuse(in.refused, items(s))
			if only { // else nobody can say whose it was
				j.refused(&info{tenant: one}, in.refused, items(s))
			}
			continue
		case !adm.Admits(in.tenant): // not counted against a tenant that did not send it
			rep.refuse(refusedTenant, items(s))
			continue
		case in.replica != "" && !memo.counts(in.sender, in.replica):
			rep.deduplicated += items(s)
			rep.spared += len(s.Exemplars)
			continue
		}
		unknown := memo.unknown(in.tenant)
		if why := j.surplus(i, in, unknown); why != "" {
			rep.refuse(why, items(s))
			j.refused(in, why, items(s))
			continue
		}
		before, ahead := w.b.Samples+w.b.Histograms, rep.refused[refusedAhead]
		if n := w.take(in, s, unknown); n > 0 && unknown {
			d.noteUnknown(in, n, at)
		}
		j.took(w.b.Samples + w.b.Histograms - before)
		if more := rep.refused[refusedAhead] - ahead; more > 0 {
			j.refused(in, refusedAhead, more)
		}
	}
	j.done()
	for _, n := range rep.refused {
		w.b.Refused += n
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

// journaled are the limits for what was taken before: how large a request may be
// was decided then, and a lower bound now must not make it unreadable.
func (d *Door) journaled() remotewrite.Limits {
	l := d.opts.Limits
	l.Body, l.Decompressed, l.Series, l.Samples = math.MaxInt32, math.MaxInt32, math.MaxInt32, math.MaxInt32
	return l
}

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
	if err := req.Decode(h.Proto, r.Body, d.journaled()); err != nil {
		return nil, err
	}
	if r.Version < 2 { // histograms and exemplars were not taken when it was received
		for i := range req.Series {
			s := &req.Series[i]
			s.Histograms, s.Exemplars, s.Invalid = nil, nil, 0
		}
	}
	b, _ := d.build(req.Series, &adm, r.At, recorded{&h})
	b.Sender = h.Scope.Sender
	return b, nil
}
