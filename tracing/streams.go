package tracing

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/tocsin-alerting/tocsin/sli"
	"github.com/tocsin-alerting/tocsin/tenant"
	"github.com/tocsin-alerting/tocsin/tracing/private"
)

const (
	longestValue = 200              // bytes of a label's value
	idleStream   = time.Hour        // without spans for so long it is forgotten
	sampleEvery  = time.Minute      // one normal and one slow trace of each stream
	sweepStreams = 10 * time.Minute // between two looks for idle ones
	mostStreams  = 500_000          // of all tenants
)

// stream is one kind of call: a set of labels.
type stream struct {
	tenant tenant.ID
	labels labels.Labels
	kind   string
	lossy  bool         // it lost details
	used   atomic.Int64 // unix seconds

	mu      sync.Mutex
	slowest time.Duration // of the spans since it was last reset
	sampled time.Time     // when a normal one was remembered
	reset   time.Time
}

// entry is a stream as a cut of the policy sees it.
type entry struct {
	st    *stream
	fails bool // it counts as a failure
}

// fingerprint stands for the bytes that a stream is found by. The bytes
// themselves are not kept: they may hold what must not be stored.
type fingerprint [2]uint64

// streams knows the kinds of calls of all tenants, as many of each as the bound
// says; what is beyond is counted without its details.
type streams struct {
	o     Options
	seeds [2]maphash.Seed

	mu     sync.RWMutex
	known  map[fingerprint]entry
	byName map[tenant.ID]map[string]*stream // by the labels' text
	total  int                              // in byName
	swept  time.Time
}

func newStreams(o Options) *streams {
	return &streams{o: o, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		known: map[fingerprint]entry{}, byName: map[tenant.ID]map[string]*stream{}}
}

func (s *streams) fingerprint(key []byte) fingerprint {
	return fingerprint{maphash.Bytes(s.seeds[0], key), maphash.Bytes(s.seeds[1], key)}
}

// parts are a call's labels before they are cleaned.
type parts struct {
	environment, service, name, peer []byte
	kind, status                     string
	slices                           [][]byte // in the layout's order
}

// find gives the stream that was found by the fingerprint before.
func (s *streams) find(f fingerprint, now time.Time) (e entry, ok bool) {
	s.mu.RLock()
	e, ok = s.known[f]
	s.mu.RUnlock()
	if ok {
		e.st.touch(now)
	}
	return e, ok
}

func (st *stream) touch(now time.Time) {
	if sec := now.Unix(); st.used.Load() != sec {
		st.used.Store(sec)
	}
}

// add makes the stream, or finds the one with the same labels after cleaning. A
// tenant with too many loses the details: first the operation, then the rest.
func (s *streams) add(f fingerprint, id tenant.ID, p parts, l *layout, now time.Time) entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	if s.total >= mostStreams || len(s.known) >= 4*mostStreams { // it is a cache: made again as needed
		s.known, s.byName, s.total = map[fingerprint]entry{}, map[tenant.ID]map[string]*stream{}, 0
	}
	own := s.byName[id]
	if own == nil {
		own = map[string]*stream{}
		s.byName[id] = own
	}
	v := clean(p)
	for detail := 0; ; detail++ {
		switch detail {
		case 1:
			v.name = Overflow
		case 2:
			v.slices = nil
			if v.peer != "" {
				v.peer = Overflow
			}
		case 3:
			v.service = Overflow
		}
		ls := s.labels(id, v, l.slices)
		text := ls.String()
		st := own[text]
		// What has lost its details is bounded by services, kinds and statuses; each
		// loss has as much room again.
		if st == nil && len(own) < (detail+1)*s.o.MaxStreams || st == nil && detail == 3 {
			st = &stream{tenant: id, labels: ls, kind: p.kind, lossy: detail > 0}
			own[text] = st
			s.total++
		}
		if st != nil {
			st.touch(now)
			e := entry{st, p.kind != KindInternal && l.fails(st.labels)}
			s.known[f] = e
			return e
		}
	}
}

// sweep forgets what was idle.
func (s *streams) sweep(now time.Time) {
	if now.Sub(s.swept) < sweepStreams {
		return
	}
	s.swept = now
	oldest := now.Add(-idleStream).Unix()
	for f, e := range s.known {
		if e.st.used.Load() < oldest {
			delete(s.known, f)
		}
	}
	for id, own := range s.byName {
		for text, st := range own {
			if st.used.Load() < oldest {
				delete(own, text)
				s.total--
			}
		}
		if len(own) == 0 {
			delete(s.byName, id)
		}
	}
}

type cleaned struct {
	environment, service, name, peer, kind, status string
	slices                                         []string
}

func clean(p parts) cleaned {
	c := cleaned{environment: cleanValue(p.environment), service: cleanValue(p.service), name: cleanValue(p.name), peer: cleanValue(p.peer), kind: p.kind, status: p.status}
	for _, v := range p.slices {
		c.slices = append(c.slices, cleanValue(v))
	}
	return c
}

// cleanValue makes a label's value of what a sender said: valid text, nothing in
// it that must not be stored, not too long.
func cleanValue(b []byte) string {
	v := private.Mask(strings.ToValidUTF8(string(b), "\uFFFD"))
	if len(v) > longestValue {
		v = v[:longestValue]
		for !utf8.ValidString(v) {
			v = v[:len(v)-1]
		}
	}
	return v
}

func (s *streams) labels(id tenant.ID, v cleaned, cut []sliced) labels.Labels {
	b := labels.NewScratchBuilder(12)
	add := func(name, value string) {
		if value != "" {
			b.Add(name, value)
		}
	}
	add(labels.MetricName, sli.SpanCalls)
	add(LabelCollector, Collector)
	add(s.o.TenantLabel, string(id))
	add(s.o.EnvironmentLabel, v.environment)
	add(LabelService, v.service)
	add(LabelSpanName, v.name)
	add(LabelSpanKind, v.kind)
	add(LabelPeer, v.peer)
	add(LabelStatus, v.status)
	for i, value := range v.slices {
		add(cut[i].label, value)
	}
	b.Sort()
	return b.Labels()
}

// worth says whether a span that did not fail should be remembered: one normal
// one a minute, and the slowest so far of a minute when it took twice as long as
// the slowest before.
func (st *stream) worth(d time.Duration, now time.Time) (Why, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if now.Sub(st.reset) >= sampleEvery {
		first := st.reset.IsZero()
		st.reset, st.slowest = now, st.slowest/2
		if first {
			st.slowest = d
		}
	}
	switch {
	case now.Sub(st.sampled) >= sampleEvery:
		st.sampled, st.slowest = now, max(st.slowest, d)
		return Normal, true
	case d > st.slowest && d > 0:
		was := st.slowest
		st.slowest = d
		return Slow, d >= 2*was
	}
	return 0, false
}
