package samples

import (
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/exemplar"

	"github.com/tocsin-alerting/tocsin/samples/native"
	"github.com/tocsin-alerting/tocsin/samples/remotewrite"
	"github.com/tocsin-alerting/tocsin/tenant"
)

// builder makes a batch of series that may come in.
type builder struct {
	cache   *cache
	latest  int64 // time after which nothing is taken, in milliseconds
	b       *Batch
	rep     report
	buckets []native.Bucket
	parts   []remotewrite.Part
}

// take adds what may come in of a series and says how many items that was.
func (w *builder) take(in *info, s *remotewrite.Series, unknown bool) int {
	w.rep.refuse(refusedHistogram, s.Invalid)
	out := Series{ID: in.id, Tenant: in.tenant, Labels: in.labels, Unknown: unknown, Source: in.source}
	out.Samples = w.notAfter(s.Samples)
	for _, h := range s.Histograms {
		if h.T > w.latest {
			w.rep.refuse(refusedAhead, 1)
			continue
		}
		h.Start = w.start(h.T, h.Start)
		out.Histograms = append(out.Histograms, h)
	}
	for _, x := range s.Exemplars {
		if x.Ts <= w.latest {
			out.Exemplars = append(out.Exemplars, x)
		}
	}
	n := len(out.Samples) + len(out.Histograms)
	w.b.Samples += len(out.Samples)
	w.b.Histograms += len(out.Histograms)
	if len(s.Parts) > 0 {
		return n + w.whole(in, s, out)
	}
	if n+len(out.Exemplars) == 0 {
		return 0
	}
	w.b.Exemplars += len(out.Exemplars)
	w.b.Series = append(w.b.Series, out)
	if !unknown && in.tenant != tenant.Product { // nobody else is evaluated
		for _, h := range out.Histograms {
			w.expand(in, h)
		}
	}
	return n
}

// notAfter is the samples up to the latest time, in place.
func (w *builder) notAfter(samples []Sample) []Sample {
	over := false
	for i := range samples {
		over = over || samples[i].T > w.latest
		if samples[i].Start != 0 {
			samples[i].Start = w.start(samples[i].T, samples[i].Start)
		}
	}
	if !over {
		return samples
	}
	taken := slices.DeleteFunc(samples, func(s Sample) bool { return s.T > w.latest })
	w.rep.refuse(refusedAhead, len(samples)-len(taken))
	return taken
}

// start is a sample's start, unless it is after the sample.
func (w *builder) start(t, start int64) int64 {
	if start > t {
		w.rep.starts++
		return 0
	}
	return start
}

// whole adds the series that a classic histogram or a summary stands for. An
// exemplar goes to the bucket its value is in.
func (w *builder) whole(in *info, s *remotewrite.Series, out Series) int {
	if s.At.T > w.latest {
		w.rep.refuse(refusedAhead, 1)
		return 0
	}
	s.At.Start = w.start(s.At.T, s.At.Start)
	w.add(in, s.Parts, s.At, out.Unknown, false, out.Exemplars)
	w.b.Samples += len(s.Parts)
	w.b.Exemplars += len(out.Exemplars)
	return 1
}

// expand adds the classic counters of a native histogram, for whom counts events.
func (w *builder) expand(in *info, h remotewrite.Histogram) {
	w.buckets = native.Expand(w.buckets[:0], in.name, h.Int, h.Float)
	if len(w.buckets) == 0 {
		return
	}
	w.parts = w.parts[:0]
	for _, b := range w.buckets {
		w.parts = append(w.parts, remotewrite.Part{Kind: remotewrite.PartBucket, Edge: b.Le, V: b.Count})
	}
	w.parts = append(w.parts, remotewrite.Part{Kind: remotewrite.PartCount, V: w.buckets[len(w.buckets)-1].Count},
		remotewrite.Part{Kind: remotewrite.PartSum, V: native.Sum(h.Int, h.Float)})
	w.add(in, w.parts, Sample{T: h.T, Start: h.Start}, false, true, nil)
}

func (w *builder) add(in *info, parts []remotewrite.Part, at Sample, unknown, derived bool, exemplars []exemplar.Exemplar) {
	values := make([]Sample, len(parts))
	for i, kid := range w.cache.parts(in, parts, derived) {
		at.V = parts[i].V
		values[i] = at
		s := Series{ID: kid.id, Tenant: in.tenant, Labels: kid.labels, Unknown: unknown, Source: in.source, Derived: derived, Samples: values[i : i+1 : i+1]}
		if len(exemplars) > 0 && parts[i].Kind == remotewrite.PartBucket {
			s.Exemplars, exemplars = split(exemplars, parts[i].Edge)
		}
		w.b.Series = append(w.b.Series, s)
	}
}

// split parts exemplars by whether their value is up to the edge.
func split(in []exemplar.Exemplar, edge float64) (within, rest []exemplar.Exemplar) {
	for _, x := range in {
		if x.Value <= edge || math.IsInf(edge, 1) {
			within = append(within, x)
		} else {
			rest = append(rest, x)
		}
	}
	return within, rest
}
